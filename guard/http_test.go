package guard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// finished is a guard that hands the outcome of each call to a channel.
func finished(ch chan<- guard.Outcome) *testGuard {
	return &testGuard{name: "finished", phase: guard.Observe, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.OnFinish(func(_ context.Context, o guard.Outcome) { ch <- o })
		return ctx, nil
	}}
}

func TestDenialIsAProblem(t *testing.T) {
	d := &guard.Denial{
		Control: "test.limit", Code: guard.ResourceExhausted, Type: "https://example.org/quota", Public: "Too many.",
		Challenge: []string{`Bearer realm="x"`}, RetryAfter: 1500 * time.Millisecond,
		Details: map[string]any{"limit": 10, "status": 200}, Err: errors.New("secret cause"),
	}
	h := mustChain(t, &testGuard{phase: guard.Limit, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) { return ctx, d }}).HTTP(text("in"))
	w := get(h, "GET", "/")
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if w.Code != 429 || p["status"] != 429.0 || p["detail"] != "Too many." || p["type"] != d.Type || p["limit"] != 10.0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w.Header().Get("Retry-After") != "2" || w.Header().Get("WWW-Authenticate") != `Bearer realm="x"` ||
		w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", w.Header())
	}
	if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "in") && strings.HasSuffix(w.Body.String(), "in") {
		t.Errorf("the body tells too much: %s", w.Body)
	}
}

func TestPersonsBrowserGetsAPage(t *testing.T) {
	d := &guard.Denial{Control: "test.x", Code: guard.Unauthenticated, Public: "Sign in <b>.", Location: "/login"}
	h := mustChain(t, &testGuard{phase: guard.Authorise, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) { return ctx, d }}).HTTP(text("in"))
	browser := func(r *http.Request) { r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8") }
	if w := get(h, "GET", "/", browser); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("a navigation: %d %v", w.Code, w.Header())
	}
	w := get(h, "POST", "/", browser)
	if w.Code != 401 || !strings.Contains(w.Body.String(), "Sign in &lt;b&gt;.") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("a form: %d %s", w.Code, w.Body)
	}
	if w := get(h, "GET", "/"); w.Code != 401 || w.Header().Get("Location") != "" {
		t.Errorf("a program: %d %v", w.Code, w.Header())
	}
}

// A refusal looks like the application; what the template shows is escaped,
// and a template that fails costs the looks and not the answer.
func TestPages(t *testing.T) {
	browser := func(r *http.Request) { r.Header.Set("Accept", "text/html") }
	for body, want := range map[string]string{
		`<p class="own">{{.Status}} {{.Title}}: {{.Detail}}</p>`: `<p class="own">403 Forbidden: No &lt;b&gt;.</p>`,
		`{{.Nothing}}`: `<h1>Forbidden</h1>`,
	} {
		deny := &testGuard{phase: guard.Authorise, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) {
			return ctx, &guard.Denial{Control: "test.x", Code: guard.PermissionDenied, Public: "No <b>."}
		}}
		own := guard.Pages(template.Must(template.New("own").Parse(body)))
		h := mustMux(t, []guard.Guard{guard.Audit(&recorder{}), own},
			guard.Route{Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{deny}, Handler: text("in")},
			guard.Route{Pattern: "GET /b", Action: "b.read", Guards: []guard.Guard{guard.Public("test")}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				guard.Refuse(w, r, &guard.Denial{Control: "test.x", Code: guard.PermissionDenied, Public: "No <b>."})
			})})
		for _, path := range []string{"/a", "/b"} {
			if w := get(h, "GET", path, browser); w.Code != 403 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %s: %d %s", body, path, w.Code, w.Body)
			}
			if w := get(h, "GET", path); w.Code != 403 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
				t.Errorf("a program on %s: %d %v", path, w.Code, w.Header())
			}
		}
	}
	if _, err := guard.New(guard.Pages(nil)); !errors.Is(err, guard.ErrConfig) {
		t.Errorf("without a template: %v", err)
	}
}

