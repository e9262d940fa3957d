package dsr_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/dsr"
	"github.com/surety-go/surety/privacy/record"
)

var key = bytes.Repeat([]byte{7}, dsr.KeySize)

func tenants(context.Context) ([]string, error) { return []string{"acme", "globex"}, nil }

func newDeskOn(t *testing.T, s record.Store, o dsr.Options, regimes ...dsr.Regime) (*dsr.Desk, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	if len(regimes) == 0 {
		regimes = []dsr.Regime{dsr.GDPR(dsr.Calendar{}), dsr.CCPA(dsr.Calendar{})}
	}
	d, err := dsr.New(s, key, rec, tenants, regimes, o)
	if err != nil {
		t.Fatal(err)
	}
	return d, rec
}

func ask(k dsr.Kind, regime string) dsr.Ask {
	return dsr.Ask{Tenant: "acme", Subject: "u-1", Kind: k, Regime: regime}
}

func as(t *testing.T, id string) context.Context {
	return auditlog.WithActor(t.Context(), auditlog.Actor{ID: id, Tenant: "acme", Kind: auditlog.User})
}

// signedIn is a session of u-1.
func signedIn(t *testing.T, id, tenant string, aal authn.AAL, at time.Time) context.Context {
	p := authn.Principal{Actor: auditlog.Actor{ID: id, Tenant: tenant, Kind: auditlog.User}, AAL: aal, Methods: []string{"pwd", "otp"}, AuthenticatedAt: at, SessionID: "s"}
	return authn.NewContext(t.Context(), p)
}

