package authz_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"
	"github.com/casbin/casbin/v2/util"

	"github.com/surety-go/surety/authz"
)

// These tests are the list of docs/authz-casbin.md: each shows what casbin
// does, and that we don't. Each would fail on casbin.

const (
	rolesModel = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[role_definition]\ng = _, _\n" +
		"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act\n"
	plainModel = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n" +
		"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n"
)

// matching is a model with another condition for objects.
func matching(object string) string {
	return strings.Replace(plainModel, "r.obj == p.obj", object, 1)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func cached(t *testing.T, modelText, policy string) *casbin.CachedEnforcer {
	m := must[model.Model](t)(model.NewModelFromString(modelText))
	return must[*casbin.CachedEnforcer](t)(casbin.NewCachedEnforcer(m, text(policy)))
}

// both answers of casbin and of us.
func both(t *testing.T, modelText, policy string, request ...any) (theirs, ours bool) {
	t.Helper()
	theirs, _ = enforce(must[*casbin.Enforcer](t)(enforcer(modelText, policy)), request)
	return theirs, must[*authz.Engine](t)(newEngine(modelText, policy, authz.Options{})).Raw(request...).Allowed
}

func unlike(t *testing.T, what string, theirs, ours bool) {
	t.Helper()
	if !theirs {
		t.Errorf("%s: casbin has mended it: strike it from the list", what)
	}
	if ours {
		t.Errorf("%s: allowed", what)
	}
}

func TestACachedAllowDoesNotSurviveARevocation(t *testing.T) {
	policy := "p, admin, d, read\ng, alice, admin"
	theirs := cached(t, rolesModel, policy)
	ours := must[*authz.Engine](t)(newEngine(rolesModel, policy, authz.Options{}))
	for range 2 {
		if ok, _ := theirs.Enforce("alice", "d", "read"); !ok || !ours.Raw("alice", "d", "read").Allowed {
			t.Fatal("denied before")
		}
	}
	must[bool](t)(theirs.DeleteRoleForUser("alice", "admin"))
	if err := ours.Revoke(t.Context(), "", "alice", "admin"); err != nil {
		t.Fatal(err)
	}
	survives := must[bool](t)(theirs.Enforce("alice", "d", "read"))
	unlike(t, "a role that was taken", survives, ours.Raw("alice", "d", "read").Allowed)

	theirs = cached(t, rolesModel, policy)
	ours = must[*authz.Engine](t)(newEngine(rolesModel, policy, authz.Options{}))
	_, _ = theirs.Enforce("alice", "d", "read")
	must[bool](t)(theirs.RemovePolicy("admin", "d", "read"))
	if err := ours.Apply(t.Context(), authz.Change{Remove: []authz.Rule{{Kind: "p", Fields: []string{"admin", "d", "read"}}}}); err != nil {
		t.Fatal(err)
	}
	survives = must[bool](t)(theirs.Enforce("alice", "d", "read"))
	unlike(t, "a rule that was taken", survives, ours.Raw("alice", "d", "read").Allowed)
}

func TestCacheKeysDoNotCollide(t *testing.T) {
	policy := "p, alice, x$$y, read"
	theirs := cached(t, plainModel, policy)
	ours := must[*authz.Engine](t)(newEngine(plainModel, policy, authz.Options{}))
	_, _ = theirs.Enforce("alice", "x$$y", "read")
	if !ours.Raw("alice", "x$$y", "read").Allowed {
		t.Error("alice is denied")
	}
	unlike(t, "alice$$x on y", must[bool](t)(theirs.Enforce("alice$$x", "y", "read")), ours.Raw("alice$$x", "y", "read").Allowed)
}

const conditionalModel = "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act\n[role_definition]\ng = _, _, _, (_, _)\n" +
	"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act\n"

func TestAnExpiredSecondHopDenies(t *testing.T) {
	policy := "p, admin, t, d, read\ng, alice, staff, t, _, 9999-12-30 00:00:00\ng, staff, admin, t, _, 2001-01-01 00:00:00"
	theirs := must[*casbin.Enforcer](t)(enforcer(conditionalModel, policy))
	theirs.AddNamedDomainLinkConditionFunc("g", "alice", "staff", "t", util.TimeMatchFunc)
	theirs.AddNamedDomainLinkConditionFunc("g", "staff", "admin", "t", util.TimeMatchFunc)
	ours := must[*authz.Engine](t)(newEngine(conditionalModel, policy, authz.Options{}))
	unlike(t, "the second hop", must[bool](t)(theirs.Enforce("alice", "t", "d", "read")), ours.Raw("alice", "t", "d", "read").Allowed)
}

func TestConditionsSurviveAReload(t *testing.T) {
	policy := "p, admin, t, d, read\ng, alice, admin, t, _, 2001-01-01 00:00:00"
	theirs := must[*casbin.Enforcer](t)(enforcer(conditionalModel, policy))
	theirs.AddNamedDomainLinkConditionFunc("g", "alice", "admin", "t", util.TimeMatchFunc)
	if ok, _ := theirs.Enforce("alice", "t", "d", "read"); ok {
		t.Fatal("casbin allows before the reload")
	}
	if err := theirs.LoadPolicy(); err != nil {
		t.Fatal(err)
	}
	ours := must[*authz.Engine](t)(newEngine(conditionalModel, policy, authz.Options{}))
	if err := ours.Load(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	unlike(t, "after a reload", must[bool](t)(theirs.Enforce("alice", "t", "d", "read")), ours.Raw("alice", "t", "d", "read").Allowed)
}

func TestRemovalKeepsTheOrder(t *testing.T) {
	m := "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n" +
		"[policy_effect]\ne = priority(p.eft) || deny\n[matchers]\nm = (p.sub == \"*\" || r.sub == p.sub) && r.obj == p.obj && r.act == p.act\n"
	policy := "p, carol, d, read, allow\np, alice, d, read, deny\np, *, d, read, allow"
	gone := []string{"carol", "d", "read", "allow"}
	theirs := must[*casbin.Enforcer](t)(enforcer(m, policy))
	must[bool](t)(theirs.RemovePolicy(gone))
	ours := must[*authz.Engine](t)(newEngine(m, policy, authz.Options{}))
	if err := ours.Apply(t.Context(), authz.Change{Remove: []authz.Rule{{Kind: "p", Fields: gone}}}); err != nil {
		t.Fatal(err)
	}
	unlike(t, "alice, who is denied first", must[bool](t)(theirs.Enforce("alice", "d", "read")), ours.Raw("alice", "d", "read").Allowed)
	// A rule that comes later stands last, also where an earlier one stood.
	if err := ours.Apply(t.Context(), authz.Change{Add: []authz.Rule{{Kind: "p", Fields: []string{"alice", "d", "read", "allow"}}}}); err != nil {
		t.Fatal(err)
	}
	if ours.Raw("alice", "d", "read").Allowed {
		t.Error("a rule took the place of one that was removed")
	}
}

func TestNoPolicyAllowsNothing(t *testing.T) {
	m := strings.Replace(strings.Replace(plainModel, "some(where (p.eft == allow))", "!some(where (p.eft == deny))", 1), "p = sub, obj, act", "p = sub, obj, act, eft", 1)
	theirs, _ := enforce(must[*casbin.Enforcer](t)(enforcer(m, "")), []any{"mallory", "d", "read"})
	if _, err := newEngine(m, "", authz.Options{}); !errors.Is(err, authz.ErrModel) {
		t.Errorf("a model that allows by default loads: %v", err)
	}
	ours := must[*authz.Engine](t)(newEngine(m, "", authz.Options{DefaultAllow: true}))
	unlike(t, "an empty policy", theirs, ours.Raw("mallory", "d", "read").Allowed)

	// An enforcer without an adapter, and one with a policy that is gone.
	theirs, ok := both(t, plainModel, "", "", "", "")
	unlike(t, "empty fields and an empty policy", theirs, ok)
}

func TestEmptyFieldsAreDenied(t *testing.T) {
	m := matching(`keyMatch(r.obj, p.obj)`)
	theirs, ours := both(t, m, "p, alice, *, read", "alice", "", "read")
	unlike(t, "an empty object", theirs, ours)
	m = strings.Replace(plainModel, "r.sub == p.sub", `r.sub != "guest"`, 1)
	theirs, ours = both(t, m, "p, staff, d, read", "", "d", "read")
	unlike(t, "an empty subject", theirs, ours)
	m = strings.Replace(plainModel, "r.act == p.act", "regexMatch(r.act, p.act)", 1)
	theirs, ours = both(t, m, "p, alice, d, .*", "alice", "d", "")
	unlike(t, "an empty action", theirs, ours)
}

func TestRulesThatReadAlikeAreTwo(t *testing.T) {
	// The second rule denies, and casbin drops it: joined by commas both read
	// "alice,d,read,deny,allow".
	m := "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n" +
		"[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && keyMatch(r.act, p.act)\n"
	policy := "p, alice, d, *, allow\np, \"alice,d\", x, read, deny\np, alice, \"d,x\", read, deny"
	theirs, ours := both(t, m, policy, "alice", "d", "read")
	if !theirs || !ours {
		t.Fatal("the allow does not count")
	}
	theirs, ours = both(t, m, policy+"\np, alice, \"d,x\", *, allow", "alice", "d,x", "read")
	unlike(t, "the dropped deny", theirs, ours)
}

func TestInLeavesRegularExpressionsAlone(t *testing.T) {
	m := strings.Replace(plainModel, "r.obj == p.obj", `regexMatch(r.obj, "^/[a-c]/x$") && r.obj in ("/a/x", "/-/x", "/d/x")`, 1)
	policy := "p, alice, d, read"
	theirs, ours := both(t, m, policy, "alice", "/a/x", "read")
	if theirs || !ours {
		t.Errorf("[a-c] is read as a class: casbin %t, we %t", theirs, ours)
	}
	m = strings.Replace(plainModel, "r.obj == p.obj", `regexMatch(r.obj, "^[^/]+$") && r.act in ("read")`, 1)
	theirs, ours = both(t, m, policy, "alice", "/", "read")
	unlike(t, "a class turned into a group", theirs, ours)
}

func TestAHashInALiteralIsText(t *testing.T) {
	m := strings.Replace(plainModel, "m = ", `m = r.sub != "x#" && `, 1)
	if _, err := model.NewModelFromString(m); err == nil {
		e, err := enforcer(m, "p, alice, d, read")
		if err == nil {
			if ok, err := enforce(e, []any{"alice", "d", "read"}); ok || err == nil {
				t.Error("casbin has mended it: strike it from the list")
			}
		}
	}
	ours := must[*authz.Engine](t)(newEngine(m, "p, alice, d, read\np, x#, d, read", authz.Options{}))
	if !ours.Raw("alice", "d", "read").Allowed || ours.Raw("x#", "d", "read").Allowed {
		t.Error("the literal is cut at #")
	}
	// Cut, the rest is a matcher that is wider than the one that was written.
	m = strings.Replace(plainModel, "m = r.sub == p.sub && ", "m = r.sub == p.sub && ", 1)
	m = strings.TrimSuffix(m, "\n") + " # && r.act == \"write\"\n"
	theirs, same := both(t, m, "p, alice, d, read", "alice", "d", "read")
	if !theirs || !same {
		t.Error("a comment outside of quotes is a comment to both")
	}
}

func TestMalformedLinesAreRefused(t *testing.T) {
	policy := "p, bob, d, read\np, \"alice, d, read\n"
	m := must[model.Model](t)(model.NewModelFromString(plainModel))
	theirs, err := casbin.NewEnforcer(m, stringadapter.NewAdapter(policy))
	if err == nil {
		if ok, _ := theirs.Enforce("bob", "d", "read"); !ok {
			t.Error("casbin swallows the line and its policy as well")
		}
	}
	for name, bad := range map[string]string{
		"quote": policy, "short": "p, alice, d", "long": "p, alice, d, read, x", "kind": "p2, alice, d, read", "no kind": "alice, d, read, x",
	} {
		_, err := newEngine(plainModel, bad, authz.Options{})
		var where *authz.PolicyError
		if !errors.As(err, &where) || where.Line == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is in force stays, and readiness says that it is stale.
	ours := must[*authz.Engine](t)(newEngine(plainModel, "p, bob, d, read", authz.Options{}))
	if err := ours.Load(t.Context(), policy); !errors.Is(err, authz.ErrPolicy) || ours.Ready() == nil || !ours.Raw("bob", "d", "read").Allowed {
		t.Errorf("%v, %v", err, ours.Ready())
	}
	if err := ours.Load(t.Context(), "p, bob, e, read"); err != nil || ours.Ready() != nil || ours.Raw("bob", "d", "read").Allowed {
		t.Errorf("%v, %v", err, ours.Ready())
	}
}

func TestABadExpressionIsRefusedWhenLoaded(t *testing.T) {
	m, policy := matching("regexMatch(r.obj, p.obj)"), "p, alice, d, read\np, bob, (, read"
	theirs := must[*casbin.Enforcer](t)(enforcer(m, policy))
	if ok, err := enforce(theirs, []any{"alice", "d", "read"}); !ok || err != nil {
		t.Error("casbin has mended it: strike it from the list")
	}
	if _, err := enforce(theirs, []any{"bob", "d", "read"}); err == nil {
		t.Error("casbin accepts the expression")
	}
	var where *authz.PolicyError
	if _, err := newEngine(m, policy, authz.Options{}); !errors.As(err, &where) || where.Line != 2 {
		t.Errorf("%v", err)
	}
	for function, bad := range map[string]string{
		"keyMatch": "/a/*/b", "keyMatch2": "/a|b", "keyMatch3": "/{a", "keyMatch4": "/a*", "keyMatch5": "/(x)", "globMatch": "/[", "ipMatch": "10.0.0.0/33",
	} {
		if _, err := newEngine(matching(function+"(r.obj, p.obj)"), "p, alice, "+bad+", read", authz.Options{}); !errors.Is(err, authz.ErrPolicy) {
			t.Errorf("%s(%q): %v", function, bad, err)
		}
	}
}

func TestPatternsAreAnchoredAndDotsAreDots(t *testing.T) {
	theirs, ours := both(t, matching("regexMatch(r.obj, p.obj)"), "p, alice, /public, read", "alice", "/secret/public/x", "read")
	unlike(t, "regexMatch finds it anywhere", theirs, ours)
	for _, function := range []string{"keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5"} {
		theirs, ours = both(t, matching(function+"(r.obj, p.obj)"), "p, alice, /v1.0/x, read", "alice", "/v1/0/x", "read")
		unlike(t, function+": a dot", theirs, ours)
	}
	// A rule that denies keeps casbin's wider meaning, so that nothing
	// escapes it that it denied before.
	deny := "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n" +
		"[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n[matchers]\nm = r.sub == p.sub && FUNCTION(r.obj, p.obj) && r.act == p.act\n"
	for function, patterns := range map[string][2]string{"regexMatch": {".*", "/secret"}, "keyMatch2": {"/*", "/v1.0/x"}} {
		m := strings.Replace(deny, "FUNCTION", function, 1)
		object := map[string]string{"regexMatch": "/a/secret/b", "keyMatch2": "/v1/0/x"}[function]
		theirs, ours := both(t, m, "p, alice, "+patterns[0]+", read, allow\np, alice, "+patterns[1]+", read, deny", "alice", object, "read")
		if theirs || ours {
			t.Errorf("%s: casbin %t, we %t for what a rule denies", function, theirs, ours)
		}
	}
}

func TestRolesDoNotGoInCircles(t *testing.T) {
	policy := "p, r2, d, read\ng, r1, r2\ng, r2, r1"
	theirs := must[*casbin.Enforcer](t)(enforcer(rolesModel, policy))
	if ok, _ := theirs.Enforce("r1", "d", "read"); !ok {
		t.Error("casbin denies")
	}
	if _, err := newEngine(rolesModel, policy, authz.Options{}); !errors.Is(err, authz.ErrPolicy) {
		t.Errorf("%v", err)
	}
}

// TestTheListIsDocumented fails when a test above is not named in the list.
func TestTheListIsDocumented(t *testing.T) {
	page, source := read(t, "../../../docs/authz-casbin.md"), must[[]byte](t)(os.ReadFile("deviations_test.go"))
	for line := range strings.Lines(string(source)) {
		name, ok := strings.CutPrefix(line, "func Test")
		name, _, _ = strings.Cut(name, "(")
		if ok && name != "TheListIsDocumented" && !strings.Contains(page, "`Test"+name+"`") {
			t.Errorf("docs/authz-casbin.md does not name Test%s", name)
		}
	}
}
