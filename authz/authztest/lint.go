package authztest

import (
	"slices"
	"strings"

	"github.com/surety-go/surety/authz"
)

// A Problem is a kind of mistake in a policy.
type Problem string

// The problems.
const (
	// Unreachable is a rule that allows what another one denies, all of it.
	Unreachable Problem = "unreachable"
	// Shadowed is a rule that another of the same effect makes superfluous.
	Shadowed Problem = "shadowed"
	// Broad is a rule that allows every action on every object.
	Broad Problem = "over-broad"
	// Orphan is a role that someone has and that no rule speaks of, or a
	// subject of rules that is neither granted nor grants anything.
	Orphan Problem = "orphan"
	// Restricted is a rule that reaches a restricted object by a pattern.
	Restricted Problem = "restricted"
	// Expired is a role that ended.
	Expired Problem = "expired"
)

// A Finding is a problem of one rule.
type Finding struct {
	Problem Problem
	Rule    authz.Rule
	By      string // the other rule, or the restricted object
}

// LintOptions adapt Lint.
type LintOptions struct {
	// Restricted are objects that rules must name in full.
	Restricted []string
	// Now is seconds since 1970, for Expired; zero looks for none.
	Now int64
}

// maxCompared bounds how many rules of one subject are compared in pairs.
const maxCompared = 2000

// Lint looks for mistakes in the policy in force. It knows what "*" and the
// patterns of paths mean, and takes expressions as they stand.
func Lint(e *authz.Engine, o LintOptions) []Finding {
	l := linter{e: e, rules: e.Rules()}
	l.shadows()
	l.broad(o.Restricted)
	l.orphans()
	for _, r := range l.rules {
		if r.Until != 0 && o.Now != 0 && r.Until <= o.Now {
			l.add(Expired, r, "")
		}
	}
	return l.list
}

type linter struct {
	e     *authz.Engine
	rules []authz.Rule
	list  []Finding
}

func (l *linter) add(p Problem, r authz.Rule, by string) { l.list = append(l.list, Finding{p, r, by}) }

// field is the first of some fields of a rule, by the names models give them.
func (l *linter) field(r authz.Rule, names ...string) (string, bool) {
	i := slices.IndexFunc(l.e.Fields(r.Kind), func(f string) bool { return slices.Contains(names, f) })
	if i < 0 || i >= len(r.Fields) {
		return "", false
	}
	return r.Fields[i], true
}

func (l *linter) subject(r authz.Rule) (string, bool) {
	return l.field(r, "sub", "subject", "user", "role")
}

func (l *linter) object(r authz.Rule) (string, bool) {
	return l.field(r, "obj", "object", "thing", "resource")
}

func (l *linter) denies(r authz.Rule) bool {
	eft, ok := l.field(r, "eft")
	return ok && eft == "deny"
}

// shadows compares the rules of each subject in pairs.
func (l *linter) shadows() {
	bySubject := map[[2]string][]authz.Rule{}
	for _, r := range l.rules {
		if sub, ok := l.subject(r); ok && r.Kind[0] == 'p' {
			bySubject[[2]string{r.Kind, sub}] = append(bySubject[[2]string{r.Kind, sub}], r)
		}
	}
	for _, r := range l.rules {
		sub, ok := l.subject(r)
		if !ok || r.Kind[0] != 'p' {
			continue
		}
		list := bySubject[[2]string{r.Kind, sub}]
		for _, other := range list[:min(len(list), maxCompared)] {
			if !l.covers(other, r) {
				continue
			}
			switch {
			case l.denies(other) == l.denies(r):
				l.add(Shadowed, r, other.String())
			case l.denies(other):
				l.add(Unreachable, r, other.String())
			default:
				continue
			}
			break
		}
	}
}

// covers reports whether a rule speaks of all that another speaks of, and
// of more unless one denies and the other allows.
func (l *linter) covers(wide, narrow authz.Rule) bool {
	fields, more := l.e.Fields(wide.Kind), l.denies(wide) != l.denies(narrow)
	if slices.Contains(fields, "priority") {
		return false // the order decides
	}
	for i, name := range fields {
		w, n := wide.Fields[i], narrow.Fields[i]
		switch {
		case name == "eft" || w == n:
		case w == "*", strings.HasSuffix(w, "/*") && strings.HasPrefix(n, w[:len(w)-1]) && !strings.Contains(w[:len(w)-1], ":"):
			more = true
		default:
			return false
		}
	}
	return more
}

func (l *linter) broad(restricted []string) {
	for _, r := range l.rules {
		obj, ok := l.object(r)
		act, hasAct := l.field(r, "act", "action", "method")
		if !ok || l.denies(r) || r.Kind[0] != 'p' {
			continue
		}
		if slices.Contains([]string{"*", "/*", ".*", "**"}, obj) && (!hasAct || act == "*" || act == ".*") {
			l.add(Broad, r, "")
		}
		for _, object := range restricted {
			if obj != object && l.reaches(r, obj, object) {
				l.add(Restricted, r, object)
			}
		}
	}
}

// reaches asks whether a rule alone, with its own subject, decides about an
// object.
func (l *linter) reaches(r authz.Rule, pattern, object string) bool {
	if !strings.ContainsAny(pattern, "*:{.[?") {
		return false
	}
	sub, _ := l.subject(r)
	dom, _ := l.field(r, "dom", "domain", "tenant", "org")
	act, _ := l.field(r, "act", "action", "method")
	d := l.e.Decide(authz.Request{Subject: sub, Domain: dom, Object: object, Action: act})
	return d.Allowed && d.Rule() == r.String()
}

func (l *linter) orphans() {
	speaks, granted := map[string]bool{}, map[string]bool{}
	for _, r := range l.rules {
		if sub, ok := l.subject(r); ok && r.Kind[0] == 'p' {
			speaks[sub] = true
		}
		if r.Kind == "g" {
			speaks[r.Fields[0]], granted[r.Fields[0]], granted[r.Fields[1]] = true, true, true
		}
	}
	if len(granted) == 0 {
		return // a policy without roles
	}
	for _, r := range l.rules {
		sub, ok := l.subject(r)
		switch {
		case r.Kind == "g" && !speaks[r.Fields[1]]:
			l.add(Orphan, r, r.Fields[1])
		case r.Kind[0] == 'p' && ok && !granted[sub] && sub != "*":
			l.add(Orphan, r, sub)
		}
	}
}
