package authz

import (
	"context"

	"github.com/surety-go/surety/controls"
)

// stranger is a name that no policy has: it can't stand in a file.
const stranger = "\x00probe"

// maxProbed bounds how many rules one run of the probe asks about.
const maxProbed = 10_000

// probe asks about nothing known, in the name of nobody, and in the name of a
// stranger about what the rules allow others.
func (e *Engine) probe(context.Context) controls.Result {
	s := e.current.Load()
	for i := range s.m.matchers {
		m := &s.m.matchers[i]
		q := make([]any, len(m.request.fields))
		for j := range q {
			q[j] = stranger
		}
		if d := e.RawAs(m.name, q...); d.Allowed {
			return controls.Failed("%s allows what no rule speaks of: %s", m.name, d.Reason)
		}
		for j := range q {
			q[j] = ""
		}
		if e.RawAs(m.name, q...).Allowed {
			return controls.Failed("%s allows a request without a subject", m.name)
		}
		if line := s.strangerAllowed(e, m); line > 0 {
			return controls.Failed("a subject without roles was allowed by line %d", line)
		}
	}
	if err := e.Ready(); err != nil {
		return controls.Failed("%v", err)
	}
	return controls.Passed("a stranger, and nobody, were denied by all of %d rules", s.count())
}

// strangerAllowed asks about the rules of a matcher all of whose alternatives
// name subjects. It returns the line of one that lets a stranger in, or 0.
func (s *snapshot) strangerAllowed(e *Engine, m *matcher) (line int) {
	if len(m.always) > 0 || m.request.standard[0] < 0 {
		return 0
	}
	for i := range m.plans {
		if !m.plans[i].names(m.request.standard[0]) {
			return 0
		}
	}
	asked := 0
	s.rules[m.rules].all(func(n uint32) bool {
		if d := e.RawAs(m.name, s.question(m, n)...); d.Allowed {
			line = max(1, d.Line())
		}
		asked++
		return line == 0 && asked < maxProbed
	})
	return line
}

// names reports whether a plan lets through only subjects that rules name.
func (p *plan) names(subject int) bool {
	for _, s := range p.slots {
		if s.request == subject && (s.kind == slotEqual || s.kind == slotRole) {
			return true
		}
	}
	return false
}

// question is a request that a rule speaks of, by a stranger.
func (s *snapshot) question(m *matcher, n uint32) []any {
	values := s.rules[m.rules].values(n)
	q := make([]any, len(m.request.fields))
	for j, name := range m.request.fields {
		q[j] = stranger
		for k, field := range s.m.rules[m.rules].fields {
			if field == name && j != m.request.standard[0] {
				q[j] = values[k]
			}
		}
	}
	return q
}
