package authn

import (
	"bytes"
	"context"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	root "github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/authn/session"
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
