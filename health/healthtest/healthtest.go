// Package healthtest breaks what lies between a service and its neighbours, so
// that a test can show what the service does then: requests and connections
// that are slow, refused, swallowed, cut off or changed on their way.
//
//	link := healthtest.New(t)
//	client := &http.Client{Transport: link.Transport(http.DefaultTransport)}
//	link.Set(healthtest.Fault{BlackHole: true})
//	… what does the service do? …
//	link.Set(healthtest.Fault{}) // mended
//
// A link is whole when it is made, and is mended when the test ends. Outside of
// tests there is none: New panics in a program that is no test.
package healthtest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// ErrInjected is what a refused or cut-off exchange fails with.
var ErrInjected = errors.New("healthtest: injected fault")

// A Fault is what is wrong with a link. The zero Fault is nothing.
type Fault struct {
	// Delay comes before each request, and before each read and write of a
	// connection.
	Delay time.Duration
	// Drop refuses: requests fail with [ErrInjected], connections are closed.
	Drop bool
	// BlackHole swallows: what is sent gets no answer, until the caller gives
	// up or the link is mended. Connections that exist already are swallowed
	// too, as by a partition of the network.
	BlackHole bool
	// Corrupt changes one bit of each read: of answers, or of what comes in on
	// connections.
	Corrupt bool
}

// A Link is broken and mended by a test. It is safe for concurrent use.
type Link struct {
	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed when the fault changes
}

// New returns a link for a test.
func New(t testing.TB) *Link {
	if !testing.Testing() || t == nil {
		panic("healthtest: faults are for tests")
	}
	l := &Link{changed: make(chan struct{})}
	t.Cleanup(func() { l.Set(Fault{}) })
	return l
}

// Set replaces the fault. What waits because of the old one goes on under the
// new one.
func (l *Link) Set(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Link) now() (Fault, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault, l.changed
}

// pass waits as long as the fault demands. done ends the waiting.
func (l *Link) pass(done <-chan struct{}) (Fault, error) {
	delayed := false
	for {
		f, changed := l.now()
		switch {
		case f.Drop:
			return f, ErrInjected
		case f.BlackHole:
			select {
			case <-changed:
			case <-done:
				return f, context.Canceled
			}
		case f.Delay > 0 && !delayed:
			delayed = true
			select {
			case <-time.After(f.Delay):
			case <-done:
				return f, context.Canceled
			}
		default:
			return f, nil
		}
	}
}

// Transport returns a transport whose requests go over the link.
func (l *Link) Transport(next http.RoundTripper) http.RoundTripper { return transport{l, next} }

type transport struct {
	link *Link
	next http.RoundTripper
}

// RoundTrip sends a request as far as the link lets it.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := t.link.pass(r.Context().Done()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as RoundTrippers must
		}
		if r.Context().Err() != nil {
			err = context.Cause(r.Context())
		}
		return nil, err
	}
	res, err := t.next.RoundTrip(r)
	if err == nil {
		res.Body = &body{t.link, res.Body, r.Context().Done()}
	}
	return res, err
}

// body is an answer's body as it comes over the link.
type body struct {
	link *Link
	io.ReadCloser
	done <-chan struct{}
}

// Read reads as far as the link lets it.
func (b *body) Read(p []byte) (int, error) {
	f, err := b.link.pass(b.done)
	if err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	corrupt(f, p[:n])
	return n, err
}

func corrupt(f Fault, p []byte) {
	if f.Corrupt && len(p) > 0 {
		p[len(p)/2] ^= 1
	}
}

// Listener returns a listener whose connections go over the link. While it is
// dropped or swallowed, new connections are accepted and get no further, as
// behind a firewall.
func (l *Link) Listener(next net.Listener) net.Listener { return listener{next, l} }

type listener struct {
	net.Listener
	link *Link
}

// Accept accepts a connection of the link.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, link: l.link, closed: make(chan struct{})}, nil
}

type conn struct {
	net.Conn
	link   *Link
	once   sync.Once
	closed chan struct{}
}

// pass waits for the link; a dropped one cuts the connection.
func (c *conn) pass() (Fault, error) {
	f, err := c.link.pass(c.closed)
	if errors.Is(err, ErrInjected) {
		_ = c.Close() // it is being cut
	}
	return f, err
}

// Read reads as far as the link lets it.
func (c *conn) Read(p []byte) (int, error) {
	if _, err := c.pass(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if err != nil {
		return n, err
	}
	f, err := c.pass() // what came in meanwhile may be swallowed too
	if err != nil {
		return 0, err
	}
	corrupt(f, p[:n])
	return n, nil
}

// Write writes as far as the link lets it.
func (c *conn) Write(p []byte) (int, error) {
	if _, err := c.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close closes the connection and wakes whatever waits.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
