// Package findingssql keeps findings in SQLite and PostgreSQL.
//
//	err := findingssql.Migrate(ctx, owner)     // as the tables' owner
//	store, err := findingssql.New(ctx, pool)   // as the runtime role
//	tracker, err := findings.New(store, log, cat.Owner, findings.Options{})
//
// That one control and subject have one finding that is not closed is held by
// an index, so that several programs may raise findings at once. On PostgreSQL
// row-level security confines a transaction to its tenant.
//
// Whoever can write the table can change a finding; the audit log has every
// step, and a row whose columns contradict its content is refused with
// [ErrTampered].
package findingssql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// ErrTampered says that a stored row contradicts itself.
var ErrTampered = errors.New("findingssql: a stored finding contradicts itself")

// Migrate creates or updates the table.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "controls_findings", FS: migrations, Dir: "migrations"})
}

// Tables lists the tables that the runtime role reads and writes.
func Tables() []string { return []string{"controls_findings"} }

// Store is a [findings.Store] in SQL. It is safe for concurrent use.
type Store struct{ db *sqldb.DB }

// New uses a migrated database. The pool stays the caller's.
func New(ctx context.Context, pool *sql.DB) (*Store, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("findingssql: %w", err)
	}
	return &Store{db}, nil
}

const columns = `id, control, subject, state, version, body`

// scan reads one row and compares its columns with its content.
func scan(row interface{ Scan(...any) error }) (findings.Finding, error) {
	var id, control, subject, state, body string
	var version int
	if err := row.Scan(&id, &control, &subject, &state, &version, &body); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return findings.Finding{}, findings.ErrNotFound
		}
		return findings.Finding{}, fmt.Errorf("findingssql: scan: %w", err)
	}
	var f findings.Finding
	if err := f.UnmarshalBinary([]byte(body)); err != nil {
		return f, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	if f.ID != id || f.Control != control || f.Subject != subject || string(f.State) != state || f.Version != version {
		return findings.Finding{}, ErrTampered
	}
	return f, nil
}

// Create implements [findings.Store].
func (s *Store) Create(ctx context.Context, tenant string, f findings.Finding) (findings.Finding, bool, error) {
	body, err := f.MarshalBinary()
	if err != nil {
		return findings.Finding{}, false, fmt.Errorf("findingssql: %w", err)
	}
	err = s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO controls_findings (tenant, `+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			tenant, f.ID, f.Control, f.Subject, string(f.State), f.Version, string(body))
		return err
	})
	if !sqldb.Duplicate(err) {
		return f, err == nil, err
	}
	known, err := s.open(ctx, tenant, f)
	if errors.Is(err, findings.ErrNotFound) {
		// The id is taken, or the finding in the way was closed meanwhile.
		return findings.Finding{}, false, findings.ErrConflict
	}
	return known, false, err
}

// open returns the finding that is not closed about the same thing.
func (s *Store) open(ctx context.Context, tenant string, f findings.Finding) (known findings.Finding, err error) {
	err = s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		known, err = scan(tx.Row(ctx, `SELECT `+columns+` FROM controls_findings
			WHERE tenant = ? AND control = ? AND subject = ? AND state <> ?`, tenant, f.Control, f.Subject, string(findings.Closed)))
		return err
	})
	return known, err
}

// Get implements [findings.Store].
func (s *Store) Get(ctx context.Context, tenant, id string) (f findings.Finding, err error) {
	err = s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		f, err = scan(tx.Row(ctx, `SELECT `+columns+` FROM controls_findings WHERE tenant = ? AND id = ?`, tenant, id))
		return err
	})
	return f, err
}

// Update implements [findings.Store].
func (s *Store) Update(ctx context.Context, tenant string, f findings.Finding) error {
	body, err := f.MarshalBinary()
	if err != nil {
		return fmt.Errorf("findingssql: %w", err)
	}
	err = s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE controls_findings SET control = ?, subject = ?, state = ?, version = ?, body = ?
			WHERE tenant = ? AND id = ? AND version = ?`,
			f.Control, f.Subject, string(f.State), f.Version, string(body), tenant, f.ID, f.Version-1)
		if err != nil || n == 1 {
			return err
		}
		if _, err := scan(tx.Row(ctx, `SELECT `+columns+` FROM controls_findings WHERE tenant = ? AND id = ?`, tenant, f.ID)); err != nil {
			return err
		}
		return findings.ErrConflict
	})
	if sqldb.Duplicate(err) {
		return findings.ErrConflict
	}
	return err
}

// List implements [findings.Store].
func (s *Store) List(ctx context.Context, tenant, after string, limit int, states ...findings.State) ([]findings.Finding, error) {
	query := `SELECT ` + columns + ` FROM controls_findings WHERE tenant = ? AND id > ?`
	args := []any{tenant, after}
	if len(states) > 0 {
		query += ` AND state IN (?` + strings.Repeat(", ?", len(states)-1) + `)`
		for _, state := range states {
			args = append(args, string(state))
		}
	}
	args = append(args, max(limit, 1))
	var list []findings.Finding
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil // a retry starts over
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			f, err := scan(rows)
			list = append(list, f)
			return err
		}, query+` ORDER BY id LIMIT ?`, args...)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
