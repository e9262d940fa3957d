package findings_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
)

// A failed probe becomes a finding with the control's owner and a due date,
// and can't be closed without a test.
func Example() {
	cat, err := catalogue.Default()
	if err != nil {
		panic(err)
	}
	log := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error {
		fmt.Println(ev.Action)
		return nil
	})
	tracker, err := findings.New(findings.NewMemory(), log, cat.Owner, findings.Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	f, err := tracker.Raise(ctx, "acme", findings.Report{
		Control: "authz.policy", Severity: findings.High, Summary: "a denied request was let in",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(f.State, f.Owner, f.Due.Sub(f.Opened))
	_, err = tracker.Close(ctx, "acme", f.ID, "it works again")
	fmt.Println(err)
	// Output:
	// controls.finding.open
	// open head of security 720h0m0s
	// findings: the state does not allow this step: from open to closed
}
