package service

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/authzsql"
	"github.com/surety-go/surety/authz/change"
	"github.com/surety-go/surety/controls/findings"
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

// access is who may do what. The policy is a file; roles are given and taken
// by a keeper, each change an entry with a MAC in a sequence: what someone
// writes past the service is found, and is never in force.
type access struct {
	engine *authz.Engine
	keeper *change.Keeper
	db     *authzsql.DB
	rows   *integrity.Rows
}

const headTable = `CREATE TABLE IF NOT EXISTS heads (
	tenant TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, sum BLOB NOT NULL, mac BLOB NOT NULL,
	PRIMARY KEY (tenant, name)
) WITHOUT ROWID`

// policyName is what the roles of all companies are kept under.
const policyName = "records"

func (s *Service) openAccess(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, headTable); err != nil {
		return fmt.Errorf("table of heads: %w", err)
	}
	if err := authzsql.Migrate(ctx, s.db); err != nil {
		return err
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
	a := &access{engine: engine, rows: rows}
	if a.db, err = authzsql.Open(ctx, s.db); err != nil {
		return err
	}
	a.keeper, err = change.Open(system(ctx, "open"), engine, a.db, policyName, s.keys.subkey("roles"), s.recorder, change.Options{
		Conflicts:  []change.Conflict{{Name: "independence", Roles: []string{"owner", "auditor"}}},
		Approval:   []string{"owner"},
		BreakGlass: change.BreakGlass{Roles: []string{"owner"}, Alert: s.glassBroken},
	})
	if err != nil {
		return fmt.Errorf("roles: %w", err)
	}
	s.access = a
	s.mount(rows, a.keeper)
	s.watchRoles(ctx)
	return nil
}

// watchRoles takes in what others write to the roles, if they may.
func (s *Service) watchRoles(ctx context.Context) {
	ctx, cancel := context.WithCancel(system(context.WithoutCancel(ctx), "roles"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.access.keeper.Watch(ctx, change.Poll(time.Second))
	}()
	s.onClose(func() error {
		cancel()
		<-done
		return nil
	})
}

// glassBroken tells people at once that somebody took a role in an emergency:
// operators by the service's log, auditors by a finding.
func (s *Service) glassBroken(ctx context.Context, u change.Use) error {
	s.o.Logger.WarnContext(ctx, "somebody took a role in an emergency", "tenant", u.Domain, "account", u.Subject, "role", u.Role)
	_, err := s.findings.Raise(ctx, u.Domain, findings.Report{
		Control: "authz.breakglass", Subject: u.Subject, Severity: findings.High,
		Summary: "The role " + u.Role + " was taken in an emergency, until " + u.Until.UTC().Format(time.RFC3339) + ": look at why.",
	})
	return err
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
