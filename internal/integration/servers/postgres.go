package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	postgresInstall = "apt-get install -y postgresql"
	superuser       = "admin"
)

// A PostgresServer is a PostgreSQL of the test's own.
type PostgresServer struct {
	*Process
	cluster *cluster
}

// StartPostgres starts a PostgreSQL for one test, which may pause, kill and
// restart it. It has fsync on, TLS off and no Unix socket; settings are lines
// of postgresql.conf such as "wal_level = logical" and win over those.
func StartPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	spec, password := postgresSpec(requireInitdb(t), settings)
	p := Start(t, spec)
	return &PostgresServer{Process: p, cluster: &cluster{addr: p.Addr, password: password}}
}

// Database makes a new database on the server. It ends with the server.
func (s *PostgresServer) Database(t testing.TB) *Database {
	t.Helper()
	db, err := s.cluster.create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.close() }) // the server may be dead or paused
	return db
}

// Postgres makes a new database on the server that all tests of this test
// binary share, and drops it at the end of the test.
func Postgres(t testing.TB) *Database {
	t.Helper()
	requireInitdb(t)
	require(t, "postgres", postgresInstall)
	c, err := sharedPostgres()
	if err != nil {
		t.Fatal(err)
	}
	db, err := c.create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.drop(db); err != nil {
			t.Error(err)
		}
	})
	return db
}

func requireInitdb(t testing.TB) string {
	t.Helper()
	return require(t, "initdb", postgresInstall)
}

// sharedPostgres is started by the first test that asks and ends with the
// process.
var sharedPostgres = sync.OnceValues(func() (*cluster, error) {
	initdb, _ := find("initdb") // Postgres has looked
	path, _ := find("postgres")
	spec, password := postgresSpec(initdb, nil)
	p, err := launch(path, spec)
	if err != nil {
		return nil, err
	}
	return &cluster{addr: p.Addr, password: password}, nil
})

// postgresSpec also returns the superuser's password.
func postgresSpec(initdb string, settings []string) (Spec, string) {
	password := rand.Text()
	return Spec{
		Program: "postgres",
		Install: postgresInstall,
		Prepare: func(ctx context.Context, site Site) error { return initialise(ctx, site, initdb, password) },
		Args:    func(site Site) []string { return postgresArgs(site, settings) },
		Ready: func(ctx context.Context, site Site) error {
			return (&cluster{addr: site.Addr, password: password}).ping(ctx)
		},
		StopSignal:  syscall.SIGINT,  // fast shutdown: end sessions, then checkpoint
		DeathSignal: syscall.SIGQUIT, // immediate shutdown: no checkpoint, but shared memory is freed
		Cleanup:     freeSharedMemory,
	}, password
}

// initialise makes the data directory, unless it is there from an earlier
// start. It doesn't sync: nothing in it is worth anything yet.
func initialise(ctx context.Context, site Site, initdb, password string) error {
	if _, err := os.Stat(site.Path("data/PG_VERSION")); err == nil {
		return nil
	}
	if err := site.WriteFile("password", password); err != nil {
		return err
	}
	return site.Run(ctx, initdb, "--pgdata="+site.Path("data"), "--no-sync", "--no-instructions",
		"--username="+superuser, "--pwfile="+site.Path("password"), "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C")
}

func postgresArgs(site Site, settings []string) []string {
	all := append([]string{
		"listen_addresses = 127.0.0.1",
		fmt.Sprintf("port = %d", site.Port),
		"unix_socket_directories = ",
		"ssl = off",
		"fsync = on",
		"max_connections = 200",
		"shared_buffers = 32MB",
	}, settings...)
	args := []string{"-D", site.Path("data")}
	for _, line := range all {
		name, value, _ := strings.Cut(line, "=")
		args = append(args, "-c", strings.TrimSpace(name)+"="+strings.TrimSpace(value))
	}
	return args
}
