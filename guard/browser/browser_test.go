package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/browser"
)

func send(g guard.Guard, method, target string, header map[string]string) *httptest.ResponseRecorder {
	h := guard.Alone(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "in ", browser.Nonce(r.Context()))
	}))
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func passes(t *testing.T, c controls.Component) {
	t.Helper()
	for _, control := range c.Controls() {
		if err := control.Validate(); err != nil {
			t.Error(err)
		}
		if r := control.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("%s: %v: %s", control.Key(), r.State, r.Observed)
		}
	}
}

func TestHeadersByDefault(t *testing.T) {
	g, err := browser.Headers(browser.HeaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	passes(t, g)
	w := send(g, "GET", "https://x.example/", nil)
	want := map[string]string{
		"Strict-Transport-Security":    "max-age=63072000; includeSubDomains",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Embedder-Policy": "require-corp",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
	for k, v := range want {
		if got := w.Header().Get(k); got != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
	csp := w.Header().Get("Content-Security-Policy")
	nonce := strings.TrimPrefix(w.Body.String(), "in ")
	if len(nonce) < 22 || !strings.Contains(csp, "script-src 'nonce-"+nonce+"' 'strict-dynamic'") ||
		!strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q for the nonce %q", csp, nonce)
	}
	if again := send(g, "GET", "https://x.example/", nil); again.Header().Get("Content-Security-Policy") == csp {
		t.Error("two responses share a nonce")
	}
	if plain := send(g, "GET", "http://x.example/", nil); plain.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS over plain HTTP: RFC 6797, 7.2 forbids it")
	}
}

func TestHeadersStandOnRefusals(t *testing.T) {
	headers, err := browser.Headers(browser.HeaderOptions{BehindTLS: true, Embeddable: true})
	if err != nil {
		t.Fatal(err)
	}
	origin, err := browser.SameOrigin()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := guard.New(headers, origin)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "http://x.example/", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	chain.HTTP(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != 403 || w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("Strict-Transport-Security") == "" ||
		w.Header().Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestPolicyRefusesWhatMakesItWorthless(t *testing.T) {
	base := browser.DefaultPolicy()
	for name, p := range map[string]browser.Policy{
		"no default":     base.With("default-src"),
		"inline scripts": base.With("script-src", "'unsafe-inline'"),
		"eval":           base.With("script-src", "'unsafe-eval'"),
		"anywhere":       base.With("default-src", "*"),
		"fixed nonce":    base.With("script-src", "'nonce-abc'"),
		"injection":      base.With("img-src", "x; script-src *"),
		"line break":     base.With("img-src", "x\r\nSet-Cookie:"),
		"directive":      base.With("img src", "x"),
	} {
		if _, err := browser.Headers(browser.HeaderOptions{Policy: p}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := browser.Headers(browser.HeaderOptions{Permissions: "a\nb"}); err == nil {
		t.Error("a header with a line break was accepted")
	}
	fixed := base.With("script-src", "'self'").With("style-src", "'self'")
	g, err := browser.Headers(browser.HeaderOptions{Policy: fixed})
	if err != nil {
		t.Fatal(err)
	}
	if w := send(g, "GET", "/", nil); strings.Contains(w.Header().Get("Content-Security-Policy"), "nonce") || w.Body.String() != "in " {
		t.Errorf("a policy without nonce: %v", w.Header())
	}
	if len(base["script-src"]) != 2 {
		t.Error("With changed the policy it was called on")
	}
}

func TestSameOrigin(t *testing.T) {
	g, err := browser.SameOrigin("https://app.example.org")
	if err != nil {
		t.Fatal(err)
	}
	passes(t, g)
	cases := []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"same origin", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"typed in", "POST", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"cross-site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"same site is another origin", "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"old browser, own origin", "POST", map[string]string{"Origin": "https://x.example"}, 200},
		{"old browser, other origin", "POST", map[string]string{"Origin": "https://evil.example"}, 403},
		{"null origin", "POST", map[string]string{"Origin": "null"}, 403},
		{"trusted", "POST", map[string]string{"Origin": "https://app.example.org", "Sec-Fetch-Site": "cross-site"}, 200},
		{"no browser", "POST", nil, 200},
		{"reading", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
		{"deleting", "DELETE", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		// golang/go#78563: the host matches, the origin is another.
		{"userinfo", "POST", map[string]string{"Origin": "https://evil.example@x.example"}, 403},
		{"path", "POST", map[string]string{"Origin": "https://x.example/"}, 403},
		{"rubbish", "POST", map[string]string{"Origin": "x.example"}, 403},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if w := send(g, tc.method, "https://x.example/", tc.header); w.Code != tc.want {
				t.Errorf("%d, want %d: %s", w.Code, tc.want, w.Body)
			}
		})
	}
	for _, bad := range []string{"", "x", "https://", "https://u@x.example", "https://x.example/", "https://x.example?a"} {
		if _, err := browser.SameOrigin(bad); err == nil {
			t.Errorf("SameOrigin(%q) was accepted", bad)
		}
	}
}

func TestCORS(t *testing.T) {
	const app = "https://app.example.org"
	g, err := browser.CORS([]string{app}, browser.CORSOptions{
		Methods: []string{"PUT"}, Headers: []string{"Content-Type"}, Expose: []string{"X-Total"}, Credentials: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	passes(t, g)
	preflight := func(origin, method, headers string) *httptest.ResponseRecorder {
		return send(g, "OPTIONS", "/", map[string]string{
			"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers,
		})
	}
	w := preflight(app, "PUT", "content-type")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != app || w.Header().Get("Access-Control-Allow-Credentials") != "true" ||
		w.Header().Get("Access-Control-Max-Age") != "600" || w.Header().Get("Vary") != "Origin" || w.Body.Len() != 0 {
		t.Errorf("allowed preflight: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"suffix":     preflight("https://app.example.org.evil.example", "PUT", ""),
		"subdomain":  preflight("https://x.app.example.org", "PUT", ""),
		"null":       preflight("null", "PUT", ""),
		"upper case": preflight("HTTPS://APP.EXAMPLE.ORG", "PUT", ""),
		"method":     preflight(app, "DELETE", ""),
		"method put": preflight(app, "put", ""),
		"header":     preflight(app, "PUT", "content-type, x-evil"),
	} {
		if w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	w = send(g, "GET", "/", map[string]string{"Origin": app})
	if w.Header().Get("Access-Control-Allow-Origin") != app || w.Header().Get("Access-Control-Expose-Headers") != "X-Total" {
		t.Errorf("a response: %v", w.Header())
	}
	w = send(g, "GET", "/", map[string]string{"Origin": "https://evil.example"})
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("a response for a stranger: %d %v", w.Code, w.Header())
	}
	if w := send(g, "OPTIONS", "/", nil); w.Code != 200 {
		t.Errorf("an OPTIONS that is no preflight: %d", w.Code)
	}
}

func TestCORSRefusesWildcards(t *testing.T) {
	const app = "https://app.example.org"
	cases := map[string]func() error{
		"no origin": func() error { _, err := browser.CORS(nil, browser.CORSOptions{}); return err },
		"star":      func() error { _, err := browser.CORS([]string{"*"}, browser.CORSOptions{}); return err },
		"pattern": func() error {
			_, err := browser.CORS([]string{"https://*.example.org/"}, browser.CORSOptions{})
			return err
		},
		"header star": func() error {
			_, err := browser.CORS([]string{app}, browser.CORSOptions{Headers: []string{"*"}})
			return err
		},
		"age": func() error {
			_, err := browser.CORS([]string{app}, browser.CORSOptions{MaxAge: 3 * time.Hour})
			return err
		},
	}
	for name, f := range cases {
		if f() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://x.example", "https://a@b", "null", "https://x.example:8443", "http://[::1]:80", "https://x.example\\@evil"} {
		f.Add(s)
	}
	plain := regexp.MustCompile(`^[^@\\\s/?#]+://[^@\\\s/?#]+$`)
	f.Fuzz(func(t *testing.T, origin string) {
		if _, err := browser.SameOrigin(origin); err == nil && !plain.MatchString(origin) {
			t.Fatalf("accepted %q as an origin", origin)
		}
	})
}
