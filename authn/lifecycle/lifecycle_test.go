package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/controls"
)

// accounts is an Accounts in memory.
type accounts struct {
	mu   sync.Mutex
	open map[string]bool // by tenant/id: may sign in
	err  error
}

func (a *accounts) Create(_ context.Context, acc login.Account) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[acc.Tenant+"/"+acc.ID] = !acc.Disabled
	return a.err
}

func (a *accounts) SetDisabled(_ context.Context, tenant, id string, disabled bool) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.open[tenant+"/"+id]
	a.open[tenant+"/"+id] = !disabled
	return ok, a.err
}

// granter is a Granter in memory.
type granter struct {
	mu    sync.Mutex
	roles map[string][]string
	err   error
}

func (g *granter) Grant(_ context.Context, tenant, account, role string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := tenant + "/" + account
	if !slices.Contains(g.roles[k], role) {
		g.roles[k] = append(g.roles[k], role)
	}
	return g.err
}

func (g *granter) Revoke(_ context.Context, tenant, account, role string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		k := tenant + "/" + account
		g.roles[k] = slices.DeleteFunc(g.roles[k], func(r string) bool { return r == role })
	}
	return g.err
}

func (g *granter) Roles(tenant, account string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.roles[tenant+"/"+account])
}

type office struct {
	*lifecycle.Manager
	accounts *accounts
	granter  *granter
	sessions *session.Manager
	keys     *apikey.Manager
	rec      *auditlogtest.Recorder
	at       time.Time
}

