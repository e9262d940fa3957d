// Package sqldb is what SQL stores share: telling SQLite from PostgreSQL
// without importing a driver, placeholders, forward-only migrations, and
// transactions that belong to one tenant.
//
//	db, err := sqldb.Open(ctx, pool)                    // detects the dialect
//	err = sqldb.Migrate(ctx, pool, sqldb.Set{Name: "consent", FS: migrations})
//	err = db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
//		_, err := tx.Exec(ctx, `INSERT INTO consent_entries (tenant, …) VALUES (?, …)`, tenant, …)
//		return err
//	})
//
// On PostgreSQL a transaction sets surety.tenant, which the tables' row-level
// security policies compare with; see [PolicySQL]. SQLite has no roles: there
// the WHERE clauses separate tenants alone, which [CheckRuntimeRole] reports
// as not applicable.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Errors of the package.
var (
	// ErrNoTenant says that a store was called without a tenant.
	ErrNoTenant = errors.New("sqldb: the tenant is empty")
	// ErrDialect says that a database is neither SQLite nor PostgreSQL.
	ErrDialect = errors.New("sqldb: neither SQLite nor PostgreSQL")
)

// A Dialect is a kind of database.
type Dialect uint8

// The dialects. The zero Dialect is none.
const (
	SQLite Dialect = iota + 1
	PostgreSQL
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "SQLite"
	case PostgreSQL:
		return "PostgreSQL"
	}
	return "unknown"
}

// Detect asks a database what it is.
func Detect(ctx context.Context, db *sql.DB) (Dialect, error) {
	if db == nil {
		return 0, errors.New("sqldb: the database is nil")
	}
	if err := db.PingContext(ctx); err != nil {
		return 0, fmt.Errorf("sqldb: the database does not answer: %w", err)
	}
	var version string
	if db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version) == nil {
		return SQLite, nil
	}
	err := db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	if err == nil && strings.HasPrefix(version, "PostgreSQL") {
		return PostgreSQL, nil
	}
	return 0, errors.Join(ErrDialect, err)
}

// Rebind turns the placeholder "?" into PostgreSQL's $1, $2 … outside quoted
// text, and leaves SQLite's as they are.
func (d Dialect) Rebind(query string) string {
	if d != PostgreSQL || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 8)
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// A DB is a pool with its dialect.
type DB struct {
	Pool    *sql.DB
	Dialect Dialect
}

// Open detects the dialect of a pool.
func Open(ctx context.Context, pool *sql.DB) (*DB, error) {
	d, err := Detect(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &DB{pool, d}, nil
}

// A Tx is a transaction of one tenant. Queries use "?" on every dialect.
type Tx struct {
	tx      *sql.Tx
	dialect Dialect
}

// Dialect returns the kind of database.
func (t *Tx) Dialect() Dialect { return t.dialect }

// SQL returns the transaction itself, for code that shares it.
func (t *Tx) SQL() *sql.Tx { return t.tx }

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, t.dialect.Rebind(query), args...)
	if err != nil {
		return 0, fmt.Errorf("sqldb: exec: %w", err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("sqldb: rows affected: %w", err)
	}
	return n, nil
}

// Row runs a query for one row. Without one, Scan returns sql.ErrNoRows.
func (t *Tx) Row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, t.dialect.Rebind(query), args...)
}

// Rows runs a query and calls scan for each row.
func (t *Tx) Rows(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.tx.QueryContext(ctx, t.dialect.Rebind(query), args...)
	if err != nil {
		return fmt.Errorf("sqldb: query: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("sqldb: rows: %w", err)
	}
	return nil
}

// Tx runs f in a transaction of the tenant and commits if f returns nil. When
// the database says that another transaction was in the way (SQLITE_BUSY, or
// PostgreSQL's serialisation failure or deadlock), it starts over with a
// growing pause until the context ends, at most 20 times: f must not have
// effects outside the transaction.
func (db *DB) Tx(ctx context.Context, tenant string, f func(*Tx) error) error {
	if tenant == "" {
		return ErrNoTenant
	}
	return db.retry(ctx, func() error { return db.once(ctx, nil, tenant, f) })
}

// View runs f in a read-only transaction of the tenant.
func (db *DB) View(ctx context.Context, tenant string, f func(*Tx) error) error {
	if tenant == "" {
		return ErrNoTenant
	}
	return db.retry(ctx, func() error { return db.once(ctx, &sql.TxOptions{ReadOnly: true}, tenant, f) })
}

func (db *DB) once(ctx context.Context, o *sql.TxOptions, tenant string, f func(*Tx) error) error {
	if db.Dialect == SQLite {
		o = nil // its drivers differ in what read-only means
	}
	tx, err := db.Pool.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("sqldb: begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if db.Dialect == PostgreSQL {
		if _, err := tx.ExecContext(ctx, "SELECT set_config('surety.tenant', $1, true)", tenant); err != nil {
			return fmt.Errorf("sqldb: set tenant: %w", err)
		}
	}
	if err := f(&Tx{tx, db.Dialect}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqldb: commit: %w", err)
	}
	return nil
}

const maxTries = 20

func (db *DB) retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil || !Transient(err) || try == maxTries {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(min(1<<try, 128)) * int64(time.Millisecond)))
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// Transient reports whether a database error says that another transaction
// was in the way and the same work may succeed when done again.
func Transient(err error) bool {
	var state interface{ SQLState() string } // pgx, lib/pq
	if errors.As(err, &state) {
		s := state.SQLState()
		return s == "40001" || s == "40P01"
	}
	const busy, locked = 5, 6        // SQLITE_BUSY, SQLITE_LOCKED
	var code interface{ Code() int } // modernc.org/sqlite
	if errors.As(err, &code) {
		primary := code.Code() & 0xff
		return primary == busy || primary == locked
	}
	return false
}

// Duplicate reports whether a database error says that a row with this key
// exists.
func Duplicate(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState() == "23505"
	}
	const primaryKey, unique = 1555, 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, …_UNIQUE
	var code interface{ Code() int }
	if errors.As(err, &code) {
		return code.Code() == primaryKey || code.Code() == unique
	}
	return false
}
