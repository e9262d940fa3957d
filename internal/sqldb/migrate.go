package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrMigration says that a set of migrations and a database don't fit.
var ErrMigration = errors.New("sqldb: migration")

// A Set is one package's migrations: files named NNNN_words.sqlite.sql and
// NNNN_words.postgres.sql, numbered from 0001 without gaps. A file without a
// dialect, NNNN_words.sql, serves both. They are forward-only: an applied file
// must never change.
type Set struct {
	Name string // the package's name, unique in a database
	FS   fs.FS  // usually an embed.FS
	Dir  string // the folder in FS; empty is its root
}

type migration struct {
	number   int
	name     string
	text     string
	checksum string
}

var fileName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+?)(?:\.(sqlite|postgres))?\.sql$`)

// Migrate applies what is missing of the sets, in order, one transaction per
// file. It needs a role that may create tables; the service then runs under
// another one, see [GrantRuntime]. Instances that migrate at the same time
// wait for each other. A file that was applied and has changed since, or a
// database that knows newer files, is an error and nothing is applied.
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
		if err := db.apply(ctx, s.Name, list); err != nil {
			return err
		}
	}
	return nil
}

// read lists a set's migrations for a dialect, by number.
func (s Set) read(d Dialect) ([]migration, error) {
	if s.Name == "" || s.FS == nil {
		return nil, fmt.Errorf("%w: a set needs a Name and an FS", ErrMigration)
	}
	dir := s.Dir
	if dir == "" {
		dir = "."
	}
	entries, err := fs.ReadDir(s.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMigration, s.Name, err)
	}
	var list []migration
	for _, e := range entries {
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil {
			return nil, fmt.Errorf("%w: %s: file name %q", ErrMigration, s.Name, e.Name())
		}
		if m[3] == "sqlite" && d != SQLite || m[3] == "postgres" && d != PostgreSQL {
			continue
		}
		text, err := fs.ReadFile(s.FS, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrMigration, s.Name, err)
		}
		number, _ := strconv.Atoi(m[1]) // four digits
		sum := sha256.Sum256(text)
		list = append(list, migration{number, m[2], string(text), hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(list, func(a, b migration) int { return a.number - b.number })
	for i, m := range list {
		if m.number != i+1 {
			return nil, fmt.Errorf("%w: %s: number %04d for %v, want %04d", ErrMigration, s.Name, m.number, d, i+1)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %s: no files for %v", ErrMigration, s.Name, d)
	}
	return list, nil
}

const migrationsTable = `CREATE TABLE IF NOT EXISTS surety_migrations (
	package  TEXT NOT NULL,
	number   INTEGER NOT NULL,
	name     TEXT NOT NULL,
	checksum TEXT NOT NULL,
	PRIMARY KEY (package, number)
)`

// advisoryLock is the key of PostgreSQL's lock around migrations.
const advisoryLock = 0x73757265 // "sure"

func (db *DB) apply(ctx context.Context, name string, list []migration) error {
	conn, err := db.Pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqldb: connection: %w", err)
	}
	defer conn.Close()
	return db.retry(ctx, func() error { return db.locked(ctx, conn, func() error { return db.applyAll(ctx, conn, name, list) }) })
}

// locked runs f in one transaction that keeps other migrators out. The
// statements are sent by hand, because database/sql can't begin SQLite's
// transactions with the write lock held.
func (db *DB) locked(ctx context.Context, conn *sql.Conn, f func() error) (err error) {
	begin := "BEGIN IMMEDIATE"
	if db.Dialect == PostgreSQL {
		begin = "BEGIN"
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return fmt.Errorf("sqldb: begin: %w", err)
	}
	defer func() {
		end := "COMMIT"
		if err != nil {
			end = "ROLLBACK"
		}
		// The transaction must end even if the caller has given up.
		if _, e := conn.ExecContext(context.WithoutCancel(ctx), end); e != nil && err == nil {
			err = fmt.Errorf("sqldb: commit: %w", e)
		}
	}()
	if db.Dialect == PostgreSQL {
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", advisoryLock); err != nil {
			return fmt.Errorf("sqldb: lock: %w", err)
		}
	}
	return f()
}

func (db *DB) applyAll(ctx context.Context, conn *sql.Conn, name string, list []migration) error {
	if _, err := conn.ExecContext(ctx, migrationsTable); err != nil {
		return fmt.Errorf("sqldb: migrations table: %w", err)
	}
	done, err := db.applied(ctx, conn, name)
	if err != nil {
		return err
	}
	if len(done) > len(list) {
		return fmt.Errorf("%w: %s: the database is at %04d and this program knows %04d: run the newer program", ErrMigration, name, len(done), len(list))
	}
	for i, m := range list {
		if i < len(done) {
			if done[i] != m.checksum {
				return fmt.Errorf("%w: %s: %04d_%s was applied with another content: add a new file instead", ErrMigration, name, m.number, m.name)
			}
			continue
		}
		for _, statement := range Statements(m.text) {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%w: %s: %04d_%s: %w", ErrMigration, name, m.number, m.name, err)
			}
		}
		const insert = "INSERT INTO surety_migrations (package, number, name, checksum) VALUES (?, ?, ?, ?)"
		if _, err := conn.ExecContext(ctx, db.Dialect.Rebind(insert), name, m.number, m.name, m.checksum); err != nil {
			return fmt.Errorf("sqldb: note migration: %w", err)
		}
	}
	return nil
}

// applied returns the checksums of a package's applied migrations by number.
func (db *DB) applied(ctx context.Context, conn *sql.Conn, name string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, db.Dialect.Rebind("SELECT checksum FROM surety_migrations WHERE package = ? ORDER BY number"), name)
	if err != nil {
		return nil, fmt.Errorf("sqldb: migrations: %w", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var sum string
		if err := rows.Scan(&sum); err != nil {
			return nil, fmt.Errorf("sqldb: migrations: %w", err)
		}
		list = append(list, sum)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqldb: migrations: %w", err)
	}
	return list, nil
}

// Statements splits a file at lines that end in a semicolon, because drivers
// differ in whether they take several statements at once. A statement with
// semicolons inside, such as a trigger, stands between lines "-- begin" and
// "-- end".
func Statements(text string) []string {
	var list []string
	var b strings.Builder
	block := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "-- begin":
			block = true
			continue
		case trimmed == "-- end":
			block = false
		case !strings.HasPrefix(trimmed, "--"):
			b.WriteString(line)
		}
		if !block && (strings.HasSuffix(trimmed, ";") || trimmed == "-- end") {
			if s := strings.TrimSpace(b.String()); s != "" {
				list = append(list, s)
			}
			b.Reset()
		}
	}
	if s := strings.TrimSpace(b.String()); s != "" {
		list = append(list, s)
	}
	return list
}

// identifier accepts names that need no quoting in SQL.
var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// PolicySQL returns the statements that confine a PostgreSQL table to the
// transaction's tenant, even for the table's owner. Migrations contain them
// written out; the function is for tests and for tables made elsewhere. The
// table has a column named tenant.
func PolicySQL(table string) ([]string, error) {
	if !identifier.MatchString(table) {
		return nil, fmt.Errorf("sqldb: table %q: want a plain lower-case name", table)
	}
	return []string{
		"ALTER TABLE " + table + " ENABLE ROW LEVEL SECURITY",
		"ALTER TABLE " + table + " FORCE ROW LEVEL SECURITY",
		"CREATE POLICY tenant_only ON " + table + " USING (tenant = current_setting('surety.tenant', true))" +
			" WITH CHECK (tenant = current_setting('surety.tenant', true))",
	}, nil
}
