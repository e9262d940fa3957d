package authz

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// maxHops is how many roles may stand one above the other, as in casbin.
const maxHops = 10

// A graph says who has which roles: the lines of one role type, found by
// name and domain.
type graph struct {
	kind    *roleType
	plain   bool // no patterns, and no functions for conditions
	rows    rows
	table   table
	domains []named // patterns of domains
	names   []named // patterns of names
}

// A named is a pattern that lines contain, and how many.
type named struct {
	text    string
	pattern *pattern
	count   int
}

func newGraph(e *edit, m *model, t *roleType) graph {
	return graph{kind: t, plain: t.roleMatch == nil && t.domainMatch == nil && m.options.Links[t.name] == nil, rows: rows{owner: e, stride: t.fields()}, table: newTable(e)}
}

const mixer = 0x9E3779B97F4A7C15

func mix(h, x uint64) uint64 {
	h = (h ^ x) * mixer
	return h ^ h>>32
}

// key is a hash that can stand in a table.
func key(h uint64) uint64 { return max(h, 1) }

func (m *model) hash(s string) uint64 { return maphash.String(m.seed, s) }

// A visit is a name that a subject is, by itself or through roles.
type visit struct {
	name string
	hash uint64
	hops uint8
}

// reached is a visit with the one it came from, or -1.
type reached struct {
	visit
	parent int
}

// isPattern reports whether a name in a line stands for others.
func isPattern(b *builtin, s string) bool { return b != nil && strings.ContainsAny(s, "*:{?[(|^$.") }

// countPattern keeps the list of patterns; by is 1 or -1.
func countPattern(list []named, b *builtin, text string, by int) ([]named, error) {
	if !isPattern(b, text) {
		return list, nil
	}
	list = slices.Clone(list)
	if i := slices.IndexFunc(list, func(n named) bool { return n.text == text }); i >= 0 {
		if list[i].count += by; list[i].count == 0 {
			list = slices.Delete(list, i, i+1)
		}
		return list, nil
	}
	p, err := b.compile(text, false)
	if err != nil {
		return nil, err
	}
	return append(list, named{text, p, 1}), nil
}

func (g *graph) domainOf(values []string) string {
	if g.kind.domain {
		return values[2]
	}
	return ""
}

func (g *graph) count(values []string, by int) (err error) {
	if g.names, err = countPattern(g.names, g.kind.roleMatch, values[0], by); err != nil {
		return err
	}
	if g.kind.domain {
		g.domains, err = countPattern(g.domains, g.kind.domainMatch, values[2], by)
	}
	return err
}

// find returns the line that gives a role, or -1.
func (g *graph) find(m *model, values []string) int64 {
	for _, n := range g.table.get(g.key(m, values)) {
		if slices.Equal(g.rows.values(n)[:g.kind.head()], values[:g.kind.head()]) {
			return int64(n)
		}
	}
	return -1
}

func (g *graph) key(m *model, values []string) uint64 {
	return key(mix(m.hash(values[0]), m.hash(g.domainOf(values))))
}

func (g *graph) add(e *edit, m *model, values []string, t meta) error {
	t.order = m.hash(values[1])
	if err := g.count(values, 1); err != nil {
		return err
	}
	n, err := g.rows.add(e, values, nil, t)
	if err == nil {
		g.table.add(e, g.key(m, values), n)
	}
	return err
}

func (g *graph) remove(e *edit, m *model, n uint32) {
	values := slices.Clone(g.rows.values(n))
	_ = g.count(values, -1) // what was counted compiled
	g.table.remove(e, g.key(m, values), n)
	g.rows.remove(e, n)
}

// next is a step through the lines that lead on from a name: those of the
// name itself and of patterns it matches, in the domain itself and in
// patterns it matches.
type next struct {
	name, domain         string
	nameHash, domainHash uint64
	n, d                 int // which pattern is next; 0 is none
	list                 []uint32
	at                   int
}

// step returns the next line.
func (g *graph) step(m *model, x *next, now *clock) (uint32, bool) {
	for {
		for x.at < len(x.list) {
			n := x.list[x.at]
			x.at++
			v := g.rows.values(n)
			name, domain := x.name, x.domain
			if x.n > 0 {
				name = g.names[x.n-1].text
			}
			if x.d > 0 {
				domain = g.domains[x.d-1].text
			}
			if v[0] == name && g.domainOf(v) == domain && g.rows.meta(n).valid(now) && g.holds(m, v) {
				return n, true
			}
		}
		if !g.advance(m, x) {
			return 0, false
		}
	}
}

// holds asks the application's condition of a link, if it has one. A
// condition that panics does not hold.
func (g *graph) holds(m *model, values []string) (ok bool) {
	f := m.options.Links[g.kind.name]
	if g.kind.params == 0 || f == nil {
		return true
	}
	defer func() { ok = ok && recover() == nil }()
	ok, err := f(values[g.kind.head():]...)
	return ok && err == nil
}

