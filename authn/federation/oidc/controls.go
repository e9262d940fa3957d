package oidc

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// Controls describes the sign-in at each provider. Its probe asks the provider
// for its metadata, which must be its own, and offers an answer that no
// browser asked for.
func (rp *RelyingParty) Controls() []controls.Control {
	var list []controls.Control
	for _, name := range slices.Sorted(maps.Keys(rp.providers)) {
		p := rp.providers[name]
		algorithms := make([]string, len(p.Algorithms))
		for i, a := range p.Algorithms {
			algorithms[i] = string(a)
		}
		list = append(list, controls.Control{
			ID: "authn.oidc", Instance: name,
			Parameters: []controls.Parameter{
				controls.Text("issuer", p.Issuer),
				controls.Text("algorithms", strings.Join(algorithms, " ")),
				controls.Text("scopes", strings.Join(append([]string{"openid"}, p.Scopes...), " ")),
				controls.Bool("pkce", true),
				controls.Bool("provisions", rp.parts.Provision != nil),
				controls.Duration("max_age", p.MaxAge),
				controls.Duration("transaction", rp.o.TransactionFor),
				controls.Bool("insecure_cookies", rp.o.InsecureCookies),
			},
			Probe: func(ctx context.Context) controls.Result { return rp.probe(ctx, p) },
		})
	}
	return list
}

func (rp *RelyingParty) probe(ctx context.Context, p *provider) controls.Result {
	quiet := *rp
	quiet.parts.Recorder = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	if _, err := p.load(ctx); err != nil {
		return controls.Errored("%v", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.redirect+"?code=x&state=ABCDEFGHIJKLMNOPQRSTUVWXYZ", nil)
	if err != nil {
		return controls.Errored("%v", err)
	}
	r.SetPathValue("provider", p.Name)
	w := silent{http.Header{}}
	var why *refusal
	if _, _, err := quiet.callback(w, r, p); !errors.As(err, &why) || len(w.h) > 0 {
		return controls.Failed("an answer that no browser asked for was not refused: %v", err)
	}
	switch err := quiet.logout(ctx, p, "e30.e30.AA"); {
	case err == nil:
		return controls.Failed("a forged logout token was accepted")
	case !errors.As(err, &why):
		return controls.Errored("%v", err)
	}
	return controls.Passed("the provider's metadata are its own; an answer that no browser asked for and a forged logout token were refused")
}

// silent answers nobody.
type silent struct{ h http.Header }

func (s silent) Header() http.Header         { return s.h }
func (s silent) Write(b []byte) (int, error) { return len(b), nil }
func (s silent) WriteHeader(int)             {}
