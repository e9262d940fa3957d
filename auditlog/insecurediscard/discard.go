// Package insecurediscard throws audit events away. Its import path says in
// every review and in every list of dependencies that the program leaves no
// evidence; [Recorder.Controls] says it in the evidence of what is mounted.
//
// It is for trials and benchmarks. A test that cares about events uses
// auditlogtest.Recorder.
package insecurediscard

import (
	"context"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// A Recorder accepts every valid event and keeps none.
type Recorder struct{}

// Record checks the event and forgets it.
func (Recorder) Record(ctx context.Context, ev auditlog.Event) error {
	_, err := auditlog.Stamp(ctx, ev)
	return err
}

// Controls reports that the log's control fails: nothing is kept.
func (Recorder) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "auditlog.log",
		Parameters: []controls.Parameter{controls.Text("engine", "discard")},
		Probe: func(context.Context) controls.Result {
			return controls.Failed("audit events are thrown away (auditlog/insecurediscard)")
		},
	}}
}
