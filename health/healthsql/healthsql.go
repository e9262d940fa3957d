// Package healthsql keeps what the packages below health remember in SQLite
// and PostgreSQL.
//
//	err := healthsql.Migrate(ctx, owner)      // as the tables' owner
//	store, err := healthsql.NewSLO(ctx, pool) // as the runtime role
//	tracker, err := slo.New("operator", store, key, log, objectives, slo.Options{})
//
// The table of counts is append-only: on PostgreSQL give the runtime role
// SELECT and INSERT on it and no more (see [Tables]). Counts carry the
// tracker's MAC, so that who can write the table all the same can't make the
// service look better.
package healthsql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"time"

	"github.com/surety-go/surety/health/slo"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "health", FS: migrations, Dir: "migrations"})
}

// Tables lists the append-only tables, for grants and probes.
func Tables() []string { return []string{"health_slo"} }

// SLO is a [slo.Store] in SQL. It is safe for concurrent use.
type SLO struct{ db *sqldb.DB }

// NewSLO uses a migrated database. The pool stays the caller's.
func NewSLO(ctx context.Context, pool *sql.DB) (*SLO, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("healthsql: %w", err)
	}
	return &SLO{db}, nil
}

// Put implements [slo.Store].
func (s *SLO) Put(ctx context.Context, tenant string, counts []slo.Count) error {
	return s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		for _, c := range counts {
			outside := 0
			if c.Outside {
				outside = 1
			}
			_, err := tx.Exec(ctx, `INSERT INTO health_slo (tenant, objective, minute, source, outside, good, bad, mac)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
				tenant, c.Objective, c.Minute.Unix()/60, c.Source, outside, c.Good, c.Bad, c.MAC[:])
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Counts implements [slo.Store].
func (s *SLO) Counts(ctx context.Context, tenant, objective string, from, to time.Time, f func(slo.Count) error) error {
	var list []slo.Count // a transaction that is tried again must not call f twice
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = list[:0]
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			c := slo.Count{Objective: objective}
			var minute int64
			var outside int
			var mac []byte
			if err := rows.Scan(&minute, &c.Source, &outside, &c.Good, &c.Bad, &mac); err != nil {
				return fmt.Errorf("healthsql: scan: %w", err)
			}
			if len(mac) != len(c.MAC) {
				return fmt.Errorf("%w: the MAC has %d bytes", slo.ErrTampered, len(mac))
			}
			c.MAC, c.Minute, c.Outside = [len(c.MAC)]byte(mac), time.Unix(minute*60, 0).UTC(), outside == 1
			list = append(list, c)
			return nil
		}, `SELECT minute, source, outside, good, bad, mac FROM health_slo
			WHERE tenant = ? AND objective = ? AND minute >= ? AND minute < ? ORDER BY minute`,
			tenant, objective, ceil(from), ceil(to))
	})
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

// ceil is the number of the first minute that doesn't begin before t.
func ceil(t time.Time) int64 {
	minute := t.Unix() / 60
	if time.Unix(minute*60, 0).Before(t) {
		minute++
	}
	return minute
}
