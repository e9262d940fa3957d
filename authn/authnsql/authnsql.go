// Package authnsql keeps accounts, sessions, enrolments, recovery codes, codes
// out of band, API keys, people and throttling in SQLite and PostgreSQL.
//
//	err := authnsql.Migrate(ctx, owner)    // as the tables' owner
//	db, err := authnsql.Open(ctx, pool)    // as the runtime role
//	sessions, err := session.New(db.Sessions(), key, log, session.Options{})
//	codes, err := totp.New(db.TOTP(), sealer, log, totp.Options{Issuer: "Acme"})
//	guesses, err := throttle.New(db.Throttle(), log, throttle.Options{})
//
// Whoever can write these tables can end sessions, block logins and replace
// password hashes; he can't make a session (rows carry a MAC) nor read a seed
// (they are sealed). Hashes are worth protecting: a writer who puts his own in
// still lacks the second factor, and the change stands in no event, which is
// what integrity scans look for.
package authnsql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "authn", FS: migrations, Dir: "migrations"}) //nolint:wrapcheck // says where it comes from
}

// Tables lists the tables that the runtime role reads and writes, for grants
// and probes.
func Tables() []string {
	return []string{"authn_account", "authn_session", "authn_session_epoch", "authn_totp", "authn_throttle", "authn_recovery", "authn_otp", "authn_apikey", "authn_person"}
}

// A DB is a migrated database. The stores it returns share its pool.
type DB struct{ db *sqldb.DB }

// Open uses a migrated database. The pool stays the caller's.
func Open(ctx context.Context, pool *sql.DB) (*DB, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("authnsql: %w", err)
	}
	return &DB{db}, nil
}

// lock makes transactions of one account wait for each other from here on.
// SQLite has one writer at a time anyway; a transaction that read before
// another wrote fails there and starts over.
func lock(ctx context.Context, tx *sqldb.Tx, tenant, account string) error {
	if tx.Dialect() != sqldb.PostgreSQL {
		return nil
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`, "surety authn "+tenant+"\x01"+account)
	return err //nolint:wrapcheck // says where it comes from
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
