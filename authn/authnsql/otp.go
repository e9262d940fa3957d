package authnsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/internal/sqldb"
)

// OTP is an otp.Store in SQL.
type OTP struct{ db *sqldb.DB }

var _ otp.Store = (*OTP)(nil)

// OTP returns the store of codes out of band.
func (d *DB) OTP() *OTP { return &OTP{d.db} }

// Get implements otp.Store.
func (s *OTP) Get(ctx context.Context, tenant, key string) (otp.Record, error) {
	var r otp.Record
	var hash []byte
	var expires, window int64
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		return tx.Row(ctx, `SELECT rev, hash, expires, started, sent, failures, in_a_row FROM authn_otp WHERE tenant = ? AND key = ?`,
			tenant, key).Scan(&r.Rev, &hash, &expires, &window, &r.Sent, &r.Failures, &r.Row)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return otp.Record{}, nil
	case err != nil:
		return otp.Record{}, fmt.Errorf("authnsql: otp: %w", err)
	case len(hash) != len(r.Hash):
		return otp.Record{}, fmt.Errorf("authnsql: otp: a hash of %d bytes", len(hash))
	}
	r.Hash, r.Expires, r.Window = otp.Hash(hash), fromMicro(expires), fromMicro(window)
	return r, nil
}

// Swap implements otp.Store.
func (s *OTP) Swap(ctx context.Context, tenant, key string, rev int64, next otp.Record) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		args := []any{rev + 1, next.Hash[:], micro(next.Expires), micro(next.Window), next.Sent, next.Failures, next.Row, tenant, key}
		if rev == 0 {
			n, err = tx.Exec(ctx, `INSERT INTO authn_otp (rev, hash, expires, started, sent, failures, in_a_row, tenant, key)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, key) DO NOTHING`, args...)
			return err //nolint:wrapcheck // says where it comes from
		}
		n, err = tx.Exec(ctx, `UPDATE authn_otp SET rev = ?, hash = ?, expires = ?, started = ?, sent = ?, failures = ?, in_a_row = ?
			WHERE tenant = ? AND key = ? AND rev = ?`, append(args, rev)...)
		return err //nolint:wrapcheck // likewise
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}
