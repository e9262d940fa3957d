package authnsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/internal/sqldb"
)

// Sessions is a session.Store in SQL.
type Sessions struct{ db *sqldb.DB }

var _ session.Store = (*Sessions)(nil)

// Sessions returns the store of sessions.
func (d *DB) Sessions() *Sessions { return &Sessions{d.db} }

const insertSession = `INSERT INTO authn_session (tenant, key, account, id, rev, expires, data) VALUES (?, ?, ?, ?, ?, ?, ?)`

func insertRow(ctx context.Context, tx *sqldb.Tx, r session.Row) error {
	_, err := tx.Exec(ctx, insertSession, r.Tenant, r.Key[:], r.Account, r.ID, r.Rev, r.Expires.UnixMicro(), r.Data)
	return err //nolint:wrapcheck // says where it comes from
}

// Insert implements session.Store.
func (s *Sessions) Insert(ctx context.Context, r session.Row, epoch int64) (bool, error) {
	done := false
	err := s.db.Tx(ctx, r.Tenant, func(tx *sqldb.Tx) error {
		done = false
		if err := lock(ctx, tx, r.Tenant, r.Account); err != nil {
			return err
		}
		// Written first: SQLite then holds the lock while it reads, so that
		// no DeleteAll comes between the epoch and the row.
		if err := insertRow(ctx, tx, r); err != nil {
			return err
		}
		now, err := readEpoch(ctx, tx, r.Tenant, r.Account)
		if err != nil {
			return err
		}
		if now != epoch {
			return errStale
		}
		done = true
		return nil
	})
	if errors.Is(err, errStale) || sqldb.Duplicate(err) {
		return false, nil
	}
	return done, err //nolint:wrapcheck // says where it comes from
}

// errStale rolls a transaction back whose condition does not hold.
var errStale = errors.New("authnsql: the condition does not hold")

func readEpoch(ctx context.Context, tx *sqldb.Tx, tenant, account string) (int64, error) {
	var epoch int64
	err := tx.Row(ctx, `SELECT epoch FROM authn_session_epoch WHERE tenant = ? AND account = ?`, tenant, account).Scan(&epoch)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("authnsql: epoch: %w", err)
	}
	return epoch, nil
}

const sessionColumns = `SELECT tenant, key, account, id, rev, expires, data FROM authn_session `

type scanner interface{ Scan(dst ...any) error }

func scanRow(rows scanner) (session.Row, error) {
	var r session.Row
	var key []byte
	var expires int64
	if err := rows.Scan(&r.Tenant, &key, &r.Account, &r.ID, &r.Rev, &expires, &r.Data); err != nil {
		return r, fmt.Errorf("authnsql: session: %w", err)
	}
	if len(key) != len(r.Key) {
		return r, fmt.Errorf("authnsql: session: a key of %d bytes: want %d", len(key), len(r.Key))
	}
	copy(r.Key[:], key)
	r.Expires = time.UnixMicro(expires).UTC()
	return r, nil
}

// Get implements session.Store.
func (s *Sessions) Get(ctx context.Context, tenant string, key session.Key) (session.Row, error) {
	var r session.Row
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		r, err = scanRow(tx.Row(ctx, sessionColumns+`WHERE tenant = ? AND key = ?`, tenant, key[:]))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return session.Row{}, session.ErrNotFound
	}
	return r, err //nolint:wrapcheck // says where it comes from
}

// Update implements session.Store.
func (s *Sessions) Update(ctx context.Context, r session.Row) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, r.Tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `UPDATE authn_session SET rev = ?, expires = ?, data = ? WHERE tenant = ? AND key = ? AND rev = ?`,
			r.Rev, r.Expires.UnixMicro(), r.Data, r.Tenant, r.Key[:], r.Rev-1)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// Replace implements session.Store.
func (s *Sessions) Replace(ctx context.Context, old session.Key, r session.Row) (bool, error) {
	err := s.db.Tx(ctx, r.Tenant, func(tx *sqldb.Tx) error {
		// Without the lock, PostgreSQL's DeleteAll would wait for the old row
		// and then not see the new one.
		if err := lock(ctx, tx, r.Tenant, r.Account); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `DELETE FROM authn_session WHERE tenant = ? AND key = ?`, r.Tenant, old[:])
		if err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		if n != 1 {
			return errStale
		}
		return insertRow(ctx, tx, r)
	})
	if errors.Is(err, errStale) || sqldb.Duplicate(err) {
		return false, nil
	}
	return err == nil, err //nolint:wrapcheck // says where it comes from
}

// Delete implements session.Store.
func (s *Sessions) Delete(ctx context.Context, tenant string, key session.Key) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM authn_session WHERE tenant = ? AND key = ?`, tenant, key[:])
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// List implements session.Store.
func (s *Sessions) List(ctx context.Context, tenant, account string) ([]session.Row, error) {
	var list []session.Row
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			r, err := scanRow(rows)
			list = append(list, r)
			return err
		}, sessionColumns+`WHERE tenant = ? AND account = ?`, tenant, account)
	})
	return list, err //nolint:wrapcheck // says where it comes from
}

// DeleteAll implements session.Store.
func (s *Sessions) DeleteAll(ctx context.Context, tenant, account string, keep session.Key) (int, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		if err := lock(ctx, tx, tenant, account); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO authn_session_epoch (tenant, account, epoch) VALUES (?, ?, 1)
			ON CONFLICT (tenant, account) DO UPDATE SET epoch = authn_session_epoch.epoch + 1`, tenant, account)
		if err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		n, err = tx.Exec(ctx, `DELETE FROM authn_session WHERE tenant = ? AND account = ? AND key <> ?`, tenant, account, keep[:])
		return err //nolint:wrapcheck // likewise
	})
	return int(n), err //nolint:wrapcheck // says where it comes from
}

// Epoch implements session.Store.
func (s *Sessions) Epoch(ctx context.Context, tenant, account string) (int64, error) {
	var epoch int64
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		epoch, err = readEpoch(ctx, tx, tenant, account)
		return err
	})
	return epoch, err //nolint:wrapcheck // says where it comes from
}

// Purge implements session.Store.
func (s *Sessions) Purge(ctx context.Context, tenant string, t time.Time) (int, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM authn_session WHERE tenant = ? AND expires < ?`, tenant, t.UnixMicro())
		return err //nolint:wrapcheck // says where it comes from
	})
	return int(n), err //nolint:wrapcheck // says where it comes from
}
