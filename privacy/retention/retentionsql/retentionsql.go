// Package retentionsql disposes of rows in SQLite and PostgreSQL after their
// period, for package retention.
//
//	logins, err := retentionsql.Open(ctx, pool, retentionsql.Table{Name: "logins", ID: "id", Time: "at", Subject: "account", Tenant: "tenant"})
package retentionsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surety-go/surety/internal/sqldb"
	"github.com/surety-go/surety/privacy/retention"
)

// A Table says how a table's rows are found. The names are the program's and
// are quoted.
type Table struct {
	Name    string
	ID      string // a text column that names a row
	Time    string // from when the period runs; needs an index
	Subject string // whom a row is about; empty for nobody
	Tenant  string // empty if the database has one
	// Moment writes a moment as the time column holds it; nil is as the
	// driver does.
	Moment func(time.Time) any
}

// A Target is a table as a retention.Target.
type Target struct {
	db *sqldb.DB
	t  Table
}

// Open uses a table. The pool stays the caller's.
func Open(ctx context.Context, pool *sql.DB, t Table) (*Target, error) {
	if t.Name == "" || t.ID == "" || t.Time == "" {
		return nil, errors.New("retentionsql: a table needs a name, an id and a time")
	}
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("retentionsql: %w", err)
	}
	if t.Moment == nil {
		t.Moment = func(at time.Time) any { return at }
	}
	return &Target{db, t}, nil
}

// Name is the table's name.
func (t *Target) Name() string { return t.t.Name }

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Expired lists rows that are older than a moment.
func (t *Target) Expired(ctx context.Context, tenant string, before time.Time, after string, limit int) ([]retention.Item, error) {
	subject := "''"
	if t.t.Subject != "" {
		subject = "COALESCE(" + quote(t.t.Subject) + ", '')"
	}
	where, args := quote(t.t.Time)+" < ?", []any{t.t.Moment(before)}
	if after != "" {
		where, args = where+" AND "+quote(t.t.ID)+" > ?", append(args, after)
	}
	if t.t.Tenant != "" {
		where, args = where+" AND "+quote(t.t.Tenant)+" = ?", append(args, tenant)
	}
	var items []retention.Item
	err := t.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		items = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			var i retention.Item
			err := rows.Scan(&i.ID, &i.Subject)
			items = append(items, i)
			return err
		}, "SELECT "+quote(t.t.ID)+", "+subject+" FROM "+quote(t.t.Name)+" WHERE "+where+" ORDER BY "+quote(t.t.ID)+" LIMIT ?", append(args, limit)...)
	})
	if err != nil {
		return nil, fmt.Errorf("retentionsql: %s: %w", t.t.Name, err)
	}
	return items, nil
}

// Dispose deletes rows, in one transaction.
func (t *Target) Dispose(ctx context.Context, tenant string, ids []string) error {
	where := quote(t.t.ID) + " = ?"
	if t.t.Tenant != "" {
		where += " AND " + quote(t.t.Tenant) + " = ?"
	}
	err := t.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		for _, id := range ids {
			args := []any{id}
			if t.t.Tenant != "" {
				args = append(args, tenant)
			}
			if _, err := tx.Exec(ctx, "DELETE FROM "+quote(t.t.Name)+" WHERE "+where, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("retentionsql: %s: %w", t.t.Name, err)
	}
	return nil
}
