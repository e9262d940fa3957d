package authz_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

const tenantsModel = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && (p.dom == "*" || r.dom == p.dom) && \
    r.obj == p.obj && r.act == p.act
`

const tenantsPolicy = `
# roles and what they may
p, admin, *, file, read
p, admin, *, file, write
p, clerk, *, file, read
p, alice, acme, report, read
g, admin, clerk, acme
g, alice, admin, acme
g, bob, clerk, acme
`

func load(t *testing.T, model, policy string) (*authz.Engine, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	e, err := authz.New(model, policy, rec, authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e, rec
}

func ask(sub, dom, obj, act string) authz.Request {
	return authz.Request{Subject: sub, Domain: dom, Object: obj, Action: act}
}

func TestRolesInTenants(t *testing.T) {
	e, _ := load(t, tenantsModel, tenantsPolicy)
	for r, want := range map[authz.Request]bool{
		ask("alice", "acme", "file", "write"):  true,
		ask("alice", "acme", "report", "read"): true,
		ask("bob", "acme", "file", "read"):     true,
		ask("bob", "acme", "file", "write"):    false,
		ask("alice", "globex", "file", "read"): false,
		ask("bob", "acme", "report", "read"):   false,
		ask("carol", "acme", "file", "read"):   false,
		ask("admin", "acme", "file", "write"):  true, // a role's name is a subject too, as in casbin
		ask("", "acme", "file", "read"):        false,
		ask("alice", "", "file", "read"):       false,
		ask("alice", "acme", "", "read"):       false,
		ask("alice", "acme", "file", ""):       false,
		ask("alice", "*", "file", "read"):      false,
	} {
		if d := e.Decide(r); d.Allowed != want {
			t.Errorf("%+v: %+v, want %t", r, d, want)
		}
	}
	d := e.Decide(ask("alice", "acme", "file", "read"))
	if d.Rule() != "p, admin, *, file, read" || !slices.Equal(d.RolePath(), []string{"alice", "admin"}) || d.PolicyVersion != 1 {
		t.Errorf("explanation %+v", d)
	}
	if got := e.Roles("acme", "alice"); !slices.Equal(got, []string{"admin", "clerk"}) {
		t.Errorf("roles %q", got)
	}
	var zero authz.Decision
	if zero.Allowed {
		t.Error("the zero decision allows")
	}
}

func TestChangesCountAtOnce(t *testing.T) {
	e, rec := load(t, tenantsModel, tenantsPolicy)
	read := ask("carol", "acme", "file", "read")
	if err := e.Grant(t.Context(), "acme", "carol", "clerk"); err != nil {
		t.Fatal(err)
	}
	if d := e.Decide(read); !d.Allowed || d.PolicyVersion != 2 {
		t.Errorf("after the grant: %+v", d)
	}
	// casbin's cached enforcer goes on allowing after a removal.
	if err := e.Revoke(t.Context(), "acme", "carol", "clerk"); err != nil {
		t.Fatal(err)
	}
	if d := e.Decide(read); d.Allowed {
		t.Error("the revoked role still counts")
	}
	rec.Want(t, "authz.role.grant", auditlog.Success)
	rec.Want(t, "authz.role.revoke", auditlog.Success)

	down := errors.New("disk full")
	rec.FailWith(down)
	if err := e.Grant(t.Context(), "acme", "carol", "clerk"); !errors.Is(err, down) || e.Decide(read).Allowed {
		t.Errorf("an unrecorded grant took effect: %v", err)
	}
	rec.FailWith(nil)
	for _, bad := range [][3]string{{"", "carol", "clerk"}, {"acme", "", "clerk"}, {"acme", "carol", ""}} {
		if err := e.Grant(t.Context(), bad[0], bad[1], bad[2]); !errors.Is(err, authz.ErrPolicy) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := e.Grant(t.Context(), "acme", "clerk", "admin"); !errors.Is(err, authz.ErrPolicy) {
		t.Errorf("a circle of roles: %v", err)
	}
	if e.Decide(ask("bob", "acme", "file", "write")).Allowed {
		t.Error("a refused change took effect")
	}
}

func TestReadersAreNeverBlocked(t *testing.T) {
	e, _ := load(t, tenantsModel, tenantsPolicy)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				if !e.Decide(ask("alice", "acme", "file", "write")).Allowed {
					t.Error("alice lost her role to someone else's change")
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				who := fmt.Sprint("user", i)
				if e.Grant(t.Context(), "acme", who, "clerk") != nil || e.Revoke(t.Context(), "acme", who, "clerk") != nil {
					t.Error("a change failed")
				}
			}
		})
	}
	wg.Wait()
}

func TestRESTPathsAndWildcards(t *testing.T) {
	e, _ := load(t, `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && keyMatch2(r.obj, p.obj) && (p.act == "*" || r.act == p.act)
