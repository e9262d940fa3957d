// Package authz decides who may do what, by a model and a policy in casbin's
// language, compiled when they are loaded.
//
//	engine, err := authz.New(model, policy, log)
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
//	[policy_definition]    p = sub, dom, obj, act        (or with eft)
//	[role_definition]      g = _, _, _                   (or _, _)
//	[policy_effect]        e = some(where (p.eft == allow))
//	[matchers]             m = g(r.sub, p.sub, r.dom) && (p.dom == "*" || r.dom == p.dom) && r.obj == p.obj && r.act == p.act
//
// Fields are sub, obj, act and optionally dom. A matcher is a conjunction with
// one term per field: equality, equality or a "*" in the rule, g for the
// subject, and keyMatch2 for the object. The effects are allow-override,
// deny-override with default deny, and both. Anything else does not load: a
// model that is half understood would be a policy nobody wrote.
//
// # Safer than the language
//
// Without a rule that allows, nothing is allowed. An empty subject, object or
// action is never allowed. A malformed line, a rule with too few or too many
// fields, a repeated rule, and a role cycle are errors that name the line, and
// leave the policy in force as it is. Nothing is cached: a role that was taken
// counts from the next decision on.
package authz
