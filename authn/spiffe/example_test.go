package spiffe_test

import (
	"context"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/spiffe"
)

func Example() {
	known := map[string]authn.Principal{
		"spiffe://acme.example/export": {Actor: auditlog.Actor{ID: "export", Tenant: "acme"}},
	}
	// In production: workloadapi.NewX509Source(ctx).
	source := x509bundle.New(spiffeid.RequireTrustDomainFromString("acme.example"))
	workloads, err := spiffe.New(spiffe.Parts{TrustDomains: []string{"acme.example"}, X509: source},
		func(_ context.Context, id string) (authn.Principal, error) {
			if p, ok := known[id]; ok {
				return p, nil
			}
			return authn.Principal{}, spiffe.ErrUnknown
		}, spiffe.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(workloads.Controls()[0].ID)
	// Output: authn.spiffe
}
