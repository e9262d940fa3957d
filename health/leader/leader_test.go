package leader_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/health/leader"
)

// What stores do is tested against SQLite and PostgreSQL in internal/integration.
func TestSettings(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	for name, try := range map[string]func() error{
		"tenant":   func() error { _, err := leader.New(t.Context(), nil, "", "e", rec, leader.Options{}); return err },
		"name":     func() error { _, err := leader.New(t.Context(), nil, "o", "", rec, leader.Options{}); return err },
		"recorder": func() error { _, err := leader.New(t.Context(), nil, "o", "e", nil, leader.Options{}); return err },
		"Lease": func() error {
			_, err := leader.New(t.Context(), nil, "o", "e", rec, leader.Options{Lease: time.Millisecond})
			return err
		},
		"instance": func() error {
			_, err := leader.New(t.Context(), nil, "o", "e", rec, leader.Options{Instance: strings.Repeat("x", 300)})
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func Example() {
	run := func(ctx context.Context, pool *sql.DB, rec *auditlogtest.Recorder) error {
		e, err := leader.New(ctx, pool, "operator", "payroll-run", rec, leader.Options{})
		if err != nil {
			return err
		}
		return e.Run(ctx, func(ctx context.Context, token int64) error {
			tx, err := pool.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if err := e.Fence(ctx, tx, token); err != nil {
				_ = tx.Rollback() // nothing was written
				return err
			}
			// … what only a leader may write …
			return tx.Commit()
		})
	}
	_ = run
}
