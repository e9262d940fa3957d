package servers

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite" // database/sql driver "sqlite"
)

// SQLite opens a new database file as SQLiteDSN says. It is closed and removed
// at the end of the test.
func SQLite(t testing.TB) *sql.DB {
	t.Helper()
	db := open("sqlite", SQLiteDSN(filepath.Join(t.TempDir(), "test.db")))
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// SQLiteDSN names a database file for the driver "sqlite": a write-ahead log
// synced on every commit, foreign keys enforced, five seconds of waiting for
// a lock, and transactions that take the write lock when they begin (else two
// readers that both go on to write deadlock, and one gets an error at once).
func SQLiteDSN(path string) string {
	pragmas := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
		"_txlock": {"immediate"},
	}
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: pragmas.Encode()}
	return u.String()
}
