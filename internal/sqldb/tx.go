package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrNoTenant says that a store was called without a tenant.
var ErrNoTenant = errors.New("sqldb: the tenant is empty")

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
// growing pause until the context ends, at most 20 times: f must have no
// effects outside of the transaction, and must return or wrap the errors that
// it gets. The tenant must not be empty ([ErrNoTenant]).
func (db *DB) Tx(ctx context.Context, tenant string, f func(*Tx) error) error {
	return db.run(ctx, sql.TxOptions{}, tenant, f)
}

// View is like [DB.Tx] for reading: PostgreSQL refuses writes in it, and SQLite
// takes no write lock for it.
func (db *DB) View(ctx context.Context, tenant string, f func(*Tx) error) error {
	return db.run(ctx, sql.TxOptions{ReadOnly: true}, tenant, f)
}

func (db *DB) run(ctx context.Context, o sql.TxOptions, tenant string, f func(*Tx) error) error {
	if tenant == "" {
		return ErrNoTenant
	}
	return retry(ctx, func() error { return db.once(ctx, &o, tenant, f) })
}

func (db *DB) once(ctx context.Context, o *sql.TxOptions, tenant string, f func(*Tx) error) error {
	tx, err := db.Pool.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("sqldb: begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if db.Dialect == PostgreSQL {
		// Local to the transaction: the pooled connection forgets it at its end.
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
