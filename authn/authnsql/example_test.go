package authnsql_test

import (
	"context"
	"database/sql"
	"errors"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
)

// Sessions and throttling in the application's own database. Migrations run
// as the tables' owner, everything else as a role that owns nothing.
func Example() {
	_ = func(ctx context.Context, owner, pool *sql.DB, key []byte, log auditlog.Recorder) (*session.Manager, *throttle.Throttle, error) {
		if err := authnsql.Migrate(ctx, owner); err != nil {
			return nil, nil, err
		}
		store, err := authnsql.Open(ctx, pool)
		if err != nil {
			return nil, nil, err
		}
		sessions, err1 := session.New(store.Sessions(), key, log, session.Options{})
		guesses, err2 := throttle.New(store.Throttle(), log, throttle.Options{})
		return sessions, guesses, errors.Join(err1, err2)
	}
}
