package browser

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// HeaderOptions are the options of [Headers].
type HeaderOptions struct {
	// Policy is the content security policy; zero is [DefaultPolicy].
	Policy Policy
	// HSTS is how long browsers are to insist on HTTPS, sent on TLS
	// connections only (RFC 6797, 7.2). Zero is two years; negative, which
	// shows in evidence, sends none.
	HSTS time.Duration
	// BehindTLS says that a proxy in front speaks TLS with browsers, so that
	// HSTS is sent although this connection is plain.
	BehindTLS bool
	// Permissions is the value of Permissions-Policy; empty denies the
	// camera, microphone, location, payment, USB and the like.
	Permissions string
	// Embeddable lets other origins load the responses as images, scripts or
	// frames of theirs: Cross-Origin-Resource-Policy cross-origin, and no
	// Cross-Origin-Embedder-Policy.
	Embeddable bool
}

const (
	twoYears           = 2 * 365 * 24 * time.Hour
	defaultPermissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), " +
		"magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
)

// Headers returns the guard that sets the security headers of every response,
// refusals included.
func Headers(o HeaderOptions) (*HeaderGuard, error) {
	if o.Policy == nil {
		o.Policy = DefaultPolicy()
	}
	if o.HSTS == 0 {
		o.HSTS = twoYears
	}
	if o.Permissions == "" {
		o.Permissions = defaultPermissions
	}
	if strings.ContainsAny(o.Permissions, "\r\n") {
		return nil, errors.New("browser: Permissions: want a header value without line breaks")
	}
	parts, err := o.Policy.compile()
	if err != nil {
		return nil, err
	}
	return &HeaderGuard{o: o, csp: parts, fixed: fixedHeaders(o)}, nil
}

func fixedHeaders(o HeaderOptions) [][2]string {
	list := [][2]string{
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Permissions-Policy", o.Permissions},
		{"Referrer-Policy", "same-origin"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
	}
	if o.Embeddable {
		return append(list, [2]string{"Cross-Origin-Resource-Policy", "cross-origin"})
	}
	return append(list,
		[2]string{"Cross-Origin-Resource-Policy", "same-origin"},
		[2]string{"Cross-Origin-Embedder-Policy", "require-corp"})
}

// A HeaderGuard sets security headers.
type HeaderGuard struct {
	o     HeaderOptions
	csp   []string // the policy, cut where the nonce goes
	fixed [][2]string
}

// Phase returns [guard.Observe]: refusals of later guards carry the headers.
func (g *HeaderGuard) Phase() guard.Phase { return guard.Observe }

// Admit sets the headers. When the policy speaks of a nonce, each response
// has its own 128 random bits, which [Nonce] returns.
func (g *HeaderGuard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	if _, ok := call.Request.(*http.Request); !ok {
		return ctx, nil
	}
	for _, h := range g.fixed {
		call.SetHeader(h[0], h[1])
	}
	if g.o.HSTS > 0 && (call.TLS != nil || g.o.BehindTLS) {
		call.SetHeader("Strict-Transport-Security",
			"max-age="+strconv.FormatInt(int64(g.o.HSTS/time.Second), 10)+"; includeSubDomains")
	}
	if len(g.csp) == 1 {
		call.SetHeader("Content-Security-Policy", g.csp[0])
		return ctx, nil
	}
	nonce := newNonce()
	call.SetHeader("Content-Security-Policy", strings.Join(g.csp, nonce))
	return context.WithValue(ctx, nonceKey{}, nonce), nil
}

type nonceKey struct{}

func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawStdEncoding.EncodeToString(b[:])
}

// Nonce returns the nonce of the response's content security policy, for the
// nonce attribute of script and style elements; empty without a guard.
func Nonce(ctx context.Context) string {
	n, _ := ctx.Value(nonceKey{}).(string)
	return n
}

// Controls describes the headers. The probe reads them off a synthetic
// response.
func (g *HeaderGuard) Controls() []controls.Control {
	return []controls.Control{{
		ID: "guard.browser.headers",
		Parameters: []controls.Parameter{
			controls.Text("content_security_policy", strings.Join(g.csp, "NONCE")),
			controls.Duration("hsts", max(g.o.HSTS, 0)),
			controls.Bool("embeddable", g.o.Embeddable),
		},
		Probe: g.probe,
	}}
}

func (g *HeaderGuard) probe(ctx context.Context) controls.Result {
	get := func() (http.Header, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://probe.invalid/", nil)
		if err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
		w := &headerWriter{h: make(http.Header)}
		guard.Alone(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.h, nil
	}
	first, err := get()
	if err != nil {
		return controls.Errored("%v", err)
	}
	second, err := get()
	if err != nil {
		return controls.Errored("%v", err)
	}
	csp := first.Get("Content-Security-Policy")
	switch {
	case csp == "" || first.Get("X-Content-Type-Options") != "nosniff":
		return controls.Failed("a response has no content security policy or no nosniff")
	case strings.Contains(csp, "'nonce-") && csp == second.Get("Content-Security-Policy"):
		return controls.Failed("two responses have the same nonce")
	}
	return controls.Passed("a response carried %d security headers", len(first))
}

type headerWriter struct{ h http.Header }

func (w *headerWriter) Header() http.Header         { return w.h }
func (w *headerWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *headerWriter) WriteHeader(int)             {}
