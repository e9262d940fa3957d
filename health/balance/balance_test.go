package balance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/health/balance"
)

// fleet is a transport to endpoints that can be told to fail or to stall.
type fleet struct {
	mu    sync.Mutex
	down  map[string]bool
	slow  map[string]time.Duration
	code  map[string]int
	seen  map[string]int
	hosts []string
}

func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	host := r.URL.Host
	f.seen[host]++
	f.hosts = append(f.hosts, r.Host)
	down, slow, code := f.down[host], f.slow[host], f.code[host]
	f.mu.Unlock()
	if r.Body != nil {
		_, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if down {
		return nil, errors.New("connection refused")
	}
	if code == 0 {
		code = 200
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(host)), Request: r}, nil
}

func newFleet() *fleet {
	return &fleet{down: map[string]bool{}, slow: map[string]time.Duration{}, code: map[string]int{}, seen: map[string]int{}}
}

func (f *fleet) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	clear(f.seen)
}

func newBalancer(t *testing.T, f *fleet, n int, o balance.Options) (*balance.Balancer, *auditlogtest.Recorder) {
	t.Helper()
	var list []*url.URL
	for i := range n {
		list = append(list, &url.URL{Scheme: "http", Host: fmt.Sprint("e", i)})
	}
	rec := &auditlogtest.Recorder{}
	o.Transport = f
	b, err := balance.New(list, rec, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, rec
}

func send(t *testing.T, b *balance.Balancer, method string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://service/x", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.RoundTrip(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestSpreads(t *testing.T) {
	f := newFleet()
	b, _ := newBalancer(t, f, 3, balance.Options{})
	for range 300 {
		if err := send(t, b, "GET"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if n := f.seen[fmt.Sprint("e", i)]; n < 30 {
			t.Errorf("endpoint %d got %d of 300", i, n)
		}
	}
	if f.hosts[0] != "service" {
		t.Errorf("the Host header became %q", f.hosts[0])
	}
}

func TestGoesAroundADeadEndpointAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		b, rec := newBalancer(t, f, 3, balance.Options{})
		f.set(func() { f.down["e1"] = true })
		for i := range 200 {
			if err := send(t, b, "GET"); err != nil {
				t.Fatalf("request %d failed: %v", i, err)
			}
		}
		if n := f.seen["e1"]; n != 2 {
			t.Errorf("the dead endpoint got %d requests before it was left alone, want 2", n)
		}
		if r := b.Controls()[0].Run(t.Context()); r.State != controls.Pass || b.Available() != 2 {
			t.Errorf("%v: %s", r.State, r.Observed)
		}
		rec.Want(t, "health.balance.eject", auditlog.Failed)
		f.set(func() { f.down["e1"] = false })
		time.Sleep(time.Second)
		for range 200 {
			if err := send(t, b, "GET"); err != nil {
				t.Fatal(err)
			}
		}
		if f.seen["e1"] < 20 || b.Available() != 3 {
			t.Errorf("after it came back it got %d requests", f.seen["e1"])
		}
		rec.Want(t, "health.balance.recover", auditlog.Success)
	})
}

func TestEjectionGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		b, rec := newBalancer(t, f, 3, balance.Options{})
		f.set(func() { f.down["e1"] = true })
		for range 600 { // a minute
			if err := send(t, b, "GET"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		// 1, 2, 4, 8, 16, 32 s: six trials within a minute, two at first.
		if n := f.seen["e1"]; n > 8 {
			t.Errorf("the dead endpoint was tried %d times in a minute", n)
		}
		if n := len(rec.Find("health.balance.eject")); n != 1 {
			t.Errorf("%d events for one outage", n)
		}
	})
}

func TestOnlyIdempotentRequestsAreSentAgain(t *testing.T) {
	f := newFleet()
	b, _ := newBalancer(t, f, 2, balance.Options{Failures: 1000})
	f.set(func() { f.down["e0"], f.down["e1"] = true, true })
	if err := send(t, b, "POST"); err == nil || f.seen["e0"]+f.seen["e1"] != 1 {
		t.Errorf("a POST was sent %d times: %v", f.seen["e0"]+f.seen["e1"], err)
	}
	f.set(func() {})
	if err := send(t, b, "PUT"); err == nil || f.seen["e0"] != 1 || f.seen["e1"] != 1 {
		t.Errorf("a PUT was sent to %v: %v", f.seen, err)
	}
}

func TestStallingEndpointGetsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		b, _ := newBalancer(t, f, 2, balance.Options{})
		f.set(func() { f.slow["e0"], f.slow["e1"] = time.Second, time.Millisecond })
		for range 100 {
			if err := send(t, b, "GET"); err != nil {
				t.Fatal(err)
			}
		}
		if f.seen["e0"] > 5 {
			t.Errorf("the slow endpoint got %d of 100", f.seen["e0"])
		}
	})
}

func TestUnavailableAnswersCountAndReachTheCaller(t *testing.T) {
	f := newFleet()
	b, _ := newBalancer(t, f, 3, balance.Options{})
	f.set(func() { f.code["e0"] = 503 })
	for range 100 {
		if err := send(t, b, "GET"); err != nil {
			t.Fatal(err)
		}
	}
	if f.seen["e0"] != 2 || b.Available() != 2 {
		t.Errorf("an endpoint that answers 503 got %d requests", f.seen["e0"])
	}
}

func TestWhenMostSeemDeadAllAreTried(t *testing.T) {
	f := newFleet()
	b, _ := newBalancer(t, f, 2, balance.Options{})
	f.set(func() { f.down["e0"], f.down["e1"] = true, true })
	for range 4 {
		if err := send(t, b, "GET"); err == nil {
			t.Fatal("a dead fleet answered")
		}
	}
	if r := b.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("%v: %s", r.State, r.Observed)
	}
	f.set(func() { f.down["e0"], f.down["e1"] = false, false })
	if err := send(t, b, "GET"); err != nil {
		t.Errorf("everything is back and nobody asks: %v", err)
	}
}

func TestCallersCancellationIsNoFailure(t *testing.T) {
	f := newFleet()
	b, _ := newBalancer(t, f, 2, balance.Options{Failures: 1})
	f.set(func() { f.slow["e0"], f.slow["e1"] = time.Hour, time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://service/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.RoundTrip(r); !errors.Is(err, context.Canceled) || b.Available() != 2 { //nolint:bodyclose // there is none
		t.Errorf("%v, %d available", err, b.Available())
	}
}

func TestNewRefuses(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	good := &url.URL{Scheme: "http", Host: "a"}
	for name, list := range map[string][]*url.URL{
		"none": nil, "nil": {nil}, "no host": {{Scheme: "http"}}, "path": {{Scheme: "http", Host: "a", Path: "/x"}},
		"scheme": {{Scheme: "ftp", Host: "a"}}, "user": {{Scheme: "http", Host: "a", User: url.User("u")}},
	} {
		if _, err := balance.New(list, rec, balance.Options{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := balance.New([]*url.URL{good}, nil, balance.Options{}); err == nil {
		t.Error("a balancer without a recorder was made")
	}
	if _, err := balance.New([]*url.URL{good}, rec, balance.Options{Tries: -1}); err == nil {
		t.Error("negative tries were accepted")
	}
}
