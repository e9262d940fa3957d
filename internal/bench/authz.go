package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"
	"github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
)

// decisions asks what one access decision costs, and how that grows.
func decisions() Group {
	return Group{
		Name:  "authz",
		Title: "One access decision",
		Note: "A request that a rule allows. Roles: the rule belongs to a role of the subject's; the floor is two lookups in Go maps. " +
			"Tenants: the same in a domain, with rules for one tenant or for all. Paths: REST patterns with a parameter, one subject; the floor is a trie of maps. " +
			"Casbin caches by request in the row that says so, and goes on allowing after a role was taken. OPA has the roles and permissions as indexed data; " +
			"Cedar one policy for each rule. A grant is one role given and taken again while all rules are in force.",
		Cases: []Case{
			{Name: "roles, 100 rules", Rows: roleRows(100, true)},
			{Name: "roles, 1,000 rules", Rows: roleRows(1000, true)},
			{Name: "roles, 10,000 rules", Rows: roleRows(10_000, true)},
			{Name: "roles, 1,000,000 rules", Rows: roleRows(1_000_000, false)},
			{Name: "roles, 10,000 rules, two cores", Rows: parallelRows(10_000)},
			{Name: "tenants, 10,000 rules", Rows: tenantRows(10_000)},
			{Name: "paths, 1,000 rules", Rows: pathRows(1000, true)},
			{Name: "paths, 100,000 rules", Rows: pathRows(100_000, false)},
			{Name: "a grant, 1,000,000 rules", Rows: []Row{
				{Floor, "map", mapGrant},
				{Ours, "Engine.Grant, Engine.Revoke", func(b *testing.B) { engineGrant(b, 1_000_000) }},
			}},
			{Name: "loading 1,000,000 rules", Rows: []Row{
				{Floor, "map", func(b *testing.B) { loadMap(b, 1_000_000) }},
				{Ours, "authz.New", func(b *testing.B) { loadEngine(b, 1_000_000) }},
			}},
		},
	}
}

const (
	rolesModel = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[role_definition]\ng = _, _\n" +
		"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act\n"
	domainsModel = "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act\n[role_definition]\ng = _, _, _\n" +
		"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = g(r.sub, p.sub, r.dom) && (p.dom == \"*\" || r.dom == p.dom) && r.obj == p.obj && r.act == p.act\n"
	pathsModel = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n" +
		"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act\n"
)

// rolesPolicy has a rule for each role, a tenth as many objects, and a tenth
// as many users, each with one role.
func rolesPolicy(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "p, group%d, data%d, read\n", i, i/10)
	}
	for i := range n / 10 {
		fmt.Fprintf(&b, "g, user%d, group%d\n", i, i*10)
	}
	return b.String()
}

// asked is a request in the middle of it.
func asked(n int) authz.Request {
	user := n / 20
	return authz.Request{Subject: fmt.Sprint("user", user), Object: fmt.Sprint("data", user), Action: "read"}
}

func engine(modelText, policy string) *authz.Engine {
	e, err := authz.New(modelText, policy, auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }), authz.Options{})
	check(err)
	return e
}

func decide(b *testing.B, e *authz.Engine, r authz.Request) {
	if !e.Decide(r).Allowed {
		panic("denied")
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		e.Decide(r)
	}
}

type permission struct{ role, object, action string }

func roleMaps(n int) (map[string]string, map[permission]bool) {
	roles, allowed := map[string]string{}, map[permission]bool{}
	for i := range n {
		allowed[permission{fmt.Sprint("group", i), fmt.Sprint("data", i/10), "read"}] = true
	}
	for i := range n / 10 {
		roles[fmt.Sprint("user", i)] = fmt.Sprint("group", i*10)
	}
	return roles, allowed
}

func mapDecide(b *testing.B, n int) {
	roles, allowed := roleMaps(n)
	r := asked(n)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if !allowed[permission{roles[r.Subject], r.Object, r.Action}] {
			panic("denied")
		}
	}
}

func roleRows(n int, peers bool) []Row {
	rows := []Row{{Floor, "two maps", func(b *testing.B) { mapDecide(b, n) }}}
	if peers {
		rows = append(rows,
			Row{Peer, "casbin", func(b *testing.B) { casbinDecide(b, rolesModel, rolesPolicy(n), asked(n)) }},
			Row{Peer, "casbin, cached", func(b *testing.B) { casbinCached(b, n) }},
			Row{Peer, "cedar-go", func(b *testing.B) { cedarDecide(b, n) }}, opaRow(n))
	}
	return append(rows, Row{Ours, "Engine.Decide", func(b *testing.B) { decide(b, engine(rolesModel, rolesPolicy(n)), asked(n)) }})
}

