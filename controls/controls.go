package controls

import (
	"context"
	"errors"
	"fmt"
)

// A Component enforces controls. Everything that decides about requests or
// data in production is a Component, so that an application can list what it
// has mounted and run the probes of exactly those objects.
type Component interface {
	// Controls lists the controls this object enforces with the parameters in
	// force now. The slice is the caller's to keep.
	Controls() []Control
}

// A Control is one enforced promise of one live object.
type Control struct {
	// ID is the catalogue's key: dot-separated lower-case words, the first
	// being the package family, such as "authn.session".
	ID string
	// Instance tells two objects with the same ID apart, such as the name of
	// a limiter. It may be empty when there is only one.
	Instance string
	// Parameters are the values in force, in a fixed order.
	Parameters []Parameter
	// Probe tries the control on the live object. A control without a probe
	// is inconclusive for ever.
	Probe func(context.Context) Result
}

// ErrInvalid is returned by [Control.Validate], wrapped with the field that
// is wrong.
var ErrInvalid = errors.New("controls: invalid control")

// Key is the control's ID, followed by "/" and the instance when there is one.
func (c Control) Key() string {
	if c.Instance == "" {
		return c.ID
	}
	return c.ID + "/" + c.Instance
}

// Validate reports whether the control can stand in evidence: a well-formed
// ID of two to six words and at most 96 bytes, and named, unrepeated
// parameters.
func (c Control) Validate() error {
	if !ValidID(c.ID) {
		return fmt.Errorf("%w: ID %q: want two to six lower-case words joined by dots, at most 96 bytes", ErrInvalid, clip(c.ID))
	}
	seen := make(map[string]bool, len(c.Parameters))
	for _, p := range c.Parameters {
		if p.Name == "" || seen[p.Name] {
			return fmt.Errorf("%w: %s: parameter name %q is empty or repeated", ErrInvalid, c.ID, clip(p.Name))
		}
		seen[p.Name] = true
	}
	return nil
}

// Run runs the probe and never panics: a panic is an [Error] result, a missing
// probe is [Inconclusive], and a context that ended before the probe decided
// is an [Error] too, because nothing was learned about the control.
func (c Control) Run(ctx context.Context) (r Result) {
	if c.Probe == nil {
		return Result{Observed: "the control has no probe"}
	}
	defer func() {
		if p := recover(); p != nil {
			r = Errored("the probe panicked: %v", p)
		}
	}()
	r = c.Probe(ctx)
	if r.State == Inconclusive && ctx.Err() != nil {
		return Errored("the probe was cut short: %v", context.Cause(ctx))
	}
	return r
}

// ValidID reports whether s can be a control ID or an audit action: two to
// six words of a-z, 0-9, "-" and "_", each starting with a letter, joined by
// dots, at most 96 bytes.
func ValidID(s string) bool {
	if len(s) > 96 {
		return false
	}
	words, start := 1, true
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z':
			start = false
		case start:
			return false
		case c == '.':
			words++
			start = true
		case c >= '0' && c <= '9' || c == '-' || c == '_':
		default:
			return false
		}
	}
	return !start && words >= 2 && words <= 6
}

// clip shortens hostile or mistaken names before they enter a message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
