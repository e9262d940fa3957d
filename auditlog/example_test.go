package auditlog_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
)

// A Recorder takes events; the context says who acts.
func Example() {
	var rec auditlog.Recorder = auditlog.RecorderFunc(func(ctx context.Context, ev auditlog.Event) error {
		entry, err := auditlog.Stamp(ctx, ev)
		if err == nil {
			fmt.Println(entry.Actor.ID, entry.Action, entry.Outcome)
		}
		return err
	})
	ctx := auditlog.WithActor(context.Background(), auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User})
	err := rec.Record(ctx, auditlog.Event{
		Action:  "records.update",
		Outcome: auditlog.Success,
		Targets: []auditlog.Target{{Type: "record", ID: "r-17"}},
	})
	fmt.Println(err)
	// Output:
	// u-1 records.update success
	// <nil>
}
