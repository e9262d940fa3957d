// Package passkeysql keeps passkeys and their ceremonies in SQLite and
// PostgreSQL.
//
//	err := passkeysql.Migrate(ctx, owner)     // as the tables' owner
//	store, err := passkeysql.Open(ctx, pool)  // as the runtime role
//	keys, err := passkey.New(store, macKey, log, relyingParty, passkey.Options{})
package passkeysql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/authn/passkey"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "authn_passkey", FS: migrations, Dir: "migrations"}) //nolint:wrapcheck // says where it comes from
}

// Tables lists the tables that the runtime role reads and writes, for grants
// and probes.
func Tables() []string { return []string{"authn_passkey", "authn_ceremony"} }

// A Store is a passkey.Store in SQL.
type Store struct{ db *sqldb.DB }

var _ passkey.Store = (*Store)(nil)

// Open uses a migrated database. The pool stays the caller's.
func Open(ctx context.Context, pool *sql.DB) (*Store, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("passkeysql: %w", err)
	}
	return &Store{db}, nil
}

// Insert implements passkey.Store.
func (s *Store) Insert(ctx context.Context, r passkey.Row) (bool, error) {
	return s.exec(ctx, r.Tenant, `INSERT INTO authn_passkey (tenant, id, account, rev, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant, id) DO NOTHING`,
		r.Tenant, r.ID, r.Account, r.Rev, r.Data)
}

// List implements passkey.Store.
func (s *Store) List(ctx context.Context, tenant, account string) ([]passkey.Row, error) {
	var list []passkey.Row
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			r := passkey.Row{Tenant: tenant, Account: account}
			err := rows.Scan(&r.ID, &r.Rev, &r.Data)
			list = append(list, r)
			return err
		}, `SELECT id, rev, data FROM authn_passkey WHERE tenant = ? AND account = ? ORDER BY id`, tenant, account)
	})
	if err != nil {
		return nil, fmt.Errorf("passkeysql: %w", err)
	}
	return list, nil
}

// Update implements passkey.Store.
func (s *Store) Update(ctx context.Context, r passkey.Row) (bool, error) {
	return s.exec(ctx, r.Tenant, `UPDATE authn_passkey SET rev = ?, data = ? WHERE tenant = ? AND id = ? AND account = ? AND rev = ?`,
		r.Rev, r.Data, r.Tenant, r.ID, r.Account, r.Rev-1)
}

// Delete implements passkey.Store.
func (s *Store) Delete(ctx context.Context, tenant, account, id string) (bool, error) {
	return s.exec(ctx, tenant, `DELETE FROM authn_passkey WHERE tenant = ? AND account = ? AND id = ?`, tenant, account, id)
}

// PutCeremony implements passkey.Store. It also removes ceremonies that were
// begun and left an hour ago.
func (s *Store) PutCeremony(ctx context.Context, tenant, id string, data []byte, expires time.Time) error {
	if _, err := s.exec(ctx, tenant, `DELETE FROM authn_ceremony WHERE tenant = ? AND expires < ?`, tenant, expires.Add(-time.Hour).UnixMicro()); err != nil {
		return err
	}
	_, err := s.exec(ctx, tenant, `INSERT INTO authn_ceremony (tenant, id, expires, data) VALUES (?, ?, ?, ?)`, tenant, id, expires.UnixMicro(), data)
	return err
}

// TakeCeremony implements passkey.Store.
func (s *Store) TakeCeremony(ctx context.Context, tenant, id string) ([]byte, error) {
	var data []byte
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		data = nil
		return tx.Row(ctx, `DELETE FROM authn_ceremony WHERE tenant = ? AND id = ? RETURNING data`, tenant, id).Scan(&data)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("passkeysql: %w", err)
	}
	return data, nil
}

func (s *Store) exec(ctx context.Context, tenant, query string, args ...any) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, query, args...)
		return err //nolint:wrapcheck // says where it comes from
	})
	if err != nil {
		return false, fmt.Errorf("passkeysql: %w", err)
	}
	return n == 1, nil
}