`, `
p, alice, /files/:id, GET
p, alice, /img/*, *
p, alice, /v1.0/x, GET
`)
	for r, want := range map[authz.Request]bool{
		ask("alice", "", "/files/7", "GET"):        true,
		ask("alice", "", "/files/7", "PUT"):        false,
		ask("alice", "", "/files/7/secret", "GET"): false,
		ask("alice", "", "/files/", "GET"):         false,
		ask("alice", "", "/img/a/b.png", "DELETE"): true,
		ask("alice", "", "/img", "GET"):            false,
		ask("alice", "", "x/files/7", "GET"):       false, // unanchored in peers
		ask("alice", "", "/v1.0/x", "GET"):         true,
		ask("alice", "", "/v1x0/x", "GET"):         false, // a dot is a dot
		ask("bob", "", "/files/7", "GET"):          false,
	} {
		if d := e.Decide(r); d.Allowed != want {
			t.Errorf("%+v: %+v, want %t", r, d, want)
		}
	}
}

func TestDenyBeatsAllow(t *testing.T) {
	e, _ := load(t, `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
`, `
p, staff, file, read, allow
p, alice, salary, read, allow
p, suspended, file, read, deny
g, alice, staff
g, bob, staff
g, bob, suspended
`)
	if !e.Decide(ask("alice", "", "file", "read")).Allowed {
		t.Error("alice is denied")
	}
	if d := e.Decide(ask("bob", "", "file", "read")); d.Allowed || d.Reason != "a rule denies it" || d.Rule() != "p, suspended, file, read, deny" {
		t.Errorf("bob: %+v", d)
	}
	if e.Decide(ask("carol", "", "file", "read")).Allowed {
		t.Error("no deny is taken for an allow")
	}
}

func TestWhatIsNotUnderstoodDoesNotLoad(t *testing.T) {
	model := func(old, new string) string {
		if !strings.Contains(tenantsModel, old) {
			t.Fatalf("%q is not in the model", old)
		}
		return strings.Replace(tenantsModel, old, new, 1)
	}
	for name, m := range map[string]string{
		"empty":             "",
		"section":           tenantsModel + "\n[magic]\nx = 1",
		"function":          model("r.obj == p.obj", "sqlMatch(r.obj, p.obj)"),
		"undefined":         model("r.obj == p.obj", "r.path == p.obj"),
		"method":            model("r.obj == p.obj", "r.obj.Owner() == p.obj"),
		"pattern reversed":  model("r.obj == p.obj", "keyMatch(p.obj, r.obj)"),
		"match compared":    model("r.obj == p.obj", "keyMatch(r.obj, p.obj) == false"),
		"no condition":      model("r.obj == p.obj", "r.obj"),
		"trailing":          model("r.obj == p.obj", "r.obj == p.obj )"),
		"bad expression":    model("r.obj == p.obj", "regexMatch(r.obj, '(')"),
		"effect":            model("some(where (p.eft == allow))", "!some(where (p.eft == deny))"),
		"effect unknown":    model("some(where (p.eft == allow))", "majority(p.eft)"),
		"no roles":          model("g = _, _, _", "g = _"),
		"roles undefined":   model("g = _, _, _", "g2 = _, _, _"),
		"arguments":         model("g(r.sub, p.sub, r.dom)", "g(r.sub, p.sub)"),
		"field repeated":    model("r = sub, dom, obj, act", "r = sub, sub, obj, act"),
		"two rules":         model("p = sub, dom, obj, act", "p = sub, dom, obj, act\np2 = act") + " && r.act == p2.act",
		"definition twice":  model("g = _, _, _", "g = _, _, _\ng = _, _"),
		"dangling line end": tenantsModel + "\\",
	} {
		if _, err := authz.New(m, "", &auditlogtest.Recorder{}, authz.Options{}); !errors.Is(err, authz.ErrModel) {
			t.Errorf("%s: %v, want ErrModel", name, err)
		}
	}
	for name, p := range map[string]string{
		"too few":   "p, admin, *, file",
		"too many":  "p, admin, *, file, read, extra",
		"kind":      "q, admin, *, file, read",
		"empty":     "p, admin, *, , read",
		"g short":   "g, alice, admin",
		"circle":    "g, a, b, acme\ng, b, a, acme",
		"quote":     `p, "admin, *, file, read`,
		"self role": "g, a, a, acme",
		"space":     "p, admin , *, file, read",
	} {
		_, err := authz.New(tenantsModel, p, &auditlogtest.Recorder{}, authz.Options{})
		if !errors.Is(err, authz.ErrPolicy) {
			t.Errorf("%s: %v, want ErrPolicy", name, err)
		}
	}
	if _, err := authz.New(tenantsModel, "p, a, *, b, c\np, a, *, b", &auditlogtest.Recorder{}, authz.Options{}); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("the error names no line: %v", err)
	}
	if _, err := authz.New(tenantsModel, "", nil, authz.Options{}); err == nil {
		t.Error("an engine without a recorder was made")
	}
	e, _ := load(t, tenantsModel, "")
	if e.Decide(ask("a", "b", "c", "d")).Allowed {
		t.Error("an empty policy allows")
	}
}

func TestRequire(t *testing.T) {
	e, rec := load(t, tenantsModel, tenantsPolicy+"p, clerk, *, ownfile, write\n")
	mux := http.NewServeMux()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/files/{id}", guard.Alone(e.RequireAt("/login", "write", authz.Own("id", "ownfile", "file")), ok))
	get := func(p *authn.Principal, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/files/bob", nil)
		r.Header.Set("Accept", accept)
		if p != nil {
			r = r.WithContext(authn.NewContext(r.Context(), *p))
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	who := func(id, tenant string) *authn.Principal {
		return &authn.Principal{Actor: auditlog.Actor{ID: id, Tenant: tenant, Kind: auditlog.User}, AAL: authn.AAL2}
	}
	for name, tc := range map[string]struct {
		p    *authn.Principal
		want int
	}{
		"role":         {who("alice", "acme"), 200},
		"own":          {who("bob", "acme"), 200},
		"other tenant": {who("alice", "globex"), 403},
		"no role":      {who("carol", "acme"), 403},
		"nobody":       {nil, 401},
	} {
		if w := get(tc.p, ""); w.Code != tc.want {
			t.Errorf("%s: %d, want %d", name, w.Code, tc.want)
		}
	}
	if w := get(nil, "text/html"); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("a person's browser: %d %v", w.Code, w.Header())
	}
	if n := len(rec.Find("authz.decide")); n != 2 {
		t.Errorf("%d denials were recorded, want 2", n)
	}
	rec.FailWith(errors.New("disk full"))
	if w := get(who("carol", "acme"), ""); w.Code != 503 {
		t.Errorf("an unrecorded denial: %d", w.Code)
	}
	for _, bad := range []guard.Guard{e.Require("", authz.Object("x")), e.Require("read")} {
		if _, err := guard.New(bad); !errors.Is(err, guard.ErrConfig) {
			t.Errorf("accepted: %v", err)
		}
	}
}

func TestStreamsEndWhenTheRoleIsTaken(t *testing.T) {
	e, _ := load(t, tenantsModel, tenantsPolicy)
	g, ok := e.Require("read", authz.Object("file")).(guard.Readmitter)
	if !ok {
		t.Fatal("the guard does not watch streams")
	}
	p := authn.Principal{Actor: auditlog.Actor{ID: "bob", Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2}
	ctx, call := authn.NewContext(t.Context(), p), guard.Synthetic("op", "a.read", nil)
	if err := g.Readmit(ctx, call); err != nil {
		t.Error(err)
	}
	if err := e.Revoke(t.Context(), "acme", "bob", "clerk"); err != nil {
		t.Fatal(err)
	}
	if err := g.Readmit(ctx, call); err == nil {
		t.Error("the stream goes on")
	}
}

func TestProbe(t *testing.T) {
	e, _ := load(t, tenantsModel, tenantsPolicy)
	c := e.Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v: %s", r.State, r.Observed)
	}
}

func TestDecideDoesNotAllocateOnDenial(t *testing.T) {
	e, _ := load(t, tenantsModel, tenantsPolicy)
	r := ask("carol", "acme", "file", "read")
	if n := testing.AllocsPerRun(100, func() { e.Decide(r) }); n > 0 {
		t.Errorf("Decide allocates %v times", n)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(tenantsPolicy)
	f.Add("p, a, *, b, c\ng, x, a, acme")
	f.Add("p, \"a,b\", *, c, d")
	f.Fuzz(func(t *testing.T, policy string) {
		e, err := authz.New(tenantsModel, policy, &auditlogtest.Recorder{}, authz.Options{})
		if err != nil {
			return
		}
		if e.Decide(ask("\x00nobody", "acme", "file", "read")).Allowed {
			t.Fatalf("a policy that names no such subject allows it: %q", policy)
		}
	})
}

func FuzzModel(f *testing.F) {
	f.Add(tenantsModel)
	f.Add("[matchers]\nm = a && (b")
	f.Fuzz(func(t *testing.T, model string) {
		e, err := authz.New(model, "", &auditlogtest.Recorder{}, authz.Options{})
		if err == nil && e.Decide(ask("a", "b", "c", "d")).Allowed {
			t.Fatalf("a model without a policy allows: %q", model)
		}
	})
}