func TestAuditRecordsBeforeTheResponse(t *testing.T) {
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /records/{id}", Action: "records.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			call := guard.CallFrom(r.Context())
			call.Target("record", call.Param("id"))
			call.Attr(auditlog.Int("fields", 3))
			if len(rec.events) != 0 {
				t.Error("recorded before the handler decided")
			}
			_, _ = io.WriteString(w, "body")
			if len(rec.events) != 1 {
				t.Error("the body was written before the event")
			}
		}),
	})
	w := get(h, "GET", "/records/r-1?token=secret", func(r *http.Request) {
		r.RemoteAddr = "203.0.113.77:1234"
		r.Header.Set("Authorization", "Bearer secret")
	})
	ev := rec.only(t)
	if w.Body.String() != "body" || ev.Action != "records.read" || ev.Outcome != auditlog.Success || ev.Targets[0].ID != "r-1" {
		t.Errorf("event %+v", ev)
	}
	if attr(ev, "operation") != "GET /records/{id}" || attr(ev, "status") != "200" || attr(ev, "fields") != "3" || attr(ev, "network") != "203.0.113.0/24" {
		t.Errorf("attributes %+v", ev.Attrs)
	}
	for _, a := range ev.Attrs {
		if strings.Contains(a.Text(), "secret") || strings.Contains(a.Text(), "203.0.113.77") {
			t.Errorf("attribute %s tells %q", a.Key, a.Text())
		}
	}
}

func TestUnrecordedChangeIsNotAcknowledged(t *testing.T) {
	rec := &recorder{fail: errors.New("disk full")}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "POST /a", Action: "a.create", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "session=abc")
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusCreated)
			if n, err := io.WriteString(w, "done"); err == nil || n != 0 {
				t.Errorf("the handler's body went out: %d, %v", n, err)
			}
		}),
	})
	w := get(h, "POST", "/a")
	if w.Code != 503 || strings.Contains(w.Body.String(), "done") || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w.Header().Get("Set-Cookie") != "" || w.Header().Get("Content-Length") == "4" {
		t.Errorf("headers of the unacknowledged answer went out: %v", w.Header())
	}
	// A handler that writes nothing is not acknowledged either.
	silent := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "POST /a", Action: "a.create", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	})
	if w := get(silent, "POST", "/a"); w.Code != 503 {
		t.Errorf("a silent handler: %d", w.Code)
	}
}

func TestDeniedCallIsRecordedWithItsControl(t *testing.T) {
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{denyAll()}, Handler: text("in"),
	})
	w := get(h, "GET", "/a")
	ev := rec.only(t)
	if w.Code != 403 || ev.Outcome != auditlog.Denied || ev.Reason != "test.deny" || attr(ev, "status") != "403" {
		t.Errorf("%d, event %+v", w.Code, ev)
	}
}

func TestUnmatchedPathsPassTheBaseGuards(t *testing.T) {
	rec := &recorder{}
	var seen atomic.Int32
	count := &testGuard{name: "count", phase: guard.Network, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		seen.Add(1)
		if call.Header("X-Banned") != nil {
			return ctx, &guard.Denial{Control: "test.firewall", Code: guard.PermissionDenied}
		}
		return ctx, nil
	}}
	h := mustMux(t, []guard.Guard{guard.Audit(rec), count},
		guard.Route{Pattern: "GET /a/", Action: "a.read", Guards: []guard.Guard{guard.Public("test")}, Handler: text("x")})
	cases := []struct {
		method, path string
		status       int
		header, want string
	}{
		{"GET", "/nope", 404, "", ""},
		{"POST", "/a/", 405, "Allow", "GET, HEAD"},
		{"GET", "/a/../a/", 307, "Location", "/a/"},
		{"GET", "/a", 307, "Location", "/a/"},
	}
	for _, tc := range cases {
		before := seen.Load()
		w := get(h, tc.method, tc.path)
		if w.Code != tc.status || w.Header().Get(tc.header) != tc.want {
			t.Errorf("%s %s: %d %v", tc.method, tc.path, w.Code, w.Header())
		}
		if seen.Load() != before+1 {
			t.Errorf("%s %s did not pass the base guards once", tc.method, tc.path)
		}
		if tc.status >= 400 {
			ev := rec.events[len(rec.events)-1]
			if ev.Outcome != auditlog.Denied || ev.Reason != "guard.route" || ev.Action != "guard.route" || attr(ev, "operation") != "" {
				t.Errorf("%s %s: event %+v", tc.method, tc.path, ev)
			}
		}
		w = get(h, tc.method, tc.path, func(r *http.Request) { r.Header.Set("X-Banned", "1") })
		if w.Code != 403 || w.Header().Get("Location") != "" {
			t.Errorf("a banned caller gets %d for %s %s", w.Code, tc.method, tc.path)
		}
	}
}

