package auditlog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/surety-go/surety/controls"
)

// Errors about one event.
var (
	// ErrInvalid says that an event does not say what it must.
	ErrInvalid = errors.New("auditlog: invalid event")
	// ErrTooLarge says that an event's JSON form exceeds [MaxEntry].
	ErrTooLarge = errors.New("auditlog: event too large")
	// ErrUnsealed says that a personal attribute reached the log in the clear.
	ErrUnsealed = errors.New("auditlog: personal attribute is not sealed")
	// ErrErased says that the key of a personal attribute was destroyed.
	ErrErased = errors.New("auditlog: personal attribute is erased")
)

// Limits of one event. Whoever puts a caller's input into an event shortens
// it first; an event over a limit is refused, never cut silently.
const (
	MaxEntry   = 65535 // bytes of an entry's JSON form (C2SP tlog-tiles entry limit)
	MaxAttrs   = 64    // attributes of one event
	MaxTargets = 64    // targets of one event
	MaxName    = 256   // bytes of an id, type, reason or attribute key
)

// An Event says that an actor did something to targets, and how it ended.
type Event struct {
	// Action is what was tried, two to six lower-case words joined by dots,
	// the last one a verb: "records.read", "authn.password.verify".
	Action string
	// Outcome is how it ended; the zero value is refused.
	Outcome Outcome
	// Actor is who did it; when zero, the context's actor.
	Actor Actor
	// Tenant is whose data it concerned; when empty, the actor's tenant.
	Tenant string
	// Targets are the things it was done to.
	Targets []Target
	// Reason is a code for why it ended so: for a denial, the control's ID.
	Reason string
	// Attrs are further facts, with unrepeated keys.
	Attrs []Attr
}

// An Outcome is how an action ended.
type Outcome uint8

// The outcomes of an action.
const (
	outcomeUnknown Outcome = iota // zero: refused
	Success                       // done as asked
	Denied                        // refused by a control
	Failed                        // tried, and not done: an error
)

var outcomeNames = [...]string{"unknown", "success", "denied", "failed"}

// String returns the outcome's name as entries spell it.
func (o Outcome) String() string { return nameOf(outcomeNames[:], int(o)) }

// MarshalText writes the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads an outcome's name.
func (o *Outcome) UnmarshalText(b []byte) error {
	i, err := indexOf(outcomeNames[:], b, "outcome")
	*o = Outcome(i)
	return err
}

// A Kind says what sort of actor acted.
type Kind uint8

// The kinds of actor.
const (
	Anonymous Kind = iota // not, or not yet, identified
	User                  // a person
	Service               // another program
	System                // this program on its own account
	Probe                 // a control's probe: not a real attempt
)

var kindNames = [...]string{"anonymous", "user", "service", "system", "probe"}

// String returns the kind's name as entries spell it.
func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(b []byte) error {
	i, err := indexOf(kindNames[:], b, "kind of actor")
	*k = Kind(i)
	return err
}

// An Actor is who acts. The zero Actor is an anonymous caller.
type Actor struct {
	// ID is a stable, random account id: a pseudonym, never an email address
	// or a name, because it stays in the log after the account is erased.
	ID string
	// Tenant is the tenant the account belongs to.
	Tenant string
	// Kind is the sort of actor.
	Kind Kind
	// For is the account on whose behalf the actor acts, such as the user a
	// support engineer impersonates. Empty when acting for itself.
	For string
}

// IsZero reports whether nothing is known of the actor.
func (a Actor) IsZero() bool { return a == Actor{} }

// A Target is a thing an action was done to.
type Target struct {
	Type string // what it is, such as "record"
	ID   string // which one: an opaque id, never personal data
}

