package auditlog_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

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

// A log in a directory, with its key elsewhere. What was recorded is on the
// disk, and its place can be proved to others.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	signer, _, err := auditlog.NewKeyFile(filepath.Join(dir, "key"), "example.org/audit")
	if err != nil {
		log.Fatal(err)
	}
	l, err := auditlog.Open(filepath.Join(dir, "log"), signer, auditlog.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	ctx := auditlog.WithActor(context.Background(), auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User})
	receipt, err := l.Append(ctx, auditlog.Event{Action: "records.export", Outcome: auditlog.Success}, auditlog.Durable)
	fmt.Println(receipt.Index, receipt.Ack, err)
	for e, err := range l.Search(ctx, auditlog.Query{Tenant: "acme", Action: "records.*"}) {
		fmt.Println(e.Index, e.Actor.ID, e.Action, e.Outcome, err)
	}
	// Output:
	// 1 durable <nil>
	// 1 u-1 records.export success <nil>
}
