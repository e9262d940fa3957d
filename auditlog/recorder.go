package auditlog

import (
	"context"
	"errors"
	"fmt"
)

// A Recorder takes events. When Record returns nil, the event is recorded as
// surely as the log's [Table] promises for it; on an error the caller treats
// the action as one that must not take effect.
type Recorder interface {
	Record(ctx context.Context, ev Event) error
}

// A RecorderFunc is a function that is a [Recorder].
type RecorderFunc func(ctx context.Context, ev Event) error

// Record calls f.
func (f RecorderFunc) Record(ctx context.Context, ev Event) error { return f(ctx, ev) }

// A Sealer encrypts personal values so that a person's values become
// unreadable when that person's key is destroyed. The result must not depend
// on the value in a way that could be guessed, and must be bound to tenant,
// subject and key.
type Sealer interface {
	SealPersonal(ctx context.Context, tenant, subject, key string, value []byte) ([]byte, error)
}

// An Opener reads what a [Sealer] sealed. For a destroyed key the error wraps
// [ErrErased].
type Opener interface {
	OpenPersonal(ctx context.Context, tenant, subject, key string, sealed []byte) ([]byte, error)
}

// Sealing returns a Recorder that seals personal attributes before handing
// events to next. It wraps the log rather than being part of it, because the
// keeper of the keys records events itself; those carry no personal
// attributes. A value that can't be sealed is an error: nothing is recorded
// without it, and nothing is recorded in the clear.
func Sealing(next Recorder, sealer Sealer) (Recorder, error) {
	if next == nil || sealer == nil {
		return nil, errors.New("auditlog: Sealing needs a recorder and a sealer")
	}
	return &sealing{next, sealer}, nil
}

type sealing struct {
	next   Recorder
	sealer Sealer
}

func (s *sealing) Record(ctx context.Context, ev Event) error {
	sealed, err := Seal(ctx, s.sealer, ev)
	if err != nil {
		return err
	}
	return s.next.Record(ctx, sealed)
}

// Seal returns the event with its personal attributes sealed. It is what
// [Sealing] does, for recorders that write by other ways than Record.
func Seal(ctx context.Context, sealer Sealer, ev Event) (Event, error) {
	n := 0
	for _, a := range ev.Attrs {
		if a.kind == kindPersonal {
			n++
		}
	}
	if n == 0 {
		return ev, nil
	}
	tenant := ev.Tenant
	if tenant == "" {
		if tenant = ev.Actor.Tenant; ev.Actor.IsZero() {
			tenant = ActorFrom(ctx).Tenant
		}
	}
	// The attributes are the caller's: the sealed ones go into a new slice.
	attrs := make([]Attr, len(ev.Attrs))
	for i, a := range ev.Attrs {
		if a.kind == kindPersonal {
			b, err := sealer.SealPersonal(ctx, tenant, a.subject, a.Key, []byte(a.text))
			if err != nil {
				return Event{}, fmt.Errorf("auditlog: seal attribute %q of %s: %w", a.Key, ev.Action, err)
			}
			a.kind, a.text = kindSealed, string(b)
		}
		attrs[i] = a
	}
	ev.Attrs = attrs
	return ev, nil
}

// OpenAttr reads a sealed attribute of an entry. The error wraps [ErrErased]
// when the person's key was destroyed.
func OpenAttr(ctx context.Context, opener Opener, e *Entry, a Attr) (string, error) {
	if a.kind != kindSealed {
		return a.Text(), nil
	}
	b, err := opener.OpenPersonal(ctx, e.Tenant, a.subject, a.Key, []byte(a.text))
	if err != nil {
		return "", fmt.Errorf("auditlog: open attribute %q of %s: %w", a.Key, e.ID, err)
	}
	return string(b), nil
}
