package login_test

import (
	"errors"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
)

// signUp takes the first login to its end and returns the app.
func (w *world) signUp(t *testing.T) (*authntest.App, string) {
	t.Helper()
	p, err := w.Begin(t.Context(), "acme", "Ada@Example.org ", initial, client)
	if err != nil || p.Step != login.StepEnrol || p.Token != "" {
		t.Fatalf("Begin: %+v, %v", p, err)
	}
	e, err := w.Enrol(t.Context(), p.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	app := authntest.Scan(t, e.URI)
	if p, err = w.Confirm(t.Context(), p.Ticket, app.Code(time.Now(), -1), client); err != nil || p.Step != login.StepChange || p.Token != "" {
		t.Fatalf("Confirm: %+v, %v", p, err)
	}
	if p, err = w.Change(t.Context(), p.Ticket, chosen, client); err != nil || p.Step != login.StepDone {
		t.Fatalf("Change: %+v, %v", p, err)
	}
	return app, p.Token
}

func TestFirstLoginTakesAllSteps(t *testing.T) {
	w := newWorld(t, login.Options{})
	app, token := w.signUp(t)
	if token == "" {
		t.Fatal("no token")
	}
	w.rec.Want(t, "authn.login.complete", auditlog.Success)
	w.rec.Want(t, "authn.session.create", auditlog.Success)
	w.rec.WantWithout(t, initial, chosen, "ada@", token)

	p, err := w.Begin(t.Context(), "acme", "ada@example.org", chosen, client)
	if err != nil || p.Step != login.StepCode || p.Token != "" {
		t.Fatalf("Begin: %+v, %v", p, err)
	}
	if p, err = w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); err != nil || p.Step != login.StepDone || p.Token == "" {
		t.Fatalf("Code: %+v, %v", p, err)
	}
	if _, err := w.Begin(t.Context(), "acme", "ada@example.org", initial, client); !errors.Is(err, login.ErrRefused) {
		t.Errorf("the old password: %v", err)
	}
}
