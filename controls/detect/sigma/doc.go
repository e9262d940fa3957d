// Package sigma evaluates Sigma rules over audit events, so that detections
// are written in the language that defenders share and not in Go.
//
//	set, err := sigma.Load(map[string][]byte{"rules.yaml": data}, sigma.Options{})
//	matches := set.Evaluate(&event, time.Now())
//
// An application hands the set to detect.Options.Sigma and need not call it.
//
// # What is supported
//
// Sigma specification 2.1: rules with detection, and correlation rules of the
// types event_count, value_count, temporal and temporal_ordered. A file may
// hold several documents. YAML is read strictly: no anchors, no aliases, no
// tags, no repeated keys, no keys the specification does not have. What is
// valid Sigma and not supported is an error that names it, never a rule that
// silently matches nothing.
//
//   - Selections: maps (all must hold), lists of maps (one must hold), lists of
//     keywords (one must occur in any field).
//   - Values: text with * and ?, numbers, booleans, null; lists of them (one
//     must hold). Text is compared without regard to case.
//   - Modifiers: contains, startswith, endswith, all, cased, re (with i, m, s),
//     cidr, lt, lte, gt, gte, neq, exists, fieldref.
//   - Conditions: and, or, not, parentheses, 1 of, any of, all of, with a name,
//     a pattern or them. A list of conditions holds if one holds.
//   - Correlations: rules by name or id, group-by, timespan (s, m, h, d),
//     aliases, generate; conditions gte and gt. The others (eq, lt, lte, neq) would
//     have to be asked when nothing happens, and are refused.
//
// # Fields
//
// A rule sees these fields of an event: action, outcome, reason, tenant,
// actor.id, actor.kind, actor.tenant, actor.for, target.TYPE for the ids of its
// targets, and attr.KEY for its attributes. Options.Fields gives them the names
// of a rule set from elsewhere. Personal attributes are not seen.
//
// # Tags
//
// A rule names the control under attack with the tag surety.CONTROL, such as
// surety.authn.throttle; without one it is controls.detect. The tag
// surety-action.NAME names an action of the detector.
//
// # Bounds
//
// Regular expressions are Go's (RE2), which take time linear in the input.
// Windows use monotonic time. Each correlation remembers at most
// Options.MaxGroups groups; when there are more, those with the fewest events
// are forgotten first, and [Set.Forgotten] counts them.
package sigma
