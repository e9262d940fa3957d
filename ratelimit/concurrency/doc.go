// Package concurrency keeps a service from taking more work than it can do at
// once. It finds out by itself how much that is, lets requests wait a moment,
// and turns away the least important first.
//
//	load, err := concurrency.New(log, concurrency.Options{
//		Priority: func(_ context.Context, call *guard.Call) concurrency.Priority {
//			if call.Action == "reports.build" {
//				return concurrency.Background
//			}
//			return concurrency.Normal
//		},
//	})
//	base := []guard.Guard{guard.Audit(log), perClient, sessions, load, …}
//
// A limit on rates is about fairness between callers; this one is about
// capacity. It counts requests that are being served, and adapts their number
// to their latency: as long as the median stays near that of an idle service
// the limit grows, and when it rises, which it does when work queues up inside,
// the limit shrinks in proportion (the gradient controller of Envoy's adaptive
// concurrency filter).
//
// What an idle service takes is measured and not learnt from the past: once a
// minute the limit goes down to Options.Min until fifty requests have been
// served undisturbed. A limiter that takes a slow average for the truth lets
// its idea of normal drift upwards as long as an overload lasts, and ends up
// with no limit at all.
//
// Priorities come from the caller's account, or from the operation, and never
// from what a request says of itself. Background work is admitted up to 60 %
// of the limit, normal work up to 90 %, critical work up to all of it. Who
// finds no place waits, the most important first, until Options.Wait is over
// or the caller gives up. Streams are not counted, because they are idle most
// of the time and last for as long as their caller likes.
//
// A denial is 503, or UNAVAILABLE, with Retry-After and the problem type
// temporary-reduced-capacity. The events ratelimit.concurrency.overload and
// ratelimit.concurrency.relax tell when it began and when none was turned away
// for ten seconds.
package concurrency
