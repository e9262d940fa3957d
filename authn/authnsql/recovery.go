package authnsql

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/internal/sqldb"
)

// Recovery is a recoverycode.Store in SQL.
type Recovery struct{ db *sqldb.DB }

var _ recoverycode.Store = (*Recovery)(nil)

// Recovery returns the store of recovery codes.
func (d *DB) Recovery() *Recovery { return &Recovery{d.db} }

// Replace implements recoverycode.Store.
func (s *Recovery) Replace(ctx context.Context, tenant, account string, hashes []recoverycode.Hash) error {
	return s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error { //nolint:wrapcheck // says where it comes from
		if err := lock(ctx, tx, tenant, account); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM authn_recovery WHERE tenant = ? AND account = ?`, tenant, account); err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		for _, h := range hashes {
			if _, err := tx.Exec(ctx, `INSERT INTO authn_recovery (tenant, account, hash) VALUES (?, ?, ?)`, tenant, account, h[:]); err != nil {
				return err //nolint:wrapcheck // likewise
			}
		}
		return nil
	})
}

// Use implements recoverycode.Store.
func (s *Recovery) Use(ctx context.Context, tenant, account string, h recoverycode.Hash) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM authn_recovery WHERE tenant = ? AND account = ? AND hash = ?`, tenant, account, h[:])
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// Count implements recoverycode.Store.
func (s *Recovery) Count(ctx context.Context, tenant, account string) (int, error) {
	var n int
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		return tx.Row(ctx, `SELECT COUNT(*) FROM authn_recovery WHERE tenant = ? AND account = ?`, tenant, account).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("authnsql: recovery: %w", err)
	}
	return n, nil
}
