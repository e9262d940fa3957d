package insecurediscard_test

import (
	"context"
	"errors"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/insecurediscard"
	"github.com/surety-go/surety/controls"
)

func TestDiscardingFailsInEvidence(t *testing.T) {
	var rec auditlog.Recorder = insecurediscard.Recorder{}
	if err := rec.Record(t.Context(), auditlog.Event{Action: "a.b", Outcome: auditlog.Success}); err != nil {
		t.Error(err)
	}
	if err := rec.Record(t.Context(), auditlog.Event{Action: "a.b"}); !errors.Is(err, auditlog.ErrInvalid) {
		t.Errorf("an event without an outcome: %v", err)
	}
	for _, c := range insecurediscard.Recorder.Controls(insecurediscard.Recorder{}) {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if r := c.Run(context.Background()); r.State != controls.Fail {
			t.Errorf("the control of a log that keeps nothing is %v: %s", r.State, r.Observed)
		}
	}
}
