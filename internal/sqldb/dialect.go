package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// ErrDialect says that a database is neither SQLite nor PostgreSQL.
var ErrDialect = errors.New("sqldb: neither SQLite nor PostgreSQL")

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

// Detect asks a database what it is. Databases that only speak PostgreSQL's
// protocol count as neither: their row-level security is not PostgreSQL's.
func Detect(ctx context.Context, db *sql.DB) (Dialect, error) {
	if db == nil {
		return 0, errors.New("sqldb: the database is nil")
	}
	if err := db.PingContext(ctx); err != nil {
		return 0, fmt.Errorf("sqldb: the database does not answer: %w", err)
	}
	var version string
	errPostgres := db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	if errPostgres == nil && strings.HasPrefix(version, "PostgreSQL ") {
		return PostgreSQL, nil
	}
	errSQLite := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version)
	switch {
	case errSQLite == nil:
		return SQLite, nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("sqldb: the database does not answer: %w", context.Cause(ctx))
	}
	return 0, errors.Join(ErrDialect, errPostgres, errSQLite)
}
