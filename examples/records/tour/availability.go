package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/examples/records/service"
	"github.com/surety-go/surety/health/balance"
)

// A replica is an endpoint in front of the service that counts its requests.
type replica struct {
	*httptest.Server
	served atomic.Int64
	delay  atomic.Int64 // of each answer, nanoseconds
}

func (c *client) replica() (*replica, error) {
	target, err := url.Parse(c.base)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	r := &replica{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.served.Add(1)
		time.Sleep(time.Duration(r.delay.Load()))
		proxy.ServeHTTP(w, req)
	}))
	return r, nil
}

// fleet is two replicas and a balanced client.
func (c *client) fleet(rec auditlog.Recorder) (a, b *replica, h *http.Client, err error) {
	if a, err = c.replica(); err != nil {
		return nil, nil, nil, err
	}
	if b, err = c.replica(); err != nil {
		return nil, nil, nil, err
	}
	var endpoints []*url.URL
	for _, r := range []*replica{a, b} {
		u, err := url.Parse(r.URL)
		if err != nil {
			return nil, nil, nil, err
		}
		endpoints = append(endpoints, u)
	}
	balancer, err := balance.New(endpoints, rec, balance.Options{})
	return a, b, &http.Client{Transport: balancer, Timeout: 5 * time.Second}, err
}

// probe sends n requests and returns how many were answered 200.
func probe(ctx context.Context, h *http.Client, n int) (ok int, err error) {
	for range n {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://records/livez", nil)
		if err != nil {
			return ok, fmt.Errorf("request: %w", err)
		}
		resp, err := h.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			ok++
		}
	}
	return ok, nil
}

func balanced(ctx context.Context, c *client) (string, error) {
	quiet := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	a, b, h, err := c.fleet(quiet)
	if err != nil {
		return "", err
	}
	defer a.Close()
	defer b.Close()
	a.delay.Store(int64(300 * time.Millisecond))
	ok, err := probe(ctx, h, 60)
	slow, fast := a.served.Load(), b.served.Load()
	if err != nil || ok != 60 || slow == 0 || fast < 40 {
		return "", broken("of 60 requests %d were answered, %d by the slow endpoint and %d by the fast one: %v", ok, slow, fast, err)
	}
	return fmt.Sprintf("60 of 60 requests were answered, %d by the slow endpoint and %d by the fast one", slow, fast), nil
}

func failover(ctx context.Context, c *client) (string, error) {
	var mu sync.Mutex
	var events []string
	rec := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, ev.Action)
		return nil
	})
	ejection := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(events, ", ")
	}
	a, b, h, err := c.fleet(rec)
	if err != nil {
		return "", err
	}
	defer b.Close()
	b.delay.Store(int64(5 * time.Millisecond)) // so that most requests go to the one that dies
	if ok, err := probe(ctx, h, 20); err != nil || ok != 20 {
		return "", broken("before the failure %d of 20 were answered: %v", ok, err)
	}
	a.CloseClientConnections()
	a.Close()
	sent := 0
	for end := time.Now().Add(10 * time.Second); ejection() == "" || sent < 60; sent += 20 {
		ok, err := probe(ctx, h, 20)
		if err != nil || ok != 20 {
			return "", broken("after the failure %d of 20 were answered: %v", ok, err)
		}
		if time.Now().After(end) {
			return "", broken("after the failure %d requests were answered, and no event tells of it", sent)
		}
	}
	return fmt.Sprintf("one endpoint was closed: %d of %d requests were answered by the other; event %s", sent, sent, ejection()), nil
}

// objectives shows that nobody outside means a failed control, and then asks
// from outside.
func objectives(ctx context.Context, c *client) (string, error) {
	before, err := c.soon(ctx, "health.slo", func(r result) bool { return r.State == "fail" })
	if err != nil {
		return "", err
	}
	watching, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- service.Watch(watching, c.o, c.base) }()
	c.unwatch = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	after, err := c.soon(ctx, "health.slo", passes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("first: %s; then: %s", before[0].Observed, after[0].Observed), nil
}

// recovery stops the service, copies its data, and opens the copy with the
// keys that lay apart.
func recovery(ctx context.Context, c *client) (string, error) {
	key, _ := c.svc.PublicKeys()
	if err := c.stop(); err != nil {
		return "", broken("the service did not stop cleanly: %v", err)
	}
	copied := c.data + "-restored"
	if err := os.CopyFS(copied, os.DirFS(c.data)); err != nil {
		return "", fmt.Errorf("copy: %w", err)
	}
	if err := os.RemoveAll(c.data); err != nil { // the original is lost
		return "", fmt.Errorf("lose the original: %w", err)
	}
	start := time.Now()
	svc, err := service.Open(ctx, service.Options{Dir: copied, KeyDir: c.keys, Demo: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", broken("the copy does not open: %v", err)
	}
	took := time.Since(start)
	wrong := errors.Join(svc.SelfTest(ctx), svc.Close())
	report, err := verify.Dir(ctx, filepath.Join(copied, "log"), verify.Policy{Key: key}, nil)
	if err = errors.Join(wrong, err); err != nil || !report.OK() {
		return "", broken("the restored service: %v %v", err, report.Findings)
	}
	return fmt.Sprintf("back in %.2f s with nothing lost since the copy; %d log entries verify", took.Seconds(), report.Entries), nil
}