func parallelRows(n int) []Row {
	return []Row{
		{Floor, "two maps", func(b *testing.B) {
			roles, allowed := roleMaps(n)
			r := asked(n)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if !allowed[permission{roles[r.Subject], r.Object, r.Action}] {
						panic("denied")
					}
				}
			})
		}},
		{Ours, "Engine.Decide", func(b *testing.B) {
			e, r := engine(rolesModel, rolesPolicy(n)), asked(n)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					e.Decide(r)
				}
			})
		}},
	}
}

// lines is casbin's adapter for a policy in memory.
type lines string

func (a lines) LoadPolicy(m model.Model) error {
	for line := range strings.Lines(string(a)) {
		if err := persist.LoadPolicyLine(strings.TrimSpace(line), m); err != nil {
			return err
		}
	}
	return nil
}
func (lines) SavePolicy(model.Model) error                              { return nil }
func (lines) AddPolicy(string, string, []string) error                  { return nil }
func (lines) RemovePolicy(string, string, []string) error               { return nil }
func (lines) RemoveFilteredPolicy(string, string, int, ...string) error { return nil }

func values(r authz.Request) []any {
	if r.Domain != "" {
		return []any{r.Subject, r.Domain, r.Object, r.Action}
	}
	return []any{r.Subject, r.Object, r.Action}
}

func casbinDecide(b *testing.B, modelText, policy string, r authz.Request) {
	m, err := model.NewModelFromString(modelText)
	check(err)
	e, err := casbin.NewEnforcer(m, lines(policy))
	check(err)
	enforce(b, e.Enforce, values(r))
}

func enforce(b *testing.B, f func(...any) (bool, error), v []any) {
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		ok, err := f(v...)
		check(err)
		if !ok {
			panic("denied")
		}
	}
}

func casbinCached(b *testing.B, n int) {
	m, err := model.NewModelFromString(rolesModel)
	check(err)
	e, err := casbin.NewCachedEnforcer(m, lines(rolesPolicy(n)))
	check(err)
	enforce(b, e.Enforce, values(asked(n)))
}

func cedarDecide(b *testing.B, n int) {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "permit (principal in Group::\"group%d\", action == Action::\"read\", resource == Data::\"data%d\");\n", i, i/10)
	}
	policies, err := cedar.NewPolicySetFromBytes("policy.cedar", []byte(text.String()))
	check(err)
	r := asked(n)
	user := cedar.NewEntityUID("User", cedar.String(r.Subject))
	group := cedar.NewEntityUID("Group", cedar.String(fmt.Sprint("group", n/20*10)))
	entities := cedar.EntityMap{
		user:  cedar.Entity{UID: user, Parents: cedar.NewEntityUIDSet(group)},
		group: cedar.Entity{UID: group},
	}
	q := cedar.Request{Principal: user, Action: cedar.NewEntityUID("Action", "read"), Resource: cedar.NewEntityUID("Data", cedar.String(r.Object))}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if ok, _ := cedar.Authorize(policies, entities, q); !ok {
			panic("denied")
		}
	}
}

const regoModule = "package authz\ndefault allow := false\n" +
	"allow if { some role in data.roles[input.sub]; data.permissions[role][input.obj][input.act] }\n"

func opaRow(n int) Row {
	return Row{Peer, "OPA, prepared", func(b *testing.B) {
		roles, permissions := map[string]any{}, map[string]any{}
		for i := range n {
			permissions[fmt.Sprint("group", i)] = map[string]any{fmt.Sprint("data", i/10): map[string]any{"read": true}}
		}
		for i := range n / 10 {
			roles[fmt.Sprint("user", i)] = []any{fmt.Sprint("group", i*10)}
		}
		ctx := context.Background()
		query, err := rego.New(rego.Query("data.authz.allow"), rego.Module("authz.rego", regoModule),
			rego.Store(inmem.NewFromObject(map[string]any{"roles": roles, "permissions": permissions}))).PrepareForEval(ctx)
		check(err)
		r := asked(n)
		input := map[string]any{"sub": r.Subject, "obj": r.Object, "act": r.Action}
		b.ReportAllocs()
		b.ResetTimer()
		for b.Loop() {
			out, err := query.Eval(ctx, rego.EvalInput(input))
			check(err)
			if !out.Allowed() {
				panic("denied")
			}
		}
	}}
}

