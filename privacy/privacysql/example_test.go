package privacysql_test

import (
	"context"
	"database/sql"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/privacy/privacysql"
)

// Consents in the application's own database. Migrations run as the tables'
// owner, everything else as a role that may only read and append.
func Example() {
	_ = func(ctx context.Context, owner, pool *sql.DB, key []byte, log auditlog.Recorder) (*consent.Ledger, error) {
		if err := privacysql.Migrate(ctx, owner); err != nil {
			return nil, err
		}
		store, err := privacysql.NewConsent(ctx, pool)
		if err != nil {
			return nil, err
		}
		return consent.New(store, key, log, consent.Options{})
	}
}
