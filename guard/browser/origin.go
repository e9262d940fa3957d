package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// SameOrigin returns the guard against cross-site request forgery. Requests
// that may change something (all but GET, HEAD and OPTIONS) are refused when
// a browser says that another site caused them, by Sec-Fetch-Site or Origin;
// net/http's CrossOriginProtection decides. Origins given here, such as
// "https://app.example.org", may send them all the same. Requests without
// either header don't come from a browser and pass.
//
// An Origin that is no serialised origin is refused as well: with userinfo in
// it ("https://our.host@evil.example"), code that compares hosts can be led
// astray (golang/go#78563).
func SameOrigin(trusted ...string) (*OriginGuard, error) {
	g := &OriginGuard{trusted: trusted, check: http.NewCrossOriginProtection()}
	for _, o := range trusted {
		if err := checkOrigin(o); err != nil {
			return nil, fmt.Errorf("browser: SameOrigin: %q: %w", o, err)
		}
		if err := g.check.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("browser: SameOrigin: %w", err)
		}
	}
	return g, nil
}

// An OriginGuard refuses cross-site requests.
type OriginGuard struct {
	trusted []string
	check   *http.CrossOriginProtection
}

// Phase returns [guard.Network].
func (g *OriginGuard) Phase() guard.Phase { return guard.Network }

// Admit refuses what another site caused.
func (g *OriginGuard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	r, ok := call.Request.(*http.Request)
	if !ok {
		return ctx, nil
	}
	err := g.refuse(r)
	if err == nil {
		return ctx, nil
	}
	return ctx, &guard.Denial{
		Control: "guard.browser.origin", Code: guard.PermissionDenied,
		Public: "The request comes from another site.", Err: err,
	}
}

func (g *OriginGuard) refuse(r *http.Request) error {
	origins := r.Header.Values("Origin")
	if len(origins) > 1 {
		return errors.New("browser: several Origin headers")
	}
	if len(origins) == 1 && origins[0] != "null" {
		if err := checkOrigin(origins[0]); err != nil {
			return err
		}
	}
	if err := g.check.Check(r); err != nil {
		return fmt.Errorf("browser: %w", err)
	}
	return nil
}

// checkOrigin accepts exactly the serialisation of an origin: scheme, host
// and optional port.
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Scheme+"://"+u.Host != s ||
		strings.ContainsAny(s, "@\\ ") {
		return errors.New("browser: not an origin: want scheme://host or scheme://host:port")
	}
	return nil
}

// Controls describes the guard. The probe plays a hostile site.
func (g *OriginGuard) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "guard.browser.origin",
		Parameters: []controls.Parameter{controls.Text("trusted", strings.Join(g.trusted, " "))},
		Probe:      g.probe,
	}}
}

func (g *OriginGuard) probe(ctx context.Context) controls.Result {
	for _, h := range [][2]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Origin", "https://evil.invalid"},
		{"Origin", "https://probe.invalid@evil.invalid"},
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://probe.invalid/", nil)
		if err != nil {
			return controls.Errored("request: %v", err)
		}
		r.Header.Set(h[0], h[1])
		if g.refuse(r) == nil {
			return controls.Failed("a POST with %s: %s was admitted", h[0], h[1])
		}
	}
	return controls.Passed("forged cross-site requests were refused")
}
