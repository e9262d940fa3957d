package guard

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"
)

// readmitEvery is how often guards that watch streams are asked again.
const readmitEvery = time.Second

// HTTP returns a handler that lets admitted requests through to next. Inside
// another chain it joins that chain's call, so that there is one call, one
// outcome and one audit event per request.
func (c *Chain) HTTP(next http.Handler) http.Handler {
	return &httpHandler{chain: c, next: next}
}

// Alone returns a handler with a single guard before it, for applications
// that adopt one control. If the guard is not valid, the handler refuses
// every request.
func Alone(g Guard, next http.Handler) http.Handler {
	c, err := New(g)
	if err != nil {
		c = &Chain{guards: []Guard{broken{err}}}
	}
	return c.HTTP(next)
}

type httpHandler struct {
	chain  *Chain
	next   http.Handler
	action string // of the route, when there is one
	op     string
	stream bool
}

func (h *httpHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if call := CallFrom(r.Context()); call != nil && answers(w, call) {
		h.join(w, r, call)
		return
	}
	x := newExchange(w, r, h)
	ctx := context.Context(&x.ctx)
	var inner *http.Request
	returned := false
	defer func() {
		// A panic passes through, after the call is finished; net/http logs
		// it and closes the connection. Goexit looks the same but for the value.
		p := recover()
		x.finish(ctx, p, !returned)
		if inner != nil {
			// net/http and middleware outside look at their own request: it
			// gets the pattern, and the form whose files must be removed.
			r.Pattern, r.MultipartForm = inner.Pattern, inner.MultipartForm
		}
		if p != nil {
			panic(p)
		}
	}()
	ctx, err := h.chain.Admit(ctx, &x.call)
	if err != nil {
		x.refuse(ctx, err)
		returned = true
		return
	}
	x.admitted = ctx
	if h.stream && h.chain.Readmits() {
		var stop func()
		ctx, stop = x.watch(ctx, h.chain)
		defer stop()
	}
	inner = r.WithContext(ctx)
	h.next.ServeHTTP((*writer)(x), inner)
	x.end()
	returned = true
}

// answers reports whether w writes the call's response. A request made inside
// a handler, under its context and with a writer of its own, such as a probe's,
// is another call.
func answers(w http.ResponseWriter, call *Call) bool {
	for {
		switch v := w.(type) {
		case *writer:
			return &v.call == call
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
}

// join serves a request that an outer chain has begun.
func (h *httpHandler) join(w http.ResponseWriter, r *http.Request, call *Call) {
	ctx, err := h.chain.Admit(r.Context(), call)
	if err != nil {
		writeRefusal(w, r, call, call.Refuse(ctx, err))
		return
	}
	if ctx == r.Context() {
		h.next.ServeHTTP(w, r)
		return
	}
	inner := r.WithContext(ctx)
	defer func() { r.Pattern, r.MultipartForm = inner.Pattern, inner.MultipartForm }()
	h.next.ServeHTTP(w, inner)
}

func newExchange(w http.ResponseWriter, r *http.Request, h *httpHandler) *exchange {
	x := &exchange{w: w, r: r, start: time.Now()}
	x.ctx = callContext{r.Context(), &x.call}
	x.admitted = &x.ctx
	remote := remoteAddr(r.RemoteAddr)
	x.call = Call{
		Operation: h.op, Action: h.action, Stream: h.stream,
		Remote: remote, Client: remote, TLS: r.TLS, Request: r, Transport: (*transport)(x),
	}
	if h.op == "" {
		x.call.Operation = r.Pattern
	}
	return x
}

// remoteAddr reads net/http's RemoteAddr. A Unix socket has no address.
func remoteAddr(s string) netip.Addr {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// errRevoked is the cause of a stream's context when a guard withdrew.
var errRevoked = errors.New("guard: admission withdrawn")

// watch asks the readmitters every second until stop is called. When one
// refuses, it cancels the context and lets the connection's deadlines pass,
// so that a handler blocked on either side comes back.
func (x *exchange) watch(ctx context.Context, chain *Chain) (context.Context, func()) {
	watched, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(readmitEvery)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
			}
			if err := chain.Readmit(watched, &x.call); err != nil && watched.Err() == nil {
				x.revoked.Store(&err)
				cancel(errors.Join(errRevoked, err))
				rc := http.NewResponseController(x.w)
				rc.SetReadDeadline(time.Now())  //nolint:errcheck // a transport without deadlines has the context
				rc.SetWriteDeadline(time.Now()) //nolint:errcheck // likewise
				return
			}
		}
	}()
	return watched, func() {
		cancel(nil)
		<-done
	}
}
