package authz_test

import (
	"testing"

	"github.com/surety-go/surety/authz"
)

func TestModels(t *testing.T) {
	of := func(owner string) *authz.Attributes { return &authz.Attributes{Object: map[string]any{"owner": owner}} }
	level := func(n any) *authz.Attributes { return &authz.Attributes{Subject: map[string]any{"level": n}} }
	for name, tc := range map[string]struct {
		model, policy   string
		allowed, denied []authz.Request
	}{
		"RBAC": {
			authz.ModelRBAC, "p, staff, file, *, allow\np, intern, file, write, deny\ng, a, staff\ng, b, staff\ng, b, intern",
			[]authz.Request{ask("a", "", "file", "write"), ask("b", "", "file", "read")},
			[]authz.Request{ask("b", "", "file", "write"), ask("c", "", "file", "read"), ask("a", "", "key", "read")},
		},
		"tenants": {
			authz.ModelTenants, "p, staff, *, file, read, allow\np, staff, acme, file, write, allow\ng, a, staff, acme\ng, b, staff, globex",
			[]authz.Request{ask("a", "acme", "file", "write"), ask("b", "globex", "file", "read")},
			[]authz.Request{ask("b", "globex", "file", "write"), ask("a", "globex", "file", "read"), ask("a", "*", "file", "read"), ask("a", "", "file", "read")},
		},
		"REST": {
			authz.ModelREST, "p, staff, /files/:id, *, allow\np, staff, /files/secret, *, deny\np, staff, /img/*, GET, allow\ng, a, staff",
			[]authz.Request{ask("a", "", "/files/1", "PUT"), ask("a", "", "/img/x/y", "GET")},
			[]authz.Request{ask("a", "", "/files/secret", "GET"), ask("a", "", "/files/1/x", "GET"), ask("a", "", "/img/x", "PUT")},
		},
		"ABAC": {
			authz.ModelABAC, "p, r.sub.level >= 2 && r.sub != 'x', report, read, allow",
			[]authz.Request{{Subject: "a", Object: "report", Action: "read", Attributes: level(2)}},
			[]authz.Request{
				{Subject: "a", Object: "report", Action: "read", Attributes: level(1)},
				{Subject: "x", Object: "report", Action: "read", Attributes: level(9)},
				{Subject: "a", Object: "report", Action: "read", Attributes: level("2")},
				{Subject: "a", Object: "report", Action: "read", Attributes: level(nil)},
				ask("a", "", "report", "read"), // without the attribute
			},
		},
		"ownership": {
			authz.ModelOwnership, "p, @owner, file, write, allow\np, staff, file, read, allow\ng, s, staff",
			[]authz.Request{{Subject: "a", Object: "file", Action: "write", Attributes: of("a")}, ask("s", "", "file", "read")},
			[]authz.Request{
				{Subject: "a", Object: "file", Action: "write", Attributes: of("b")},
				ask("a", "", "file", "write"),
				{Subject: "@owner", Object: "file", Action: "write", Attributes: of("b")},
				ask("a", "", "file", "read"),
			},
		},
	} {
		e, _ := load(t, tc.model, tc.policy)
		for _, r := range tc.allowed {
			if d := e.Decide(r); !d.Allowed {
				t.Errorf("%s: %+v is denied: %s", name, r, d.Reason)
			}
		}
		for _, r := range tc.denied {
			if d := e.Decide(r); d.Allowed {
				t.Errorf("%s: %+v is allowed by %s", name, r, d.Rule())
			}
		}
		if empty, _ := load(t, tc.model, ""); empty.Decide(tc.allowed[0]).Allowed {
			t.Errorf("%s: an empty policy allows", name)
		}
	}
}

func TestMatchersOfOtherNumbers(t *testing.T) {
	e, _ := load(t, `[request_definition]
r = sub, obj, act
r2 = sub, obj
[policy_definition]
p = sub, obj, act
p2 = sub, obj, eft
[policy_effect]
e = some(where (p.eft == allow))
e2 = some(where (p2.eft == allow)) && !some(where (p2.eft == deny))
[matchers]
m2 = r2.sub == p2.sub && r2.obj == p2.obj
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`, "p, a, x, read\np2, a, x, allow\np2, b, x, allow\np2, b, x, deny")
	for _, tc := range []struct {
		r    authz.Request
		want bool
	}{
		{ask("a", "", "x", "read"), true},
		{ask("b", "", "x", "read"), false},
		{authz.Request{Subject: "a", Object: "x", Matcher: "m2"}, true},
		{authz.Request{Subject: "b", Object: "x", Matcher: "m2"}, false},
		{authz.Request{Subject: "a", Object: "x", Action: "read", Matcher: "m3"}, false},
	} {
		if d := e.Decide(tc.r); d.Allowed != tc.want {
			t.Errorf("%+v: %+v", tc.r, d)
		}
	}
	if !e.RawAs("m2", "a", "x").Allowed || e.RawAs("m2", "a", "x", "read").Allowed || e.Raw("a").Allowed {
		t.Error("Raw takes the wrong number of values")
	}
	if r := e.Report(); len(r.Matchers) != 2 || r.Matchers[0].Name != "m" || r.Rules != 4 || len(r.Matchers[0].Plans[0].Indexed) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestBatchIsOfOneVersion(t *testing.T) {
	e, _ := load(t, tenantsModel, tenantsPolicy)
	list := e.Batch([]authz.Request{ask("alice", "acme", "file", "read"), ask("x", "acme", "file", "read")})
	if !list[0].Allowed || list[1].Allowed || list[0].PolicyVersion != 1 {
		t.Errorf("%+v", list)
	}
}
