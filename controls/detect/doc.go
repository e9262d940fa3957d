// Package detect notices patterns of attack in audit events and answers them:
// with a finding, an event, and an action such as a temporary lock.
//
//	d, err := detect.New(log, detect.DefaultRules(), detect.Options{
//		Findings: tracker,
//		Actions:  map[string]detect.Action{"lock": func(ctx context.Context, a detect.Alert) error {
//			return guesses.Lock(ctx, a.Tenant, a.Group["target.account"], time.Now().Add(15*time.Minute), a.Rule.ID)
//		}},
//	})
//	recorder := auditlog.Recorder(d) // hand this to everything that records
//
// A [Detector] is a Recorder in front of the log. Each event goes to the log
// first and is then compared with the rules, also when the log fails: who
// breaks the log must not thereby evade detection. Events of probes are not
// attacks and are not looked at.
//
// A [Rule] is data: which events it counts, by which fields they are grouped,
// how many of them within which window are too many, and what happens then.
// Groups slide: any Count events no further apart than Window fire the rule,
// whatever the wall clock does meanwhile, since monotonic time is used. Memory
// is bounded by Options.MaxGroups per rule; when an attacker invents more
// groups than that, the ones with the fewest events are forgotten first, and
// the detector's probe says that it happened. Windows live in memory, per
// process.
//
// Rules in the language of Sigma, with correlations, come in by Options.Sigma;
// see package sigma.
//
// # Personal data
//
// Groups hold what events hold: random account ids and networks, never names.
// A personal attribute can't be grouped by.
package detect
