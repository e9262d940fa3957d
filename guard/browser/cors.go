package browser

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// CORSOptions are the options of [CORS].
type CORSOptions struct {
	// Methods are the methods other origins may use beside GET, HEAD and
	// POST, which need no permission.
	Methods []string
	// Headers are the request headers they may send beside the simple ones.
	Headers []string
	// Expose are the response headers their scripts may read.
	Expose []string
	// Credentials lets their requests carry cookies.
	Credentials bool
	// MaxAge is how long browsers may remember a preflight; zero is ten
	// minutes, at most two hours (Chromium's limit).
	MaxAge time.Duration
}

// CORS returns the guard that lets scripts of the named origins, such as
// "https://app.example.org", read responses (Fetch standard). There is no
// wildcard and no pattern: an origin is allowed by its exact spelling or not
// at all. It answers preflights before anyone is identified; a preflight of
// another origin is refused.
func CORS(origins []string, o CORSOptions) (*CORSGuard, error) {
	if len(origins) == 0 {
		return nil, fmt.Errorf("browser: CORS: no origins: leave the guard out to allow none")
	}
	for _, s := range origins {
		if err := checkOrigin(s); err != nil {
			return nil, fmt.Errorf("browser: CORS: origin %q: %w", s, err)
		}
	}
	for _, list := range [][]string{o.Methods, o.Headers, o.Expose} {
		for _, s := range list {
			if s == "" || strings.ContainsAny(s, " ,;*\r\n\t") {
				return nil, fmt.Errorf("browser: CORS: %q: want one name, and no wildcard", s)
			}
		}
	}
	if o.MaxAge == 0 {
		o.MaxAge = 10 * time.Minute
	}
	if o.MaxAge < 0 || o.MaxAge > 2*time.Hour {
		return nil, fmt.Errorf("browser: CORS: MaxAge %v: want 0 to 2h", o.MaxAge)
	}
	return &CORSGuard{origins: slices.Clone(origins), o: o}, nil
}

// A CORSGuard answers preflights and marks responses as readable.
type CORSGuard struct {
	origins []string
	o       CORSOptions
}

// Phase returns [guard.Preflight].
func (g *CORSGuard) Phase() guard.Phase { return guard.Preflight }

// Admit answers a preflight and marks other responses.
func (g *CORSGuard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	r, ok := call.Request.(*http.Request)
	if !ok {
		return ctx, nil
	}
	call.AddHeader("Vary", "Origin")
	method := r.Header.Get("Access-Control-Request-Method")
	preflight := r.Method == http.MethodOptions && method != "" && r.Header.Get("Origin") != ""
	allowed := slices.Contains(g.origins, r.Header.Get("Origin"))
	if !preflight {
		if allowed {
			g.mark(call, r.Header.Get("Origin"))
			if len(g.o.Expose) > 0 {
				call.SetHeader("Access-Control-Expose-Headers", strings.Join(g.o.Expose, ", "))
			}
		}
		return ctx, nil
	}
	if !allowed || !g.permits(method, r.Header.Values("Access-Control-Request-Headers")) {
		return ctx, &guard.Denial{
			Control: "guard.browser.cors", Code: guard.PermissionDenied,
			Public: "This origin may not send such a request.",
		}
	}
	g.mark(call, r.Header.Get("Origin"))
	if len(g.o.Methods) > 0 {
		call.SetHeader("Access-Control-Allow-Methods", strings.Join(g.o.Methods, ", "))
	}
	if len(g.o.Headers) > 0 {
		call.SetHeader("Access-Control-Allow-Headers", strings.Join(g.o.Headers, ", "))
	}
	call.SetHeader("Access-Control-Max-Age", strconv.Itoa(int(g.o.MaxAge/time.Second)))
	return ctx, &guard.Reply{Status: http.StatusNoContent}
}

func (g *CORSGuard) mark(call *guard.Call, origin string) {
	call.SetHeader("Access-Control-Allow-Origin", origin)
	if g.o.Credentials {
		call.SetHeader("Access-Control-Allow-Credentials", "true")
	}
}

// permits reports whether a preflight asks for listed things only. Methods
// are compared as they are spelled, headers regardless of case.
func (g *CORSGuard) permits(method string, headers []string) bool {
	simple := []string{http.MethodGet, http.MethodHead, http.MethodPost}
	if !slices.Contains(simple, method) && !slices.Contains(g.o.Methods, method) {
		return false
	}
	for name := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name = strings.TrimSpace(name)
		if name != "" && !slices.ContainsFunc(g.o.Headers, func(h string) bool { return strings.EqualFold(h, name) }) {
			return false
		}
	}
	return true
}

// Controls describes the guard. The probe plays a preflight of a stranger.
func (g *CORSGuard) Controls() []controls.Control {
	return []controls.Control{{
		ID: "guard.browser.cors",
		Parameters: []controls.Parameter{
			controls.Text("origins", strings.Join(g.origins, " ")),
			controls.Text("methods", strings.Join(g.o.Methods, " ")),
			controls.Bool("credentials", g.o.Credentials),
			controls.Duration("max_age", g.o.MaxAge),
		},
		Probe: g.probe,
	}}
}

func (g *CORSGuard) probe(ctx context.Context) controls.Result {
	r, err := http.NewRequestWithContext(ctx, http.MethodOptions, "https://probe.invalid/", nil)
	if err != nil {
		return controls.Errored("request: %v", err)
	}
	r.Header.Set("Origin", "https://evil.invalid")
	r.Header.Set("Access-Control-Request-Method", http.MethodPut)
	w := &headerWriter{h: make(http.Header)}
	guard.Alone(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	if got := w.h.Get("Access-Control-Allow-Origin"); got != "" {
		return controls.Failed("a stranger's preflight was answered with %q", got)
	}
	return controls.Passed("a stranger's preflight was refused")
}
