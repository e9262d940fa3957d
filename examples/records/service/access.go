package service

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"iter"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/integrity"
)

//go:embed policy/model.conf
var policyModel string

//go:embed policy/policy.csv
var policyRules string

// overlay is what this application adds to the shipped catalogue.
//
//go:embed controls.yaml
var overlay []byte

// access is who may do what. Roles are rows with a MAC: a role that someone
// writes into the table is found when the service opens, and refused.
type access struct {
	engine *authz.Engine
	rows   *integrity.Rows
	db     *sql.DB
}

const accessTables = `CREATE TABLE IF NOT EXISTS roles (
	tenant TEXT NOT NULL, account TEXT NOT NULL, role TEXT NOT NULL, mac BLOB NOT NULL,
	PRIMARY KEY (tenant, account, role)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (
	tenant TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, sum BLOB NOT NULL, mac BLOB NOT NULL,
	PRIMARY KEY (tenant, name)
) WITHOUT ROWID`

func (s *Service) openAccess(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, accessTables); err != nil {
		return fmt.Errorf("tables of access: %w", err)
	}
	rules, name := policyRules, "the policy"
	if s.o.PolicyName != "" {
		rules, name = s.o.Policy, s.o.PolicyName
	}
	engine, err := authz.New(policyModel, rules, s.recorder, authz.Options{})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	rows, err := integrity.NewRows(s.keys.subkey("rows"), s.recorder)
	if err != nil {
		return err
	}
	s.access = &access{engine, rows, s.db}
	s.mount(engine, rows)
	return s.access.load(ctx)
}

func roleRow(tenant, account, role string) integrity.Row {
	return integrity.Row{Tenant: tenant, Table: "roles", Key: account + " " + role, Columns: []integrity.Column{
		{Name: "account", Value: []byte(account)}, {Name: "role", Value: []byte(role)},
	}}
}

// load gives the stored roles to the policy engine. One row that does not
// verify keeps the service from opening.
func (a *access) load(ctx context.Context) error {
	rows, err := a.db.QueryContext(ctx, "SELECT tenant, account, role, mac FROM roles")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var tenant, account, role string
		var mac []byte
		if err := rows.Scan(&tenant, &account, &role, &mac); err != nil {
			return err
		}
		row := roleRow(tenant, account, role)
		copy(row.MAC[:], mac)
		if err := a.rows.Verify(ctx, row); err != nil {
			return fmt.Errorf("a role was written past the service: %w: look at table roles", err)
		}
		if err := a.engine.Grant(ctx, tenant, account, role); err != nil {
			return err
		}
	}
	return rows.Err()
}

// assign gives an account a role, now and after a restart.
func (a *access) assign(ctx context.Context, tenant, account, role string) error {
	row := roleRow(tenant, account, role)
	mac := a.rows.Seal(row)
	if _, err := a.db.ExecContext(ctx, "INSERT INTO roles (tenant, account, role, mac) VALUES (?, ?, ?, ?)", tenant, account, role, mac[:]); err != nil {
		return err
	}
	return a.engine.Grant(ctx, tenant, account, role)
}

// roles lists what the caller is.
func (s *Service) roles(p authn.Principal) []string { return s.access.engine.Roles(p.Tenant, p.ID) }

// may is the guard of a route that the policy speaks of.
func (s *Service) may(act, object string) guard.Guard {
	return s.access.engine.RequireAt("/login", act, authz.Object(object))
}

// mayRead admits readers of files, and everyone to their own.
func (s *Service) mayRead() guard.Guard {
	return s.access.engine.RequireAt("/login", "read", authz.Own("id", "ownfile", "file"), authz.Object("file"))
}

// head reads the head of a tenant's people.
func head(ctx context.Context, q querier, tenant string) (integrity.Head, error) {
	h := integrity.Head{Tenant: tenant, Table: "people"}
	var sum, mac []byte
	err := q.QueryRowContext(ctx, "SELECT count, sum, mac FROM heads WHERE tenant = ? AND name = 'people'", tenant).Scan(&h.Count, &sum, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	copy(h.Sum[:], sum)
	copy(h.MAC[:], mac)
	return h, err
}

// setHead stores the head after a change of one person's row.
func (p *people) setHead(ctx context.Context, tx *sql.Tx, tenant string, removed, added *integrity.Row) error {
	h, err := head(ctx, tx, tenant)
	if err != nil {
		return err
	}
	h = p.rows.Change(h, removed, added)
	_, err = tx.ExecContext(ctx, `INSERT INTO heads (tenant, name, count, sum, mac) VALUES (?, 'people', ?, ?, ?)
		ON CONFLICT (tenant, name) DO UPDATE SET count = excluded.count, sum = excluded.sum, mac = excluded.mac`,
		tenant, h.Count, h.Sum[:], h.MAC[:])
	return err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scan looks for rows of a tenant that were changed past the service.
func (p *people) scan(ctx context.Context, tenant string) (integrity.Report, error) {
	h, err := head(ctx, p.db, tenant)
	if err != nil {
		return integrity.Report{}, err
	}
	return p.rows.Scan(ctx, h, p.all(ctx, tenant))
}

func (p *people) all(ctx context.Context, tenant string) iter.Seq2[integrity.Row, error] {
	return func(yield func(integrity.Row, error) bool) {
		rows, err := p.db.QueryContext(ctx, "SELECT "+columns+" FROM people WHERE tenant = ?", tenant)
		if err != nil {
			yield(integrity.Row{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var s sealed
			err := s.scan(tenant, rows)
			if !yield(s.integrity(), err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(integrity.Row{}, err)
		}
	}
}
