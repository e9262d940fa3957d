package authn

import (
	"bytes"
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	root "github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/authz"
)

// Everything real: accounts and people in SQL, roles in the engine.
func TestPeopleWithTheEngine(t *testing.T) {
	ctx, rec := t.Context(), &auditlogtest.Recorder{}
	db := open(t, sqlite(t))
	engine, err := authz.New(authz.ModelTenants, "p, reader, *, file, read, allow\n", rec, authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(db.Sessions(), bytes.Repeat([]byte{1}, 32), rec, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	people, err := lifecycle.New(lifecycle.Parts{
		Store: db.People(), Accounts: db.Accounts(), Granter: engine, Recorder: rec, Enders: []lifecycle.Ender{lifecycle.Sessions(sessions)},
	}, lifecycle.Options{Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	as := func(id string) context.Context {
		return root.NewContext(ctx, root.Principal{Actor: auditlog.Actor{ID: id, Tenant: "acme", Kind: auditlog.User}, AAL: root.AAL2})
	}
	p, err := people.Request(as("lead"), lifecycle.Person{Tenant: "acme", Name: "ada", Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	may := func() bool { return len(engine.Roles("acme", p.ID)) > 0 }
	state := func() bool {
		a, err := db.Accounts().ByID(ctx, "acme", p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return a.Disabled
	}
	if may() || !state() {
		t.Error("access before the approval")
	}
	if err := people.Approve(as("boss"), "acme", p.ID); err != nil || !may() || state() {
		t.Errorf("approved: roles %t, disabled %t, %v", may(), state(), err)
	}
	if err := people.Leave(as("boss"), "acme", p.ID, "contract.end"); err != nil || may() || !state() {
		t.Errorf("left: roles %t, disabled %t, %v", may(), state(), err)
	}
}

// postbox is an otp.Sender.
type postbox struct{ last otp.Message }

func (b *postbox) Send(_ context.Context, m otp.Message) error {
	b.last = m
	return nil
}

// From asking for an account to the first session, over SQL.
func TestFromSignUpToASession(t *testing.T) {
	databases(t, func(t *testing.T, pool *sql.DB) {
		ctx, rec, key, box := t.Context(), &auditlogtest.Recorder{}, bytes.Repeat([]byte{1}, 32), &postbox{}
		db := open(t, pool)
		var err error
		must := func() {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		engine, err := authz.New(authz.ModelTenants, "p, reader, *, file, read, allow\n", rec, authz.Options{})
		must()
		sessions, err := session.New(db.Sessions(), key, rec, session.Options{})
		must()
		people, err := lifecycle.New(lifecycle.Parts{
			Store: db.People(), Accounts: db.Accounts(), Granter: engine, Recorder: rec, Enders: []lifecycle.Ender{lifecycle.Sessions(sessions)},
		}, lifecycle.Options{Roles: []string{"reader"}})
		must()
		mail, err := otp.New(db.OTP(), box, key, rec, otp.Options{})
		must()
		hasher, err := password.New(password.Options{Memory: 7168, Passes: 5})
		must()
		codes, err := totp.New(db.TOTP(), authntest.Seeds{}, rec, totp.Options{Issuer: "Test"})
		must()
		guesses, err := throttle.New(db.Throttle(), rec, throttle.Options{})
		must()
		flow, err := login.New(login.Parts{
			Accounts: db.Accounts(), Passwords: hasher, Codes: codes, Sessions: sessions, Guesses: guesses, Key: key, Recorder: rec,
		}, login.Options{Mail: mail, SignUp: people})
		must()
		for range 2 { // the second is answered alike
			if err := people.SignUp(ctx, "acme", "ada@example.org"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := flow.AskReset(ctx, "acme", "ada@example.org"); err != nil || box.last.Code != "" {
			t.Fatalf("before the approval: %q, %v", box.last.Code, err)
		}
		list, err := people.List(ctx, "acme")
		if err != nil || len(list) != 1 {
			t.Fatalf("%d people, %v", len(list), err)
		}
		boss := root.NewContext(ctx, root.Principal{Actor: auditlog.Actor{ID: "boss", Tenant: "acme", Kind: auditlog.User}, AAL: root.AAL2})
		err = people.Approve(boss, "acme", list[0].ID)
		must()
		err = people.Move(boss, "acme", list[0].ID, []string{"reader"})
		must()
		handle, err := flow.AskReset(ctx, "acme", "ada@example.org")
		must()
		p, err := flow.TakeReset(ctx, handle, box.last.Code, login.Client{})
		must()
		const chosen = "seven quiet llamas dancing"
		_, err = flow.Change(ctx, p.Ticket, chosen, login.Client{})
		must()
		p, err = flow.Begin(ctx, "acme", "ada@example.org", chosen, login.Client{})
		must()
		e, err := flow.Enrol(ctx, p.Ticket)
		must()
		p, err = flow.Confirm(ctx, p.Ticket, authntest.Scan(t, e.URI).Code(time.Now(), 0), login.Client{})
		must()
		if p.Step != login.StepDone || p.Token == "" || len(engine.Roles("acme", list[0].ID)) != 1 {
			t.Errorf("%+v", p)
		}
	})
}
