package detect_test

import (
	"context"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/detect"
	"github.com/surety-go/surety/controls/findings"
)

// Three failed logins on one account lock it.
func Example() {
	log := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error {
		fmt.Println(ev.Action, ev.Outcome)
		return nil
	})
	rules := []detect.Rule{{
		ID: "login.account", Title: "Many failed logins on one account", Severity: findings.High, Control: "authn.throttle",
		Match: []detect.Match{{Action: "authn.login", Outcome: auditlog.Denied}}, Group: []string{"target.account"},
		Count: 3, Window: catalogue.Period(15 * time.Minute), Action: "lock",
	}}
	detector, err := detect.New(log, rules, detect.Options{Actions: map[string]detect.Action{
		"lock": func(_ context.Context, a detect.Alert) error {
			fmt.Println("lock", a.Group["target.account"])
			return nil
		},
	}})
	if err != nil {
		panic(err)
	}
	for range 3 {
		_ = detector.Record(context.Background(), auditlog.Event{
			Action: "authn.login", Outcome: auditlog.Denied, Tenant: "acme",
			Targets: []auditlog.Target{{Type: "account", ID: "acc-7"}},
		})
	}
	// Output:
	// authn.login denied
	// authn.login denied
	// authn.login denied
	// lock acc-7
	// controls.detect.alert success
}
