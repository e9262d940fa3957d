package auditlog

import (
	"context"
	"iter"
	"slices"
	"time"
)

// A Query selects entries. Empty fields select everything.
type Query struct {
	From, To time.Time // by the entry's time; To is excluded
	Tenant   string    // exact
	Actor    string    // the actor's ID, exact
	Action   string    // exact, or one "*" at its start or end, as in a [Rule]
	Outcome  Outcome
	Target   Target // type and ID; an empty ID is any target of the type
	Limit    int    // at most so many entries; 0 is all
}

// Matches reports whether the query selects an entry.
func (q *Query) Matches(e *Entry) bool {
	return (q.From.IsZero() || !e.Time.Before(q.From)) && (q.To.IsZero() || e.Time.Before(q.To)) &&
		(q.Tenant == "" || q.Tenant == e.Tenant) && (q.Actor == "" || q.Actor == e.Actor.ID) &&
		matches(q.Action, e.Action) && (q.Outcome == outcomeUnknown || q.Outcome == e.Outcome) &&
		(q.Target == Target{} || slices.ContainsFunc(e.Targets, q.matchesTarget))
}

func (q *Query) matchesTarget(t Target) bool {
	return t.Type == q.Target.Type && (q.Target.ID == "" || t.ID == q.Target.ID)
}

// attrs describe the query in the event of its use.
func (q *Query) attrs() []Attr {
	var list []Attr
	for _, f := range [...]struct{ key, value string }{
		{"tenant", q.Tenant}, {"by", q.Actor}, {"action", q.Action}, {"target_type", q.Target.Type}, {"target", q.Target.ID},
	} {
		if f.value != "" {
			list = append(list, String(f.key, f.value))
		}
	}
	if q.Outcome != outcomeUnknown {
		list = append(list, String("outcome", q.Outcome.String()))
	}
	if !q.From.IsZero() {
		list = append(list, Time("from", q.From))
	}
	if !q.To.IsZero() {
		list = append(list, Time("to", q.To))
	}
	return list
}

// Search returns the entries that a query selects, oldest first. The search is
// recorded first, by the context's actor and with the query; without that,
// nothing is read.
//
// An index outside the tree tells which parts of the log can't hold what is
// looked for. It holds no personal values, is brought up to date by the first
// search after new entries, and is built anew when it is damaged or gone; its
// directory entry is "index". Whoever can write to the directory can make it
// hide entries from a search: what must be complete is exported and verified.
func (l *Log) Search(ctx context.Context, q Query) iter.Seq2[Indexed, error] {
	return func(yield func(Indexed, error) bool) {
		if err := l.recordRead(ctx, "auditlog.log.search", q.attrs()...); err != nil {
			yield(Indexed{}, err)
			return
		}
		for e, err := range l.find(ctx, q) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// find is Search without a trace, for the log's own use.
func (l *Log) find(ctx context.Context, q Query) iter.Seq2[Indexed, error] {
	return func(yield func(Indexed, error) bool) {
		size := l.Size()
		parts, err := l.index.candidates(l, &q, size)
		if err != nil {
			yield(Indexed{}, err)
			return
		}
		left := q.Limit
		for _, p := range parts {
			more := l.scan(ctx, p.from, p.to, func(e Indexed, err error) bool {
				if err == nil && !q.Matches(&e.Entry) {
					return true
				}
				if left--; !yield(e, err) {
					return false
				}
				return left != 0
			})
			if !more {
				return
			}
		}
	}
}

// Has reports whether an entry with the id and time is in the log. It is for
// programs that must not record an event twice, and leaves no trace.
func (l *Log) Has(ctx context.Context, id ID, at time.Time) (bool, error) {
	for e, err := range l.find(ctx, Query{From: at, To: at.Add(1)}) {
		if err != nil {
			return false, err
		}
		if e.ID == id {
			return true, nil
		}
	}
	return false, nil
}
