package authz_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
)

// A model and a policy in casbin's language; decisions say why.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	engine, err := authz.New(tenantsModel, tenantsPolicy, log, authz.Options{})
	if err != nil {
		panic(err)
	}
	d := engine.Decide(authz.Request{Subject: "bob", Domain: "acme", Object: "file", Action: "read"})
	fmt.Println(d.Allowed, d.Rule(), d.RolePath())
	d = engine.Decide(authz.Request{Subject: "bob", Domain: "acme", Object: "file", Action: "write"})
	fmt.Println(d.Allowed, d.Reason)
	// Output:
	// true p, clerk, *, file, read [bob clerk]
	// false no rule allows it
}
