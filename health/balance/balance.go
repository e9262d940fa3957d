// Package balance spreads requests over several endpoints of one service and
// goes around those that fail.
//
//	b, err := balance.New(endpoints, log, balance.Options{})
//	client := &http.Client{Transport: b}
//	resp, err := client.Get("http://records.internal/files")   // the host is replaced
//
// Of two endpoints picked at random the less loaded one gets the request
// (power of two choices), by the peak-sensitive average of its latency times
// the requests it is serving. An endpoint that fails several times in a row is
// left alone for a while that doubles each time; one request then tries it
// again. At most half of the endpoints are left alone at once: when more seem
// dead, it is more likely that something else is wrong, and all are tried.
//
// A request is sent again to another endpoint only if its method is
// idempotent (RFC 9110, 9.2.2), its body can be read again, and no response
// came. A response, whatever its status, is the caller's; 502, 503 and 504
// count as failures of the endpoint.
package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// Options are the options of a [Balancer].
type Options struct {
	// Transport sends the requests; nil is a clone of http.DefaultTransport.
	Transport http.RoundTripper
	// Failures is how many failures in a row eject an endpoint; 0 is 2.
	Failures int
	// Eject is how long an endpoint is left alone the first time; 0 is 1 s.
	// It doubles up to 32 times that.
	Eject time.Duration
	// Tries is how many endpoints a repeatable request is sent to at most; 0
	// is 2.
	Tries int
}

// A Balancer is an http.RoundTripper over several endpoints.
type Balancer struct {
	o         Options
	rec       auditlog.Recorder
	endpoints []*endpoint
	start     time.Time
}

type endpoint struct {
	url      *url.URL
	inflight atomic.Int64
	latency  atomic.Int64 // nanoseconds, weighted towards peaks
	sampled  atomic.Int64 // when latency was observed, nanoseconds since start
	failures atomic.Int32 // in a row
	ejected  atomic.Int32 // how often in a row
	until    atomic.Int64 // nanoseconds since start until which it is left alone
}

// New makes a balancer over endpoints: scheme and host, without path. State
// changes are recorded; they are news for operators and never hold up a
// request.
func New(endpoints []*url.URL, rec auditlog.Recorder, o Options) (*Balancer, error) {
	if len(endpoints) == 0 || rec == nil {
		return nil, errors.New("balance: New needs endpoints and a recorder")
	}
	if o.Transport == nil {
		t, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, errors.New("balance: http.DefaultTransport was replaced: set Options.Transport")
		}
		o.Transport = t.Clone()
	}
	if o.Failures == 0 {
		o.Failures = 2
	}
	if o.Eject == 0 {
		o.Eject = time.Second
	}
	if o.Tries == 0 {
		o.Tries = 2
	}
	if o.Failures < 0 || o.Eject < 0 || o.Tries < 0 {
		return nil, errors.New("balance: Failures, Eject and Tries must not be negative")
	}
	b := &Balancer{o: o, rec: rec, start: time.Now()}
	for i, u := range endpoints {
		if u == nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.User != nil {
			return nil, fmt.Errorf("balance: endpoint %d: want http://host or https://host", i)
		}
		b.endpoints = append(b.endpoints, &endpoint{url: u})
	}
	return b, nil
}

// RoundTrip sends a request to an endpoint.
func (b *Balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	tries := 1
	if repeatable(r) {
		tries = min(b.o.Tries, len(b.endpoints))
	}
	var errs []error
	var last *endpoint
	for range tries {
		e := b.pick(last)
		last = e
		resp, err := b.send(e, r)
		if err == nil {
			return resp, nil
		}
		errs = append(errs, fmt.Errorf("balance: %s: %w", e.url.Host, err))
		if r.Context().Err() != nil {
			break // the caller gave up: that is no reason to try another
		}
	}
	if r.Body != nil {
		_ = r.Body.Close() // a RoundTripper closes the body, also on errors
	}
	return nil, errors.Join(errs...)
}

func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
	}
	return false
}

// pick chooses the better of two random endpoints that are not left alone,
// another one than the last if there is one.
func (b *Balancer) pick(last *endpoint) *endpoint {
	now := time.Since(b.start).Nanoseconds()
	var out int
	for _, e := range b.endpoints {
		if e.until.Load() > now {
			out++
		}
	}
	panicking := out*2 > len(b.endpoints)
	var best *endpoint
	seen := 0
	first := rand.IntN(len(b.endpoints))
	for i := range b.endpoints {
		e := b.endpoints[(first+i)%len(b.endpoints)]
		if e == last && len(b.endpoints) > 1 || !panicking && e.until.Load() > now {
			continue
		}
		if best == nil || e.load(now) < best.load(now) {
			best = e
		}
		if seen++; seen == 2 {
			break
		}
	}
	if best == nil { // all but the last are left alone
		return b.endpoints[first]
	}
	return best
}

