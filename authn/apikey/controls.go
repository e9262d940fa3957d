package apikey

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// probeTenant is where probes make keys on the live store. No account has it.
const probeTenant = "surety-probe"

// Controls describes the keys. Its probe makes a key on the live store and
// checks that a forged, an expired, a rotated and a revoked one are refused.
func (m *Manager) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.apikey",
		Parameters: []controls.Parameter{
			controls.Duration("max_age", m.o.MaxAge), controls.Int("secret_bits", 8*secretBytes), controls.Bool("owner_checked", m.o.Owner != nil),
		},
		Probe: m.probe,
	}}
}

func (m *Manager) probe(ctx context.Context) controls.Result {
	quiet := *m
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	quiet.o.Owner = nil
	defer quiet.RevokeAll(context.WithoutCancel(ctx), probeTenant, "probe", "probe") //nolint:errcheck // the next probe tidies up too
	secret, k, err := quiet.Create(ctx, Key{Tenant: probeTenant, Owner: "probe", Name: "probe"})
	if err != nil {
		return controls.Errored("the store does not answer: %v", err)
	}
	forged := secret[:len(secret)-sumChars-1] + "a"
	if forged+checksum(forged) == secret {
		forged = forged[:len(forged)-1] + "b"
	}
	late := quiet
	late.now = func() time.Time { return m.now().Add(m.o.MaxAge) }
	next, _, err := quiet.Rotate(ctx, probeTenant, k.ID, time.Minute)
	if err != nil {
		return controls.Errored("rotating: %v", err)
	}
	after := quiet
	after.now = func() time.Time { return m.now().Add(2 * time.Minute) }
	steps := []struct {
		what, token string
		m           *Manager
		ok          bool
	}{
		{"the old key within the overlap", secret, &quiet, true},
		{"a forged key", forged + checksum(forged), &quiet, false},
		{"the old key after the overlap", secret, &after, false},
		{"an expired key", next, &late, false},
	}
	for _, s := range steps {
		if r, ok := s.m.ask(ctx, s.what, s.token, s.ok); !ok {
			return r
		}
	}
	if _, err := quiet.RevokeAll(ctx, probeTenant, "probe", "probe"); err != nil {
		return controls.Errored("revoking: %v", err)
	}
	if r, ok := quiet.ask(ctx, "a revoked key", next, false); !ok {
		return r
	}
	return controls.Passed("forged, expired, rotated and revoked keys were refused on the live store")
}

func (m *Manager) ask(ctx context.Context, what, token string, want bool) (controls.Result, bool) {
	_, err := m.Authenticate(ctx, guard.Synthetic("authn.apikey", "authn.probe", http.Header{"Authorization": {"Bearer " + token}}))
	switch {
	case err != nil && !errors.Is(err, ErrKey):
		return controls.Errored("%s: %v", what, err), false
	case (err == nil) != want:
		return controls.Failed("%s: accepted %t", what, err == nil), false
	}
	return controls.Result{}, true
}

// A ScopeGuard is the guard made by [RequireScope].
type ScopeGuard struct{ scopes []string }

// RequireScope returns the guard of phase authorise that admits people who are
// signed in with a session, which has no scopes, and programs whose key was
// issued for every one of the scopes. It decides what a key is for, not what
// the caller may do: put the route's policy beside it.
func RequireScope(scopes ...string) *ScopeGuard { return &ScopeGuard{scopes} }

// Phase returns guard.Authorise.
func (g *ScopeGuard) Phase() guard.Phase { return guard.Authorise }

// Validate reports scopes that no key can have.
func (g *ScopeGuard) Validate() error {
	if len(g.scopes) == 0 || slices.ContainsFunc(g.scopes, func(s string) bool { return !validScope(s) }) {
		return errors.New("apikey: RequireScope: want at least one scope, in the characters of RFC 6749, section 3.3")
	}
	return nil
}

// Admit implements guard.Guard.
func (g *ScopeGuard) Admit(ctx context.Context, _ *guard.Call) (context.Context, error) {
	p, ok := authn.FromContext(ctx)
	switch {
	case !ok:
		return ctx, &guard.Denial{
			Control: "authn.apikey.scope", Code: guard.Unauthenticated, Public: "This needs a key or a sign-in.",
			Type: "https://surety-go.github.io/problems/authentication-required", Challenge: []string{"Bearer"},
		}
	case p.SessionID != "" && len(p.Scopes) == 0:
		return ctx, nil
	case slices.ContainsFunc(g.scopes, func(s string) bool { return !slices.Contains(p.Scopes, s) }):
		return ctx, &guard.Denial{
			Control: "authn.apikey.scope", Code: guard.PermissionDenied, Public: "The key was not issued for this.",
			Type:    "https://surety-go.github.io/problems/insufficient-scope",
			Details: map[string]any{"scope": strings.Join(g.scopes, " ")},
		}
	}
	return ctx, nil
}

// Controls describes the guard. Its probe asks it about nobody, and about a
// key that lacks one scope.
func (g *ScopeGuard) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.apikey.scope", Instance: strings.Join(g.scopes, "-"),
		Parameters: []controls.Parameter{controls.Text("scopes", strings.Join(g.scopes, " "))}, Probe: g.probe,
	}}
}

func (g *ScopeGuard) probe(ctx context.Context) controls.Result {
	call := guard.Synthetic("authn.apikey.scope", "authn.probe", nil)
	for what, p := range map[string]authn.Principal{"nobody": {}, "a key that lacks a scope": {Actor: call.Actor, AAL: authn.AAL1, Scopes: g.scopes[1:]}} {
		var d *guard.Denial
		switch _, err := g.Admit(authn.NewContext(ctx, p), call); {
		case err == nil:
			return controls.Failed("%s was admitted", what)
		case !errors.As(err, &d):
			return controls.Errored("%s: %v", what, err)
		}
	}
	return controls.Passed("nobody, and a key that lacks a scope, were refused")
}
