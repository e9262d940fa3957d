package erasuresql_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/surety-go/surety/privacy/erasure/erasuresql"
)

// A look at what erasing would do, before anyone is erased.
func Example() {
	_ = func(ctx context.Context, pool *sql.DB) error {
		plan, err := erasuresql.Inspect(ctx, pool, erasuresql.Options{
			Roots: []erasuresql.Root{{Table: "people", Subject: "id", Tenant: "tenant"}},
			Rules: map[string]erasuresql.Rule{"documents.approved_by": erasuresql.Unlink},
		})
		if err != nil {
			return err
		}
		for _, s := range plan.Steps {
			fmt.Println(s.Path)
		}
		for _, p := range plan.Problems {
			fmt.Println(p) // such as "no-index orders.person"
		}
		return nil
	}
}