func tenantRows(n int) []Row {
	var policy strings.Builder
	type holder struct{ user, domain string }
	type rule struct{ role, domain, object, action string }
	roles, allowed := map[holder]string{}, map[rule]bool{}
	for i := range n {
		r := rule{fmt.Sprint("group", i%50), fmt.Sprint("tenant", i/50), fmt.Sprint("data", i%50/10), "read"}
		if i%10 == 0 {
			r.domain, r.object = "*", fmt.Sprint("shared", i)
		}
		allowed[r] = true
		fmt.Fprintf(&policy, "p, %s, %s, %s, %s\n", r.role, r.domain, r.object, r.action)
	}
	for i := range n / 10 {
		h := holder{fmt.Sprint("user", i), fmt.Sprint("tenant", i/5)}
		roles[h] = "group13"
		fmt.Fprintf(&policy, "g, %s, group13, %s\n", h.user, h.domain)
	}
	q := authz.Request{Subject: fmt.Sprint("user", n/20), Domain: fmt.Sprint("tenant", n/100), Object: "data1", Action: "read"}
	return []Row{
		{Floor, "two maps", func(b *testing.B) {
			for b.Loop() {
				role := roles[holder{q.Subject, q.Domain}]
				if !allowed[rule{role, q.Domain, q.Object, q.Action}] && !allowed[rule{role, "*", q.Object, q.Action}] {
					panic("denied")
				}
			}
		}},
		{Peer, "casbin", func(b *testing.B) { casbinDecide(b, domainsModel, policy.String(), q) }},
		{Ours, "Engine.Decide", func(b *testing.B) { decide(b, engine(domainsModel, policy.String()), q) }},
	}
}

// A trie is a path's segments as nested maps; ":" is any segment.
type trie struct {
	next map[string]*trie
	end  map[string]bool
}

func (t *trie) add(path, action string) {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, ":") {
			part = ":"
		}
		if t.next == nil {
			t.next = map[string]*trie{}
		}
		if t.next[part] == nil {
			t.next[part] = &trie{}
		}
		t = t.next[part]
	}
	if t.end == nil {
		t.end = map[string]bool{}
	}
	t.end[action] = true
}

func (t *trie) find(path, action string) bool {
	part, rest, more := strings.Cut(path, "/")
	for _, name := range [2]string{part, ":"} {
		if n := t.next[name]; n != nil && (!more && n.end[action] || more && n.find(rest, action)) {
			return true
		}
	}
	return false
}

func pathRows(n int, peers bool) []Row {
	var policy strings.Builder
	var root trie
	for i := range n {
		path := fmt.Sprintf("/service%d/items/:id", i)
		if i%2 == 0 {
			path += fmt.Sprintf("/part%d", i)
		}
		root.add(path, "GET")
		fmt.Fprintf(&policy, "p, alice, %s, GET\n", path)
	}
	q := authz.Request{Subject: "alice", Object: fmt.Sprintf("/service%d/items/4711/part%d", n/2, n/2), Action: "GET"}
	subjects := map[string]*trie{"alice": &root}
	rows := []Row{{Floor, "a trie", func(b *testing.B) {
		for b.Loop() {
			if !subjects[q.Subject].find(q.Object, q.Action) {
				panic("denied")
			}
		}
	}}}
	if peers {
		rows = append(rows, Row{Peer, "casbin", func(b *testing.B) { casbinDecide(b, pathsModel, policy.String(), q) }})
	}
	return append(rows, Row{Ours, "Engine.Decide", func(b *testing.B) { decide(b, engine(pathsModel, policy.String()), q) }})
}

func mapGrant(b *testing.B) {
	roles, _ := roleMaps(1000)
	for b.Loop() {
		roles["new"] = "group1"
		delete(roles, "new")
	}
}

func engineGrant(b *testing.B, n int) {
	e, ctx := engine(rolesModel, rolesPolicy(n)), context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		check(e.Grant(ctx, "", "new", "group1"))
		check(e.Revoke(ctx, "", "new", "group1"))
	}
}

func loadMap(b *testing.B, n int) {
	text := rolesPolicy(n)
	b.ResetTimer()
	for b.Loop() {
		rules := map[[4]string]bool{}
		for line := range strings.Lines(text) {
			var k [4]string
			i := 0
			for f := range strings.SplitSeq(strings.TrimSpace(line), ", ") {
				k[i], i = f, i+1
			}
			rules[k] = true
		}
	}
	b.ReportAllocs()
}

func loadEngine(b *testing.B, n int) {
	text := rolesPolicy(n)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		engine(rolesModel, text)
	}
}