func TestPanicIsRecordedAndPassedOn(t *testing.T) {
	rec := &recorder{}
	ch := make(chan guard.Outcome, 1)
	route := guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
	}
	h := mustMux(t, []guard.Guard{guard.Audit(rec), finished(ch)}, route)
	func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Errorf("recovered %v", p)
			}
		}()
		get(h, "GET", "/a")
	}()
	if o := <-ch; o.Panic != "boom" || o.Status != 500 || o.Result() != auditlog.Failed {
		t.Errorf("outcome %+v", o)
	}
	if ev := rec.only(t); ev.Outcome != auditlog.Failed || ev.Reason != "guard.panic" || attr(ev, "status") != "500" {
		t.Errorf("event %+v", ev)
	}
}

func TestPanicAfterTheResponseBeganIsASecondEvent(t *testing.T) {
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}),
	})
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the very value must come through
				t.Errorf("recovered %v", p)
			}
		}()
		get(h, "GET", "/a")
	}()
	if len(rec.events) != 2 || rec.events[0].Outcome != auditlog.Success || rec.events[1].Outcome != auditlog.Failed {
		t.Fatalf("events %+v", rec.events)
	}
	if attr(rec.events[0], "call") != attr(rec.events[1], "call") || attr(rec.events[1], "end") != "true" || attr(rec.events[1], "bytes") != "4" {
		t.Errorf("second event %+v", rec.events[1])
	}
}

func TestLargeResponseHasASecondEvent(t *testing.T) {
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.export", Guards: []guard.Guard{guard.Public("test")}, Handler: text(strings.Repeat("x", 65<<10)),
	})
	get(h, "GET", "/a")
	if len(rec.events) != 2 || attr(rec.events[1], "bytes") != "66560" {
		t.Errorf("events %+v", rec.events)
	}
}

func TestCancelledCallerIsNoSuccess(t *testing.T) {
	rec := &recorder{}
	ch := make(chan guard.Outcome, 1)
	h := mustMux(t, []guard.Guard{guard.Audit(rec), finished(ch)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	get(h, "GET", "/a", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if o := <-ch; o.Code != guard.Canceled || o.Status != guard.StatusClientClosed {
		t.Errorf("outcome %+v", o)
	}
	if ev := rec.only(t); ev.Outcome != auditlog.Failed || ev.Reason != "guard.cancelled" {
		t.Errorf("event %+v", ev)
	}
}

func TestGuardThatCannotDecideIsA503ButACancelledOneIsNot(t *testing.T) {
	fail := func(err error) http.Handler {
		return mustChain(t, &testGuard{phase: guard.Identify, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) { return ctx, err }}).HTTP(text("in"))
	}
	w := get(fail(errors.New("dial tcp 10.0.0.1: refused")), "GET", "/")
	if w.Code != 503 || strings.Contains(w.Body.String(), "10.0.0.1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w = get(fail(context.Canceled), "GET", "/", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if w.Body.Len() != 0 {
		t.Errorf("an answer for nobody: %d %s", w.Code, w.Body)
	}
}

func TestNestedChainsAreOneCall(t *testing.T) {
	rec := &recorder{}
	inner := mustChain(t, denyAll()).HTTP(text("in"))
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")}, Handler: inner,
	})
	w := get(h, "GET", "/a")
	if ev := rec.only(t); w.Code != 403 || ev.Outcome != auditlog.Denied || ev.Reason != "test.deny" {
		t.Errorf("%d, event %+v", w.Code, ev)
	}
	type key struct{}
	add := &testGuard{phase: guard.Limit, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) {
		return context.WithValue(ctx, key{}, "yes"), nil
	}}
	var got any
	outer := mustChain(t, guard.Audit(rec)).HTTP(mustChain(t, add).HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Context().Value(key{})
	})))
	get(outer, "GET", "/")
	if got != "yes" {
		t.Error("the inner chain's context did not reach the handler")
	}
}

