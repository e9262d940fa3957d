package stepup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/stepup"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

func caller(aal authn.AAL, ago time.Duration) authn.Principal {
	return authn.Principal{
		Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}, AAL: aal,
		Methods: []string{"pwd"}, AuthenticatedAt: time.Now().Add(-ago), SessionID: "s",
	}
}

type factors map[string]time.Time

func (f factors) Factors(context.Context, authn.Principal) (map[string]time.Time, error) {
	return f, nil
}

type noFactors struct{ err error }

func (f noFactors) Factors(context.Context, authn.Principal) (map[string]time.Time, error) {
	return nil, f.err
}

func ask(g guard.Guard, p authn.Principal) error {
	_, err := g.Admit(authn.NewContext(context.Background(), p), guard.Synthetic("t", "t.read", nil))
	return err
}

func TestASVS_7_5_3_Requirements(t *testing.T) {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	otp := func(f stepup.Factors) guard.Guard {
		return stepup.RequireFactor(f, 5*time.Minute, stepup.Options{}, "otp", "hwk")
	}
	for what, tc := range map[string]struct {
		g    guard.Guard
		p    authn.Principal
		want bool
	}{
		"nobody":               {stepup.RequireAAL(authn.AAL1, stepup.Options{}), authn.Principal{}, false},
		"level enough":         {stepup.RequireAAL(authn.AAL2, stepup.Options{}), caller(authn.AAL2, time.Hour), true},
		"level above":          {stepup.RequireAAL(authn.AAL2, stepup.Options{}), caller(authn.AAL3, time.Hour), true},
		"level below":          {stepup.RequireAAL(authn.AAL2, stepup.Options{}), caller(authn.AAL1, 0), false},
		"fresh":                {stepup.RequireFresh(5*time.Minute, stepup.Options{}), caller(authn.AAL1, 4*time.Minute), true},
		"stale":                {stepup.RequireFresh(5*time.Minute, stepup.Options{}), caller(authn.AAL3, 6*time.Minute), false},
		"from the future":      {stepup.RequireFresh(5*time.Minute, stepup.Options{}), caller(authn.AAL3, -time.Hour), false},
		"a factor, fresh":      {otp(factors{"otp": ago(time.Minute)}), caller(authn.AAL2, time.Hour), true},
		"any of the factors":   {otp(factors{"hwk": ago(time.Minute), "otp": ago(time.Hour)}), caller(authn.AAL2, time.Hour), true},
		"a factor, stale":      {otp(factors{"otp": ago(time.Hour), "pwd": ago(0)}), caller(authn.AAL2, 0), false},
		"a factor, never":      {otp(factors{"pwd": ago(0)}), caller(authn.AAL2, 0), false},
		"a session that ended": {otp(noFactors{authn.ErrCredential}), caller(authn.AAL2, 0), false},
	} {
		err := ask(tc.g, tc.p)
		var d *guard.Denial
		if (err == nil) != tc.want || err != nil && !errors.As(err, &d) {
			t.Errorf("%s: %v", what, err)
		}
	}
	never := caller(authn.AAL2, 0)
	never.AuthenticatedAt = time.Time{}
	if ask(stepup.RequireFresh(24*time.Hour, stepup.Options{}), never) == nil {
		t.Error("a caller who never proved anything is fresh")
	}
	down := errors.New("down")
	err := ask(otp(noFactors{down}), caller(authn.AAL2, 0))
	var d *guard.Denial
	if !errors.Is(err, down) || errors.As(err, &d) {
		t.Errorf("unknown factors: %v, want an error that is no decision", err)
	}
}

// RFC 9470, section 3.
func TestChallenge(t *testing.T) {
	h := func(g guard.Guard, accept string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		inner := guard.Alone(g, http.NotFoundHandler())
		inner.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), caller(authn.AAL1, time.Hour))))
		return w
	}
	o := stepup.Options{Page: "/account/reauthenticate"}
	w := h(stepup.RequireAAL(authn.AAL2, o), "application/json")
	want := `Bearer error="insufficient_user_authentication", error_description="This needs a sign-in of assurance level 2.", acr_values="aal2"`
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != want || !strings.Contains(w.Body.String(), `"acr_values":"aal2"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	w = h(stepup.RequireFresh(5*time.Minute, o), "application/json")
	if !strings.HasSuffix(w.Header().Get("WWW-Authenticate"), `, max_age=300`) || !strings.Contains(w.Body.String(), `"max_age":300`) {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	w = h(stepup.RequireFresh(5*time.Minute, o), "text/html")
	if w.Code != 303 || w.Header().Get("Location") != o.Page {
		t.Errorf("a browser: %d %v", w.Code, w.Header())
	}
}

func TestBadArguments(t *testing.T) {
	f := factors{}
	for what, g := range map[string]guard.Guard{
		"level 0":      stepup.RequireAAL(0, stepup.Options{}),
		"level 4":      stepup.RequireAAL(4, stepup.Options{}),
		"negative":     stepup.RequireFresh(-time.Second, stepup.Options{}),
		"zero":         stepup.RequireFresh(0, stepup.Options{}),
		"two days":     stepup.RequireFresh(48*time.Hour, stepup.Options{}),
		"no factors":   stepup.RequireFactor(nil, time.Minute, stepup.Options{}, "otp"),
		"no methods":   stepup.RequireFactor(f, time.Minute, stepup.Options{}),
		"no age":       stepup.RequireFactor(f, 0, stepup.Options{}, "otp"),
		"empty method": stepup.RequireFactor(f, time.Minute, stepup.Options{}, ""),
		"a quote":      stepup.RequireFactor(f, time.Minute, stepup.Options{}, `o"tp`),
	} {
		if _, err := guard.New(g); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

func TestProbe(t *testing.T) {
	for _, g := range []guard.Guard{
		stepup.RequireAAL(authn.AAL2, stepup.Options{}), stepup.RequireFresh(time.Minute, stepup.Options{}),
		stepup.RequireFactor(factors{}, time.Minute, stepup.Options{}, "otp"),
	} {
		c := g.Controls()[0]
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if r := c.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("%s: %+v", c.Key(), r)
		}
	}
	g := stepup.RequireFactor(noFactors{errors.New("down")}, time.Minute, stepup.Options{}, "otp")
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%+v", r)
	}
}

func Example() {
	g := stepup.RequireFresh(5*time.Minute, stepup.Options{})
	fmt.Println(ask(g, caller(authn.AAL2, time.Minute)))
	fmt.Println(ask(g, caller(authn.AAL2, time.Hour)))
	// Output:
	// <nil>
	// denied by authn.stepup: This needs a recent sign-in. Confirm that it is you.
}
