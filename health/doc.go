// Package health tells orchestrators and people whether a service can do its
// work, and ends it without dropping requests.
//
//	probes, err := health.New([]health.Check{
//		{Name: "database", Run: db.PingContext},
//		{Name: "payroll", Run: payroll.Ping, Criticality: health.Degrading},
//	}, health.Options{})
//	defer probes.Close()
//	guard.Route{Pattern: "GET /readyz", Action: "health.ready", Handler: probes.Ready(), …}
//	err = health.Serve(ctx, probes, listener, server, health.ServeOptions{})
//
// There are three questions, each with its own answer: has it started
// (startup), is it stuck (liveness: restart it), can it serve now (readiness:
// send no requests). Liveness asks no dependency, because restarting a service
// does not mend its database.
//
// Checks run in the background, each by itself, and answers come from memory:
// asking often costs nothing, and a hanging check holds up nobody. A check
// that does not return is failed after its timeout and is not started again
// until it does, so that it leaks at most one goroutine.
//
// A check that comes after another one is not run while that one fails, and
// says so: one cause is not told as many. ?exclude leaves checks out of an
// answer. Answers name checks only with ?verbose and to those whom
// [Options.Details] lets see it, and never contain an error's text, which may
// hold addresses and credentials.
package health
