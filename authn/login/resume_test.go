package login_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/stepup"
	"github.com/surety-go/surety/guard"
)

func TestAssuranceOfOtherWaysIn(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t)
	epoch, err := w.sessions.Epoch(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	for level, methods := range map[authn.AAL][]string{authn.AAL2: {"fed", "mfa"}, authn.AAL3: {"hwk", "user", "mfa"}} {
		p, err := w.Resume(t.Context(), "acme", "u-1", login.Proof{Epoch: epoch, Methods: methods}, client)
		if err != nil || p.Step != login.StepDone {
			t.Fatalf("%v: %+v, %v", methods, p, err)
		}
		if who, err := w.who(t, p.Token); err != nil || who.AAL != level {
			t.Errorf("%v: %+v, %v", methods, who, err)
		}
	}
}

// Freshness is that of the proof, not of the session: somebody who signed in
// at the provider hours ago has not proven anything just now.
func TestFreshnessIsThatOfTheProof(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t)
	epoch, err := w.sessions.Epoch(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{0: true, time.Hour: false, -time.Hour: true} {
		proof := login.Proof{Epoch: epoch, Methods: []string{"mfa"}, At: time.Now().Add(-age)}
		p, err := w.Resume(t.Context(), "acme", "u-1", proof, client)
		if err != nil {
			t.Fatal(err)
		}
		who, err := w.who(t, p.Token)
		if err != nil {
			t.Fatal(err)
		}
		g := stepup.RequireFresh(5*time.Minute, stepup.Options{})
		_, err = g.Admit(authn.NewContext(t.Context(), who), guard.Synthetic("t", "t.read", nil))
		if (err == nil) != want {
			t.Errorf("a proof of %v ago: %v", age, err)
		}
	}
}

func TestContinue(t *testing.T) {
	w := newWorld(t, login.Options{})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for step, want := range map[login.Step]string{login.StepDone: "/", login.StepCode: "/login/code"} {
		answer := httptest.NewRecorder()
		w.Continue(answer, r, login.Progress{Step: step, Token: "acme.x", Ticket: "y"})
		if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != want {
			t.Errorf("%s: %d %v", step, answer.Code, answer.Header())
		}
	}
	if login.ClientOf(r).Device.Network != "192.0.2.0/24" {
		t.Errorf("%+v", login.ClientOf(r))
	}
}