func open(t *testing.T, d *dsr.Desk, a dsr.Ask) dsr.Request {
	t.Helper()
	r, err := d.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFromAskToAnswer(t *testing.T) {
	told := []string{"crm.example"}
	d, rec := newDesk(t, dsr.Options{Recipients: func(context.Context, string, string) ([]string, error) { return told, nil }})
	r := open(t, d, ask(dsr.Rectification, "gdpr"))
	if _, err := d.Fulfil(t.Context(), "acme", r.ID, "done"); !errors.Is(err, dsr.ErrIdentity) {
		t.Errorf("fulfilled for a stranger: %v", err)
	}
	r, err := d.VerifySession(signedIn(t, "u-1", "acme", authn.AAL2, time.Now()), "acme", r.ID)
	if err != nil || r.State != dsr.Active || r.Level != dsr.StepUp {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := d.Fulfil(t.Context(), "acme", r.ID, "done"); !errors.Is(err, dsr.ErrRecipients) || !strings.Contains(err.Error(), "crm.example") {
		t.Errorf("fulfilled although a recipient knows nothing: %v", err)
	}
	if _, err := d.Told(t.Context(), "acme", r.ID, "crm.example", "receipt 9"); err != nil {
		t.Fatal(err)
	}
	r, err = d.Fulfil(as(t, "hr-1"), "acme", r.ID, "bundle 4f")
	if err != nil || r.State != dsr.Fulfilled || r.Closed.IsZero() || r.Steps[len(r.Steps)-1].Actor != "hr-1" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, action := range []string{"create", "verify", "notify", "complete"} {
		rec.Want(t, "privacy.request."+action, auditlog.Success)
	}
	if _, err := d.Refuse(t.Context(), "acme", r.ID, dsr.Unfounded, "x"); !errors.Is(err, dsr.ErrState) {
		t.Errorf("a fulfilled request was refused: %v", err)
	}
}

func TestSessionsThatProveNothing(t *testing.T) {
	d, _ := newDesk(t, dsr.Options{})
	r := open(t, d, ask(dsr.Erasure, "gdpr"))
	now := time.Now()
	impersonated := authn.NewContext(t.Context(), authn.Principal{
		Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User, For: "u-2"}, AAL: authn.AAL2, Methods: []string{"pwd"}, AuthenticatedAt: now,
	})
	for name, ctx := range map[string]context.Context{
		"nobody": t.Context(), "someone else": signedIn(t, "u-2", "acme", authn.AAL2, now),
		"the same id elsewhere": signedIn(t, "u-1", "globex", authn.AAL2, now), "someone acting for": impersonated,
	} {
		if _, err := d.VerifySession(ctx, "acme", r.ID); !errors.Is(err, dsr.ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, ctx := range map[string]context.Context{
		"one factor": signedIn(t, "u-1", "acme", authn.AAL1, now), "an old second factor": signedIn(t, "u-1", "acme", authn.AAL2, now.Add(-time.Hour)),
		"a second factor of the future": signedIn(t, "u-1", "acme", authn.AAL2, now.Add(time.Hour)),
	} {
		got, err := d.VerifySession(ctx, "acme", r.ID)
		if err != nil || got.State == dsr.Active {
			t.Errorf("%s is enough for erasure: %v %v", name, got.State, err)
		}
	}
	for _, actor := range []string{"u-1", ""} {
		if _, err := d.VerifyManually(as(t, actor), "acme", r.ID, "seen"); !errors.Is(err, dsr.ErrIdentity) {
			t.Errorf("%q vouched: %v", actor, err)
		}
	}
}

func TestEmailLoop(t *testing.T) {
	d, rec := newDesk(t, dsr.Options{Levels: map[dsr.Kind]dsr.Level{dsr.Access: dsr.EmailLoop}})
	r := open(t, d, ask(dsr.Access, "gdpr"))
	secret, err := d.Challenge(t.Context(), "acme", r.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.WantWithout(t, secret)
	for range 5 {
		if _, err := d.Answer(t.Context(), "acme", r.ID, "guess"); !errors.Is(err, dsr.ErrIdentity) {
			t.Fatalf("a guess: %v", err)
		}
	}
	if _, err := d.Answer(t.Context(), "acme", r.ID, secret); !errors.Is(err, dsr.ErrIdentity) {
		t.Errorf("guessing goes on for ever: %v", err)
	}
	if secret, err = d.Challenge(t.Context(), "acme", r.ID); err != nil {
		t.Fatal(err)
	}
	d.SetNow(time.Now().Add(25 * time.Hour))
	if _, err := d.Answer(t.Context(), "acme", r.ID, secret); !errors.Is(err, dsr.ErrIdentity) {
		t.Errorf("a secret of yesterday: %v", err)
	}
	d.SetNow(time.Now())
	r, err = d.Answer(t.Context(), "acme", r.ID, secret)
	if err != nil || r.State != dsr.Active {
		t.Fatalf("%v, %v", r.State, err)
	}
	if _, err := d.Answer(t.Context(), "acme", r.ID, secret); err == nil {
		t.Error("a secret counts twice")
	}
}

func TestOptingOutNeedsNoProof(t *testing.T) {
	d, _ := newDesk(t, dsr.Options{})
	a := ask(dsr.OptOut, "ccpa")
	a.Agent = &dsr.Agent{ID: "agent-1", Authorisation: "file 7"}
	r := open(t, d, a)
	if r.State != dsr.Active || r.Agent == nil {
		t.Fatalf("%+v", r)
	}
	if _, err := d.Fulfil(t.Context(), "acme", r.ID, "flag set"); err != nil {
		t.Error(err)
	}
}

func TestRefuseAndAppeal(t *testing.T) {
	d, _ := newDesk(t, dsr.Options{})
	r := open(t, d, ask(dsr.Erasure, "gdpr"))
	appeal := ask(dsr.Appeal, "gdpr")
	appeal.About = r.ID
	if _, err := d.Open(t.Context(), appeal); !errors.Is(err, dsr.ErrAsk) {
		t.Errorf("an open request was appealed: %v", err)
	}
	for ground, reason := range map[dsr.Exception]string{"": "x", "dislike": "x", dsr.LegalDuty: ""} {
		if _, err := d.Refuse(t.Context(), "acme", r.ID, ground, reason); !errors.Is(err, dsr.ErrAsk) {
			t.Errorf("refused for %q, %q: %v", ground, reason, err)
		}
	}
	if _, err := d.Refuse(t.Context(), "acme", r.ID, dsr.LegalDuty, "tax law keeps invoices for ten years"); err != nil {
		t.Fatal(err)
	}
	other := appeal
	other.Subject = "u-2"
	if _, err := d.Open(t.Context(), other); !errors.Is(err, dsr.ErrAsk) {
		t.Errorf("someone else's refusal was appealed: %v", err)
	}
	open(t, d, appeal)
	mine, err := d.ListOf(t.Context(), "acme", "u-1")
	if err != nil || len(mine) != 2 {
		t.Errorf("%d requests, %v", len(mine), err)
	}
}

func TestOverdueIsToldOnceAndFailsTheProbe(t *testing.T) {
	d, rec := newDesk(t, dsr.Options{})
	start := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	d.SetNow(start)
	r := open(t, d, ask(dsr.Access, "gdpr"))
	unconfirmed := open(t, d, ask(dsr.Access, "ccpa"))
	if _, err := d.Confirm(t.Context(), "acme", open(t, d, ask(dsr.Access, "ccpa")).ID); err != nil {
		t.Fatal(err)
	}
	if got := d.Controls()[0].Run(t.Context()); got.State != controls.Pass {
		t.Errorf("%v %s", got.State, got.Observed)
	}
	d.SetNow(unconfirmed.ConfirmBy)
	if late, err := d.Sweep(t.Context()); err != nil || len(late) != 1 || late[0].ID != unconfirmed.ID {
		t.Errorf("unconfirmed: %v, %v", late, err)
	}
	d.SetNow(r.Due)
	for range 2 {
		if late, err := d.Sweep(t.Context()); err != nil || len(late) != 2 {
			t.Errorf("%d late, %v", len(late), err)
		}
	}
	if got := rec.Find("privacy.request.lapse"); len(got) != 2 {
		t.Errorf("%d events, want one for each", len(got))
	}
	if got := d.Controls()[0].Run(t.Context()); got.State != controls.Fail {
		t.Errorf("%v %s", got.State, got.Observed)
	}
}

type rewriting struct {
	*record.Memory
	change func(*record.Record)
}

func (r *rewriting) Get(ctx context.Context, tenant, kind, id string) (record.Record, error) {
	rec, err := r.Memory.Get(ctx, tenant, kind, id)
	if r.change != nil && err == nil {
		r.change(&rec)
	}
	return rec, err
}

func (r *rewriting) List(ctx context.Context, tenant, kind string, f record.Filter) ([]record.Record, error) {
	list, err := r.Memory.List(ctx, tenant, kind, f)
	for i := range list {
		if r.change != nil {
			r.change(&list[i])
		}
	}
	return list, err
}

func TestRewritingTheTableIsFound(t *testing.T) {
	for name, change := range map[string]func(*record.Record){
		"put off": func(r *record.Record) { r.Data = bytes.ReplaceAll(r.Data, []byte(`"Due":"2`), []byte(`"Due":"3`)) },
		"closed":  func(r *record.Record) { r.Open = false },
		"proof":   func(r *record.Record) { r.Data = bytes.ReplaceAll(r.Data, []byte(`"Level":0`), []byte(`"Level":4`)) },
	} {
		s := &rewriting{Memory: record.NewMemory()}
		d, _ := newDeskOn(t, s, dsr.Options{})
		r := open(t, d, ask(dsr.Access, "gdpr"))
		s.change = change
		if _, err := d.Get(t.Context(), "acme", r.ID); !errors.Is(err, dsr.ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", name, err)
		}
		if got := d.Controls()[0].Run(t.Context()); got.State != controls.Fail {
			t.Errorf("%s: the probe says %v: %s", name, got.State, got.Observed)
		}
	}
}

func TestAStepThatCannotBeRecordedDoesNotHappen(t *testing.T) {
	s := record.NewMemory()
	d, rec := newDeskOn(t, s, dsr.Options{})
	full := errors.New("disk full")
	rec.FailWith(full)
	if _, err := d.Open(t.Context(), ask(dsr.Access, "gdpr")); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if list, _ := s.List(t.Context(), "acme", "request", record.Filter{}); len(list) != 0 {
		t.Error("an unrecorded request exists")
	}
}

func TestTwoAtOnce(t *testing.T) {
	d, _ := newDesk(t, dsr.Options{})
	r := open(t, d, ask(dsr.OptOut, "ccpa"))
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			if err := dsr.Retry(func() error { _, err := d.Told(t.Context(), "acme", r.ID, name, "ok"); return err }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := d.Get(t.Context(), "acme", r.ID)
	if err != nil || len(got.Recipients) != 4 {
		t.Errorf("%d recipients, %v: an update was lost", len(got.Recipients), err)
	}
}

func TestBadInput(t *testing.T) {
	d, rec := newDesk(t, dsr.Options{})
	for name, f := range map[string]func(*dsr.Ask){
		"Tenant": func(a *dsr.Ask) { a.Tenant = "" }, "Subject": func(a *dsr.Ask) { a.Subject = "" }, "Kind": func(a *dsr.Ask) { a.Kind = "x" },
		"Regime": func(a *dsr.Ask) { a.Regime = "x" }, "At": func(a *dsr.Ask) { a.At = time.Now().Add(time.Hour) },
		"About": func(a *dsr.Ask) { a.About = "x" }, "Agent": func(a *dsr.Ask) { a.Agent = &dsr.Agent{ID: "x"} },
		"Channel": func(a *dsr.Ask) { a.Channel = strings.Repeat("x", 65) },
	} {
		a := ask(dsr.Access, "gdpr")
		f(&a)
		if _, err := d.Open(t.Context(), a); !errors.Is(err, dsr.ErrAsk) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Get(t.Context(), "acme", "x"); !errors.Is(err, dsr.ErrNotFound) {
		t.Error(err)
	}
	g := dsr.GDPR(dsr.Calendar{})
	for i, f := range []func() (*dsr.Desk, error){
		func() (*dsr.Desk, error) { return dsr.New(nil, key, rec, tenants, []dsr.Regime{g}, dsr.Options{}) },
		func() (*dsr.Desk, error) {
			return dsr.New(record.NewMemory(), key[:5], rec, tenants, []dsr.Regime{g}, dsr.Options{})
		},
		func() (*dsr.Desk, error) {
			return dsr.New(record.NewMemory(), key, nil, tenants, []dsr.Regime{g}, dsr.Options{})
		},
		func() (*dsr.Desk, error) {
			return dsr.New(record.NewMemory(), key, rec, tenants, []dsr.Regime{g, g}, dsr.Options{})
		},
		func() (*dsr.Desk, error) {
			return dsr.New(record.NewMemory(), key, rec, tenants, []dsr.Regime{{Name: "x"}}, dsr.Options{})
		},
	} {
		if _, err := f(); !errors.Is(err, dsr.ErrConfig) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
