package authzen_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/authzen"
	"github.com/surety-go/surety/guard"
)

// A decision point for programs elsewhere: its routes are mounted behind
// guards that say who may ask.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	engine, err := authz.New(model, policy, log, authz.Options{})
	if err != nil {
		panic(err)
	}
	pdp, err := authzen.NewServer(engine, authzen.ServerOptions{URL: "https://pdp.example.org"})
	if err != nil {
		panic(err)
	}
	for _, r := range pdp.Routes(guard.Public("an example; name who may ask")) {
		fmt.Println(r.Pattern)
	}
	// Output:
	// POST /access/v1/evaluation
	// POST /access/v1/evaluations
	// POST /access/v1/search/subject
	// POST /access/v1/search/resource
	// POST /access/v1/search/action
	// GET /.well-known/authzen-configuration
}
