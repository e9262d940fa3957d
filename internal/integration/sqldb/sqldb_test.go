// Package sqldb tests internal/sqldb on real databases.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

// each runs a test on SQLite, and on PostgreSQL with its two roles.
func each(t *testing.T, f func(t *testing.T, owner, runtime *sql.DB)) {
	t.Run("SQLite", func(t *testing.T) {
		db := servers.SQLite(t)
		f(t, db, db)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		db := servers.Postgres(t)
		f(t, db.Owner, db.Runtime)
	})
}

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func notes(more ...string) sqldb.Set {
	fs := fstest.MapFS{
		"0001_notes.sqlite.sql": file("CREATE TABLE notes (tenant TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (tenant, id));"),
		"0001_notes.postgres.sql": file(`CREATE TABLE notes (tenant TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (tenant, id));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON notes USING (tenant = current_setting('surety.tenant', true)) WITH CHECK (tenant = current_setting('surety.tenant', true));`),
	}
	for i, text := range more {
		fs["000"+string(rune('2'+i))+"_more.sql"] = file(text)
	}
	return sqldb.Set{Name: "notes", FS: fs}
}

func runtimeRole(t *testing.T, runtime *sql.DB) string {
	t.Helper()
	var role string
	if err := runtime.QueryRowContext(t.Context(), "SELECT current_user").Scan(&role); err != nil {
		t.Fatal(err)
	}
	return role
}

