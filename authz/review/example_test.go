package review_test

import (
	"context"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/change"
	"github.com/surety-go/surety/authz/review"
)

// A campaign over the administrators: who is not vouched for is one no more.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	engine, err := authz.New(authz.ModelRBAC, "p, admin, *, *, allow\ng, ada, admin\ng, bob, admin", log, authz.Options{})
	if err != nil {
		panic(err)
	}
	ctx := auditlog.WithActor(context.Background(), auditlog.Actor{ID: "carol", Kind: auditlog.User})
	keeper, err := change.Open(ctx, engine, change.NewMemory(), "platform", make([]byte, change.KeySize), log, change.Options{})
	if err != nil {
		panic(err)
	}
	desk, err := review.New(&review.Memory{}, make([]byte, review.KeySize), engine, keeper, log, review.Options{})
	if err != nil {
		panic(err)
	}
	c, err := desk.Start(ctx, "platform", review.Plan{
		Name: "administrators", Roles: []string{"admin"}, Reviewers: map[string]string{"admin": "carol"}, Second: "dave",
		Due: time.Now().AddDate(0, 0, 14), Revoke: true,
	})
	if err != nil {
		panic(err)
	}
	for _, item := range c.Items {
		verdict, why := review.Keep, "on call"
		if item.Subject == "bob" {
			verdict, why = review.Revoke, "left the team"
		}
		if _, err := desk.Decide(ctx, "platform", c.ID, item.Number, verdict, why); err != nil {
			panic(err)
		}
	}
	fmt.Println(engine.Roles("", "ada"), engine.Roles("", "bob"))
	// Output:
	// [admin] []
}
