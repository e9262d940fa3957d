package federationsql_test

import (
	"context"
	"database/sql"
	"time"

	"github.com/surety-go/surety/authn/federation/federationsql"
)

func Example() {
	ctx := context.Background()
	pool := &sql.DB{} // sql.Open with a driver of your choice
	run := func() error {
		if err := federationsql.Migrate(ctx, pool); err != nil {
			return err
		}
		seen, err := federationsql.Open(ctx, pool)
		if err != nil {
			return err
		}
		_, err = seen.Use(ctx, "acme", "the proof's jti", time.Now().Add(time.Minute))
		return err
	}
	_ = run
}
