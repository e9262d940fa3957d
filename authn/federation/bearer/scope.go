package bearer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// A ScopeGuard is the guard made by [RequireScope].
type ScopeGuard struct {
	scopes   []string
	sessions bool
}

// RequireScope returns the guard of phase authorise that admits callers whose
// token was issued for every one of the scopes. It decides what the token is
// for, not what the caller may do: put the route's policy beside it.
func RequireScope(scopes ...string) *ScopeGuard { return &ScopeGuard{scopes: scopes} }

// OrSession also admits people who are signed in with a session here, which
// has no scopes.
func (g *ScopeGuard) OrSession() *ScopeGuard {
	return &ScopeGuard{scopes: g.scopes, sessions: true}
}

// Phase returns guard.Authorise.
func (g *ScopeGuard) Phase() guard.Phase { return guard.Authorise }

// Validate reports scopes that no token can have.
func (g *ScopeGuard) Validate() error {
	if len(g.scopes) == 0 {
		return errors.New("bearer: RequireScope: want at least one scope")
	}
	for _, s := range g.scopes {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }) {
			return errors.New("bearer: RequireScope: a scope is empty or has a character that RFC 6749, section 3.3, does not allow")
		}
	}
	return nil
}

// Admit implements guard.Guard.
func (g *ScopeGuard) Admit(ctx context.Context, _ *guard.Call) (context.Context, error) {
	p, ok := authn.FromContext(ctx)
	if !ok {
		return ctx, &guard.Denial{
			Control: "authn.bearer.scope", Code: guard.Unauthenticated, Public: "This needs an access token.",
			Type: "https://surety-go.github.io/problems/authentication-required", Challenge: []string{"Bearer"},
		}
	}
	if g.sessions && p.SessionID != "" && len(p.Scopes) == 0 {
		return ctx, nil
	}
	for _, s := range g.scopes {
		if !slices.Contains(p.Scopes, s) {
			return ctx, g.deny()
		}
	}
	return ctx, nil
}

func (g *ScopeGuard) deny() error {
	scope := strings.Join(g.scopes, " ")
	return &guard.Denial{
		Control: "authn.bearer.scope", Code: guard.PermissionDenied,
		Type:      "https://surety-go.github.io/problems/insufficient-scope",
		Public:    "The access token was not issued for this.",
		Challenge: []string{`Bearer error="insufficient_scope", scope="` + scope + `"`},
		Details:   map[string]any{"scope": scope},
	}
}

// Controls describes the guard. Its probe asks it about nobody, and about a
// caller who lacks one scope.
func (g *ScopeGuard) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.bearer.scope", Instance: strings.Join(g.scopes, "-"),
		Parameters: []controls.Parameter{controls.Text("scopes", strings.Join(g.scopes, " ")), controls.Bool("or_session", g.sessions)},
		Probe:      g.probe,
	}}
}

func (g *ScopeGuard) probe(ctx context.Context) controls.Result {
	call := guard.Synthetic("authn.bearer.scope", "authn.probe", nil)
	short := authn.Principal{Actor: call.Actor, AAL: authn.AAL1, Scopes: g.scopes[1:]}
	for what, p := range map[string]authn.Principal{"nobody": {}, "a token that lacks a scope": short} {
		var d *guard.Denial
		switch _, err := g.Admit(authn.NewContext(ctx, p), call); {
		case err == nil:
			return controls.Failed("%s was admitted", what)
		case !errors.As(err, &d):
			return controls.Errored("%s: %v", what, err)
		}
	}
	return controls.Passed("nobody, and a token that lacks a scope, were refused")
}
