package guard

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// largeBody is the size from which a response's end is an event of its own.
const largeBody = 64 << 10

// Audit returns the guard that records every call, outermost. The event is
// recorded after the handler has decided and before the first byte of its
// response leaves: when it can't be recorded, the caller gets a 503 and not
// an acknowledgement of something that left no trace.
//
// The event has the call's action, actor, targets and outcome, the operation,
// the status, the time taken so far and the caller's network (the first 24
// bits of an IPv4 address, 48 of an IPv6 one; a full address is personal
// data). Handlers add to it through [Call.Event], with attributes of other
// names than call, operation, status, elapsed, bytes, network and end. Headers, queries and bodies
// are never recorded. When the response is a stream, is larger than 64 KiB,
// or ends in a panic after it began, a second event with the same "call"
// attribute tells its end and its size.
func Audit(rec auditlog.Recorder) *Auditor { return &Auditor{rec: rec} }

// An Auditor is the guard made by [Audit].
type Auditor struct{ rec auditlog.Recorder }

// Phase returns [Observe].
func (a *Auditor) Phase() Phase { return Observe }

// Validate reports a missing recorder.
func (a *Auditor) Validate() error {
	if a == nil || a.rec == nil {
		return errors.New("guard.Audit needs a recorder")
	}
	return nil
}

// Controls describes the auditing of calls. Its probe sends a synthetic call
// through the recorder.
func (a *Auditor) Controls() []controls.Control {
	return []controls.Control{{
		ID: "guard.audit",
		Parameters: []controls.Parameter{
			controls.Text("recorded_before", "response"),
			controls.Int("client_prefix_ipv4", 24),
			controls.Int("client_prefix_ipv6", 48),
			controls.Bytes("second_event_from", largeBody),
		},
		Probe: a.probe,
	}}
}

func (a *Auditor) probe(ctx context.Context) controls.Result {
	call := Synthetic("guard.audit", "guard.probe", nil)
	ctx, err := a.Admit(WithCall(ctx, call), call)
	if err == nil {
		err = call.Release(ctx, Outcome{Status: 200})
	}
	if err != nil {
		return controls.Failed("a synthetic call could not be recorded: %v", err)
	}
	call.Finish(ctx, Outcome{Status: 200})
	return controls.Passed("a synthetic call was recorded before its response")
}

// Admit arranges for the call to be recorded.
func (a *Auditor) Admit(ctx context.Context, call *Call) (context.Context, error) {
	r := &recording{rec: a.rec, call: call, start: time.Now()}
	call.BeforeResponse(r.before)
	call.OnFinish(r.finish)
	return ctx, nil
}

// A recording is the audit of one call.
type recording struct {
	rec      auditlog.Recorder
	call     *Call
	start    time.Time
	id       string // joins the two events of one call
	recorded bool
}

func (r *recording) before(ctx context.Context, o Outcome) error {
	r.recorded = true
	o.Bytes = 0 // none has left
	if err := r.rec.Record(ctx, r.event(o)); err != nil {
		return fmt.Errorf("guard: audit %s: %w", r.call.Action, err)
	}
	return nil
}

// finish records what before could not see. Its errors have nowhere to go:
// the recorder counts them.
func (r *recording) finish(ctx context.Context, o Outcome) {
	switch {
	case !r.recorded:
		_ = r.rec.Record(ctx, r.event(o))
	case r.call.Stream || o.Bytes > largeBody || o.Panic != nil:
		ev := r.event(o)
		ev.Attrs = append(ev.Attrs, auditlog.Bool("end", true))
		_ = r.rec.Record(ctx, ev)
	}
}

func (r *recording) event(o Outcome) auditlog.Event {
	ev := r.call.Event
	if ev.Action == "" {
		ev.Action = r.call.Action
	}
	if ev.Action == "" {
		ev.Action = "guard.call"
	}
	ev.Outcome = o.Result()
	if ev.Actor.IsZero() {
		ev.Actor = r.call.Actor
	}
	if ev.Reason == "" {
		ev.Reason = reason(o)
	}
	if r.id == "" {
		r.id = callID()
	}
	attrs := make([]auditlog.Attr, 0, len(ev.Attrs)+7) // the call keeps its own
	attrs = append(append(attrs, ev.Attrs...),
		auditlog.String("call", r.id),
		auditlog.String("operation", r.call.Operation),
		auditlog.Int("status", o.Status),
		auditlog.Duration("elapsed", time.Since(r.start)))
	if o.Bytes > 0 {
		attrs = append(attrs, auditlog.Int("bytes", o.Bytes))
	}
	if net := network(r.call.Client); net != "" {
		attrs = append(attrs, auditlog.String("network", net))
	}
	ev.Attrs = attrs
	return ev
}

// reason is the code for why a call did not succeed.
func reason(o Outcome) string {
	switch {
	case o.Panic != nil:
		return "guard.panic"
	case o.Denial != nil:
		return o.Denial.Control
	case o.Code == Canceled:
		return "guard.cancelled"
	case o.Err != nil:
		return "guard.undecided"
	}
	return ""
}

// network is the address without the bits that tell one caller from another.
func network(a netip.Addr) string {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	var room [64]byte
	return string(p.AppendTo(room[:0]))
}

// callID joins events of one call; it guards nothing, so it need not be
// unpredictable.
func callID() string {
	var b [8]byte
	v := rand.Uint64()
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return hex.EncodeToString(b[:])
}