// A probe that runs inside a request must not write into its response.
func TestRequestInsideAHandlerIsAnotherCall(t *testing.T) {
	rec := &recorder{}
	set := &testGuard{phase: guard.Network, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.SetHeader("X-Inner", "1")
		return ctx, nil
	}}
	probe := mustChain(t, set).HTTP(text("inner"))
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own := httptest.NewRecorder()
			probe.ServeHTTP(own, r.Clone(r.Context()))
			if own.Header().Get("X-Inner") != "1" || own.Body.String() != "inner" {
				t.Errorf("the inner request: %v %s", own.Header(), own.Body)
			}
			_, _ = io.WriteString(w, "outer")
		}),
	})
	w := get(h, "GET", "/a")
	if w.Header().Get("X-Inner") != "" || w.Body.String() != "outer" {
		t.Errorf("the outer response: %v %s", w.Header(), w.Body)
	}
	rec.only(t)
}

func TestHandlerRefuses(t *testing.T) {
	rec := &recorder{}
	refuse := func(err error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { guard.Refuse(w, r, err) })
	}
	d := &guard.Denial{Control: "privacy.purpose", Code: guard.PermissionDenied, Public: "No consent."}
	h := mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")}, Handler: refuse(d),
	})
	w := get(h, "GET", "/a")
	if ev := rec.only(t); w.Code != 403 || ev.Outcome != auditlog.Denied || ev.Reason != "privacy.purpose" {
		t.Errorf("%d %s, event %+v", w.Code, w.Body, ev)
	}
	if w := get(refuse(d), "GET", "/"); w.Code != 403 || !strings.Contains(w.Body.String(), "No consent.") {
		t.Errorf("without a chain: %d %s", w.Code, w.Body)
	}
	if w := get(refuse(errors.New("secret")), "GET", "/"); w.Code != 503 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("another error: %d %s", w.Code, w.Body)
	}
}

func TestReplyEndsTheCallSuccessfully(t *testing.T) {
	preflight := &testGuard{phase: guard.Preflight, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.SetHeader("Access-Control-Allow-Origin", "https://a.example")
		call.AddHeader("Vary", "Origin")
		return ctx, &guard.Reply{Status: 204}
	}}
	rec := &recorder{}
	h := mustMux(t, []guard.Guard{guard.Audit(rec), preflight, denyAll()}, guard.Route{Pattern: "GET /a", Action: "a.read", Handler: text("x")})
	w := get(h, "OPTIONS", "/a")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://a.example" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if ev := rec.only(t); ev.Outcome != auditlog.Success {
		t.Errorf("event %+v", ev)
	}
}

func TestHooksRunLastInFirstOutAndOnce(t *testing.T) {
	var ran []string
	hook := func(name string, fail error) *testGuard {
		return &testGuard{phase: guard.Observe, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
			call.BeforeResponse(func(_ context.Context, o guard.Outcome) error {
				ran = append(ran, name+http.StatusText(o.Status))
				return fail
			})
			call.OnFinish(func(_ context.Context, o guard.Outcome) { ran = append(ran, "end "+name) })
			return ctx, nil
		}}
	}
	h := mustChain(t, hook("a:", nil), hook("b:", errors.New("x")), hook("c:", nil)).HTTP(text("in"))
	if w := get(h, "GET", "/"); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
	if got := strings.Join(ran, ","); got != "c:OK,b:OK,a:Service Unavailable,end c:,end b:,end a:" {
		t.Errorf("hooks ran as %s", got)
	}
}

func TestRemoteAddress(t *testing.T) {
	cases := map[string]string{
		"192.0.2.1:80":         "192.0.2.1",
		"[::ffff:192.0.2.1]:1": "192.0.2.1",
		"[2001:db8::1]:443":    "2001:db8::1",
		"[fe80::1%eth0]:1":     "fe80::1",
		"@":                    "invalid IP",
	}
	var got netip.Addr
	h := mustChain(t, &testGuard{phase: guard.Network, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		got = call.Remote
		if call.Client != call.Remote {
			t.Error("without clientip, the client is not the peer")
		}
		return ctx, nil
	}}).HTTP(text("x"))
	for remote, want := range cases {
		get(h, "GET", "/", func(r *http.Request) {
			r.RemoteAddr = remote
			r.Header.Set("X-Forwarded-For", "198.51.100.9")
		})
		if got.String() != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}

