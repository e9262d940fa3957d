package authnsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/internal/sqldb"
)

// TOTP is a totp.Store in SQL.
type TOTP struct{ db *sqldb.DB }

var _ totp.Store = (*TOTP)(nil)

// TOTP returns the store of enrolments.
func (d *DB) TOTP() *TOTP { return &TOTP{d.db} }

// Put implements totp.Store.
func (s *TOTP) Put(ctx context.Context, c totp.Credential) error {
	return s.db.Tx(ctx, c.Tenant, func(tx *sqldb.Tx) error { //nolint:wrapcheck // says where it comes from
		_, err := tx.Exec(ctx, `INSERT INTO authn_totp (tenant, account, active, id, seed, step, created) VALUES (?, ?, 0, ?, ?, ?, ?)
			ON CONFLICT (tenant, account, active) DO UPDATE SET id = excluded.id, seed = excluded.seed, step = excluded.step, created = excluded.created`,
			c.Tenant, c.Account, c.ID, c.Seed, c.Step, c.Created.UnixMicro())
		return err //nolint:wrapcheck // says where it comes from
	})
}

// Get implements totp.Store.
func (s *TOTP) Get(ctx context.Context, tenant, account string, active bool) (totp.Credential, error) {
	c := totp.Credential{Tenant: tenant, Account: account, Active: active}
	var created int64
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		return tx.Row(ctx, `SELECT id, seed, step, created FROM authn_totp WHERE tenant = ? AND account = ? AND active = ?`,
			tenant, account, number(active)).Scan(&c.ID, &c.Seed, &c.Step, &created)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return totp.Credential{}, totp.ErrNotFound
	case err != nil:
		return totp.Credential{}, fmt.Errorf("authnsql: totp: %w", err)
	}
	c.Created = time.UnixMicro(created).UTC()
	return c, nil
}

// Activate implements totp.Store.
func (s *TOTP) Activate(ctx context.Context, tenant, account, id string, step int64) (bool, error) {
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		// The pending row is taken first: of two that try, one finds it.
		n, err := tx.Exec(ctx, `UPDATE authn_totp SET step = ? WHERE tenant = ? AND account = ? AND active = 0 AND id = ?`, step, tenant, account, id)
		if err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		if n != 1 {
			return errStale
		}
		if _, err := tx.Exec(ctx, `DELETE FROM authn_totp WHERE tenant = ? AND account = ? AND active = 1`, tenant, account); err != nil {
			return err //nolint:wrapcheck // likewise
		}
		_, err = tx.Exec(ctx, `UPDATE authn_totp SET active = 1 WHERE tenant = ? AND account = ? AND active = 0 AND id = ?`, tenant, account, id)
		return err //nolint:wrapcheck // likewise
	})
	if errors.Is(err, errStale) {
		return false, nil
	}
	return err == nil, err //nolint:wrapcheck // says where it comes from
}

// Advance implements totp.Store.
func (s *TOTP) Advance(ctx context.Context, tenant, account, id string, step int64) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `UPDATE authn_totp SET step = ? WHERE tenant = ? AND account = ? AND active = 1 AND id = ? AND step < ?`,
			step, tenant, account, id, step)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// Delete implements totp.Store.
func (s *TOTP) Delete(ctx context.Context, tenant, account string) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		if n, err = tx.Exec(ctx, `DELETE FROM authn_totp WHERE tenant = ? AND account = ? AND active = 1`, tenant, account); err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		_, err = tx.Exec(ctx, `DELETE FROM authn_totp WHERE tenant = ? AND account = ?`, tenant, account)
		return err //nolint:wrapcheck // likewise
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}
