// Package slo measures whether a service is as available and as fast as was
// promised, and tells early when it will not be.
//
//	tracker, err := slo.New("operator", slo.NewMemory(), key, log, []slo.Objective{
//		{Name: "files", Actions: []string{"files.*"}, Target: 0.999},
//		{Name: "files-fast", Actions: []string{"files.read"}, Target: 0.99, Latency: 300 * time.Millisecond},
//	}, slo.Options{})
//	defer tracker.Close()
//	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log), tracker, …}, routes...)
//	report, err := tracker.Report(ctx, "files", monthBegan, monthEnded)
//
// An [Objective] promises a share of good requests. A request is bad when the
// service failed it (a status of 500 or more, a panic) or, for an objective
// with a latency, took longer; what the service rightly refused is good, and
// what the caller gave up is not counted. What may go wrong within
// [Options.Window] is the error budget, and how fast it is used up is the burn
// rate: at 1 the budget lasts exactly for the window. Alerts are those of
// Google's SRE Workbook, chapter 5: each looks at a long window, so that a blip
// is no alarm, and at a short one, so that the alarm ends when the trouble does.
//
//	over 1 h and 5 min at 14.4    over 6 h and 30 min at 6    over 3 d and 6 h at 1
//
// A process that is dead serves no bad requests. Run a [Watcher] therefore, in
// another process and at best on another network, that asks as a caller would,
// against the same store. In a [Report] a minute counts as up only when
// somebody saw the service work in it: time that nobody measured is not up.
//
// Counts are kept per minute in a [Store], summed over all instances, and
// authenticated with a key: who can write the store can't invent a good
// minute. A deleted minute is one that nobody measured. Totals go to the audit
// log each hour, with which a report can be reconciled.
//
// Counts in memory are lost with the process, one minute at most, and up to a
// day of them while the store can't be reached. Alerts are late by two minutes
// at most.
//
// Errors: [ErrUnknown] for an objective that is not there, [ErrTampered] for
// counts that the key did not write.
package slo
