package authnsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/internal/sqldb"
)

// Throttle is a throttle.Store in SQL.
type Throttle struct{ db *sqldb.DB }

var _ throttle.Store = (*Throttle)(nil)

// Throttle returns the store of attempts.
func (d *DB) Throttle() *Throttle { return &Throttle{d.db} }

// micro is a time as stored; 0 is no time.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// Get implements throttle.Store.
func (s *Throttle) Get(ctx context.Context, tenant, key string) (throttle.State, error) {
	var st throttle.State
	var last, until int64
	var disabled, keep int
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		return tx.Row(ctx, `SELECT rev, failures, last, until, reason, disabled, keep FROM authn_throttle WHERE tenant = ? AND key = ?`,
			tenant, key).Scan(&st.Rev, &st.Failures, &last, &until, &st.Reason, &disabled, &keep)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return throttle.State{}, nil
	case err != nil:
		return throttle.State{}, fmt.Errorf("authnsql: throttle: %w", err)
	}
	st.Last, st.Until, st.Disabled, st.Keep = fromMicro(last), fromMicro(until), disabled == 1, keep == 1
	return st, nil
}

// Swap implements throttle.Store.
func (s *Throttle) Swap(ctx context.Context, tenant, key string, rev int64, next throttle.State) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		args := []any{rev + 1, next.Failures, micro(next.Last), micro(next.Until), next.Reason, number(next.Disabled), number(next.Keep), tenant, key}
		if rev == 0 {
			n, err = tx.Exec(ctx, `INSERT INTO authn_throttle (rev, failures, last, until, reason, disabled, keep, tenant, key)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, key) DO NOTHING`, args...)
			return err //nolint:wrapcheck // says where it comes from
		}
		n, err = tx.Exec(ctx, `UPDATE authn_throttle SET rev = ?, failures = ?, last = ?, until = ?, reason = ?, disabled = ?, keep = ?
			WHERE tenant = ? AND key = ? AND rev = ?`, append(args, rev)...)
		return err //nolint:wrapcheck // likewise
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// Purge implements throttle.Store.
func (s *Throttle) Purge(ctx context.Context, tenant string, t time.Time) (int, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM authn_throttle WHERE tenant = ? AND last < ? AND until < ? AND disabled = 0 AND keep = 0`,
			tenant, t.UnixMicro(), t.UnixMicro())
		return err //nolint:wrapcheck // says where it comes from
	})
	return int(n), err //nolint:wrapcheck // says where it comes from
}
