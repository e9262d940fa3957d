package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// errReplaced answers a handler's writes after its response was replaced.
var errReplaced = errors.New("guard: the response was replaced by a refusal")

// An exchange is one HTTP request on its way through a chain: the call, its
// transport and the response writer in one allocation.
type exchange struct {
	call     Call
	ctx      callContext
	admitted context.Context // the context after the last guard that admitted
	w        http.ResponseWriter
	r        *http.Request
	start    time.Time
	status   int // of the response, 0 before it is decided
	bytes    int64
	err      error // of a refusal, or of a hook before the response
	replaced bool
	revoked  atomic.Pointer[error] // set beside the handler, on streams
}

// release decides the response's status and runs the hooks before it leaves.
// It reports whether the handler's response may go out.
func (x *exchange) release(status int) bool {
	if x.status != 0 {
		return !x.replaced
	}
	x.status = status
	if err := x.call.Release(x.admitted, x.outcome()); err != nil {
		x.replaced = true
		o := x.call.Refuse(x.admitted, err)
		x.err, x.status = err, o.Status
		clear(x.w.Header()) // cookies and a length that belong to another answer
		writeRefusal(x.w, x.r, &x.call, o)
	}
	return !x.replaced
}

// refuse answers a request that a guard did not admit.
func (x *exchange) refuse(ctx context.Context, err error) {
	x.admitted = ctx
	x.err = err
	o := x.call.Refuse(ctx, err)
	if x.release(o.Status) {
		writeRefusal(x.w, x.r, &x.call, o)
	}
}

// end releases the response of a handler that returned without writing: an
// empty 200, unless the reason for its silence is that the caller has gone.
func (x *exchange) end() {
	if gone := x.r.Context().Err(); gone != nil && x.status == 0 {
		x.err = gone
		x.release(StatusClientClosed)
		return
	}
	x.release(http.StatusOK)
}

// outcome is what is known of the response now.
func (x *exchange) outcome() Outcome {
	var o Outcome
	switch err := x.err; {
	case err != nil:
		o = x.call.outcome(x.admitted, err)
	case x.call.denied != nil:
		o = x.call.outcome(x.admitted, x.call.denied)
	default:
		o = Outcome{Code: codeOf(x.status), Status: x.status}
	}
	o.Bytes, o.Elapsed = x.bytes, time.Since(x.start)
	return o
}

// finish ends the call, however it went.
func (x *exchange) finish(ctx context.Context, panicked any, unwound bool) {
	if err := x.revoked.Load(); err != nil {
		x.err = *err
	}
	o := x.outcome()
	if unwound {
		o.Code, o.Panic = Internal, panicked
		if o.Panic == nil {
			o.Panic = errors.New("guard: the handler's goroutine was ended")
		}
		if x.status == 0 {
			o.Status = http.StatusInternalServerError
		}
	}
	x.call.Finish(ctx, o)
}

// writer is the exchange as the handler's ResponseWriter.
type writer exchange

func (w *writer) x() *exchange { return (*exchange)(w) }

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.w }

func (w *writer) Header() http.Header { return w.w.Header() }

func (w *writer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if w.status == 0 {
			w.w.WriteHeader(status) // informational: the response is still to come
		}
		return
	}
	if w.status != 0 {
		if !w.replaced {
			w.w.WriteHeader(status) // net/http logs the superfluous call
		}
		return
	}
	if w.x().release(status) {
		w.w.WriteHeader(status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if !w.x().release(http.StatusOK) {
		return 0, errReplaced
	}
	n, err := w.w.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *writer) WriteString(s string) (int, error) {
	if !w.x().release(http.StatusOK) {
		return 0, errReplaced
	}
	n, err := io.WriteString(w.w, s)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom keeps net/http's sendfile.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if !w.x().release(http.StatusOK) {
		return 0, errReplaced
	}
	n, err := io.Copy(w.w, src)
	w.bytes += n
	return n, err
}

func (w *writer) Flush() {
	_ = w.FlushError() // http.Flusher has nowhere to report it
}

func (w *writer) FlushError() error {
	if !w.x().release(http.StatusOK) {
		return errReplaced
	}
	return http.NewResponseController(w.w).Flush()
}

// Hijack hands the connection over; what happens on it afterwards is the
// handler's business.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.x().release(http.StatusSwitchingProtocols) {
		return nil, nil, errReplaced
	}
	conn, rw, err := http.NewResponseController(w.w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("guard: hijack: %w", err)
	}
	return conn, rw, nil
}

// transport is the exchange as the call's Transport.
type transport exchange

func (t *transport) Header(name string) []string  { return t.r.Header.Values(name) }
func (t *transport) SetHeader(name, value string) { t.w.Header().Set(name, value) }
func (t *transport) AddHeader(name, value string) { t.w.Header().Add(name, value) }
func (t *transport) Param(name string) string     { return t.r.PathValue(name) }
