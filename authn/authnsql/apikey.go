package authnsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/internal/sqldb"
)

// APIKeys is an apikey.Store in SQL.
type APIKeys struct{ db *sqldb.DB }

var _ apikey.Store = (*APIKeys)(nil)

// APIKeys returns the store of API keys.
func (d *DB) APIKeys() *APIKeys { return &APIKeys{d.db} }

const selectKeys = `SELECT id, owner, expires, used, data FROM authn_apikey WHERE tenant = ? `

func scanKey(tenant string, rows scanner) (apikey.Row, error) {
	r := apikey.Row{Tenant: tenant}
	var expires, used int64
	err := rows.Scan(&r.ID, &r.Owner, &expires, &used, &r.Data)
	r.Expires, r.Used = fromMicro(expires), fromMicro(used)
	return r, err //nolint:wrapcheck // its callers do
}

// Insert implements apikey.Store.
func (s *APIKeys) Insert(ctx context.Context, r apikey.Row) error {
	_, err := s.exec(ctx, r.Tenant, `INSERT INTO authn_apikey (tenant, id, owner, expires, used, data) VALUES (?, ?, ?, ?, ?, ?)`,
		r.Tenant, r.ID, r.Owner, micro(r.Expires), micro(r.Used), r.Data)
	return err
}

// Get implements apikey.Store.
func (s *APIKeys) Get(ctx context.Context, tenant, id string) (apikey.Row, error) {
	var r apikey.Row
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		r, err = scanKey(tenant, tx.Row(ctx, selectKeys+`AND id = ?`, tenant, id))
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return apikey.Row{}, apikey.ErrNotFound
	case err != nil:
		return apikey.Row{}, fmt.Errorf("authnsql: apikey: %w", err)
	}
	return r, nil
}

// Update implements apikey.Store.
func (s *APIKeys) Update(ctx context.Context, r apikey.Row) (bool, error) {
	return s.exec(ctx, r.Tenant, `UPDATE authn_apikey SET expires = ?, data = ? WHERE tenant = ? AND id = ?`, micro(r.Expires), r.Data, r.Tenant, r.ID)
}

// Use implements apikey.Store.
func (s *APIKeys) Use(ctx context.Context, tenant, id string, at time.Time) error {
	_, err := s.exec(ctx, tenant, `UPDATE authn_apikey SET used = ? WHERE tenant = ? AND id = ?`, micro(at), tenant, id)
	return err
}

// Delete implements apikey.Store.
func (s *APIKeys) Delete(ctx context.Context, tenant, id string) (bool, error) {
	return s.exec(ctx, tenant, `DELETE FROM authn_apikey WHERE tenant = ? AND id = ?`, tenant, id)
}

// List implements apikey.Store.
func (s *APIKeys) List(ctx context.Context, tenant, owner string) ([]apikey.Row, error) {
	query, args := selectKeys, []any{tenant}
	if owner != "" {
		query, args = query+`AND owner = ? `, append(args, owner)
	}
	var list []apikey.Row
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			r, err := scanKey(tenant, rows)
			list = append(list, r)
			return err
		}, query+`ORDER BY id`, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("authnsql: apikey: %w", err)
	}
	return list, nil
}

func (s *APIKeys) exec(ctx context.Context, tenant, query string, args ...any) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, query, args...)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}
