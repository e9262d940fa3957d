// Package guard runs controls around requests: one decision, made once, for
// net/http and gRPC.
//
// A control that decides about a request is a [Guard]: its Admit method sees a
// [Call], which reads the same on every transport, and returns nil or a
// [Denial]. Guards run in the order of their [Phase]:
//
//	observe   < network  < preflight < identify < limit     < authorise < purpose
//	audit,      firewall,  CORS        session,   limits      policy      consent,
//	metrics     client ip              API key    by user     per route   purpose
//
// A [Mux] is a table of routes, each with guards of its own after the base
// ones. It does not construct when the order is wrong, when nobody audits, or
// when a route has neither an authorising guard nor [Public] with a reason.
// Base guards also run for paths that match no route.
//
//	mux, err := guard.NewMux(
//		[]guard.Guard{guard.Audit(log), sessions, limiter},
//		guard.Route{Pattern: "GET /records/{id}", Action: "records.read",
//			Guards: []guard.Guard{policy.Require("read", "record")}, Handler: show},
//		guard.Route{Pattern: "GET /livez", Action: "health.live",
//			Guards: []guard.Guard{guard.Public("the orchestrator has no credentials")}, Handler: live},
//	)
//
// guard/guardgrpc takes the same guards and routes for a gRPC server.
//
// # What a guard's answer means
//
// A *[Denial] is answered with its code and its public text. Any other error
// means that the guard could not decide, and is answered 503: a control that
// can't be asked denies. If the caller has gone away there is no one to
// answer and nothing is counted as a denial.
//
// A guard may ask to act later: [Call.BeforeResponse] runs before the first
// byte of the response leaves, and its error replaces the response with a
// 503, so that an action whose audit event can't be stored is never
// acknowledged; [Call.OnFinish] runs when everything is over, whether by
// return, panic or cancellation.
//
// On streams, guards that are [Readmitter]s are asked again every second, and
// a refusal ends the stream even when it is idle. Handlers of streams
// authorise each message themselves.
//
// # Inputs and limits
//
// Everything in a Call but Actor comes from the caller of the service. Guards
// must not trust headers; guard/clientip decides which forwarded addresses
// count. Bodies are none of a guard's business: they belong to plain
// middleware behind the chain.
package guard
