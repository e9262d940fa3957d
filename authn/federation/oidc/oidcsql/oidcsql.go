// Package oidcsql keeps the links of identities to accounts in SQLite and
// PostgreSQL.
//
//	err := oidcsql.Migrate(ctx, owner)       // as the tables' owner
//	links, err := oidcsql.Open(ctx, pool)    // as the runtime role
//	rp, err := oidc.New(oidc.Parts{Links: links, …}, providers, options)
//
// Whoever can write this table can link an identity of his own to another's
// account: keep the runtime role to the service. What is linked without an
// event "authn.oidc.link" was linked past it.
package oidcsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/authn/federation/oidc"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the table.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "authn_oidc", FS: migrations, Dir: "migrations"}) //nolint:wrapcheck // says where it comes from
}

// Tables lists the tables that the runtime role reads and writes, for grants
// and probes.
func Tables() []string { return []string{"authn_oidc_link"} }

// Links is an oidc.Links in SQL.
type Links struct{ db *sqldb.DB }

var _ oidc.Links = (*Links)(nil)

// Open uses a migrated database. The pool stays the caller's.
func Open(ctx context.Context, pool *sql.DB) (*Links, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("oidcsql: %w", err)
	}
	return &Links{db}, nil
}

const columns = `SELECT tenant, issuer, subject, account, created FROM authn_oidc_link WHERE tenant = ? `

type scanner interface{ Scan(dst ...any) error }

func scan(row scanner) (oidc.Link, error) {
	var l oidc.Link
	var created int64
	if err := row.Scan(&l.Tenant, &l.Issuer, &l.Subject, &l.Account, &created); err != nil {
		return l, fmt.Errorf("oidcsql: link: %w", err)
	}
	l.Created = time.UnixMicro(created).UTC()
	return l, nil
}

// Find implements oidc.Links.
func (s *Links) Find(ctx context.Context, tenant, issuer, subject string) (oidc.Link, error) {
	var l oidc.Link
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		l, err = scan(tx.Row(ctx, columns+`AND issuer = ? AND subject = ?`, tenant, issuer, subject))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return oidc.Link{}, oidc.ErrNotLinked
	}
	return l, err //nolint:wrapcheck // says where it comes from
}

// Add implements oidc.Links.
func (s *Links) Add(ctx context.Context, l oidc.Link) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, l.Tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `INSERT INTO authn_oidc_link (tenant, issuer, subject, account, created) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant, issuer, subject) DO NOTHING`, l.Tenant, l.Issuer, l.Subject, l.Account, l.Created.UnixMicro())
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// List implements oidc.Links.
func (s *Links) List(ctx context.Context, tenant, account string) ([]oidc.Link, error) {
	var list []oidc.Link
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			l, err := scan(rows)
			list = append(list, l)
			return err
		}, columns+`AND account = ? ORDER BY created, issuer, subject`, tenant, account)
	})
	return list, err //nolint:wrapcheck // says where it comes from
}

// Remove implements oidc.Links.
func (s *Links) Remove(ctx context.Context, tenant, issuer, subject, account string) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM authn_oidc_link WHERE tenant = ? AND issuer = ? AND subject = ? AND account = ?`,
			tenant, issuer, subject, account)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}