// advance goes to the next pair of patterns that match.
func (g *graph) advance(m *model, x *next) bool {
	for {
		if x.d++; x.d > len(g.domains) {
			x.n, x.d = x.n+1, 0
		}
		if x.n > len(g.names) {
			return false
		}
		nameHash, domainHash := x.nameHash, x.domainHash
		if x.n > 0 {
			p := &g.names[x.n-1]
			if ok, err := p.pattern.matches(x.name); !ok || err != nil || p.text == x.name {
				x.d = len(g.domains)
				continue
			}
			nameHash = m.hash(p.text)
		}
		if x.d > 0 {
			p := &g.domains[x.d-1]
			if ok, err := p.pattern.matches(x.domain); !ok || err != nil || p.text == x.domain {
				continue
			}
			domainHash = m.hash(p.text)
		}
		x.list, x.at = g.table.get(key(mix(nameHash, domainHash))), 0
		return true
	}
}

func (g *graph) start(name, domain string, nameHash, domainHash uint64) next {
	return next{name: name, domain: domain, nameHash: nameHash, domainHash: domainHash, list: g.table.get(key(mix(nameHash, domainHash)))}
}

// matches reports whether a name that is reached is the one that is asked
// for.
func (t *roleType) matches(name, asked string) bool {
	if name == asked {
		return true
	}
	if t.roleMatch == nil {
		return false
	}
	p, err := t.roleMatch.compile(asked, false) // costs, and only models with patterns of roles pay
	if err != nil {
		return false
	}
	ok, err := p.matches(name)
	return ok && err == nil
}

// reached lists what a name is, by itself and through roles.
func (s *snapshot) reached(role int, name, domain string, now *clock) []reached {
	g := &s.graphs[role]
	if !g.kind.domain {
		domain = ""
	}
	list := []reached{{visit{name: name, hash: s.m.hash(name)}, -1}}
	domainHash := s.m.hash(domain)
	for i := 0; i < len(list); i++ {
		if list[i].hops == maxHops {
			continue
		}
		x := g.start(list[i].name, domain, list[i].hash, domainHash)
		for n, ok := g.step(s.m, &x, now); ok; n, ok = g.step(s.m, &x, now) {
			to := g.rows.values(n)[1]
			if !slices.ContainsFunc(list, func(v reached) bool { return v.name == to }) {
				list = append(list, reached{visit{to, g.rows.meta(n).order, list[i].hops + 1}, i})
			}
		}
	}
	return list
}

func (s *snapshot) hasRole(role int, name, asked, domain string, now *clock) bool {
	if name == asked {
		return true
	}
	t := s.graphs[role].kind
	return slices.ContainsFunc(s.reached(role, name, domain, now), func(v reached) bool { return t.matches(v.name, asked) })
}

// height is the longest way up from a name: how near its rules are to the
// subject, in models with subject priority.
func (g *graph) height(m *model, name, domain string, hops int, now *clock) int {
	if hops == maxHops {
		return 0
	}
	longest := 0
	x := g.start(name, domain, m.hash(name), m.hash(domain))
	for n, ok := g.step(m, &x, now); ok; n, ok = g.step(m, &x, now) {
		longest = max(longest, 1+g.height(m, g.rows.values(n)[1], domain, hops+1, now))
	}
	return longest
}

// checkGrant refuses a grant that closes a circle.
func (g *graph) checkGrant(m *model, values []string) error {
	domain := g.domainOf(values)
	seen := map[string]bool{values[1]: true}
	for queue := []string{values[1]}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == values[0] {
			return fmt.Errorf("%w: roles go in a circle through %s and %s", ErrPolicy, clip(values[0]), clip(values[1]))
		}
		for _, to := range g.above(m, holder{queue[0], domain}) {
			if !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	return nil
}

// A holder is who has roles, in a domain or in none.
type holder struct{ name, domain string }

// above lists the roles given to a name itself, whether or not they hold now.
func (g *graph) above(m *model, h holder) []string {
	var list []string
	for _, n := range g.table.get(key(mix(m.hash(h.name), m.hash(h.domain)))) {
		if v := g.rows.values(n); v[0] == h.name && g.domainOf(v) == h.domain {
			list = append(list, v[1])
		}
	}
	return list
}

// maxChain bounds the chains of roles that are loaded at all. Those longer
// than maxHops don't reach their end, which denies.
const maxChain = 1000

// check refuses circles, for all lines at once.
func (g *graph) check(m *model) error {
	done := map[holder]bool{} // of names that are roles; false while on the way
	var climb func(h holder, hops int) error
	climb = func(h holder, hops int) error {
		if finished, seen := done[h]; finished {
			return nil
		} else if seen || hops > maxChain {
			return fmt.Errorf("%w: roles go in a circle through %s", ErrPolicy, clip(h.name))
		}
		list := g.above(m, h)
		if len(list) > 0 {
			done[h] = false
		}
		for _, to := range list {
			if err := climb(holder{to, h.domain}, hops+1); err != nil {
				return err
			}
		}
		done[h] = true
		return nil
	}
	var err error
	g.rows.all(func(n uint32) bool {
		v := g.rows.values(n)
		err = climb(holder{v[0], g.domainOf(v)}, 0)
		return err == nil
	})
	return err
}
