// Package waf puts the OWASP Core Rule Set, run by Coraza, before the handlers
// that opt in: requests that look like known attacks (SQL and command
// injection, cross-site scripting, path traversal, scanners and the like) are
// refused before the application sees them.
//
//	fw, err := waf.New(log, waf.Options{})
//	guard.Route{Pattern: "POST /comments", Action: "comments.create",
//		Guards: […], Handler: fw.Middleware(create)}
//
// A rule set guesses. Begin with [Options].Detect, look at the events
// ratelimit.waf.match for a few weeks, exclude what is wrong in
// [Options].Before and After, then let it refuse. It is a second line: the
// first is an application that binds its SQL and escapes its HTML.
//
// The firewall is plain middleware behind the chain of guards, because it
// reads bodies. It sees the client's address as guard/clientip left it, and
// what it refuses is the call's one outcome, with the reason ratelimit.waf.
// Each rule that matched is an event with the rule's number as its reason,
// such as ratelimit.waf.r942100; the request itself, which may hold anything,
// is not recorded.
//
// It inspects requests over HTTP. Responses are not inspected, and gRPC is
// not: its messages are binary and typed.
package waf
