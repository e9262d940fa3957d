package findingssql_test

import (
	"context"
	"database/sql"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/findings/findingssql"
)

// Findings in the application's own database, with any driver of SQLite or
// PostgreSQL. Migrations run as the tables' owner, everything else as a role
// that owns nothing.
func Example() {
	_ = func(ctx context.Context, owner, pool *sql.DB, cat *catalogue.Catalogue, log auditlog.Recorder) (*findings.Tracker, error) {
		if err := findingssql.Migrate(ctx, owner); err != nil {
			return nil, err
		}
		store, err := findingssql.New(ctx, pool)
		if err != nil {
			return nil, err
		}
		return findings.New(store, log, cat.Owner, findings.Options{})
	}
}
