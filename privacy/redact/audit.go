package redact

import (
	"context"
	"errors"

	"github.com/surety-go/surety/auditlog"
)

// Recorder returns a recorder that redacts the plain text of events before
// next stores them for ever: targets, reasons and attributes. What must be
// kept about a person belongs into a personal attribute, which stays as it is
// and is sealed further down.
func (r *Redactor) Recorder(next auditlog.Recorder) (auditlog.Recorder, error) {
	if next == nil {
		return nil, errors.New("redact: Recorder needs a recorder")
	}
	return auditlog.RecorderFunc(func(ctx context.Context, ev auditlog.Event) error {
		return next.Record(ctx, r.event(ev))
	}), nil
}

func (r *Redactor) event(ev auditlog.Event) auditlog.Event {
	ev.Reason = r.String(ev.Reason)
	targets := make([]auditlog.Target, len(ev.Targets))
	for i, t := range ev.Targets {
		t.ID = r.Field(t.Type, t.ID)
		targets[i] = t
	}
	ev.Targets = targets
	attrs := make([]auditlog.Attr, len(ev.Attrs))
	for i, a := range ev.Attrs {
		attrs[i] = a
		if _, _, sealed := a.Sealed(); sealed || a.IsPersonal() {
			continue
		}
		if text := a.Text(); text != "" {
			if clean := r.Field(a.Key, text); clean != text {
				attrs[i] = auditlog.String(a.Key, clean)
			}
		}
	}
	ev.Attrs = attrs
	return ev
}
