package authzsql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/surety-go/surety/authz/review"
	"github.com/surety-go/surety/internal/sqldb"
)

// Reviews keep access reviews: a review.Store.
type Reviews struct{ db *sqldb.DB }

var _ review.Store = Reviews{}

// Reviews returns the database's access reviews.
func (d *DB) Reviews() Reviews { return Reviews{d.db} }

// Append implements review.Store.
func (r Reviews) Append(ctx context.Context, tenant, campaign string, rec review.Record) (bool, error) {
	added := false
	err := r.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		var last int64
		added = false
		if err := tx.Row(ctx, `SELECT count(*) FROM authz_review WHERE tenant = ? AND campaign = ?`, tenant, campaign).Scan(&last); err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		if rec.Sequence != last+1 {
			return nil
		}
		_, err := tx.Exec(ctx, `INSERT INTO authz_review (tenant, campaign, sequence, data, mac) VALUES (?, ?, ?, ?, ?)`,
			tenant, campaign, rec.Sequence, rec.Data, rec.MAC[:])
		added = err == nil
		return err //nolint:wrapcheck // says where it comes from
	})
	if sqldb.Duplicate(err) { // somebody else was first
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("authzsql: review: %w", err)
	}
	return added, nil
}

// Read implements review.Store.
func (r Reviews) Read(ctx context.Context, tenant, campaign string) ([]review.Record, error) {
	var list []review.Record
	err := r.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			var rec review.Record
			var mac []byte
			if err := rows.Scan(&rec.Sequence, &rec.Data, &mac); err != nil {
				return err //nolint:wrapcheck // the caller says what failed
			}
			copy(rec.MAC[:], mac)
			list = append(list, rec)
			return nil
		}, `SELECT sequence, data, mac FROM authz_review WHERE tenant = ? AND campaign = ? ORDER BY sequence`, tenant, campaign)
	})
	if err != nil {
		return nil, fmt.Errorf("authzsql: review: %w", err)
	}
	return list, nil
}

// Campaigns implements review.Store.
func (r Reviews) Campaigns(ctx context.Context, tenant string) ([]string, error) {
	var ids []string
	err := r.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		ids = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err //nolint:wrapcheck // the caller says what failed
			}
			ids = append(ids, id)
			return nil
		}, `SELECT DISTINCT campaign FROM authz_review WHERE tenant = ? ORDER BY campaign`, tenant)
	})
	if err != nil {
		return nil, fmt.Errorf("authzsql: review: %w", err)
	}
	return ids, nil
}
