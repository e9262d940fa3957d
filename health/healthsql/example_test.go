package healthsql_test

import (
	"context"
	"database/sql"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/health/healthsql"
	"github.com/surety-go/surety/health/slo"
)

// Objectives with their counts in the application's own database. Migrations
// run as the tables' owner, everything else as a role that may only read and
// append.
func Example() {
	_ = func(ctx context.Context, owner, pool *sql.DB, key []byte, log auditlog.Recorder) (*slo.Tracker, error) {
		if err := healthsql.Migrate(ctx, owner); err != nil {
			return nil, err
		}
		store, err := healthsql.NewSLO(ctx, pool)
		if err != nil {
			return nil, err
		}
		return slo.New("operator", store, key, log, []slo.Objective{
			{Name: "files", Actions: []string{"files.*"}, Target: 0.999},
		}, slo.Options{})
	}
}
