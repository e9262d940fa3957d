package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// ErrMigration says that a set of migrations and a database don't fit.
var ErrMigration = errors.New("sqldb: migration")

// Migrate applies what is missing of the sets, in order, one transaction per
// file, so that a crash leaves whole files only and the next call goes on. It
// needs a role that may create tables; the service then runs under another
// one, see [GrantRuntime]. Instances that migrate at the same time wait for
// each other. A file that was applied and has changed since, or a database
// that knows newer files, is [ErrMigration], and nothing of that set is
// applied.
func Migrate(ctx context.Context, pool *sql.DB, sets ...Set) error {
	db, err := Open(ctx, pool)
	if err != nil {
		return err
	}
	for _, s := range sets {
		list, err := s.read(db.Dialect)
		if err != nil {
			return err
		}
		for more := true; more; {
			err := db.exclusively(ctx, func(conn *sql.Conn) (err error) {
				more, err = db.applyNext(ctx, conn, s.Name, list)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

const migrationsTable = `CREATE TABLE IF NOT EXISTS surety_migrations (
	package  TEXT NOT NULL,
	number   INTEGER NOT NULL,
	name     TEXT NOT NULL,
	checksum TEXT NOT NULL,
	PRIMARY KEY (package, number)
)`

// applyNext applies the first migration that is missing, and reports whether
// another one is left.
func (db *DB) applyNext(ctx context.Context, conn *sql.Conn, name string, list []migration) (more bool, err error) {
	if _, err := conn.ExecContext(ctx, migrationsTable); err != nil {
		return false, fmt.Errorf("sqldb: migrations table: %w", err)
	}
	done, err := db.applied(ctx, conn, name)
	if err != nil {
		return false, err
	}
	if len(done) > len(list) {
		return false, fmt.Errorf("%w: %s: the database is at %04d and this program knows %04d: run the newer program", ErrMigration, name, len(done), len(list))
	}
	for i, sum := range done {
		if sum != list[i].checksum {
			return false, fmt.Errorf("%w: %s: %v was applied with another content: add a new file instead", ErrMigration, name, list[i])
		}
	}
	if len(done) == len(list) {
		return false, nil
	}
	m := list[len(done)]
	for _, statement := range m.statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return false, fmt.Errorf("%w: %s: %v: %w", ErrMigration, name, m, err)
		}
	}
	const insert = "INSERT INTO surety_migrations (package, number, name, checksum) VALUES (?, ?, ?, ?)"
	if _, err := conn.ExecContext(ctx, db.Dialect.Rebind(insert), name, m.number, m.name, m.checksum); err != nil {
		return false, fmt.Errorf("sqldb: note migration: %w", err)
	}
	return m.number < len(list), nil
}

// applied returns the checksums of a package's applied migrations by number.
func (db *DB) applied(ctx context.Context, conn *sql.Conn, name string) ([]string, error) {
	const query = "SELECT number, checksum FROM surety_migrations WHERE package = ? ORDER BY number"
	rows, err := conn.QueryContext(ctx, db.Dialect.Rebind(query), name)
	if err != nil {
		return nil, fmt.Errorf("sqldb: migrations: %w", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var number int
		var sum string
		if err := rows.Scan(&number, &sum); err != nil {
			return nil, fmt.Errorf("sqldb: migrations: %w", err)
		}
		list = append(list, sum)
		if number != len(list) {
			return nil, fmt.Errorf("%w: %s: the database lacks the note of %04d", ErrMigration, name, len(list))
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqldb: migrations: %w", err)
	}
	return list, nil
}

// exclusively runs f in a transaction that keeps other migrators out, on a
// connection of its own, and starts over when another one was in the way.
func (db *DB) exclusively(ctx context.Context, f func(*sql.Conn) error) error {
	return retry(ctx, func() error {
		conn, err := db.Pool.Conn(ctx)
		if err != nil {
			return fmt.Errorf("sqldb: connection: %w", err)
		}
		defer conn.Close()
		return db.locked(ctx, conn, f)
	})
}

// locked sends the transaction's statements by hand, because database/sql
// can't begin SQLite's transactions with the write lock held.
func (db *DB) locked(ctx context.Context, conn *sql.Conn, f func(*sql.Conn) error) error {
	open := false // whether a transaction may be
	defer func() {
		if open {
			abandon(ctx, conn)
		}
	}()
	for _, q := range db.Dialect.lockSQL() {
		_, err := conn.ExecContext(ctx, q)
		open = open || err == nil || ctx.Err() != nil
		if err != nil {
			return fmt.Errorf("sqldb: lock: %w", err)
		}
	}
	if err := f(conn); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("sqldb: commit: %w", err)
	}
	open = false
	return nil
}

// lockSQL begins a transaction and takes the lock, whose key on PostgreSQL is
// "sure" in ASCII. There it must be READ COMMITTED whatever the role's default
// is: at other levels what the transaction sees would be fixed when it begins
// to wait, which is before the other migrator commits.
func (d Dialect) lockSQL() []string {
	if d == PostgreSQL {
		return []string{"BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT pg_advisory_xact_lock(1937076837)"}
	}
	return []string{"BEGIN IMMEDIATE"}
}

// abandon rolls back, even if the caller has given up. A connection on which
// that fails may be in a transaction still: it leaves the pool.
func abandon(ctx context.Context, conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}
