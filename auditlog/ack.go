package auditlog

import (
	"cmp"
	"slices"
	"strings"
)

// An Ack says how surely an event is recorded when Record returns.
type Ack uint8

// The levels of acknowledgement.
const (
	// Durable returns after the event is on stable storage. It is the zero
	// value: an event that no rule speaks of is durable.
	Durable Ack = iota
	// Async returns once the event is queued; it is on disk soon after. An
	// event lost in a crash leaves a gap in the sequence.
	Async
	// Aggregated counts the event: one entry per interval stands for all that
	// are alike. It is for events that outsiders cause at will.
	Aggregated
	// Published returns when a signed checkpoint covers the event.
	Published
	// Witnessed returns when a checkpoint cosigned by witnesses covers it.
	Witnessed
)

var ackNames = [...]string{"durable", "async", "aggregated", "published", "witnessed"}

// String returns the level's name as evidence spells it.
func (a Ack) String() string { return nameOf(ackNames[:], int(a)) }

// A Rule gives the acknowledgement of the events it matches. An empty field
// matches every event.
type Rule struct {
	Action  string  // exact, or one "*" at its start or end: "records.*", "*.read"
	Reason  string  // likewise
	Outcome Outcome // or zero for any
	Kinds   []Kind  // kinds of actor, or none for any
	Ack     Ack
}

// Matches reports whether the rule speaks of the event.
func (r Rule) Matches(ev *Event) bool {
	return (r.Outcome == outcomeUnknown || r.Outcome == ev.Outcome) &&
		matches(r.Action, ev.Action) && matches(r.Reason, ev.Reason) &&
		(len(r.Kinds) == 0 || slices.Contains(r.Kinds, ev.Actor.Kind))
}

// A Table gives every event its acknowledgement: the first rule that matches
// decides, and [Durable] when none does.
type Table []Rule

// Ack returns the acknowledgement the event gets.
func (t Table) Ack(ev *Event) Ack {
	for i := range t {
		if t[i].Matches(ev) {
			return t[i].Ack
		}
	}
	return Durable
}

// String writes the table's rules on one line, for evidence.
func (t Table) String() string {
	var b strings.Builder
	for _, r := range t {
		b.WriteString(r.String() + "; ")
	}
	return b.String() + "otherwise " + Durable.String()
}

// String writes the rule as "action reason outcome kinds: acknowledgement",
// with "*" for what it leaves open.
func (r Rule) String() string {
	outcome, kinds := "*", "*"
	if r.Outcome != outcomeUnknown {
		outcome = r.Outcome.String()
	}
	for i, k := range r.Kinds {
		if i == 0 {
			kinds = k.String()
		} else {
			kinds += "," + k.String()
		}
	}
	return cmp.Or(r.Action, "*") + " " + cmp.Or(r.Reason, "*") + " " + outcome + " " + kinds + ": " + r.Ack.String()
}

// DefaultTable returns the table a log uses unless told otherwise. Denials
// that anyone on the network can cause at will, by being over a limit, on a
// deny list, without credentials or at an unknown path, are aggregated, so
// that a flood can't own the disk; ordinary reads that were allowed are
// asynchronous; the rest is durable. Put your own rules before these:
// append(Table{{Action: "salaries.read", Ack: Durable}}, DefaultTable()...).
func DefaultTable() Table {
	anonymous := []Kind{Anonymous}
	return Table{
		{Outcome: Denied, Reason: "ratelimit.*", Ack: Aggregated},
		{Action: "ratelimit.waf.match", Ack: Aggregated},
		{Outcome: Denied, Reason: "guard.browser.*", Ack: Aggregated},
		{Outcome: Denied, Reason: "authn.required", Kinds: anonymous, Ack: Aggregated},
		{Outcome: Denied, Reason: "guard.route", Kinds: anonymous, Ack: Aggregated},
		{Outcome: Success, Action: "*.read", Ack: Async},
		{Outcome: Success, Action: "*.list", Ack: Async},
	}
}

// matches reports whether s matches a pattern that is empty (anything), exact,
// or has one "*" at its start or its end.
func matches(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(s, suffix)
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, prefix)
	}
	return pattern == s
}
