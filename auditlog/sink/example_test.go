package sink_test

import (
	"context"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/sink"
)

// A SIEM gets every entry, signed, from where it left off; the log goes on
// while it is away.
func Example() {
	_ = func(ctx context.Context, log *auditlog.Log, key []byte) error {
		hook, err := sink.NewWebhook("https://siem.example/ingest", key, sink.HTTPOptions{})
		if err != nil {
			return err
		}
		defer hook.Close()
		f, err := sink.New(log, hook, "/var/lib/app/siem.cursor", sink.Options{})
		if err != nil {
			return err
		}
		return f.Run(ctx) // until ctx ends; monitor f's control
	}
}