func TestTenantsAreSeparate(t *testing.T) {
	each(t, func(t *testing.T, owner, runtime *sql.DB) {
		ctx := t.Context()
		if err := sqldb.Migrate(ctx, owner, notes()); err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.Open(ctx, runtime)
		if err != nil {
			t.Fatal(err)
		}
		if db.Dialect == sqldb.PostgreSQL {
			if err := sqldb.GrantRuntime(ctx, owner, runtimeRole(t, runtime), sqldb.Tables{ReadWrite: []string{"notes"}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, tenant := range []string{"acme", "globex"} {
			err := db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO notes (tenant, id, text) VALUES (?, ?, ?)", tenant, "1", "of "+tenant)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if db.Dialect == sqldb.SQLite {
			return // it has no row-level security: CheckRuntimeRole says so
		}
		// The query forgets the tenant; the database does not.
		var texts []string
		err = db.View(ctx, "acme", func(tx *sqldb.Tx) error {
			return tx.Rows(ctx, func(rows *sql.Rows) error {
				var s string
				err := rows.Scan(&s)
				texts = append(texts, s)
				return err
			}, "SELECT text FROM notes")
		})
		if err != nil || strings.Join(texts, ",") != "of acme" {
			t.Errorf("acme sees %q, %v", texts, err)
		}
		err = db.Tx(ctx, "acme", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO notes (tenant, id, text) VALUES ('globex', '2', 'x')")
			return err
		})
		if err == nil {
			t.Error("acme wrote a row of globex")
		}
		// The pooled connection, which has served tenants, forgets them.
		runtime.SetMaxOpenConns(1)
		var n int
		if err := runtime.QueryRowContext(ctx, "SELECT COUNT(*) FROM notes").Scan(&n); err != nil || n != 0 {
			t.Errorf("without a tenant, %d rows are seen, %v", n, err)
		}
		// The owner of the tables is confined too, which FORCE is for.
		if err := owner.QueryRowContext(ctx, "SELECT COUNT(*) FROM notes").Scan(&n); err != nil || n != 0 {
			t.Errorf("the owner sees %d rows, %v", n, err)
		}
		err = db.View(ctx, "acme", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM notes")
			return err
		})
		if err == nil {
			t.Error("a View wrote")
		}
	})
}

func TestTransactionsRetryAndRollBack(t *testing.T) {
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		ctx := t.Context()
		if err := sqldb.Migrate(ctx, owner, sqldb.Set{Name: "c", FS: fstest.MapFS{"0001_c.sql": file("CREATE TABLE counter (tenant TEXT, n INTEGER);")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.ExecContext(ctx, "INSERT INTO counter VALUES ('acme', 0)"); err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.Open(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		increment := func(ctx context.Context) error {
			return db.Tx(ctx, "acme", func(tx *sqldb.Tx) error {
				n, err := tx.Exec(ctx, "UPDATE counter SET n = n + 1 WHERE tenant = ?", "acme")
				if err == nil && n != 1 {
					t.Errorf("%d rows changed", n)
				}
				return err
			})
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := increment(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		stop := errors.New("stop")
		err = db.Tx(ctx, "acme", func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE counter SET n = 99"); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Errorf("Tx = %v", err)
		}
		var n int
		if err := owner.QueryRowContext(ctx, "SELECT n FROM counter").Scan(&n); err != nil || n != 8 {
			t.Errorf("n = %d, %v; want 8", n, err)
		}
	})
}

func TestDuplicateIsRecognised(t *testing.T) {
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		ctx := t.Context()
		if _, err := owner.ExecContext(ctx, "CREATE TABLE u (a INTEGER PRIMARY KEY, b INTEGER UNIQUE)"); err != nil {
			t.Fatal(err)
		}
		for i, q := range []string{"INSERT INTO u VALUES (1, 1)", "INSERT INTO u VALUES (1, 2)", "INSERT INTO u VALUES (2, 1)"} {
			_, err := owner.ExecContext(ctx, q)
			if sqldb.Duplicate(err) != (i > 0) {
				t.Errorf("%s: %v", q, err)
			}
		}
	})
}

// Transactions that read before they write can't all be right at once: the
// database refuses some, and they start over.
func TestSerialisationFailuresAreRetried(t *testing.T) {
	pg := servers.Postgres(t)
	ctx := t.Context()
	if _, err := pg.Admin.ExecContext(ctx, "ALTER ROLE "+pg.OwnerRole+" SET default_transaction_isolation = 'serializable'"); err != nil {
		t.Fatal(err)
	}
	if _, err := pg.Owner.ExecContext(ctx, "CREATE TABLE seats (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(ctx, pg.Owner)
	if err != nil {
		t.Fatal(err)
	}
	const people = 6
	var first sync.WaitGroup // all have read before anyone writes
	first.Add(people)
	var tries atomic.Int64
	var wg sync.WaitGroup
	for range people {
		wg.Go(func() {
			var once sync.Once
			err := db.Tx(ctx, "acme", func(tx *sqldb.Tx) error {
				tries.Add(1)
				var n int
				if err := tx.Row(ctx, "SELECT COUNT(*) FROM seats").Scan(&n); err != nil {
					return err
				}
				once.Do(func() { first.Done(); first.Wait() })
				_, err := tx.Exec(ctx, "INSERT INTO seats (n) VALUES (?)", n)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var rows, distinct int
	if err := pg.Owner.QueryRowContext(ctx, "SELECT COUNT(n), COUNT(DISTINCT n) FROM seats").Scan(&rows, &distinct); err != nil || rows != people || distinct != people {
		t.Errorf("%d rows, %d different, %v", rows, distinct, err)
	}
	if tries.Load() <= people {
		t.Errorf("%d tries: nothing was in anyone's way", tries.Load())
	}
}

// Pools that open SQLite's transactions without the write lock collide when
// both go on to write; the loser starts over.
func TestSQLiteDeferredTransactionsAreRetried(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	pool, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)") // deferred, no busy timeout
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ctx := t.Context()
	if _, err := pool.ExecContext(ctx, "CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)"); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	// Both have read before either writes: one gets SQLITE_BUSY_SNAPSHOT.
	var first sync.WaitGroup
	first.Add(2)
	var tries atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var once sync.Once
			err := db.Tx(ctx, "acme", func(tx *sqldb.Tx) error {
				tries.Add(1)
				var n int
				if err := tx.Row(ctx, "SELECT n FROM counter").Scan(&n); err != nil {
					return err
				}
				once.Do(func() { first.Done(); first.Wait() })
				_, err := tx.Exec(ctx, "UPDATE counter SET n = ?", n+1)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := pool.QueryRowContext(ctx, "SELECT n FROM counter").Scan(&n); err != nil || n != 2 || tries.Load() < 3 {
		t.Errorf("n = %d after %d tries, %v", n, tries.Load(), err)
	}
}

// A View must not wait for a writer.
func TestViewTakesNoWriteLock(t *testing.T) {
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // less than the busy timeout
		defer cancel()
		db, err := sqldb.Open(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Tx(ctx, "acme", func(*sqldb.Tx) error {
			return db.View(ctx, "acme", func(*sqldb.Tx) error { return nil })
		})
		if err != nil {
			t.Error(err)
		}
	})
}
