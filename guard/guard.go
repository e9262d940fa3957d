package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/controls"
)

// A Guard decides whether a call may proceed.
//
// A guard made by a function without an error result may also have a method
// Validate() error, which [New] asks, so that a mistake in its arguments is
// an error when the chain is built and not a surprise at the first request.
type Guard interface {
	controls.Component
	// Phase says when the guard runs. It never changes for one guard.
	Phase() Phase
	// Admit returns the context for the rest of the call, or an error that
	// ends it: a *Denial, a *Reply, or anything else for "could not decide".
	Admit(ctx context.Context, call *Call) (context.Context, error)
}

// A Readmitter is a Guard whose answer can change while a stream runs.
type Readmitter interface {
	Guard
	// Readmit is called about once a second while a stream runs, beside the
	// handler: it must not change the call. An error ends the stream.
	Readmit(ctx context.Context, call *Call) error
}

// A Phase is a place in the order of guards.
type Phase uint8

// The phases, in the order in which their guards run. The zero Phase is none.
const (
	phaseNone Phase = iota
	Observe         // sees every call and its end: audit, metrics
	Network         // knows the connection only: client address, firewall
	Preflight       // answers what needs no caller: CORS preflight
	Identify        // finds out who is calling
	Limit           // refuses too much from one caller
	Authorise       // decides whether the caller may do this
	Purpose         // decides whether this is done for a permitted purpose
)

var phaseNames = [...]string{"none", "observe", "network", "preflight", "identify", "limit", "authorise", "purpose"}

// String returns the phase's name.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "unknown"
}

// ErrConfig is returned, wrapped with what is wrong, when guards or routes
// can't be put together.
var ErrConfig = errors.New("guard: bad configuration")

// A Chain is a sequence of guards in a sound order. It is safe for concurrent
// use.
type Chain struct {
	guards      []Guard
	readmitters []Readmitter
}

// New makes a chain. Guards must stand in the order of their phases.
func New(guards ...Guard) (*Chain, error) {
	c := &Chain{guards: guards}
	last := phaseNone
	for i, g := range guards {
		if g == nil {
			return nil, fmt.Errorf("%w: guard %d is nil", ErrConfig, i)
		}
		if v, ok := g.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return nil, fmt.Errorf("%w: guard %d: %w", ErrConfig, i, err)
			}
		}
		p := g.Phase()
		if p == phaseNone || p > Purpose {
			return nil, fmt.Errorf("%w: guard %d (%T) has no phase", ErrConfig, i, g)
		}
		if p < last {
			return nil, fmt.Errorf("%w: guard %d (%T) is of phase %v and stands after one of phase %v", ErrConfig, i, g, p, last)
		}
		last = p
		if r, ok := g.(Readmitter); ok {
			c.readmitters = append(c.readmitters, r)
		}
	}
	return c, nil
}

// Controls lists the controls of all guards of the chain.
func (c *Chain) Controls() []controls.Control {
	var list []controls.Control
	for _, g := range c.guards {
		list = append(list, g.Controls()...)
	}
	return list
}

// Admit asks the guards in order and returns the context the handler runs
// under. It stops at the first error. Adapters call it; an application uses
// [Chain.HTTP], [NewMux] or guard/guardgrpc.
func (c *Chain) Admit(ctx context.Context, call *Call) (context.Context, error) {
	for _, g := range c.guards {
		call.phase = g.Phase()
		next, err := g.Admit(ctx, call)
		if err != nil {
			return ctx, err
		}
		if next == nil {
			return ctx, fmt.Errorf("guard: %T admitted the call without a context", g)
		}
		ctx = next
	}
	call.phase = phaseNone
	return ctx, nil
}

// Readmits reports whether the chain has guards to ask again on streams.
func (c *Chain) Readmits() bool { return len(c.readmitters) > 0 }

// Readmit asks the guards that watch streams again.
func (c *Chain) Readmit(ctx context.Context, call *Call) error {
	for _, g := range c.readmitters {
		if err := g.Readmit(ctx, call); err != nil {
			return err
		}
	}
	return nil
}
