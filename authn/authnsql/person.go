package authnsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/internal/sqldb"
)

// People is a lifecycle.Store in SQL.
type People struct{ db *sqldb.DB }

var _ lifecycle.Store = (*People)(nil)

// People returns the store of people.
func (d *DB) People() *People { return &People{d.db} }

const selectPeople = `SELECT id, external, name, state, roles_json, asked_by, since, seen, rev FROM authn_person WHERE tenant = ? `

func scanPerson(tenant string, rows scanner) (lifecycle.Person, error) {
	p := lifecycle.Person{Tenant: tenant}
	var roles string
	var since, seen int64
	if err := rows.Scan(&p.ID, &p.External, &p.Name, &p.State, &roles, &p.By, &since, &seen, &p.Rev); err != nil {
		return p, err //nolint:wrapcheck // its callers do
	}
	p.Since, p.Seen = fromMicro(since), fromMicro(seen)
	if err := json.Unmarshal([]byte(roles), &p.Roles); err != nil {
		return p, fmt.Errorf("authnsql: person: roles: %w", err)
	}
	return p, nil
}

// Insert implements lifecycle.Store.
func (s *People) Insert(ctx context.Context, p lifecycle.Person) (bool, error) {
	roles, err := json.Marshal(p.Roles)
	if err != nil {
		return false, fmt.Errorf("authnsql: person: roles: %w", err)
	}
	err = s.db.Tx(ctx, p.Tenant, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO authn_person (tenant, id, external, name, state, roles_json, asked_by, since, seen, rev) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.Tenant, p.ID, p.External, p.Name, string(p.State), string(roles), p.By, micro(p.Since), micro(p.Seen), p.Rev)
		return err //nolint:wrapcheck // says where it comes from
	})
	if sqldb.Duplicate(err) {
		return false, nil
	}
	return err == nil, err //nolint:wrapcheck // says where it comes from
}

// Get implements lifecycle.Store.
func (s *People) Get(ctx context.Context, tenant, id string) (lifecycle.Person, error) {
	var p lifecycle.Person
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		p, err = scanPerson(tenant, tx.Row(ctx, selectPeople+`AND id = ?`, tenant, id))
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return lifecycle.Person{}, lifecycle.ErrNotFound
	case err != nil:
		return lifecycle.Person{}, fmt.Errorf("authnsql: person: %w", err)
	}
	return p, nil
}

// Update implements lifecycle.Store.
func (s *People) Update(ctx context.Context, p lifecycle.Person) (bool, error) {
	roles, err := json.Marshal(p.Roles)
	if err != nil {
		return false, fmt.Errorf("authnsql: person: roles: %w", err)
	}
	var n int64
	err = s.db.Tx(ctx, p.Tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, `UPDATE authn_person SET external = ?, name = ?, state = ?, roles_json = ?, asked_by = ?, since = ?, seen = ?, rev = ?
			WHERE tenant = ? AND id = ? AND rev = ?`,
			p.External, p.Name, string(p.State), string(roles), p.By, micro(p.Since), micro(p.Seen), p.Rev, p.Tenant, p.ID, p.Rev-1)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// List implements lifecycle.Store.
func (s *People) List(ctx context.Context, tenant string) ([]lifecycle.Person, error) {
	var list []lifecycle.Person
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			p, err := scanPerson(tenant, rows)
			list = append(list, p)
			return err
		}, selectPeople+`ORDER BY name`, tenant)
	})
	if err != nil {
		return nil, fmt.Errorf("authnsql: person: %w", err)
	}
	return list, nil
}
