// Package authz decides who may do what, by a model and a policy in casbin's
// language, compiled when they are loaded.
//
//	engine, err := authz.New(model, policy, log, authz.Options{})
//	mux, err := guard.NewMux(base, guard.Route{Pattern: "GET /files/{id}", Action: "files.read",
//		Guards: []guard.Guard{engine.Require("read", authz.Object("file"))}, Handler: show})
//	d := engine.Decide(authz.Request{Subject: "u-1", Domain: "acme", Object: "file", Action: "read"})
//
// # What is understood
//
// The model says what requests and rules consist of, how roles are given, and
// how rules match:
//
//	[request_definition]   r = sub, dom, obj, act
//	[policy_definition]    p = sub, dom, obj, act        (or with eft, priority)
//	[role_definition]      g = _, _, _                   (or _, _; with (_, _) for a start and an end)
//	[policy_effect]        e = some(where (p.eft == allow))
//	[matchers]             m = g(r.sub, p.sub, r.dom) && (p.dom == "*" || r.dom == p.dom) && r.obj == p.obj && r.act == p.act
//
// A matcher may use && || ! == != < <= > >= + - * / % in, the functions g,
// keyMatch to keyMatch5, keyGet to keyGet3, regexMatch, globMatch, ipMatch and
// eval, attributes such as r.sub.Age, and functions of [Options]. The effects
// are casbin's five. Further definitions r2, p2, e2 and m2 are asked by
// [Request].Matcher. Anything else does not load: a model that is half
// understood would be a policy nobody wrote.
//
// # How it decides
//
// Each alternative of the matcher becomes a plan: equalities, roles and
// patterns of paths become the key of a hash table, the rest is evaluated for
// the rules that the table finds. A decision costs one lookup for each role
// of the subject and each form of path, whatever the number of rules;
// [Engine.Report] says what was indexed and what was not. A change copies the
// few pages it touches and is published by one atomic store, so that readers
// never wait and a grant among a million rules takes well under a
// millisecond.
//
// # Safer than the language
//
// Without a rule that allows, nothing is allowed. An empty field of a request
// is never allowed. A malformed line, a rule with too few or too many fields,
// a pattern that does not compile and a role cycle are errors that name the
// line, and leave the policy in force as it is ([Engine.Ready] then says so).
// Nothing is cached: a role that was taken counts from the next decision on.
// An error while a rule is evaluated denies. docs/authz-casbin.md lists every
// difference to casbin, each with its test.
//
// # Errors
//
// [ErrModel] and [ErrPolicy] are for errors.Is; [PolicyError] has the line.
package authz