func newOffice(t testing.TB, o lifecycle.Options) *office {
	t.Helper()
	f := &office{
		accounts: &accounts{open: map[string]bool{}}, granter: &granter{roles: map[string][]string{}}, rec: &auditlogtest.Recorder{}, at: time.Now(),
	}
	key, quiet := bytes.Repeat([]byte{1}, 32), &auditlogtest.Recorder{}
	var err error
	if f.sessions, err = session.New(&session.Memory{}, key, quiet, session.Options{}); err != nil {
		t.Fatal(err)
	}
	if f.keys, err = apikey.New(&apikey.Memory{}, key, quiet, apikey.Options{}); err != nil {
		t.Fatal(err)
	}
	o.Roles = []string{"reader", "editor"}
	o.Tenants = func(context.Context) ([]string, error) { return []string{"acme"}, nil }
	f.Manager, err = lifecycle.New(lifecycle.Parts{
		Store: &lifecycle.Memory{}, Accounts: f.accounts, Granter: f.granter, Recorder: f.rec,
		Enders: []lifecycle.Ender{lifecycle.Sessions(f.sessions), lifecycle.APIKeys(f.keys)},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	lifecycle.SetNow(f.Manager, func() time.Time { return f.at })
	return f
}

// as is a context whose caller is an account.
func as(id string) context.Context {
	return authn.NewContext(context.Background(), authn.Principal{Actor: auditlog.Actor{ID: id, Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2})
}

func (f *office) join(t testing.TB, name string, roles ...string) lifecycle.Person {
	t.Helper()
	p, err := f.Request(as("lead"), lifecycle.Person{Tenant: "acme", Name: name, Roles: roles, External: "hr-" + name})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Approve(as("boss"), "acme", p.ID); err != nil {
		t.Fatal(err)
	}
	if p, err = f.Get(t.Context(), "acme", p.ID); err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *office) canSignIn(id string) bool {
	f.accounts.mu.Lock()
	defer f.accounts.mu.Unlock()
	return f.accounts.open["acme/"+id]
}

// use opens what a person at work has open.
func (f *office) use(t *testing.T, id string) {
	t.Helper()
	p := authn.Principal{Actor: auditlog.Actor{ID: id, Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2, Methods: []string{"pwd", "otp"}}
	epoch, err := f.sessions.Epoch(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.sessions.Create(t.Context(), p, epoch, session.Device{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.keys.Create(t.Context(), apikey.Key{Tenant: "acme", Owner: id, Name: "export"}); err != nil {
		t.Fatal(err)
	}
}

func TestNoAccessBeforeAnApproval(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	p, err := f.Request(as("lead"), lifecycle.Person{Tenant: "acme", Name: " Ada@Example.org", Roles: []string{"reader"}, State: lifecycle.Active, ID: "mine"})
	if err != nil || p.State != lifecycle.Requested || p.ID == "mine" || p.Name != "ada@example.org" || p.By != "lead" {
		t.Fatalf("%+v, %v", p, err)
	}
	if f.canSignIn(p.ID) || len(f.granter.Roles("acme", p.ID)) != 0 {
		t.Error("access before the approval")
	}
	for who, ctx := range map[string]context.Context{"who asked": as("lead"), "the person": as(p.ID), "nobody": context.Background()} {
		if err := f.Approve(ctx, "acme", p.ID); !errors.Is(err, lifecycle.ErrSelf) || f.canSignIn(p.ID) {
			t.Errorf("%s: %v", who, err)
		}
	}
	if err := f.Approve(as("boss"), "globex", p.ID); !errors.Is(err, lifecycle.ErrNotFound) {
		t.Errorf("another tenant: %v", err)
	}
	if err := f.Approve(as("boss"), "acme", p.ID); err != nil || !f.canSignIn(p.ID) || !slices.Equal(f.granter.Roles("acme", p.ID), []string{"reader"}) {
		t.Errorf("%v, %v", err, f.granter.Roles("acme", p.ID))
	}
	if err := f.Approve(as("boss"), "acme", p.ID); !errors.Is(err, lifecycle.ErrState) {
		t.Errorf("again: %v", err)
	}
	for what, bad := range map[string]lifecycle.Person{
		"an unknown role": {Tenant: "acme", Name: "b", Roles: []string{"owner"}}, "a role twice": {Tenant: "acme", Name: "b", Roles: []string{"reader", "reader"}},
		"no name": {Tenant: "acme"}, "no tenant": {Name: "b"}, "a taken name": {Tenant: "acme", Name: "ada@example.org"},
	} {
		if _, err := f.Request(as("lead"), bad); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

func TestMoveTakesBeforeItGives(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	p := f.join(t, "ada", "reader")
	if err := f.Move(as("boss"), "acme", p.ID, []string{"editor"}); err != nil || !slices.Equal(f.granter.Roles("acme", p.ID), []string{"editor"}) {
		t.Errorf("%v, %v", err, f.granter.Roles("acme", p.ID))
	}
	if err := f.Move(as("boss"), "acme", p.ID, []string{"owner"}); !errors.Is(err, lifecycle.ErrRole) {
		t.Errorf("an unknown role: %v", err)
	}
	f.rec.Want(t, "authn.lifecycle.move", auditlog.Success)
}

func TestEverythingEndsWhenSomebodyLeaves(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	p := f.join(t, "ada", "reader", "editor")
	f.use(t, p.ID)
	if err := f.granter.Grant(t.Context(), "acme", p.ID, "given by somebody else"); err != nil {
		t.Fatal(err)
	}
	if err := f.Leave(as("boss"), "acme", p.ID, "contract.end"); err != nil {
		t.Fatal(err)
	}
	sessions, err1 := f.sessions.List(t.Context(), "acme", p.ID)
	keys, err2 := f.keys.List(t.Context(), "acme", p.ID)
	if err := errors.Join(err1, err2); err != nil || len(sessions) != 0 || len(keys) != 0 || len(f.granter.Roles("acme", p.ID)) != 0 || f.canSignIn(p.ID) {
		t.Errorf("%d sessions, %d keys, roles %v, open %t, %v", len(sessions), len(keys), f.granter.Roles("acme", p.ID), f.canSignIn(p.ID), err)
	}
	if p, err := f.Get(t.Context(), "acme", p.ID); err != nil || p.State != lifecycle.Left {
		t.Errorf("%+v, %v", p, err)
	}
	if err := f.Leave(as("boss"), "acme", p.ID, "again"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := errors.Join(f.Move(as("boss"), "acme", p.ID, nil), f.Resume(as("boss"), "acme", p.ID)); !errors.Is(err, lifecycle.ErrState) {
		t.Errorf("who left comes back: %v", err)
	}
	f.rec.Want(t, "authn.lifecycle.left", auditlog.Success)
}

// What can't be ended now is tried again, and is a finding after the deadline.
func TestTheDeadlineIsChecked(t *testing.T) {
	f := newOffice(t, lifecycle.Options{Deadline: time.Minute})
	probe := func(want controls.State) {
		t.Helper()
		if r := f.Controls()[0].Run(t.Context()); r.State != want {
			t.Errorf("%+v", r)
		}
	}
	p := f.join(t, "ada", "reader")
	f.use(t, p.ID)
	f.granter.err = errors.New("down")
	if err := f.Leave(as("boss"), "acme", p.ID, "contract.end"); err == nil {
		t.Fatal("no error")
	}
	if f.canSignIn(p.ID) {
		t.Error("the account is open: it has to be closed whatever fails")
	}
	probe(controls.Pass) // there is time
	f.at = f.at.Add(2 * time.Minute)
	probe(controls.Fail)
	late, err := f.Overdue(t.Context(), "acme")
	if err != nil || len(late) != 1 || !slices.Equal(late[0].Open, []string{"roles"}) {
		t.Errorf("%+v, %v", late, err)
	}
	f.granter.err = nil
	if n, err := f.Sweep(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	probe(controls.Pass)
	f.rec.Want(t, "authn.lifecycle.overdue", auditlog.Failed)
	// Somebody gives a role to one who left.
	if err := f.granter.Grant(t.Context(), "acme", p.ID, "reader"); err != nil {
		t.Fatal(err)
	}
	f.at = f.at.Add(2 * time.Minute)
	probe(controls.Fail)
}

// An approval that is under way while somebody leaves gives nothing back.
func TestLeavingWinsOverApproving(t *testing.T) {
	for range 50 {
		f := newOffice(t, lifecycle.Options{})
		p, err := f.Request(as("lead"), lifecycle.Person{Tenant: "acme", Name: "ada", Roles: []string{"reader"}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = f.Approve(as("boss"), "acme", p.ID) })
		wg.Go(func() {
			for f.Leave(as("boss"), "acme", p.ID, "contract.end") != nil { // overtaken by the approval: again
			}
		})
		wg.Wait()
		if _, err := f.Sweep(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if f.canSignIn(p.ID) || len(f.granter.Roles("acme", p.ID)) != 0 {
			t.Fatal("who left has access")
		}
	}
}

func TestDormantAndSuspended(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	p, q := f.join(t, "ada"), f.join(t, "bob", "reader")
	f.at = f.at.Add(80 * 24 * time.Hour)
	if err := f.Seen(t.Context(), "acme", p.ID); err != nil {
		t.Fatal(err)
	}
	if err := f.Seen(t.Context(), "acme", "somebody else's"); err != nil {
		t.Error(err)
	}
	f.at = f.at.Add(20 * 24 * time.Hour)
	list, err := f.Dormant(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].ID != q.ID {
		t.Fatalf("%+v, %v", list, err)
	}
	f.use(t, q.ID)
	if err := f.Suspend(as("boss"), "acme", q.ID, "dormant"); err != nil || f.canSignIn(q.ID) {
		t.Errorf("%v", err)
	}
	if sessions, err := f.sessions.List(t.Context(), "acme", q.ID); err != nil || len(sessions) != 0 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
	if err := f.Resume(as(q.ID), "acme", q.ID); !errors.Is(err, lifecycle.ErrSelf) {
		t.Errorf("by himself: %v", err)
	}
	if err := f.Resume(as("boss"), "acme", q.ID); err != nil || !f.canSignIn(q.ID) {
		t.Errorf("%v", err)
	}
}

func TestOrphans(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	f.join(t, "ada")
	gone, stays := f.join(t, "bob"), f.join(t, "eve")
	r, err := f.Orphans(t.Context(), "acme", []lifecycle.Known{{"hr-ada", true}, {"hr-bob", false}, {"hr-new", true}, {"hr-old", false}})
	if err != nil || len(r.Orphans) != 2 || r.Orphans[0].ID != gone.ID || r.Orphans[1].ID != stays.ID || !slices.Equal(r.Missing, []string{"hr-new"}) {
		t.Errorf("%+v, %v", r, err)
	}
	f.rec.Want(t, "authn.lifecycle.review", auditlog.Success)
}

const header = "external_id,name,status,roles\n"

func TestFeed(t *testing.T) {
	f := newOffice(t, lifecycle.Options{TrustSources: true, MaxLeavers: 50})
	done, err := f.Import(t.Context(), "acme", strings.NewReader(header+"1,ada,active,reader\n2,bob,active,\"reader editor\"\n3,eve,left,\n"))
	if err != nil || done != (lifecycle.Change{Joined: 2}) {
		t.Fatalf("%+v, %v", done, err)
	}
	list, err := f.List(t.Context(), "acme")
	if err != nil || len(list) != 2 || list[0].State != lifecycle.Active || !f.canSignIn(list[0].ID) {
		t.Fatalf("%+v, %v", list, err)
	}
	done, err = f.Import(t.Context(), "acme", strings.NewReader(header+"1,ada,active,editor\n2,bob,left,\n"))
	if err != nil || done != (lifecycle.Change{Moved: 1, Left: 1}) || f.canSignIn(list[1].ID) || !slices.Equal(f.granter.Roles("acme", list[0].ID), []string{"editor"}) {
		t.Errorf("%+v, %v", done, err)
	}
	// The same again changes nothing.
	if done, err = f.Import(t.Context(), "acme", strings.NewReader(header+"1,ada,active,editor\n2,bob,left,\n")); err != nil || done != (lifecycle.Change{}) {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestFeedsThatAreRefused(t *testing.T) {
	f := newOffice(t, lifecycle.Options{TrustSources: true})
	var all strings.Builder
	for n := range 20 {
		fmt.Fprintf(&all, "%d,person%d,active,reader\n", n, n)
	}
	if _, err := f.Import(t.Context(), "acme", strings.NewReader(header+all.String())); err != nil {
		t.Fatal(err)
	}
	for what, feed := range map[string]string{
		"empty": "", "only a header": header, "half": header + "1,person1,active,reader\n", "other columns": "id,name\n1,x\n", "a bad status": header + all.String() + "x,y,maybe,\n",
		"an unknown role": header + all.String() + "x,y,active,owner\n", "twice": header + all.String() + "1,z,active,\n", "no id": header + all.String() + ",z,active,\n",
		"cut": header + all.String() + "x,\"y",
	} {
		if done, err := f.Import(t.Context(), "acme", strings.NewReader(feed)); !errors.Is(err, lifecycle.ErrFeed) || done != (lifecycle.Change{}) {
			t.Errorf("%s: %+v, %v", what, done, err)
		}
	}
	list, err := f.List(t.Context(), "acme")
	if err != nil || slices.ContainsFunc(list, func(p lifecycle.Person) bool { return p.State != lifecycle.Active }) {
		t.Errorf("somebody had to leave: %v", err)
	}
}

func TestWithoutTrustSourcesWait(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	if _, err := f.Import(t.Context(), "acme", strings.NewReader(header+"1,ada,active,reader\n")); err != nil {
		t.Fatal(err)
	}
	list, err := f.List(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].State != lifecycle.Requested || f.canSignIn(list[0].ID) || list[0].By != "feed" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestFaultsGiveNothing(t *testing.T) {
	f := newOffice(t, lifecycle.Options{})
	p, err := f.Request(as("lead"), lifecycle.Person{Tenant: "acme", Name: "ada", Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	f.rec.FailWith(errors.New("disk full"))
	if err := f.Approve(as("boss"), "acme", p.ID); err == nil || f.canSignIn(p.ID) || len(f.granter.Roles("acme", p.ID)) != 0 {
		t.Errorf("an unrecorded approval: %v", err)
	}
	f.rec.FailWith(nil)
	f.granter.err = errors.New("down")
	if err := f.Approve(as("boss"), "acme", p.ID); err == nil || f.canSignIn(p.ID) {
		t.Errorf("an account without its roles is open: %v", err)
	}
	good := lifecycle.Parts{Store: &lifecycle.Memory{}, Accounts: f.accounts, Granter: f.granter, Recorder: f.rec, Enders: []lifecycle.Ender{lifecycle.Sessions(f.sessions)}}
	if _, err := lifecycle.New(lifecycle.Parts{}, lifecycle.Options{Roles: []string{"r"}}); err == nil {
		t.Error("no parts")
	}
	none := good
	none.Enders = nil
	if _, err := lifecycle.New(none, lifecycle.Options{Roles: []string{"r"}}); err == nil {
		t.Error("nothing to end")
	}
	for i, o := range []lifecycle.Options{{}, {Roles: []string{"r"}, Deadline: 25 * time.Hour}, {Roles: []string{"r"}, Dormant: time.Hour}, {Roles: []string{"r"}, MaxLeavers: 101}} {
		if _, err := lifecycle.New(good, o); err == nil {
			t.Errorf("options %d were accepted", i)
		}
	}
	blind, err := lifecycle.New(good, lifecycle.Options{Roles: []string{"r"}})
	if err != nil {
		t.Fatal(err)
	}
	if r := blind.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("a probe that looked at nobody: %+v", r)
	}
}

func FuzzImport(f *testing.F) {
	o := newOffice(f, lifecycle.Options{})
	f.Add(header + "1,ada,active,reader\n")
	f.Add(header + "\"")
	f.Fuzz(func(t *testing.T, feed string) {
		if _, err := o.Import(t.Context(), "acme", strings.NewReader(feed)); err == nil && !strings.HasPrefix(feed, "external_id") && !strings.HasPrefix(feed, "\"external_id") {
			t.Errorf("%q was read", feed)
		}
	})
}

func Example() {
	store, rec := &lifecycle.Memory{}, &auditlogtest.Recorder{}
	sessions, _ := session.New(&session.Memory{}, bytes.Repeat([]byte{1}, 32), rec, session.Options{})
	people, err := lifecycle.New(lifecycle.Parts{
		Store: store, Accounts: &accounts{open: map[string]bool{}}, Granter: &granter{roles: map[string][]string{}}, Recorder: rec,
		Enders: []lifecycle.Ender{lifecycle.Sessions(sessions)},
	}, lifecycle.Options{Roles: []string{"reader"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := people.Request(as("lead"), lifecycle.Person{Tenant: "acme", Name: "ada@example.org", Roles: []string{"reader"}})
	fmt.Println(p.State, err)
	fmt.Println(people.Approve(as("lead"), "acme", p.ID))
	fmt.Println(people.Approve(as("boss"), "acme", p.ID))
	fmt.Println(people.Leave(as("boss"), "acme", p.ID, "contract.end"))
	// Output:
	// requested <nil>
	// lifecycle: somebody else has to approve this
	// <nil>
	// <nil>
}
