package guardgrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/surety-go/surety/guard"
)

// An exchange is one gRPC call on its way through a chain, and the call's
// Transport.
type exchange struct {
	call     guard.Call
	in       metadata.MD
	start    time.Time
	ctx      context.Context // carries the call, before any guard
	unrouted bool
	bytes    atomic.Int64

	mu  sync.Mutex  // on streams, a guard may end the call beside the handler
	out metadata.MD // response headers, until they are sent

	releasing sync.Mutex // held while the hooks before the response run
	released  bool
	failed    ending // set when a hook failed
}

// An ending is how a call ends and the status error its caller gets: nil for
// success, or while it has not ended.
type ending struct {
	outcome guard.Outcome
	answer  error
}

func newExchange(ctx context.Context, r guard.Route, req any) *exchange {
	x := &exchange{start: time.Now(), out: metadata.MD{}}
	x.in, _ = metadata.FromIncomingContext(ctx)
	x.call = guard.Call{Operation: r.Pattern, Action: r.Action, Stream: r.Stream, Request: req, Transport: x}
	if p, ok := peer.FromContext(ctx); ok {
		x.call.Remote = address(p.Addr)
		x.call.Client = x.call.Remote
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			x.call.TLS = &info.State
		}
	}
	x.ctx = guard.WithCall(ctx, &x.call)
	return x
}

func address(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// Header returns the values of a metadata key.
func (x *exchange) Header(name string) []string { return x.in.Get(name) }

// SetHeader sets response metadata.
func (x *exchange) SetHeader(name, value string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.out.Set(name, value)
}

// AddHeader adds response metadata.
func (x *exchange) AddHeader(name, value string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.out.Append(name, value)
}

// Param returns a string, number or boolean field of the request message.
func (x *exchange) Param(name string) string {
	m, ok := x.call.Request.(proto.Message)
	if !ok || m == nil {
		return ""
	}
	r := m.ProtoReflect()
	fd := r.Descriptor().Fields().ByTextName(name)
	if fd == nil || fd.IsList() || fd.IsMap() || fd.Message() != nil || !r.Has(fd) {
		return ""
	}
	return fmt.Sprint(r.Get(fd).Interface())
}

// admit asks the guards. A panic in one is a call that can't be decided.
func (x *exchange) admit(chain *guard.Chain) (ctx context.Context, end ending) {
	ctx = x.ctx
	defer func() {
		if p := recover(); p != nil {
			end = x.panicked(ctx, p)
		}
	}()
	ctx, err := chain.Admit(x.ctx, &x.call)
	if err == nil && x.unrouted {
		err = noRoute()
	}
	if err != nil {
		return ctx, x.refuse(ctx, err)
	}
	return ctx, ending{}
}

// refuse ends the call with a guard's error.
func (x *exchange) refuse(ctx context.Context, err error) ending {
	var reply *guard.Reply
	if errors.As(err, &reply) {
		err = noRoute() // an answer for browsers: there is no such method here
	}
	o := x.call.Refuse(ctx, err)
	if o.Denial != nil {
		for _, c := range o.Denial.Challenge {
			x.AddHeader("www-authenticate", c)
		}
	}
	return ending{o, statusOf(o)}
}

// run runs a handler and tells how it ended. A status of the handler reaches
// the caller as it is; the text of any other error does not, because it was
// not written for callers.
func (x *exchange) run(ctx context.Context, handler func() error) (end ending) {
	defer func() {
		if p := recover(); p != nil {
			end = x.panicked(ctx, p)
		}
	}()
	err := handler()
	var denial *guard.Denial
	switch {
	case err == nil:
		return ending{outcome: guard.Outcome{Code: guard.OK, Status: http.StatusOK}}
	case errors.As(err, &denial):
		return x.refuse(ctx, denial)
	}
	st, ok := status.FromError(err)
	if !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		st, ok = status.FromContextError(err), true
	}
	if !ok {
		st = status.New(st.Code(), "The call failed.")
	}
	code := guard.Code(st.Code())
	return ending{guard.Outcome{Code: code, Status: code.HTTPStatus(), Err: err}, st.Err()}
}

// panicked ends a call whose handler or guard panicked, so that one bad
// request does not end the process and everyone else's calls with it.
func (x *exchange) panicked(ctx context.Context, p any) ending {
	//nolint:sloglint // net/http writes a handler's panic to the default logger too; a stack has no better place
	slog.ErrorContext(ctx, "gRPC call panicked", slog.String("method", x.call.Operation),
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	o := guard.Outcome{Code: guard.Internal, Status: http.StatusInternalServerError, Panic: p}
	return ending{o, statusOf(o)}
}

// count adds a message's size to the bytes of the response.
func (x *exchange) count(msg any) {
	if m, ok := msg.(proto.Message); ok && m != nil {
		x.bytes.Add(int64(proto.Size(m)))
	}
}

// release runs the hooks before the response, once, and hands the guards'
// headers to the transport. It returns how the call ends after that: as end
// says, unless a hook failed.
func (x *exchange) release(ctx context.Context, end ending) ending {
	x.releasing.Lock()
	defer x.releasing.Unlock()
	if !x.released {
		x.released = true
		o := end.outcome
		o.Elapsed = time.Since(x.start)
		if err := x.call.Release(ctx, o); err != nil {
			x.failed = x.refuse(ctx, err)
		} else if err := x.sendHeaders(ctx); err != nil && end.answer == nil && ctx.Err() == nil {
			x.failed = x.refuse(ctx, fmt.Errorf("guardgrpc: response headers: %w", err))
		}
	}
	if x.failed.answer != nil {
		return x.failed
	}
	return end
}

func (x *exchange) sendHeaders(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.out) == 0 {
		return nil
	}
	return grpc.SetHeader(ctx, x.out)
}

// finish ends the call.
func (x *exchange) finish(ctx context.Context, end ending) {
	o := end.outcome
	o.Bytes, o.Elapsed = x.bytes.Load(), time.Since(x.start)
	x.call.Finish(ctx, o)
}
