// Package privacysql keeps privacy's records in SQLite and PostgreSQL.
//
//	err := privacysql.Migrate(ctx, owner)          // as the tables' owner
//	store, err := privacysql.NewConsent(ctx, pool) // as the runtime role
//	ledger, err := consent.New(store, key, log, consent.Options{})
//
// The tables are append-only: on PostgreSQL give the runtime role
// SELECT and INSERT on them and no more (see [Tables]). Whoever can write the
// table all the same can't invent or change a choice, because entries carry
// the MACs of the ledger and of the books.
package privacysql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"time"

	"github.com/surety-go/surety/internal/sqldb"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/consent"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "privacy", FS: migrations, Dir: "migrations"})
}

// Tables lists the append-only tables, for grants and probes.
func Tables() []string { return []string{"privacy_consent", "privacy_record"} }

// Consent is a [consent.Store] in SQL.
type Consent struct{ db *sqldb.DB }

// NewConsent uses a migrated database. The pool stays the caller's.
func NewConsent(ctx context.Context, pool *sql.DB) (*Consent, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("privacysql: %w", err)
	}
	return &Consent{db}, nil
}

// Append stores an entry in the place after the last one.
func (c *Consent) Append(ctx context.Context, e consent.Entry) error {
	given, explicit := number(e.Given), number(e.Explicit)
	return c.db.Tx(ctx, e.Tenant, func(tx *sqldb.Tx) error {
		// A place can be taken only when the one before it is: the primary
		// key decides between writers who see the same chain.
		n, err := tx.Exec(ctx, `INSERT INTO privacy_consent
			(tenant, subject, seq, given, purpose, notice, method, actor, at, mac, explicit, guardian)
			SELECT CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS INTEGER), CAST(? AS INTEGER), ?, ?, ?, ?, CAST(? AS BIGINT), ?, CAST(? AS INTEGER), ?
			WHERE (SELECT COUNT(*) FROM privacy_consent WHERE tenant = ? AND subject = ?) = CAST(? AS INTEGER)`,
			e.Tenant, e.Subject, e.Seq, given, string(e.Purpose), e.Notice, e.Method, e.Actor, e.Time.UnixMicro(), e.MAC[:], explicit, e.Guardian,
			e.Tenant, e.Subject, e.Seq-1)
		if sqldb.Duplicate(err) || err == nil && n == 0 {
			return consent.ErrConflict
		}
		return err
	})
}

// Chain returns a subject's entries in order.
func (c *Consent) Chain(ctx context.Context, tenant, subject string) ([]consent.Entry, error) {
	var list []consent.Entry
	err := c.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil // a retry starts over
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			var e consent.Entry
			var given, explicit int
			var purpose string
			var at int64
			var mac []byte
			if err := rows.Scan(&e.Seq, &given, &purpose, &e.Notice, &e.Method, &e.Actor, &at, &mac, &explicit, &e.Guardian); err != nil {
				return fmt.Errorf("privacysql: scan: %w", err)
			}
			e.Tenant, e.Subject, e.Purpose = tenant, subject, privacy.Purpose(purpose)
			e.Given, e.Explicit, e.Time = given == 1, explicit == 1, time.UnixMicro(at).UTC()
			if copy(e.MAC[:], mac) != len(e.MAC) || len(mac) != len(e.MAC) {
				return fmt.Errorf("%w: entry %d of subject %q has a MAC of %d bytes", consent.ErrTampered, e.Seq, subject, len(mac))
			}
			list = append(list, e)
			return nil
		}, `SELECT seq, given, purpose, notice, method, actor, at, mac, explicit, guardian FROM privacy_consent
			WHERE tenant = ? AND subject = ? ORDER BY seq`, tenant, subject)
	})
	return list, err
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
