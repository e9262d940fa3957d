// Package monitorsql keeps the history of probes in SQLite and PostgreSQL.
//
//	err := monitorsql.Migrate(ctx, owner)     // as the table's owner
//	store, err := monitorsql.New(ctx, pool)   // as the runtime role
//	m, err := monitor.New(cat, log, monitor.Options{Store: store}, components...)
//
// The table is append-only: on PostgreSQL give the runtime role SELECT and
// INSERT on it and no more (see [Tables]). Sequence numbers have no holes even
// when several programs append at once, so a deleted row shows as a gap, and
// each entry is an event of the audit log besides.
package monitorsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the table.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "controls_history", FS: migrations, Dir: "migrations"})
}

// Tables lists the append-only tables, for grants and probes.
func Tables() []string { return []string{"controls_history"} }

// Store is a [monitor.Store] in SQL. It is safe for concurrent use.
type Store struct{ db *sqldb.DB }

// New uses a migrated database. The pool stays the caller's.
func New(ctx context.Context, pool *sql.DB) (*Store, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("monitorsql: %w", err)
	}
	return &Store{db}, nil
}

// attempts bounds how often a number is tried that someone else took first.
const attempts = 100

// Append implements [monitor.Store].
func (s *Store) Append(ctx context.Context, tenant string, e monitor.Entry) (monitor.Entry, error) {
	var err error
	for i := range attempts {
		if e, err = s.tryAppend(ctx, tenant, e); !sqldb.Duplicate(err) {
			return e, err
		}
		select {
		case <-ctx.Done():
			return monitor.Entry{}, fmt.Errorf("monitorsql: append: %w", context.Cause(ctx))
		case <-time.After(rand.N(time.Duration(i+1) * time.Millisecond)):
		}
	}
	return monitor.Entry{}, fmt.Errorf("monitorsql: append: %w", err)
}

// tryAppend takes the number after the highest. The primary key decides
// between writers who see the same highest one.
func (s *Store) tryAppend(ctx context.Context, tenant string, e monitor.Entry) (monitor.Entry, error) {
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		var last uint64
		if err := tx.Row(ctx, `SELECT COALESCE(MAX(seq), 0) FROM controls_history WHERE tenant = ?`, tenant).Scan(&last); err != nil {
			return fmt.Errorf("monitorsql: append: %w", err)
		}
		e.Seq = last + 1
		body, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("monitorsql: append: %w", err)
		}
		_, err = tx.Exec(ctx, `INSERT INTO controls_history (tenant, seq, at, control, body) VALUES (?, ?, ?, ?, ?)`,
			tenant, int64(e.Seq), e.At.UnixNano(), e.Control, string(body)) //nolint:gosec // counts from 1
		return err
	})
	return e, err
}

// Range implements [monitor.Store].
func (s *Store) Range(ctx context.Context, tenant string, from, to time.Time, yield func(monitor.Entry) bool) error {
	// The first and last number of the period, and all between.
	list, err := s.query(ctx, tenant, `SELECT seq, body FROM controls_history WHERE tenant = ?
		AND seq >= (SELECT MIN(seq) FROM controls_history WHERE tenant = ? AND at >= ? AND at < ?)
		AND seq <= (SELECT MAX(seq) FROM controls_history WHERE tenant = ? AND at >= ? AND at < ?) ORDER BY seq`,
		tenant, tenant, nano(from), nano(to), tenant, nano(from), nano(to))
	for _, e := range list {
		if !yield(e) {
			break
		}
	}
	return err
}

// nano is the time in nanoseconds since 1970, as far as these reach.
func nano(t time.Time) int64 {
	first, last := time.Unix(0, -1<<63), time.Unix(0, 1<<63-1)
	switch {
	case t.Before(first):
		return -1 << 63
	case t.After(last):
		return 1<<63 - 1
	}
	return t.UnixNano()
}

// Last implements [monitor.Store].
func (s *Store) Last(ctx context.Context, tenant string) ([]monitor.Entry, error) {
	return s.query(ctx, tenant, `SELECT seq, body FROM controls_history WHERE tenant = ? AND seq IN
		(SELECT MAX(seq) FROM controls_history WHERE tenant = ? AND control <> '' GROUP BY control)`, tenant, tenant)
}

func (s *Store) query(ctx context.Context, tenant, query string, args ...any) ([]monitor.Entry, error) {
	var list []monitor.Entry
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil // a retry starts over
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			var seq uint64
			var body string
			var e monitor.Entry
			if err := rows.Scan(&seq, &body); err != nil {
				return fmt.Errorf("monitorsql: scan: %w", err)
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				return fmt.Errorf("monitorsql: entry %d: %w", seq, err)
			}
			e.Seq = seq // a renumbered row shows as a gap, whatever its text says
			list = append(list, e)
			return nil
		}, query, args...)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
