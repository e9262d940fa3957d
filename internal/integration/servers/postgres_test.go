package servers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestPostgresDatabasesAreSeparate(t *testing.T) {
	first, second := servers.Postgres(t), servers.Postgres(t)
	must(t, first.Owner, "CREATE TABLE only_here (n int)")
	if _, err := second.Owner.ExecContext(t.Context(), "SELECT n FROM only_here"); err == nil {
		t.Error("a table of one test's database is visible in another's")
	}
	// Nobody's role reaches another test's database.
	dsn := strings.Replace(first.OwnerDSN, "/"+first.Name+"?", "/"+second.Name+"?", 1)
	if err := ping(t, "pgx", dsn); sqlState(err) != "42501" {
		t.Errorf("owner of %s connecting to %s: %v, want permission denied", first.Name, second.Name, err)
	}
}

func TestPostgresRoles(t *testing.T) {
	db := servers.Postgres(t)
	must(t, db.Owner, "CREATE TABLE rows (n int)")
	must(t, db.Owner, "INSERT INTO rows VALUES (1)")
	for _, statement := range []string{"CREATE TABLE mine (n int)", "SELECT n FROM rows", "CREATE TEMPORARY TABLE mine (n int)"} {
		if _, err := db.Runtime.ExecContext(t.Context(), statement); sqlState(err) != "42501" {
			t.Errorf("runtime role: %s: %v, want permission denied", statement, err)
		}
	}
	must(t, db.Owner, "GRANT SELECT ON rows TO "+db.RuntimeRole)
	must(t, db.Runtime, "SELECT n FROM rows")

	for _, role := range []string{db.OwnerRole, db.RuntimeRole} {
		var special bool
		q := "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication FROM pg_roles WHERE rolname = $1"
		if err := db.Admin.QueryRowContext(t.Context(), q, role).Scan(&special); err != nil || special {
			t.Errorf("role %s has special rights: %v (%v)", role, special, err)
		}
	}
}

// Row-level security must bind the owner too, or tests of it prove nothing.
func TestPostgresRowLevelSecurityBinds(t *testing.T) {
	db := servers.Postgres(t)
	must(t, db.Owner, "CREATE TABLE rows (n int)")
	must(t, db.Owner, "INSERT INTO rows VALUES (1)")
	must(t, db.Owner, "ALTER TABLE rows ENABLE ROW LEVEL SECURITY")
	must(t, db.Owner, "ALTER TABLE rows FORCE ROW LEVEL SECURITY")
	if n := count(t, db.Owner, "rows"); n != 0 {
		t.Errorf("the owner sees %d rows through forced row-level security", n)
	}
	if n := count(t, db.Admin, "rows"); n != 1 {
		t.Errorf("the superuser sees %d rows, want 1", n)
	}
}

func TestPostgresSettings(t *testing.T) {
	db := servers.StartPostgres(t, "wal_level = logical", "max_connections=20").Database(t)
	for name, want := range map[string]string{
		"wal_level": "logical", "max_connections": "20", "fsync": "on", "ssl": "off",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "password_encryption": "scram-sha-256",
	} {
		var got string
		if err := db.Admin.QueryRowContext(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q (%v), want %q", name, got, err, want)
		}
	}
}

func TestPostgresAsksForThePassword(t *testing.T) {
	db := servers.Postgres(t)
	dsn := strings.Replace(db.AdminDSN, "@", "x@", 1)
	if err := ping(t, "pgx", dsn); sqlState(err) != "28P01" {
		t.Errorf("wrong password: %v, want an authentication failure", err)
	}
}

func TestPostgresPauseAndResume(t *testing.T) {
	server := servers.StartPostgres(t)
	db := server.Database(t)
	must(t, db.Owner, "SELECT 1") // a session with a backend of its own

	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.Owner.ExecContext(ctx, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("query to a paused server: %v, want a deadline", err)
	}
	server.Resume()
	must(t, db.Owner, "SELECT 1")
}

func TestPostgresKilledKeepsWhatItAcknowledged(t *testing.T) {
	server := servers.StartPostgres(t)
	db := server.Database(t)
	must(t, db.Owner, "CREATE TABLE rows (n int)")
	must(t, db.Owner, "INSERT INTO rows VALUES (1)")
	pid := server.PID()

	server.Kill()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Kill: %v, want none", pid, err)
	}
	if _, err := db.Owner.ExecContext(t.Context(), "SELECT 1"); err == nil {
		t.Error("a killed server answers")
	}
	server.Restart()
	if n := count(t, db.Owner, "rows"); n != 1 {
		t.Errorf("%d rows after a restart, want 1", n)
	}
	if log := server.Log(); !strings.Contains(log, "database system was interrupted") {
		t.Errorf("the restart recovered nothing, so it was no crash:\n%s", log)
	}
}

// A killed server's memory segment stays in the kernel until someone frees it.
func TestPostgresKilledLeavesNoSharedMemory(t *testing.T) {
	var id int
	t.Run("", func(t *testing.T) {
		server := servers.StartPostgres(t)
		server.Kill()
		text, err := os.ReadFile(filepath.Join(server.Dir, "data", "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		var ok bool
		if id, ok = servers.SharedMemoryID(string(text)); !ok {
			t.Fatalf("no segment in postmaster.pid:\n%s", text)
		}
		if !segmentExists(id) {
			t.Fatalf("segment %d is gone before the test ended, so there is nothing to prove", id)
		}
	})
	if segmentExists(id) {
		t.Errorf("segment %d is still there after the test", id)
	}
}

func TestSharedMemoryID(t *testing.T) {
	for text, want := range map[string]int{
		"1\n/data\n1700000000\n5432\n\n127.0.0.1\n  5432001     65538\nready\n": 65538,
		"1\n/data\n1700000000\n5432\n\n127.0.0.1\n\nready\n":                    -1, // not yet allocated
		"1\n/data\n1700000000\n5432\n\n127.0.0.1\n  5432001     many\n":         -1,
		"1\n/data\n": -1,
		"":           -1,
	} {
		if id, ok := servers.SharedMemoryID(text); ok != (want >= 0) || ok && id != want {
			t.Errorf("%q: %d, %v; want %d", text, id, ok, want)
		}
	}
}

// go test runs parallel tests of one binary against the one shared server.
func TestPostgresInParallel(t *testing.T) {
	for range 6 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			db := servers.Postgres(t)
			must(t, db.Owner, "CREATE TABLE rows (n int)")
		})
	}
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
