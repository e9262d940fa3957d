package authz

// Models to begin with. In each of them nothing is allowed without a rule, a
// rule that denies beats all that allow, and rules end in allow or deny.
const (
	// ModelRBAC gives roles permissions:
	//
	//	p, editor, article, write, allow
	//	g, u-1, editor
	ModelRBAC = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
` + denyBeatsAllow + `
m = g(r.sub, p.sub) && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act)
`

	// ModelTenants is ModelRBAC with roles that are held within a tenant, and
	// rules for one tenant or for all ("*"):
	//
	//	p, editor, *, article, write, allow
	//	g, u-1, editor, acme
	ModelTenants = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act, eft
[role_definition]
g = _, _, _
` + denyBeatsAllow + `
m = g(r.sub, p.sub, r.dom) && (p.dom == "*" || r.dom == p.dom) && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act)
`

	// ModelREST is about paths and methods; ":id" is one segment, "/*" at the
	// end anything below:
	//
	//	p, editor, /articles/:id, PUT, allow
	ModelREST = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
` + denyBeatsAllow + `
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && (p.act == "*" || r.act == p.act)
`

	// ModelABAC has rules that ask for attributes of the request:
	//
	//	p, r.sub.department == r.obj.department && r.sub.clearance >= 2, report, read, allow
	ModelABAC = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = rule, obj, act, eft
` + denyBeatsAllow + `
m = eval(p.rule) && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act)
`

	// ModelOwnership is ModelRBAC with rules for whoever the object's
	// attribute owner names. A request that such a rule is about must have the
	// attribute.
	//
	//	p, @owner, article, write, allow
	ModelOwnership = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
` + denyBeatsAllow + `
m = g(r.sub, p.sub) && p.sub != "@owner" && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act) \
 || p.sub == "@owner" && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act) && r.sub == r.obj.owner
`

	denyBeatsAllow = `[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]`
)
