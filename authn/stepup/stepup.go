// Package stepup guards what needs more than having signed in some time ago:
// a higher assurance, a recent proof, or a certain factor.
//
//	guard.Route{Pattern: "DELETE /people/{id}", Action: "people.delete", Handler: h, Guards: []guard.Guard{
//		stepup.RequireAAL(authn.AAL2, stepup.Options{Page: "/account/reauthenticate"}),
//		stepup.RequireFresh(5*time.Minute, stepup.Options{Page: "/account/reauthenticate"}),
//		policy,
//	}}
//
// Freshness counts from when the caller's factors were proven
// (authn.Principal.AuthenticatedAt), never from when the session began or was
// last used. Who falls short gets the challenge of RFC 9470 over HTTP, the
// same as details of the status over gRPC, and in a browser the Page.
//
// These guards decide nothing else: put the route's policy beside them.
package stepup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// Options are the options of a guard.
type Options struct {
	// Page is where a person's browser is sent to prove factors again, such
	// as "/account/reauthenticate"; empty for none.
	Page string
	// LoginPage is where nobody is sent, such as "/login"; empty for none.
	LoginPage string
}

// Factors says when each method of the caller was last proven.
// session.Manager has one.
type Factors interface {
	Factors(ctx context.Context, p authn.Principal) (map[string]time.Time, error)
}

// A Guard is a guard of phase authorise made by one of this package's
// functions.
type Guard struct {
	o       Options
	level   authn.AAL
	age     time.Duration
	methods []string
	factors Factors
	timed   bool // the age counts
	factor  bool // the methods count
	now     func() time.Time
}

// RequireAAL admits callers of at least the assurance.
func RequireAAL(level authn.AAL, o Options) *Guard {
	return &Guard{o: o, level: level, now: time.Now}
}

// RequireFresh admits callers who proved their factors at most age ago. The
// age is 1 s to 24 h.
func RequireFresh(age time.Duration, o Options) *Guard {
	return &Guard{o: o, level: authn.AAL1, age: age, timed: true, now: time.Now}
}

// RequireFactor admits callers who proved any one of the methods (RFC 8176
// values) at most age ago.
func RequireFactor(factors Factors, age time.Duration, o Options, methods ...string) *Guard {
	return &Guard{o: o, level: authn.AAL1, age: age, methods: methods, factors: factors, timed: true, factor: true, now: time.Now}
}

// Phase returns guard.Authorise.
func (g *Guard) Phase() guard.Phase { return guard.Authorise }

// Validate reports what is wrong with the guard's arguments.
func (g *Guard) Validate() error {
	switch {
	case g.level < authn.AAL1 || g.level > authn.AAL3:
		return fmt.Errorf("stepup: level %d: want 1, 2 or 3", g.level)
	case g.timed && (g.age < time.Second || g.age > 24*time.Hour):
		return fmt.Errorf("stepup: age %v: want 1 s to 24 h", g.age)
	case g.factor && (g.factors == nil || len(g.methods) == 0):
		return errors.New("stepup: RequireFactor: want the source of factors and at least one method")
	}
	for _, m := range g.methods {
		if m == "" || strings.ContainsAny(m, "\" \\") {
			return errors.New("stepup: RequireFactor: a method is empty or has a space or a quote")
		}
	}
	return nil
}

// Admit implements guard.Guard.
func (g *Guard) Admit(ctx context.Context, _ *guard.Call) (context.Context, error) {
	p, ok := authn.FromContext(ctx)
	if !ok {
		return ctx, g.deny("Sign in to continue.", g.o.LoginPage)
	}
	short, err := g.short(ctx, p)
	if err != nil {
		return ctx, err
	}
	if short != "" {
		return ctx, g.deny(short, g.o.Page)
	}
	return ctx, nil
}

// short says what the caller lacks; empty for nothing.
func (g *Guard) short(ctx context.Context, p authn.Principal) (string, error) {
	switch {
	case p.AAL < g.level:
		return fmt.Sprintf("This needs a sign-in of assurance level %d.", g.level), nil
	case g.factor:
		return g.shortOfFactor(ctx, p)
	case g.timed && !g.fresh(p.AuthenticatedAt):
		return "This needs a recent sign-in. Confirm that it is you.", nil
	}
	return "", nil
}

