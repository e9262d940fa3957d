package servers_test

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestSQLitePragmasOnEveryConnection(t *testing.T) {
	db := servers.SQLite(t)
	for range 3 {
		conn, err := db.Conn(t.Context()) // held, so the next one is new
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "synchronous": "2",
		} {
			var got string
			if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s = %q (%v), want %q", pragma, got, err, want)
			}
		}
	}
}

func TestSQLiteForeignKeys(t *testing.T) {
	db := servers.SQLite(t)
	must(t, db, "CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	must(t, db, "CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent)")
	if _, err := db.ExecContext(t.Context(), "INSERT INTO child VALUES (1)"); err == nil {
		t.Error("a row that refers to nothing was accepted")
	}
}

// Transactions that read first and write then deadlock unless they take the
// write lock when they begin; then no waiting helps and one fails at once.
func TestSQLiteConcurrentReadModifyWrite(t *testing.T) {
	const writers, rounds = 8, 10
	db := servers.SQLite(t)
	must(t, db, "CREATE TABLE rows (n int)")
	must(t, db, "INSERT INTO rows VALUES (0)")
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				if err := increment(t, db); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT n FROM rows").Scan(&n); err != nil || n != writers*rounds {
		t.Errorf("n = %d (%v), want %d", n, err, writers*rounds)
	}
}

func increment(t *testing.T, db *sql.DB) error {
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT n FROM rows").Scan(&n); err != nil {
		return err
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE rows SET n = ?", n+1); err != nil {
		return err
	}
	return tx.Commit()
}

func TestSQLiteDSNTakesAnyPath(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "a%20b.db", "question?mark#hash.db", "ünïcode.db"} {
		path := filepath.Join(t.TempDir(), name)
		if err := ping(t, "sqlite", servers.SQLiteDSN(path)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.db")); err != nil || len(found) != 1 || found[0] != path {
			t.Errorf("%s: the directory holds %q", name, found)
		}
	}
}