// serve runs a handler behind a chain on a real server.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func TestInformationalResponsesAndTrailersPass(t *testing.T) {
	rec := &recorder{}
	s := serve(t, mustMux(t, []guard.Guard{guard.Audit(rec)}, guard.Route{
		Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</x.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "42")
		}),
	}))
	var hints int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		hints = code
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "body" || resp.StatusCode != 200 || hints != 103 || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%d %q hints %d trailer %v %v", resp.StatusCode, body, hints, resp.Trailer, err)
	}
	rec.only(t)
}

func TestFlushHijackAndReadFrom(t *testing.T) {
	rec := &recorder{}
	public := []guard.Guard{guard.Public("test")}
	s := serve(t, mustMux(t, []guard.Guard{guard.Audit(rec)},
		guard.Route{Pattern: "GET /flush", Action: "a.read", Guards: public, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Errorf("deadline: %v", err)
			}
			if err := rc.Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})},
		guard.Route{Pattern: "GET /hijack", Action: "a.read", Guards: public, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("hijack: %v", err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			_ = conn.Close()
		})},
		guard.Route{Pattern: "GET /file", Action: "a.read", Guards: public, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, ok := w.(io.ReaderFrom); !ok {
				t.Error("sendfile is lost")
			}
			if n, err := io.Copy(w, io.LimitReader(zeros{}, 100)); n != 100 || err != nil {
				t.Errorf("copy: %d %v", n, err)
			}
		})},
	))
	resp, err := http.Get(s.URL + "/flush") //nolint:noctx // ends with the server
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("flush: %v", err)
	}
	_ = resp.Body.Close()
	resp, err = http.Get(s.URL + "/file") //nolint:noctx // ends with the server
	if err != nil || resp.ContentLength != 100 {
		t.Fatalf("file: %v", err)
	}
	_ = resp.Body.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String()) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "101") {
		t.Errorf("hijack: %q %v", line, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestMultipartFilesAreRemovedAndPatternIsSeenOutside(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	h := mustMux(t, []guard.Guard{guard.Audit(&recorder{})}, guard.Route{
		Pattern: "POST /upload", Action: "a.create", Guards: []guard.Guard{guard.Public("test")},
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1); err != nil { // all of it goes to disk
				t.Errorf("parse: %v", err)
			}
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) == 0 {
				t.Errorf("the file is not on disk: %v", err)
			}
		}),
	})
	var pattern string
	done := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(w, r)
		pattern = r.Pattern
	}))
	var body bytes.Buffer
	mw := multipart.NewWriter(&body)
	part, err := mw.CreateFormFile("f", "f.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(make([]byte, 11<<20)) // beyond the 10 MiB kept in memory
	_ = mw.Close()
	resp, err := http.Post(s.URL+"/upload", mw.FormDataContentType(), &body) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-done
	s.Close() // returns when the connection's goroutine has cleaned up
	if pattern != "POST /upload" {
		t.Errorf("middleware outside sees the pattern %q", pattern)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left on disk: %v %v", left, err)
	}
}

// revocable admits until it is told otherwise.
type revocable struct {
	testGuard
	revoked atomic.Bool
}

func (g *revocable) Readmit(context.Context, *guard.Call) error {
	if g.revoked.Load() {
		return &guard.Denial{Control: "test.session", Code: guard.Unauthenticated}
	}
	return nil
}

func TestRevokedStreamEndsEvenWhenIdle(t *testing.T) {
	g := &revocable{testGuard: testGuard{name: "session", phase: guard.Authorise}}
	ch := make(chan guard.Outcome, 1)
	reading := make(chan error, 1)
	s := serve(t, mustMux(t, []guard.Guard{guard.Audit(&recorder{}), finished(ch)}, guard.Route{
		Pattern: "POST /stream", Action: "a.watch", Stream: true, Guards: []guard.Guard{g},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.EnableFullDuplex()
			_ = rc.Flush()
			_, err := r.Body.Read(make([]byte, 1)) // blocks: the caller sends nothing
			reading <- err
			<-r.Context().Done()
		}),
	}))
	pr, pw := io.Pipe()
	defer pw.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/stream", pr)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	g.revoked.Store(true)
	if err := <-reading; err == nil {
		t.Error("the blocked read came back with data")
	}
	if o := <-ch; o.Denial == nil || o.Denial.Control != "test.session" || o.Result() != auditlog.Denied {
		t.Errorf("outcome %+v", o)
	}
}
