package authz

import (
	"errors"
	"slices"
)

// ErrUnlistable says that who or what a policy allows can't be listed,
// because an alternative of the matcher names no subjects or no objects.
var ErrUnlistable = errors.New("authz: the model does not name what is asked for")

// WhoCan lists the subjects that may do an action to an object: everyone
// whom a rule or a grant names and who is no role. The request's subject is
// left empty. It decides once for each name.
func (e *Engine) WhoCan(r Request) ([]string, error) {
	s := e.current.Load()
	i := s.m.matcher(r.Matcher)
	if i < 0 || !s.m.matchers[i].lists(s.m.matchers[i].request.standard[0]) {
		return nil, ErrUnlistable
	}
	fixed := e.at(s)
	var can []string
	for name := range s.names(&s.m.matchers[i], r.Domain) {
		r.Subject = name
		if fixed.Decide(r).Allowed {
			can = append(can, name)
		}
	}
	slices.Sort(can)
	return can, nil
}

// at is an engine that stays with one version.
func (e *Engine) at(s *snapshot) *Engine {
	fixed := &Engine{model: e.model}
	fixed.current.Store(s)
	return fixed
}

// lists reports whether every alternative finds rules by a field.
func (m *matcher) lists(field int) bool {
	if len(m.always) > 0 || field < 0 {
		return false
	}
	return !slices.ContainsFunc(m.plans, func(p plan) bool { return p.fieldOf(field) < 0 })
}

// fieldOf is the field of rules that a field of the request is compared
// with, or -1.
func (p *plan) fieldOf(request int) int {
	for _, s := range p.slots {
		if s.request == request {
			return s.rule
		}
	}
	return -1
}

// names are the subjects of rules and grants that are no roles.
func (s *snapshot) names(m *matcher, domain string) map[string]bool {
	names, roles := map[string]bool{}, map[string]bool{}
	if s.m.subjects >= 0 {
		g := &s.graphs[s.m.subjects]
		g.rows.all(func(n uint32) bool {
			v := g.rows.values(n)
			roles[v[1]] = true
			if !g.kind.domain || v[2] == domain || len(g.domains) > 0 {
				names[v[0]] = true
			}
			return true
		})
	}
	for i := range m.plans {
		f := m.plans[i].fieldOf(m.request.standard[0])
		rules := &s.rules[m.rules]
		rules.all(func(n uint32) bool {
			names[rules.values(n)[f]] = true
			return true
		})
	}
	for name := range roles {
		delete(names, name)
	}
	return names
}

// A Permission is what a rule allows a subject. Object and Action are as the
// rule has them: they may be patterns.
type Permission struct {
	Object, Action string
	Rule           string
	RolePath       []string
}

// WhatCan lists what a subject may do in a domain: the rules whose object and
// action the subject is allowed, after all rules that deny.
func (e *Engine) WhatCan(domain, subject string) ([]Permission, error) {
	s := e.current.Load()
	m := &s.m.matchers[0]
	at := m.request.standard
	if !m.lists(at[2]) || !m.lists(at[3]) {
		return nil, ErrUnlistable
	}
	fixed := e.at(s)
	type pair struct{ object, action string }
	seen := map[pair]bool{}
	var list []Permission
	for i := range m.plans {
		object, action := m.plans[i].fieldOf(at[2]), m.plans[i].fieldOf(at[3])
		rules := &s.rules[m.rules]
		rules.all(func(n uint32) bool {
			v := rules.values(n)
			p := pair{v[object], v[action]}
			if seen[p] {
				return true
			}
			seen[p] = true
			d := fixed.Decide(Request{Subject: subject, Domain: domain, Object: p.object, Action: p.action})
			if d.Allowed {
				list = append(list, Permission{p.object, p.action, d.Rule(), d.RolePath()})
			}
			return true
		})
	}
	return list, nil
}

// A Grant is a role that someone has.
type Grant struct {
	Subject, Role, Domain string
	From, Until           int64 // seconds since 1970; 0 is no bound
}

// Grants lists the roles given in a domain; empty is all. It reads the
// policy in force, in no order.
func (e *Engine) Grants(domain string) []Grant {
	s := e.current.Load()
	if s.m.subjects < 0 {
		return nil
	}
	g := &s.graphs[s.m.subjects]
	var list []Grant
	g.rows.all(func(n uint32) bool {
		v, m := g.rows.values(n), g.rows.meta(n)
		if d := g.domainOf(v); domain == "" || d == domain {
			list = append(list, Grant{v[0], v[1], d, m.from, m.until})
		}
		return true
	})
	return list
}

// Rules lists the policy in force, by kind and in order.
func (e *Engine) Rules() []Rule {
	s := e.current.Load()
	var list []Rule
	for i := range s.rules {
		first := len(list)
		s.rules[i].all(func(n uint32) bool {
			list = append(list, Rule{Kind: s.m.rules[i].name, Fields: s.rules[i].values(n), line: int(s.rules[i].meta(n).line), order: s.rules[i].meta(n).order})
			return true
		})
		slices.SortFunc(list[first:], func(a, b Rule) int {
			if a.order < b.order {
				return -1
			}
			return 1
		})
	}
	for i := range s.graphs {
		g := &s.graphs[i]
		g.rows.all(func(n uint32) bool {
			m := g.rows.meta(n)
			r := Rule{Kind: g.kind.name, Fields: g.rows.values(n), From: m.from, Until: m.until, line: int(m.line)}
			if g.kind.params > 0 {
				r.From, r.Until = 0, 0
			}
			list = append(list, r)
			return true
		})
	}
	return list
}

// Holds returns the line that gives a subject a role itself, whether or not
// it holds now.
func (e *Engine) Holds(domain, subject, role string) (Grant, bool) {
	s := e.current.Load()
	if s.m.subjects < 0 {
		return Grant{}, false
	}
	g := &s.graphs[s.m.subjects]
	values := []string{subject, role, domain}[:g.kind.head()]
	n := g.find(s.m, values)
	if n < 0 {
		return Grant{}, false
	}
	m := g.rows.meta(uint32(n)) //nolint:gosec // a row
	return Grant{subject, role, domain, m.from, m.until}, true
}

// Fields are the names of the fields of a kind of rules, as the model defines
// them, or nil.
func (e *Engine) Fields(kind string) []string {
	if i := e.model.rule(kind); i >= 0 {
		return slices.Clone(e.model.rules[i].fields)
	}
	return nil
}
