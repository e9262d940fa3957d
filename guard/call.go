package guard

import (
	"context"
	"crypto/tls"
	"html/template"
	"net/http"
	"net/netip"

	"github.com/surety-go/surety/auditlog"
)

// A Call is one request as controls see it, whatever the transport. It
// belongs to the goroutine that serves the request.
type Call struct {
	// Operation is the route's pattern or the full gRPC method. It is bounded
	// by the routes of the program and empty for an unknown path, so it may
	// be a metric's label.
	Operation string
	// Action is the route's name, the same on every transport.
	Action string
	// Remote is the peer of the connection; the zero Addr when it has none.
	Remote netip.Addr
	// Client is the caller's address: Remote, until guard/clientip knows better.
	Client netip.Addr
	// TLS is the state of the connection, or nil.
	TLS *tls.ConnectionState
	// Actor is who is calling. Guards of phase Identify set it.
	Actor auditlog.Actor
	// Event is what the audit guard will record about this call: handlers and
	// guards add targets, attributes and a reason.
	Event auditlog.Event
	// Request is the *http.Request or the gRPC request message; nil on gRPC
	// streams.
	Request any
	// Stream says that the route is a stream.
	Stream bool
	Transport

	phase  Phase
	denied error
	page   *template.Template // for refusals; see Pages
	before []func(context.Context, Outcome) error
	finish []func(context.Context, Outcome)

	// Room for the hooks that most calls have.
	beforeRoom [2]func(context.Context, Outcome) error
	finishRoom [2]func(context.Context, Outcome)
}

// A Transport is what a call's protocol offers to guards.
type Transport interface {
	// Header returns the values of a request header, or of the metadata key,
	// in order of arrival. The name's case does not matter.
	Header(name string) []string
	// SetHeader sets a response header. After the response's first byte it
	// has no effect.
	SetHeader(name, value string)
	// AddHeader adds a value to a response header.
	AddHeader(name, value string)
	// Param returns a value of the route's pattern, or the request message's
	// field of that name; empty when there is none.
	Param(name string) string
}

// BeforeResponse registers f to run once, before the response's first byte
// leaves; the function registered last runs first. If f returns an error, the
// response is replaced by a 503 and functions that run after f see that
// outcome.
func (c *Call) BeforeResponse(f func(context.Context, Outcome) error) {
	if c.before == nil {
		c.before = c.beforeRoom[:0]
	}
	c.before = append(c.before, f)
}

// OnFinish registers f to run once, when the call is over; the function
// registered last runs first. Its context is never cancelled.
func (c *Call) OnFinish(f func(context.Context, Outcome)) {
	if c.finish == nil {
		c.finish = c.finishRoom[:0]
	}
	c.finish = append(c.finish, f)
}

// Target adds a target to the call's audit event.
func (c *Call) Target(kind, id string) {
	c.Event.Targets = append(c.Event.Targets, auditlog.Target{Type: kind, ID: id})
}

// Attr adds attributes to the call's audit event.
func (c *Call) Attr(attrs ...auditlog.Attr) { c.Event.Attrs = append(c.Event.Attrs, attrs...) }

// Release runs the functions registered with [Call.BeforeResponse]. Adapters
// call it once they know the response's status and before they send it; when
// it returns an error they send that instead.
func (c *Call) Release(ctx context.Context, o Outcome) error {
	if len(c.before) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	var failed error
	for len(c.before) > 0 {
		last := len(c.before) - 1
		f := c.before[last]
		c.before = c.before[:last]
		if err := f(ctx, o); err != nil && failed == nil {
			failed = err
			o = c.outcome(ctx, err)
		}
	}
	return failed
}

// Finish runs the functions registered with [Call.OnFinish]. Adapters call it
// once, last.
func (c *Call) Finish(ctx context.Context, o Outcome) {
	if len(c.finish) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for len(c.finish) > 0 {
		last := len(c.finish) - 1
		f := c.finish[last]
		c.finish = c.finish[:last]
		f(ctx, o)
	}
}

// Refuse notes that the call ends with err and returns the outcome to answer
// with. Adapters call it when Admit, Readmit or Release returned an error.
func (c *Call) Refuse(ctx context.Context, err error) Outcome {
	c.denied = err
	return c.outcome(ctx, err)
}

// Refused returns the error the call was refused with, if it was.
func (c *Call) Refused() error { return c.denied }

func (c *Call) outcome(ctx context.Context, err error) Outcome {
	o := OutcomeOf(ctx, err)
	o.Phase = c.phase
	return o
}

type callKey struct{}

// A callContext carries the call, and answers for its actor, without one
// allocation for each.
type callContext struct {
	context.Context
	call *Call
}

func (c *callContext) Value(key any) any {
	switch key.(type) {
	case callKey:
		return c.call
	case auditlog.ActorKey:
		if !c.call.Actor.IsZero() {
			return &c.call.Actor
		}
	}
	return c.Context.Value(key)
}

// WithCall returns a context that carries the call. Adapters call it before
// Admit.
func WithCall(ctx context.Context, call *Call) context.Context { return &callContext{ctx, call} }

// CallFrom returns the context's call, or nil outside a guarded request.
func CallFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Synthetic makes a call that no one sent: probes drive guards with it. Its
// actor is of kind [auditlog.Probe], so that what it causes can be told apart
// in the log. The header may be nil.
func Synthetic(operation, action string, header http.Header) *Call {
	return &Call{
		Operation: operation,
		Action:    action,
		Actor:     auditlog.Actor{ID: "probe", Kind: auditlog.Probe},
		Transport: &syntheticTransport{request: header, response: make(http.Header)},
	}
}

type syntheticTransport struct{ request, response http.Header }

func (t *syntheticTransport) Header(name string) []string  { return t.request.Values(name) }
func (t *syntheticTransport) SetHeader(name, value string) { t.response.Set(name, value) }
func (t *syntheticTransport) AddHeader(name, value string) { t.response.Add(name, value) }
func (t *syntheticTransport) Param(string) string          { return "" }