func (g *Guard) shortOfFactor(ctx context.Context, p authn.Principal) (string, error) {
	times, err := g.factors.Factors(ctx, p)
	if errors.Is(err, authn.ErrCredential) {
		return "The session has ended. Sign in again.", nil
	}
	if err != nil {
		return "", fmt.Errorf("stepup: factors: %w", err)
	}
	if !slices.ContainsFunc(g.methods, func(m string) bool { t, ok := times[m]; return ok && g.fresh(t) }) {
		return "This needs a recent proof of another factor.", nil
	}
	return "", nil
}

// fresh reports whether t is at most age ago. A time that was never set, or
// lies in the future, is not.
func (g *Guard) fresh(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	ago := g.now().Sub(t)
	return ago <= g.age && ago > -time.Minute // clocks of instances differ
}

// deny is the challenge of RFC 9470, section 3.
func (g *Guard) deny(public, page string) *guard.Denial {
	challenge := `Bearer error="insufficient_user_authentication", error_description="` + public + `"`
	details := map[string]any{}
	if g.level > authn.AAL1 {
		acr := strings.ToLower(g.level.String())
		challenge += `, acr_values="` + acr + `"`
		details["acr_values"] = acr
	}
	if g.timed {
		challenge += fmt.Sprintf(", max_age=%d", int(g.age/time.Second))
		details["max_age"] = int(g.age / time.Second)
	}
	if len(g.methods) > 0 {
		details["amr_values"] = slices.Clone(g.methods)
	}
	return &guard.Denial{
		Control: "authn.stepup", Code: guard.Unauthenticated, Public: public, Location: page,
		Type:      "https://surety-go.github.io/problems/step-up-required",
		Challenge: []string{challenge}, Details: details,
	}
}

// Controls describes the guard. Its probe asks it about nobody, and about
// callers who fall just short.
func (g *Guard) Controls() []controls.Control {
	instance := []string{}
	params := []controls.Parameter{controls.Int("aal", g.level)}
	if g.level > authn.AAL1 {
		instance = append(instance, strings.ToLower(g.level.String()))
	}
	if g.timed {
		instance = append(instance, g.age.String())
		params = append(params, controls.Duration("max_age", g.age))
	}
	if len(g.methods) > 0 {
		instance = append(instance, g.methods...)
		params = append(params, controls.Text("methods", strings.Join(g.methods, " ")))
	}
	return []controls.Control{{ID: "authn.stepup", Instance: strings.Join(instance, "-"), Parameters: params, Probe: g.probe}}
}

func (g *Guard) probe(ctx context.Context) controls.Result {
	call := guard.Synthetic("authn.stepup", "authn.probe", nil)
	now := g.now()
	probe := auditlog.Actor{ID: "probe", Kind: auditlog.Probe}
	cases := map[string]authn.Principal{
		"nobody":                  {},
		"a caller of lower level": {Actor: probe, AAL: g.level - 1, AuthenticatedAt: now},
	}
	if g.timed {
		cases["a caller whose proof is too old"] = authn.Principal{Actor: probe, AAL: g.level, AuthenticatedAt: now.Add(-g.age - time.Second)}
	}
	quiet := *g
	quiet.factors = fixed{"pwd": now.Add(-g.age - time.Second)}
	for what, p := range cases {
		var d *guard.Denial
		switch _, err := quiet.Admit(authn.NewContext(ctx, p), call); {
		case err == nil:
			return controls.Failed("%s was admitted", what)
		case !errors.As(err, &d):
			return controls.Errored("%s: %v", what, err)
		}
	}
	if g.factor {
		if _, err := g.factors.Factors(ctx, authn.Principal{Actor: auditlog.Actor{ID: "probe", Tenant: "surety-probe"}}); err != nil && !errors.Is(err, authn.ErrCredential) {
			return controls.Errored("the source of factors: %v", err)
		}
	}
	return controls.Passed("nobody and callers who fall just short were refused")
}

// fixed is what a probe says about factors.
type fixed map[string]time.Time

func (f fixed) Factors(context.Context, authn.Principal) (map[string]time.Time, error) {
	return f, nil
}
