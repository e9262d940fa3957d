package sigma_test

import (
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/detect/sigma"
)

// Three failed logins on one account within five minutes.
func Example() {
	set, err := sigma.Load(map[string][]byte{"guessing.yaml": []byte(`
title: Failed login
name: failed_login
logsource: {product: surety}
detection:
  selection: {action: authn.login, outcome: denied}
  condition: selection
---
title: Many failed logins on one account
level: high
tags: [attack.t1110, surety.authn.throttle]
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [tenant, target.account]
  timespan: 5m
  condition: {gte: 3}
`)}, sigma.Options{})
	if err != nil {
		panic(err)
	}
	for range 3 {
		event := auditlog.Event{
			Action: "authn.login", Outcome: auditlog.Denied, Tenant: "acme", Targets: []auditlog.Target{{Type: "account", ID: "acc-7"}},
		}
		for _, m := range set.Evaluate(&event, time.Now()) {
			fmt.Println(m.Rule.Title, m.Group["target.account"])
		}
	}
	// Output: Many failed logins on one account acc-7
}
