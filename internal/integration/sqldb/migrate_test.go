package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

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

// chain is a set of which each file needs the one before, so that a file that
// is applied twice or too early fails.
func chain() sqldb.Set {
	return sqldb.Set{Name: "chain", FS: fstest.MapFS{
		"0001_a.sql": file("CREATE TABLE a (x TEXT);\nINSERT INTO a VALUES ('1');"),
		"0002_b.sql": file("CREATE TABLE b (x TEXT);\nINSERT INTO b SELECT x FROM a;"),
		"0003_c.sql": file("ALTER TABLE b ADD COLUMN y TEXT;\nUPDATE b SET y = 'done';"),
	}}
}

func checkChain(t *testing.T, db *sql.DB) {
	t.Helper()
	var rows int
	var y string
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), MAX(y) FROM b").Scan(&rows, &y); err != nil || rows != 1 || y != "done" {
		t.Errorf("%d rows with %q, %v", rows, y, err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM surety_migrations").Scan(&rows); err != nil || rows != 3 {
		t.Errorf("%d notes, %v", rows, err)
	}
}

func TestInstancesThatMigrateAtOnceWaitForEachOther(t *testing.T) {
	atOnce := func(t *testing.T, owner *sql.DB) {
		t.Helper()
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if err := sqldb.Migrate(t.Context(), owner, chain()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		checkChain(t, owner)
	}
	each(t, func(t *testing.T, owner, _ *sql.DB) { atOnce(t, owner) })
	// With these defaults, a transaction that waited for the lock would not
	// see what the other one did meanwhile.
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run("PostgreSQL, "+level, func(t *testing.T) {
			db := servers.Postgres(t)
			if _, err := db.Admin.ExecContext(t.Context(), "ALTER ROLE "+db.OwnerRole+" SET default_transaction_isolation = '"+level+"'"); err != nil {
				t.Fatal(err)
			}
			atOnce(t, db.Owner)
		})
	}
}

// An instance that dies while it migrates leaves whole files and no lock.
func TestADeadMigratorHoldsNobodyUp(t *testing.T) {
	db := servers.Postgres(t)
	ctx := t.Context()
	slow := chain()
	slow.FS.(fstest.MapFS)["0002_b.sql"] = file("CREATE TABLE b (x TEXT);\nSELECT pg_sleep(30);")
	done := make(chan error, 1)
	go func() { done <- sqldb.Migrate(ctx, db.Owner, slow) }()
	killed := false
	for deadline := time.Now().Add(10 * time.Second); !killed && time.Now().Before(deadline); {
		// Asked again until the statement is running.
		err := db.Admin.QueryRowContext(ctx, "SELECT COALESCE(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity"+
			" WHERE usename = $1 AND query LIKE '%pg_sleep%' AND state = 'active'", db.OwnerRole).Scan(&killed)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err == nil || !killed {
		t.Fatalf("killed %t, %v", killed, err)
	}
	if err := sqldb.Migrate(ctx, db.Owner, chain()); err != nil {
		t.Fatal(err)
	}
	checkChain(t, db.Owner)
}

func TestMigrateWaitsNoLongerThanItsContext(t *testing.T) {
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		db, err := sqldb.Open(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		holder, err := owner.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		lock := "SELECT pg_advisory_lock(1937076837)"
		if db.Dialect == sqldb.SQLite {
			lock = "BEGIN IMMEDIATE"
		}
		if _, err := holder.ExecContext(t.Context(), lock); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := sqldb.Migrate(ctx, owner, chain()); err == nil || time.Since(start) > 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		release := "SELECT pg_advisory_unlock_all()"
		if db.Dialect == sqldb.SQLite {
			release = "ROLLBACK"
		}
		if _, err := holder.ExecContext(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		if err := sqldb.Migrate(t.Context(), owner, chain()); err != nil {
			t.Error(err)
		}
		checkChain(t, owner)
	})
}

func TestTriggersAndFunctions(t *testing.T) {
	set := sqldb.Set{Name: "t", FS: fstest.MapFS{
		"0001_t.sqlite.sql": file(`CREATE TABLE log (x TEXT DEFAULT ';');
-- begin
CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN
	SELECT RAISE(ABORT, 'append-only;');
END;
-- end
`),
		"0001_t.postgres.sql": file(`CREATE TABLE log (x TEXT DEFAULT ';'); -- a remark; with one
CREATE FUNCTION log_no_update() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
	RAISE EXCEPTION 'append-only;';
END; $body$;
CREATE TRIGGER log_no_update BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION log_no_update();
`),
	}}
	each(t, func(t *testing.T, owner, _ *sql.DB) {
		if err := sqldb.Migrate(t.Context(), owner, set); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.ExecContext(t.Context(), "INSERT INTO log VALUES ('a')"); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.ExecContext(t.Context(), "UPDATE log SET x = 'b'"); err == nil || !strings.Contains(err.Error(), "append-only;") {
			t.Errorf("the trigger is silent: %v", err)
		}
	})
}