// Validate reports what is wrong with the event, naming the field and the
// limit and never the value of an attribute.
func (e *Event) Validate() error {
	switch {
	case !controls.ValidID(e.Action):
		return fmt.Errorf("%w: Action %q: want two to six lower-case words joined by dots", ErrInvalid, clip(e.Action))
	case e.Outcome == outcomeUnknown || int(e.Outcome) >= len(outcomeNames):
		return fmt.Errorf("%w: %s: Outcome is not stated", ErrInvalid, e.Action)
	case int(e.Actor.Kind) >= len(kindNames):
		return fmt.Errorf("%w: %s: Actor.Kind %d is unknown", ErrInvalid, e.Action, e.Actor.Kind)
	case len(e.Targets) > MaxTargets:
		return fmt.Errorf("%w: %s: %d Targets, limit %d", ErrInvalid, e.Action, len(e.Targets), MaxTargets)
	case len(e.Attrs) > MaxAttrs:
		return fmt.Errorf("%w: %s: %d Attrs, limit %d", ErrInvalid, e.Action, len(e.Attrs), MaxAttrs)
	}
	for _, f := range [...]struct{ name, value string }{
		{"Actor.ID", e.Actor.ID},
		{"Actor.Tenant", e.Actor.Tenant},
		{"Actor.For", e.Actor.For},
		{"Tenant", e.Tenant},
		{"Reason", e.Reason},
	} {
		if len(f.value) > MaxName {
			return e.tooLong(f.name, len(f.value))
		}
	}
	for _, t := range e.Targets {
		if t.Type == "" || len(t.Type) > MaxName || len(t.ID) > MaxName {
			return fmt.Errorf("%w: %s: Target: want a Type, and Type and ID of at most %d bytes", ErrInvalid, e.Action, MaxName)
		}
	}
	return e.validateAttrs()
}

func (e *Event) tooLong(field string, n int) error {
	return fmt.Errorf("%w: %s: %s has %d bytes, limit %d", ErrInvalid, e.Action, field, n, MaxName)
}

func (e *Event) validateAttrs() error {
	for i, a := range e.Attrs {
		switch {
		case a.Key == "" || len(a.Key) > MaxName:
			return fmt.Errorf("%w: %s: Attrs[%d]: want a key of 1 to %d bytes", ErrInvalid, e.Action, i, MaxName)
		case a.kind == kindPersonal && a.subject == "" || len(a.subject) > MaxName:
			return fmt.Errorf("%w: %s: Attrs[%d]: want a subject of 1 to %d bytes", ErrInvalid, e.Action, i, MaxName)
		}
		for _, b := range e.Attrs[:i] {
			if a.Key == b.Key {
				return fmt.Errorf("%w: %s: attribute %q is repeated", ErrInvalid, e.Action, clip(a.Key))
			}
		}
	}
	return nil
}

// SeqKey is the attribute that numbers the asynchronous events of one run of
// the log. A missing number is an event that was dropped or lost. Only the log
// sets it.
const SeqKey = "auditlog.seq"

// ownActions begin the actions of events that the log alone records. Verifying
// relies on some, and alarms on others.
var ownActions = [...]string{
	"auditlog.log.", "auditlog.checkpoint.", "auditlog.hold.", "auditlog.period.",
	"auditlog.queue.", "auditlog.disk.", "auditlog.aggregate.", "auditlog.key.",
}

// reserved refuses an event that only the log may record. With a made-up
// number an application could hide events that were lost, and with a made-up
// opening make an honest log fail its verification.
func (e *Event) reserved() error {
	if strings.HasPrefix(e.Action, "auditlog.") {
		for _, own := range ownActions {
			if strings.HasPrefix(e.Action, own) {
				return fmt.Errorf("%w: Action %q: the log alone records %s*", ErrInvalid, clip(e.Action), own)
			}
		}
	}
	for _, a := range e.Attrs {
		if a.Key == SeqKey {
			return fmt.Errorf("%w: %s: attribute %q: the log alone sets it", ErrInvalid, clip(e.Action), SeqKey)
		}
	}
	return nil
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

func indexOf(names []string, b []byte, what string) (int, error) {
	for i, name := range names {
		if string(b) == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: unknown %s %q", ErrInvalid, what, clip(string(b)))
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
