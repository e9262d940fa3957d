package guard_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// testGuard is a guard of any phase that does what it is told.
type testGuard struct {
	name    string
	phase   guard.Phase
	admit   func(context.Context, *guard.Call) (context.Context, error)
	invalid error
}

func (g *testGuard) Phase() guard.Phase { return g.phase }
func (g *testGuard) Validate() error    { return g.invalid }
func (g *testGuard) Controls() []controls.Control {
	return []controls.Control{{ID: "test." + g.name}}
}

func (g *testGuard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	if g.admit == nil {
		return ctx, nil
	}
	return g.admit(ctx, call)
}

// denyAll is an authorising guard that refuses everyone.
func denyAll() *testGuard {
	return &testGuard{name: "deny", phase: guard.Authorise, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) {
		return ctx, &guard.Denial{Control: "test.deny", Code: guard.PermissionDenied, Public: "No.", Err: errors.New("secret cause")}
	}}
}

// recorder keeps events; when fail is set it refuses them.
type recorder struct {
	mu     sync.Mutex
	events []auditlog.Event
	fail   error
}

func (r *recorder) Record(ctx context.Context, ev auditlog.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return err
	}
	r.events = append(r.events, e.Event)
	return nil
}

func (r *recorder) only(t *testing.T) auditlog.Event {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != 1 {
		t.Fatalf("%d events, want one: %+v", len(r.events), r.events)
	}
	return r.events[0]
}

func attr(ev auditlog.Event, key string) string {
	for _, a := range ev.Attrs {
		if a.Key == key {
			return a.Text()
		}
	}
	return ""
}

func mustMux(t *testing.T, base []guard.Guard, routes ...guard.Route) *guard.Mux {
	t.Helper()
	m, err := guard.NewMux(base, routes...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustChain(t *testing.T, guards ...guard.Guard) *guard.Chain {
	t.Helper()
	c, err := guard.New(guards...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// get sends a request to a handler and returns the response.
func get(h http.Handler, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

func contains(t *testing.T, what, got string, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(got, s) {
			t.Errorf("%s: %q is not in %q", what, s, got)
		}
	}
}
