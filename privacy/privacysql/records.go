package privacysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/surety-go/surety/internal/sqldb"
	"github.com/surety-go/surety/privacy/record"
)

// Records is a [record.Store] in SQL: every version is a row that is never
// changed.
type Records struct{ db *sqldb.DB }

// NewRecords uses a migrated database. The pool stays the caller's.
func NewRecords(ctx context.Context, pool *sql.DB) (*Records, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("privacysql: %w", err)
	}
	return &Records{db}, nil
}

// Append stores the version after the latest one.
func (s *Records) Append(ctx context.Context, r record.Record) error {
	return s.db.Tx(ctx, r.Tenant, func(tx *sqldb.Tx) error {
		// The primary key decides between writers who saw the same version.
		n, err := tx.Exec(ctx, `INSERT INTO privacy_record (tenant, kind, id, version, subject, open, data, mac)
			SELECT CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS INTEGER), CAST(? AS TEXT), CAST(? AS INTEGER), ?, ?
			WHERE (SELECT COALESCE(MAX(version), 0) FROM privacy_record WHERE tenant = ? AND kind = ? AND id = ?) = CAST(? AS INTEGER)`,
			r.Tenant, r.Kind, r.ID, r.Version, r.Subject, number(r.Open), r.Data, r.MAC,
			r.Tenant, r.Kind, r.ID, r.Version-1)
		if sqldb.Duplicate(err) || err == nil && n == 0 {
			return record.ErrConflict
		}
		return err
	})
}

const recordColumns = `SELECT r.id, r.version, r.subject, r.open, r.data, r.mac FROM privacy_record r WHERE r.tenant = ? AND r.kind = ?`

// Get returns the latest version.
func (s *Records) Get(ctx context.Context, tenant, kind, id string) (record.Record, error) {
	var r record.Record
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		var err error
		r, err = scanRecord(tx.Row(ctx, recordColumns+` AND r.id = ? ORDER BY r.version DESC LIMIT 1`, tenant, kind, id), tenant, kind)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return record.Record{}, record.ErrNotFound
	}
	return r, err
}

type scanner interface{ Scan(...any) error }

func scanRecord(row scanner, tenant, kind string) (record.Record, error) {
	r := record.Record{Tenant: tenant, Kind: kind}
	var open int
	if err := row.Scan(&r.ID, &r.Version, &r.Subject, &open, &r.Data, &r.MAC); err != nil {
		return record.Record{}, fmt.Errorf("privacysql: %w", err)
	}
	r.Open = open == 1
	return r, nil
}

// List returns the latest versions of a kind, by id.
func (s *Records) List(ctx context.Context, tenant, kind string, f record.Filter) ([]record.Record, error) {
	query := recordColumns + ` AND r.id > ? AND NOT EXISTS (
		SELECT 1 FROM privacy_record n WHERE n.tenant = r.tenant AND n.kind = r.kind AND n.id = r.id AND n.version > r.version)`
	args := []any{tenant, kind, f.After}
	if f.Subject != "" {
		query += ` AND r.subject = ?`
		args = append(args, f.Subject)
	}
	if f.OpenOnly {
		query += ` AND r.open = 1`
	}
	query += ` ORDER BY r.id`
	if f.Limit > 0 {
		query += ` LIMIT ?`
		args = append(args, f.Limit)
	}
	var list []record.Record
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil // a retry starts over
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			r, err := scanRecord(rows, tenant, kind)
			list = append(list, r)
			return err
		}, query, args...)
	})
	return list, err
}
