package crypto

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
)

// keyEvent records what happened to a key. Its error makes the caller refuse.
func (k *Keeper) keyEvent(ctx context.Context, action string, o auditlog.Outcome, r *Record, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{
		Action: action, Outcome: o, Tenant: r.Tenant,
		Targets: []auditlog.Target{{Type: "key", ID: r.ID.String()}},
		Attrs: append(attrs,
			auditlog.Int("version", r.Version),
			auditlog.String("algorithm", r.Algorithm.String()),
			auditlog.String("kek", r.KEK)),
	}
	if r.Subject != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "subject", ID: r.Subject})
	}
	if r.Use != "" {
		ev.Attrs = append(ev.Attrs, auditlog.String("use", clip(r.Use)))
	}
	return k.record(ctx, ev)
}

func (k *Keeper) record(ctx context.Context, ev auditlog.Event) error {
	if err := k.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("%w: %s could not be recorded: %w", ErrKeyUnavailable, ev.Action, err)
	}
	return nil
}

// tampered records that a value did not open, and returns err.
func (k *Keeper) tampered(ctx context.Context, b Binding, h *Header, err error) error {
	ev := auditlog.Event{
		Action: "crypto.open", Outcome: auditlog.Denied, Tenant: b.Tenant, Reason: "crypto.envelope",
		Targets: []auditlog.Target{{Type: "column", ID: clip(b.Table + "." + b.Column + "." + b.Purpose)}},
	}
	if h != nil {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "key", ID: h.Key.String()})
	}
	if b.Subject != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "subject", ID: b.Subject})
	}
	return errors.Join(err, k.rec.Record(ctx, ev))
}

// notOpened passes on why a key was not to be had; a value that names an
// unknown or false key was tampered with.
func (k *Keeper) notOpened(ctx context.Context, b Binding, h *Header, err error) error {
	if errors.Is(err, ErrTampered) {
		return k.tampered(ctx, b, h, err)
	}
	return err
}

func clip(s string) string {
	if len(s) > auditlog.MaxName {
		return s[:auditlog.MaxName]
	}
	return s
}
