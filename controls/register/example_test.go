package register_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/register"
)

// Data leaves for declared vendors only.
func Example() {
	files := fstest.MapFS{
		"risks.yaml": {Data: []byte(`
appetite: 10
objectives: [{id: O-1, text: Mail reaches the right person}]
risks:
  - {id: R-1, title: Forged mail, category: fraud, objective: O-1, owner: head of platform,
     likelihood: 2, impact: 4, reviewed: 2026-01-01, review: 2026-12-31}
`)},
		"vendors.yaml": {Data: []byte(`
vendors:
  - {id: V-1, name: Example Metrics, tier: low, owner: head of platform, services: [metrics], breach_clause: false,
     hosts: [in.metrics.example], categories: [system.metrics], reviewed: 2026-01-01, review: 2026-12-31}
`)},
		"policies.yaml": {Data: []byte(`
policies:
  - {id: P-1, title: Security, version: "1", owner: head of security, approved_by: chief executive,
     effective: 2026-01-01, review: 2026-12-31, text: security.md, controls: [authn.*],
     sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}
`)},
		"security.md": {},
	}
	cat, err := catalogue.Default()
	if err != nil {
		panic(err)
	}
	set, err := register.Load(files, cat, nil)
	if err != nil {
		panic(err)
	}
	log := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error {
		fmt.Println(ev.Action, ev.Outcome)
		return nil
	})
	gate, err := set.Vendors.Gate(log)
	if err != nil {
		panic(err)
	}
	fmt.Println(gate.Allow(context.Background(), "collector.example", "user.contact.email"))
	// Output:
	// controls.vendor.egress denied
	// register: egress denied: user.contact.email to collector.example: no vendor in the register has this host
}
