package authn_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// fake is an Authenticator of the header with its name.
type fake struct {
	name  string
	p     authn.Principal
	err   error
	ended error
	asked int
}

func (f *fake) Authenticate(_ context.Context, call *guard.Call) (authn.Principal, error) {
	f.asked++
	if call.Header(f.name) == nil {
		return authn.Principal{}, authn.ErrNoCredential
	}
	return f.p, f.err
}

func (f *fake) Revalidate(context.Context, authn.Principal) error { return f.ended }

func user(id string) authn.Principal {
	return authn.Principal{Actor: auditlog.Actor{ID: id, Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL1, Methods: []string{"pwd"}}
}

func admit(t *testing.T, g guard.Guard, header ...string) (context.Context, *guard.Call, error) {
	t.Helper()
	h := http.Header{}
	for _, name := range header {
		h.Set(name, "x")
	}
	call := guard.Synthetic("t", "t.read", h)
	call.Actor = auditlog.Actor{}
	ctx, err := g.Admit(t.Context(), call)
	return ctx, call, err
}

func identify(t *testing.T, rec auditlog.Recorder, list ...authn.Authenticator) *authn.Identifier {
	t.Helper()
	i, err := authn.Identify(rec, list...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestFirstThatRecognisesDecides(t *testing.T) {
	a, b := &fake{name: "A", p: user("a")}, &fake{name: "B", p: user("b")}
	i := identify(t, &auditlogtest.Recorder{}, a, b)
	for header, want := range map[string]string{"A": "a", "B": "b", "C": ""} {
		ctx, call, err := admit(t, i, header)
		p, ok := authn.FromContext(ctx)
		if err != nil || p.ID != want || ok != (want != "") || call.Actor.ID != want || auditlog.ActorFrom(ctx).ID != want {
			t.Errorf("%s: %+v, %t, %v", header, p, ok, err)
		}
	}
}

// The attack: a rejected credential, and a good one of another kind for the
// same call.
func TestRejectedCredentialNeverFallsThrough(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	a, b := &fake{name: "A", err: errors.Join(authn.ErrCredential)}, &fake{name: "B", p: user("b")}
	ctx, call, err := admit(t, identify(t, rec, a, b), "A", "B")
	var d *guard.Denial
	if !errors.As(err, &d) || d.Code != guard.Unauthenticated || d.Control != "authn.required" || b.asked != 0 || call.Actor.ID != "" {
		t.Errorf("%v, %+v", err, call.Actor)
	}
	if _, ok := authn.FromContext(ctx); ok {
		t.Error("somebody is in the context")
	}
	rec.Want(t, "authn.credential.verify", auditlog.Denied)
}

func TestUndecidableIsNoDenialAndNoAdmission(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	down := errors.New("down")
	for what, f := range map[string]*fake{
		"store down": {name: "A", err: down}, "nobody": {name: "A"},
		"no assurance": {name: "A", p: authn.Principal{Actor: user("a").Actor}}, "anonymous": {name: "A", p: authn.Principal{Actor: auditlog.Actor{ID: "a"}, AAL: authn.AAL1}},
	} {
		_, call, err := admit(t, identify(t, rec, f), "A")
		var d *guard.Denial
		if err == nil || errors.As(err, &d) || call.Actor.ID != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	rec.FailWith(down)
	_, _, err := admit(t, identify(t, rec, &fake{name: "A", err: authn.ErrCredential}), "A")
	if !errors.Is(err, down) {
		t.Errorf("an unrecorded rejection: %v", err)
	}
}

func TestReadmit(t *testing.T) {
	f := &fake{name: "A", p: user("a")}
	i := identify(t, &auditlogtest.Recorder{}, f)
	ctx, call, err := admit(t, i, "A")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Readmit(ctx, call); err != nil {
		t.Errorf("a session that stands: %v", err)
	}
	f.ended = errors.New("revoked")
	var d *guard.Denial
	if err := i.Readmit(ctx, call); !errors.As(err, &d) || d.Code != guard.Unauthenticated {
		t.Errorf("a revoked one: %v", err)
	}
	if err := i.Readmit(t.Context(), call); err != nil {
		t.Errorf("nobody: %v", err)
	}
}

func TestASVS_8_3_1_Required(t *testing.T) {
	g := authn.Required(authn.AAL2, authn.RequiredOptions{LoginPage: "/login", Challenge: `Bearer realm="api"`})
	for aal, want := range map[authn.AAL]bool{0: false, authn.AAL1: false, authn.AAL2: true, authn.AAL3: true} {
		p := user("a")
		p.AAL = aal
		_, err := g.Admit(authn.NewContext(t.Context(), p), guard.Synthetic("t", "t.read", nil))
		var d *guard.Denial
		if (err == nil) != want || err != nil && (!errors.As(err, &d) || d.Location != "/login" || len(d.Challenge) != 1) {
			t.Errorf("%v: %v", aal, err)
		}
	}
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	for _, bad := range []authn.AAL{0, 4} {
		if _, err := guard.New(authn.Required(bad, authn.RequiredOptions{})); err == nil {
			t.Errorf("level %d was accepted", bad)
		}
	}
}

func TestPrincipal(t *testing.T) {
	var nobody *authn.Principal
	if nobody.Authenticated() || (&authn.Principal{}).Authenticated() {
		t.Error("nobody is somebody")
	}
	p := user("a")
	if !p.Authenticated() || !p.Has("pwd") || p.Has("otp") || p.AAL.String() != "AAL1" {
		t.Errorf("%+v", p)
	}
	if _, ok := authn.FromContext(t.Context()); ok {
		t.Error("an empty context has somebody")
	}
	type other struct{}
	if ctx := authn.NewContext(context.WithValue(t.Context(), other{}, 1), p); ctx.Value(other{}) != 1 {
		t.Error("the context hides what is below it")
	}
}

func TestConstruction(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	if _, err := authn.Identify(nil, &fake{}); err == nil {
		t.Error("no recorder was accepted")
	}
	if _, err := authn.Identify(rec); err == nil {
		t.Error("no authenticator was accepted")
	}
	if _, err := authn.Identify(rec, &fake{}, nil); err == nil {
		t.Error("a nil authenticator was accepted")
	}
}

func TestOverHTTP(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	i := identify(t, rec, &fake{name: "A", p: user("a")})
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(rec), i}, guard.Route{
		Pattern: "GET /", Action: "t.read", Guards: []guard.Guard{authn.Required(authn.AAL1, authn.RequiredOptions{})}, Handler: http.NotFoundHandler(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]int{"A": 404, "B": 401} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set(header, "x")
		mux.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", header, w.Code, want)
		}
	}
}
