package authz_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/surety-go/surety/authz"
)

// grammar makes models, policies and requests that casbin and we both
// understand, from a number.
type grammar struct {
	*rand.Rand
	domains, eft, priority, roles, resources bool
	object                                   string // the function for objects, or ==
	effect                                   string
}

func newGrammar(seed uint64) *grammar {
	g := &grammar{Rand: rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // a test
	g.domains, g.roles, g.resources = g.IntN(2) == 0, g.IntN(4) > 0, g.IntN(4) == 0
	g.object = []string{"==", "==", "keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "globMatch"}[g.IntN(8)]
	switch g.IntN(5) {
	case 0:
		g.effect = "some(where (p.eft == allow))"
		g.eft = g.IntN(2) == 0
	case 1:
		g.effect, g.eft = "some(where (p.eft == allow)) && !some(where (p.eft == deny))", true
	case 2:
		g.effect, g.eft = "!some(where (p.eft == deny))", true
	case 3:
		g.effect, g.eft, g.priority = "priority(p.eft) || deny", true, g.IntN(2) == 0
	default:
		g.effect = "some(where (p.eft == allow))"
	}
	if g.object != "==" || !g.roles { // casbin wants g before g2
		g.resources = false
	}
	return g
}

func (g *grammar) model() string {
	dom := func(s string) string {
		if g.domains {
			return s
		}
		return ""
	}
	p := "sub, " + dom("dom, ") + "obj, act"
	if g.priority {
		p = "priority, " + p
	}
	if g.eft {
		p += ", eft"
	}
	terms := []string{"r.sub == p.sub", "r.obj == p.obj", "r.act == p.act"}
	if g.roles {
		terms[0] = "g(r.sub, p.sub" + dom(", r.dom") + ")"
	}
	if g.resources {
		terms[1] = "g2(r.obj, p.obj)"
	}
	if g.object != "==" {
		terms[1] = g.object + "(r.obj, p.obj)"
	}
	switch g.IntN(4) {
	case 0:
		terms[2] = `(p.act == "*" || r.act == p.act)`
	case 1:
		terms[2] = `r.act in ("read", "write") && p.act != "x"`
	}
	if g.domains {
		terms = append(terms, "r.dom == p.dom")
	}
	g.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
	m := strings.Join(terms, " && ")
	switch g.IntN(6) {
	case 0:
		m += ` || r.sub == "root"`
	case 1:
		m += ` || r.obj == p.obj && p.sub == "*" && r.act != "write"`
	case 2:
		m = "!(r.sub == \"mallory\") && " + m
	}
	roles := ""
	if g.roles {
		roles += "g = _, _" + dom(", _") + "\n"
	}
	if g.resources {
		roles += "g2 = _, _\n"
	}
	if roles != "" {
		roles = "[role_definition]\n" + roles
	}
	return fmt.Sprintf("[request_definition]\nr = sub, %sobj, act\n[policy_definition]\np = %s\n%s[policy_effect]\ne = %s\n[matchers]\nm = %s\n",
		dom("dom, "), p, roles, g.effect, m)
}

func (g *grammar) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *grammar) subject() string { return g.pick("alice", "bob", "carol", "mallory", "root", "*") }

func (g *grammar) role() string { return g.pick("r1", "r2", "r3", "r4", "r5") }

func (g *grammar) path() string {
	n := g.IntN(3) + 1
	var b strings.Builder
	for range n {
		b.WriteString("/" + g.pick("a", "b", "c", "", "ab"))
	}
	return b.String()
}

// pattern is one of the function's language that we take for what casbin
// does.
func (g *grammar) pattern() string {
	s := g.path()
	param := map[string]string{"keyMatch2": ":x", "keyMatch3": "{x}", "keyMatch4": "{x}", "keyMatch5": "{x}", "globMatch": "*"}[g.object]
	if param != "" && g.IntN(2) == 0 {
		s += "/" + param
		if g.IntN(2) == 0 {
			s += g.path()
		}
		if g.object == "keyMatch4" && g.IntN(2) == 0 {
			s += "/" + g.pick("{x}", "{y}")
		}
	}
	if g.IntN(3) == 0 {
		s += "/*"
	}
	if g.object == "globMatch" && g.IntN(4) == 0 {
		s = strings.Replace(s, "/*", g.pick("/**", "/?", "/[ab]", "/{a,b}", "/a*", "/**/b"), 1)
	}
	return s
}

func (g *grammar) thing() string {
	if g.object != "==" {
		return `"` + g.pattern() + `"`
	}
	return g.pick("d1", "d2", "d3", "group")
}

func (g *grammar) policy() string {
	var list []string
	for range g.IntN(12) {
		f := []string{"p"}
		if g.priority {
			f = append(f, g.pick("1", "2", "3"))
		}
		sub := g.subject()
		if g.roles && g.IntN(2) == 0 {
			sub = g.role()
		}
		f = append(f, sub)
		if g.domains {
			f = append(f, g.pick("t1", "t2"))
		}
		f = append(f, g.thing(), g.pick("read", "write", "*"))
		if g.eft {
			f = append(f, g.pick("allow", "allow", "deny"))
		}
		list = append(list, strings.Join(f, ", "))
	}
	if g.roles {
		for range g.IntN(8) {
			// Roles lead to roles of higher number only: no circles.
			from, to := g.subject(), g.role()
			if g.IntN(2) == 0 {
				from, to = g.pick("r1", "r2"), g.pick("r3", "r4", "r5")
			}
			line := "g, " + from + ", " + to
			if g.domains {
				line += ", " + g.pick("t1", "t2")
			}
			list = append(list, line)
		}
	}
	if g.resources {
		for range g.IntN(4) {
			list = append(list, "g2, "+g.pick("d1", "d2", "d3")+", group")
		}
	}
	g.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return strings.Join(list, "\n")
}

func (g *grammar) request() []any {
	list := []any{g.subject()}
	if g.domains {
		list = append(list, g.pick("t1", "t2", "t3"))
	}
	object := g.pick("d1", "d2", "d3", "group")
	if g.object != "==" {
		object = g.path() + g.path()
		if g.IntN(3) == 0 {
			object = g.path()
		}
		if g.object == "keyMatch5" && g.IntN(3) == 0 {
			object += "?x=1"
		}
	}
	return append(list, object, g.pick("read", "write", "*"))
}

// differ asks both about a generated model and policy, and shows how they
// differ.
func differ(t *testing.T, seed uint64) (asked int) {
	t.Helper()
	g := newGrammar(seed)
	modelText, policy := g.model(), g.policy()
	ours, err := newEngine(modelText, policy, authz.Options{DefaultAllow: true})
	if err != nil {
		if strings.Contains(err.Error(), "under other") {
			return 0
		}
		t.Fatalf("seed %d: %v\n%s\n%s", seed, err, modelText, policy)
	}
	theirs, err := enforcer(modelText, policy)
	if err != nil {
		t.Fatal(err)
	}
	empty := strings.Count("\n"+policy, "\np,") == 0 // casbin then decides by a rule of empty fields
	for range 40 {
		r := g.request()
		want, failure := enforce(theirs, r)
		d := ours.Raw(r...)
		if d.Allowed == want && failure == nil || !d.Allowed && (failure != nil || empty) {
			asked++
			continue
		}
		t.Fatalf("seed %d, %v: %t by %q (%s), casbin %t %v\n%s\n%s", seed, r, d.Allowed, d.Rule(), d.Reason, want, failure, modelText, policy)
	}
	return asked
}

// TestEqualToCasbin compares decisions over generated models and policies.
func TestEqualToCasbin(t *testing.T) {
	asked := 0
	for seed := range uint64(2000) {
		asked += differ(t, seed)
	}
	if asked < 50_000 {
		t.Errorf("only %d requests were compared", asked)
	}
}

func FuzzEqualToCasbin(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed * 1_000_003)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { differ(t, seed) })
}
