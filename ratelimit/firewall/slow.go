package firewall

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// ErrSlow says that a client sent or read too slowly. It is what the handler's
// read or write ends with.
var ErrSlow = errors.New("firewall: the client is too slow")

// SlowOptions are the options of [SlowClients].
type SlowOptions struct {
	// Stall is how long nothing may move, 100 ms to 10 min; 0 is 10 s.
	Stall time.Duration
	// Rate is how many bytes a second a body must bring on average, 1 to
	// 1 MiB; 0 is 500.
	Rate int
	// Grace is how long a body may take before its rate counts, 100 ms to
	// 10 min; 0 is 10 s.
	Grace time.Duration
}

// SlowClients returns a handler that ends connections of clients that send
// their bodies, or read their responses, too slowly: attackers hold servers
// with a byte now and then (Slowloris, R-U-Dead-Yet), which every timeout
// between two bytes lets through and none for the whole request can tell from
// a large upload. Headers are bounded by http.Server.ReadHeaderTimeout, which
// must be set.
//
// It is plain middleware, outermost before a chain. The server's writer must
// know deadlines, as net/http's do for HTTP/1.1 and HTTP/2; with any other
// a request is answered 500.
func SlowClients(next http.Handler, o SlowOptions) (http.Handler, error) {
	if o.Stall == 0 {
		o.Stall = 10 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Rate == 0 {
		o.Rate = 500
	}
	switch {
	case next == nil:
		return nil, errors.New("firewall: SlowClients needs a handler")
	case o.Stall < 100*time.Millisecond || o.Stall > 10*time.Minute:
		return nil, fmt.Errorf("firewall: SlowOptions.Stall is %v, want 100ms to 10m", o.Stall)
	case o.Grace < 100*time.Millisecond || o.Grace > 10*time.Minute:
		return nil, fmt.Errorf("firewall: SlowOptions.Grace is %v, want 100ms to 10m", o.Grace)
	case o.Rate < 1 || o.Rate > 1<<20:
		return nil, fmt.Errorf("firewall: SlowOptions.Rate is %d bytes a second, want 1 to 1048576", o.Rate)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.SetWriteDeadline(time.Time{}); err != nil {
			http.Error(w, "The server can't bound slow clients.", http.StatusInternalServerError)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &slowBody{ReadCloser: r.Body, c: c, o: o, began: time.Now()}
		}
		next.ServeHTTP(&slowWriter{w, c, o.Stall}, r)
	}), nil
}

// slowBody is a body whose sender has to keep up.
type slowBody struct {
	io.ReadCloser
	c     *http.ResponseController
	o     SlowOptions
	began time.Time
	n     int64
	err   error
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if err := b.c.SetReadDeadline(b.deadline(time.Now())); err != nil {
		return 0, fmt.Errorf("firewall: body: %w", err)
	}
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	_ = b.c.SetReadDeadline(time.Time{}) // it could be set, so it can be lifted
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.err = ErrSlow
		return n, b.err
	}
	return n, err
}

// deadline is when the next byte has to be there: soon, and early enough for
// the rate.
func (b *slowBody) deadline(now time.Time) time.Time {
	stalled := now.Add(b.o.Stall)
	due := b.began.Add(b.o.Grace + time.Duration(b.n)*time.Second/time.Duration(b.o.Rate))
	if due.Before(stalled) {
		return due
	}
	return stalled
}

// slowWriter is a response whose reader has to keep up.
type slowWriter struct {
	http.ResponseWriter
	c     *http.ResponseController
	stall time.Duration
}

// Unwrap lets http.ResponseController reach the server's writer.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written, as streams need it.
func (w *slowWriter) Flush() {
	w.begin()
	_ = w.c.Flush() // the next Write tells
	w.end()
}

// begin and end bound one write. Between writes there is no deadline: HTTP/2
// would end a stream that is only quiet.
func (w *slowWriter) begin() { _ = w.c.SetWriteDeadline(time.Now().Add(w.stall)) }
func (w *slowWriter) end()   { _ = w.c.SetWriteDeadline(time.Time{}) }

// Write writes in pieces, each of which has its time.
func (w *slowWriter) Write(p []byte) (n int, err error) {
	const piece = 64 << 10
	for {
		w.begin()
		m, err := w.ResponseWriter.Write(p[:min(len(p), piece)])
		w.end()
		n += m
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return n, ErrSlow
		}
		if p = p[m:]; err != nil || len(p) == 0 {
			return n, err
		}
	}
}
