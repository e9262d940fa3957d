package guard_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// house has a door that is open and one that is shut, and counts who came
// through the shut one.
func house(t *testing.T, rec auditlog.Recorder) (http.Handler, *atomic.Int32) {
	t.Helper()
	var inside atomic.Int32
	secret := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		_, _ = io.WriteString(w, "the secret")
	})
	public := []guard.Guard{guard.Public("test")}
	return mustMux(t, []guard.Guard{guard.Audit(rec)},
		guard.Route{Pattern: "GET /open/", Action: "open.read", Guards: public, Handler: text("open")},
		guard.Route{Pattern: "/admin", Action: "admin.use", Guards: []guard.Guard{denyAll()}, Handler: secret},
		guard.Route{Pattern: "/admin/{rest...}", Action: "admin.use", Guards: []guard.Guard{denyAll()}, Handler: secret},
		guard.Route{Pattern: "inner.example/", Action: "inner.use", Guards: []guard.Guard{denyAll()}, Handler: secret},
	), &inside
}

// raw sends bytes as they are and returns the answer's status line and body.
func raw(t *testing.T, addr, request string) (status int, body string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp.StatusCode, string(b)
}

// Attack: a path that the policy reads one way and the router another.
func TestSpellingsOfAPathDoNotGetAround(t *testing.T) {
	h, inside := house(t, &recorder{})
	s := serve(t, h)
	for _, target := range []string{
		"/admin", "//admin", "/./admin", "/admin/", "/admin/.", "/admin/..%2fadmin", "/%61dmin", "/%2561dmin",
		"/open/../admin", "/open/..%2fadmin", "/open/%2e%2e/admin", "/open/..;/admin", "/open//../../admin",
		"/admin%00", "/admin%2f", "/admin%2fx", "/admin/%2e%2e/open/", "/ADMIN", "/admin?x=/open/", "/admin#/open/",
		"http://other.example/admin", "http://other.example//admin", "http://inner.example/open/",
	} {
		status, body := raw(t, s.Listener.Addr().String(), "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if strings.Contains(body, "secret") || status == http.StatusOK && body != "open" {
			t.Errorf("%s: %d %q", target, status, body)
		}
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

// Attack: a method or a header that a proxy or a framework reads as another.
func TestMethodsDoNotGetAround(t *testing.T) {
	h, inside := house(t, &recorder{})
	s := serve(t, h)
	for _, method := range []string{"GET", "HEAD", "get", "POST", "PUT", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X"} {
		for _, extra := range []string{"", "X-HTTP-Method-Override: GET\r\n", "X-Original-URL: /open/\r\n", "X-Rewrite-URL: /open/\r\nContent-Length: 0\r\n"} {
			status, body := raw(t, s.Listener.Addr().String(), method+" /admin HTTP/1.1\r\nHost: x\r\n"+extra+"Connection: close\r\n\r\n")
			if status < 400 || strings.Contains(body, "secret") {
				t.Errorf("%s %q: %d %q", method, extra, status, body)
			}
		}
	}
	if status, _ := raw(t, s.Listener.Addr().String(), "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); status >= 500 {
		t.Errorf("OPTIONS *: %d", status)
	}
	for _, host := range []string{"inner.example", "INNER.example", "inner.example:80", "inner.example."} {
		_, body := raw(t, s.Listener.Addr().String(), "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if strings.Contains(body, "secret") {
			t.Errorf("Host %s came through", host)
		}
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

// HEAD is answered by the route of GET and passes its guards.
func TestHeadPassesTheGuardsOfGet(t *testing.T) {
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{denyAll()}, Handler: text("in"),
	})
	if w := get(h, "HEAD", "/a"); w.Code != 403 || rec.only(t).Action != "a.read" {
		t.Errorf("%d", w.Code)
	}
}

// What one caller does never stands in another's event.
func TestCallsAtOnceKeepTheirOwnEvents(t *testing.T) {
	const callers, each = 16, 50
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a/{id}", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			call := guard.CallFrom(r.Context())
			call.Target("thing", r.PathValue("id"))
			call.Attr(auditlog.String("again", r.PathValue("id")))
			w.WriteHeader(200 + len(r.PathValue("id"))) // another goroutine's status would show
		}),
	})
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				id := strings.Repeat("x", c) + "-" + strconv.Itoa(i)
				if w := get(h, "GET", "/a/"+id); w.Code != 200+len(id) {
					t.Errorf("%s: %d", id, w.Code)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, ev := range rec.events {
		id := ev.Targets[0].ID
		if len(ev.Targets) != 1 || attr(ev, "again") != id || attr(ev, "status") != strconv.Itoa(200+len(id)) || seen[attr(ev, "call")] {
			t.Errorf("event %+v", ev)
		}
		seen[attr(ev, "call")] = true
	}
	if len(seen) != callers*each {
		t.Errorf("%d events of %d calls", len(seen), callers*each)
	}
}

// Attack: a handler that goes on writing after its response was replaced,
// because its event could not be recorded.
func TestNothingLeavesAfterAReplacement(t *testing.T) {
	rec := &recorder{fail: errors.New("disk full")}
	var errs []error
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "session=secret")
			w.WriteHeader(http.StatusOK)
			rc := http.NewResponseController(w)
			_, err := w.Write([]byte("secret"))
			_, err2 := io.WriteString(w, "secret")
			_, err3 := io.Copy(w, io.LimitReader(strings.NewReader("secret"), 3))
			_, _, err4 := rc.Hijack()
			errs = []error{err, err2, err3, rc.Flush(), err4}
			w.(http.Flusher).Flush()
			w.WriteHeader(http.StatusTeapot)
		}),
	})
	w := get(h, "GET", "/a")
	if w.Code != 503 || strings.Contains(w.Body.String()+fmt.Sprint(w.Header()), "secret") {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if strings.Contains(w.Body.String(), "disk") {
		t.Errorf("the cause was told: %q", w.Body)
	}
	for i, err := range errs {
		if err == nil {
			t.Errorf("write %d went through", i)
		}
	}
}

