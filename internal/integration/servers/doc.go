// Package servers runs real servers for tests: PostgreSQL, Redis, HAProxy,
// nginx, clamd, and through [Start] any other program that listens on a port.
//
// Most tests want a database nobody else sees, on a server they don't harm:
//
//	db := servers.Postgres(t)  // db.Owner, db.Runtime: *sql.DB in two roles
//	rdb := servers.Redis(t)    // *redis.Client on an empty database
//	lite := servers.SQLite(t)  // *sql.DB on a file
//
// One PostgreSQL and one Redis serve a whole test binary. A test that breaks
// its server starts one of its own:
//
//	pg := servers.StartPostgres(t)
//	db := pg.Database(t)
//	pg.Pause() // SIGSTOP to the server and all its children
//	pg.Resume()
//	pg.Kill() // SIGKILL to all of them, as if the power failed
//	pg.Restart()
//
// # Missing programs
//
// A test whose program is not installed is skipped, and says how to install
// it. With SURETY_REQUIRE_SERVICES=1 it fails instead: continuous integration
// must never be green because nothing ran.
//
// # What is left behind
//
// Nothing. Servers listen on loopback only, ask for a random password where
// they know passwords, and run as an unprivileged user when the test runs as
// root. They are stopped by process id at the end of the test, or of the test
// binary if shared. If that dies first, the kernel (Pdeathsig, on Linux) and a
// waiting shell stop them and remove their directory.
//
// On systems other than Linux, Pause and Kill reach only the main process.
// The package doesn't build on Windows.
package servers
