// Package sqldb tests internal/sqldb on real databases.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

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

func TestMigrateIsForwardOnly(t *testing.T) {
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		ctx := t.Context()
		for range 2 { // the second time there is nothing to do
			if err := sqldb.Migrate(ctx, owner, notes()); err != nil {
				t.Fatal(err)
			}
		}
		if err := sqldb.Migrate(ctx, owner, notes("CREATE TABLE more (x TEXT);")); err != nil {
			t.Fatal(err)
		}
		if err := sqldb.Migrate(ctx, owner, notes()); !errors.Is(err, sqldb.ErrMigration) {
			t.Errorf("an older program on a newer database: %v", err)
		}
		if err := sqldb.Migrate(ctx, owner, notes("CREATE TABLE other (x TEXT);")); !errors.Is(err, sqldb.ErrMigration) {
			t.Errorf("a changed file: %v", err)
		}
		broken := notes("CREATE TABLE more (x TEXT);", "CREATE TABLE third (x TEXT);\nCREATE NONSENSE;")
		if err := sqldb.Migrate(ctx, owner, broken); !errors.Is(err, sqldb.ErrMigration) {
			t.Errorf("a broken file: %v", err)
		}
		if _, err := owner.ExecContext(ctx, "SELECT * FROM third"); err == nil {
			t.Error("half of a broken file was kept")
		}
	})
}

func TestInstancesThatMigrateAtOnceWaitForEachOther(t *testing.T) {
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := sqldb.Migrate(t.Context(), owner, notes("CREATE TABLE more (x TEXT);")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
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
		var n int
		if err := runtime.QueryRowContext(ctx, "SELECT COUNT(*) FROM notes").Scan(&n); err != nil || n != 0 {
			t.Errorf("without a tenant, %d rows are seen, %v", n, err)
		}
	})
}

func TestRuntimeRole(t *testing.T) {
	lite := servers.SQLite(t)
	if _, err := sqldb.CheckRuntimeRole(t.Context(), lite, sqldb.Tables{}); !errors.Is(err, sqldb.ErrNoRoles) {
		t.Errorf("SQLite: %v", err)
	}
	pg := servers.Postgres(t)
	ctx := t.Context()
	if err := sqldb.Migrate(ctx, pg.Owner, notes("CREATE TABLE loose (tenant TEXT);")); err != nil {
		t.Fatal(err)
	}
	role := runtimeRole(t, pg.Runtime)
	if err := sqldb.GrantRuntime(ctx, pg.Owner, role, sqldb.Tables{AppendOnly: []string{"notes"}}); err != nil {
		t.Fatal(err)
	}
	got, err := sqldb.CheckRuntimeRole(ctx, pg.Runtime, sqldb.Tables{AppendOnly: []string{"notes"}})
	if err != nil || len(got) != 0 {
		t.Errorf("a sound role: %q, %v", got, err)
	}
	got, err = sqldb.CheckRuntimeRole(ctx, pg.Owner, sqldb.Tables{AppendOnly: []string{"notes", "loose", "absent"}})
	all := sqldb.Describe(got)
	for _, want := range []string{"owns notes", "can change rows of notes", "loose has no forced row-level security", "absent does not exist"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %q, %v", want, all, err)
		}
	}
	if _, err := pg.Runtime.ExecContext(ctx, "UPDATE notes SET text = 'x'"); err == nil {
		t.Error("the runtime role changed an append-only table")
	}
	for _, bad := range []string{"x; DROP TABLE notes", `"x"`} {
		if err := sqldb.GrantRuntime(ctx, pg.Owner, bad, sqldb.Tables{}); err == nil {
			t.Errorf("role %q was accepted", bad)
		}
	}
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