// The same over HTTP/2: denial, event before the response, trailers.
func TestHTTP2(t *testing.T) {
	rec := &recorder{}
	public := []guard.Guard{guard.Public("test")}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)},
		guard.Route{Pattern: "GET /in", Action: "in.read", Guards: public, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, r.Proto)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			w.Header().Set("X-Sum", "42")
		})},
		guard.Route{Pattern: "GET /out", Action: "out.read", Guards: []guard.Guard{denyAll()}, Handler: text("in")})
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	for _, tc := range []struct {
		path, want, trailer string
		status              int
	}{{"/in", "HTTP/2.0", "42", 200}, {"/out", "No.", "", 403}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != tc.status || !strings.Contains(string(body), tc.want) || resp.Trailer.Get("X-Sum") != tc.trailer {
			t.Errorf("%s: %d %q %v %v", tc.path, resp.StatusCode, body, resp.Trailer, err)
		}
	}
}

// What a handler answers stands in the event as what it means.
func TestStatusesAreOutcomes(t *testing.T) {
	for status, want := range map[int]struct {
		code    guard.Code
		outcome auditlog.Outcome
	}{
		200: {guard.OK, auditlog.Success}, 204: {guard.OK, auditlog.Success}, 304: {guard.OK, auditlog.Success},
		400: {guard.InvalidArgument, auditlog.Failed}, 401: {guard.Unauthenticated, auditlog.Denied},
		403: {guard.PermissionDenied, auditlog.Denied}, 404: {guard.NotFound, auditlog.Failed}, 410: {guard.NotFound, auditlog.Failed},
		405: {guard.Unimplemented, auditlog.Failed}, 408: {guard.DeadlineExceeded, auditlog.Failed}, 409: {guard.Aborted, auditlog.Failed},
		412: {guard.FailedPrecondition, auditlog.Failed}, 413: {guard.ResourceExhausted, auditlog.Denied},
		418: {guard.InvalidArgument, auditlog.Failed}, 429: {guard.ResourceExhausted, auditlog.Denied},
		499: {guard.Canceled, auditlog.Failed}, 500: {guard.Internal, auditlog.Failed}, 503: {guard.Unavailable, auditlog.Failed},
		504: {guard.DeadlineExceeded, auditlog.Failed}, 599: {guard.Internal, auditlog.Failed},
	} {
		rec := &recorder{}
		var got guard.Outcome
		note := &testGuard{name: "note", phase: guard.Observe, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
			call.OnFinish(func(_ context.Context, o guard.Outcome) { got = o })
			return ctx, nil
		}}
		h := mustMux(t, []guard.Guard{guard.Audit(rec), note}, guard.Route{
			Pattern: "/", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }),
		})
		get(h, "GET", "/")
		if ev := rec.only(t); got.Code != want.code || got.Status != status || ev.Outcome != want.outcome {
			t.Errorf("%d: code %d, event %v, want %d and %v", status, got.Code, ev.Outcome, want.code, want.outcome)
		}
	}
}

func TestCodesOnTheWire(t *testing.T) {
	for code := guard.OK; code <= guard.Unauthenticated+1; code++ {
		status := code.HTTPStatus()
		if known := code <= guard.Unauthenticated; (status == 200) != (code == guard.OK) || !known && status != 500 {
			t.Errorf("code %d is answered %d", code, status)
		}
	}
}

// The cause of a denial is for logs, its public text for callers.
func TestCauseOfADenial(t *testing.T) {
	cause := errors.New("row 17 is missing")
	err := fmt.Errorf("policy: %w", &guard.Denial{Control: "authz.policy", Err: cause})
	var denial *guard.Denial
	if !errors.Is(err, cause) || !errors.As(err, &denial) || !strings.Contains(err.Error(), "row 17") || !strings.Contains(err.Error(), "authz.policy") {
		t.Errorf("%v", err)
	}
	if s := (&guard.Denial{Control: "x.y", Public: "No."}).Error(); !strings.Contains(s, "No.") || !strings.Contains(s, "x.y") {
		t.Errorf("without a cause: %q", s)
	}
	if s := (&guard.Reply{Status: 204}).Error(); !strings.Contains(s, "204") {
		t.Errorf("reply: %q", s)
	}
}

func TestProbesOfTheSpine(t *testing.T) {
	states := func(rec auditlog.Recorder) map[string]controls.Result {
		m := mustMux(t, []guard.Guard{guard.Audit(rec), guard.Limits(1<<20, 0)},
			guard.Route{Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("a page for all")}, Handler: text("a")})
		got := make(map[string]controls.Result)
		for _, c := range m.Controls() {
			if c.Probe != nil {
				got[c.ID] = c.Probe(t.Context())
			}
		}
		return got
	}
	for id, r := range states(&recorder{}) {
		if r.State != controls.Pass || r.Observed == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if r := states(&recorder{fail: errors.New("disk full")})["guard.audit"]; r.State != controls.Fail {
		t.Errorf("auditing without a working recorder: %+v", r)
	}
}