// load is what a request to the endpoint costs: its latency in milliseconds,
// so that noise decides nothing, times how many it is serving. What was
// observed long ago counts half as much with every second: an endpoint that
// was slow once is tried again.
func (e *endpoint) load(now int64) int64 {
	age := min(max(now-e.sampled.Load(), 0)/int64(time.Second), 62)
	return (e.latency.Load()>>age/int64(time.Millisecond) + 1) * (e.inflight.Load() + 1)
}

func (b *Balancer) send(e *endpoint, r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = e.url.Scheme, e.url.Host
	out.Host = r.Host
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	e.inflight.Add(1)
	start := time.Now()
	resp, err := b.o.Transport.RoundTrip(out)
	e.observe(time.Since(start), time.Since(b.start))
	switch {
	case err != nil && r.Context().Err() != nil:
		e.inflight.Add(-1)
		return nil, err // cancelled by the caller: says nothing of the endpoint
	case err != nil:
		e.inflight.Add(-1)
		b.failed(r.Context(), e)
		return nil, err
	case resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout:
		b.failed(r.Context(), e)
	default:
		b.succeeded(r.Context(), e)
	}
	resp.Body = &tracked{resp.Body, e, atomic.Bool{}}
	return resp, nil
}

// observe follows rising latency at once and falling latency slowly, so that
// an endpoint that stalls is noticed by its first slow answer.
func (e *endpoint) observe(d, at time.Duration) {
	e.sampled.Store(at.Nanoseconds())
	old := e.latency.Load()
	n := d.Nanoseconds()
	if n < old {
		n = old - (old-n)/8
	}
	e.latency.Store(n) // a lost update between requests is only a lost sample
}

func (b *Balancer) failed(ctx context.Context, e *endpoint) {
	if e.failures.Add(1) < int32(b.o.Failures) { //nolint:gosec // a small setting
		return
	}
	times := min(e.ejected.Add(1), 6)
	e.until.Store(time.Since(b.start).Nanoseconds() + b.o.Eject.Nanoseconds()<<(times-1))
	e.failures.Store(int32(b.o.Failures) - 1) //nolint:gosec // likewise: one more failure ejects again
	if times == 1 {
		b.record(ctx, e, "health.balance.eject", auditlog.Failed)
	}
}

func (b *Balancer) succeeded(ctx context.Context, e *endpoint) {
	e.failures.Store(0)
	if e.ejected.Swap(0) > 0 {
		e.until.Store(0)
		b.record(ctx, e, "health.balance.recover", auditlog.Success)
	}
}

// record tells of a change. Its error is dropped: the request goes on.
func (b *Balancer) record(ctx context.Context, e *endpoint, action string, o auditlog.Outcome) {
	_ = b.rec.Record(context.WithoutCancel(ctx), auditlog.Event{
		Action: action, Outcome: o, Actor: auditlog.Actor{ID: "balancer", Kind: auditlog.System},
		Targets: []auditlog.Target{{Type: "endpoint", ID: e.url.Host}},
	})
}

// tracked counts a request as being served until its body is closed.
type tracked struct {
	io.ReadCloser
	e    *endpoint
	done atomic.Bool
}

func (t *tracked) Close() error {
	if !t.done.Swap(true) {
		t.e.inflight.Add(-1)
	}
	return t.ReadCloser.Close()
}

// Available returns how many endpoints are not left alone now.
func (b *Balancer) Available() int {
	now, n := time.Since(b.start).Nanoseconds(), 0
	for _, e := range b.endpoints {
		if e.until.Load() <= now {
			n++
		}
	}
	return n
}

// Controls describes the balancer. The probe counts the endpoints that take
// requests: with fewer than two, the next failure is an outage.
func (b *Balancer) Controls() []controls.Control {
	return []controls.Control{{
		ID: "health.balance",
		Parameters: []controls.Parameter{
			controls.Int("endpoints", len(b.endpoints)), controls.Int("failures", b.o.Failures), controls.Duration("eject", b.o.Eject),
		},
		Probe: func(context.Context) controls.Result {
			switch n := b.Available(); {
			case n == 0:
				return controls.Failed("none of %d endpoints takes requests", len(b.endpoints))
			case n < 2:
				return controls.Failed("%d of %d endpoints takes requests: there is nowhere to fail over to", n, len(b.endpoints))
			default:
				return controls.Passed("%d of %d endpoints take requests", n, len(b.endpoints))
			}
		},
	}}
}
