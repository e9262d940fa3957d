package cryptosql_test

import (
	"context"
	"database/sql"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptosql"
)

// Wrapped keys in the application's own database. Migrations run as the
// tables' owner, everything else as a role that owns nothing.
func Example() {
	_ = func(ctx context.Context, owner, pool *sql.DB, kek crypto.KEK, log auditlog.Recorder) (*crypto.Keeper, error) {
		if err := cryptosql.Migrate(ctx, owner); err != nil {
			return nil, err
		}
		store, err := cryptosql.New(ctx, pool)
		if err != nil {
			return nil, err
		}
		return crypto.NewKeeper(kek, store, log, crypto.Options{})
	}
}
