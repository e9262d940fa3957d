package authz

import (
	"math/bits"
	"strings"
)

// A Request asks whether a subject may do an action to an object, in a domain
// (a tenant) where the model has domains.
type Request struct {
	Subject, Domain, Object, Action string
	// Attributes are what rules may ask beyond that, or nil.
	Attributes *Attributes
	// Matcher names another matcher of the model than m, such as m2, with
	// the requests, rules and effect of its number.
	Matcher string
	// ID, if set, names the decision in the event of [Engine.Authorize], for
	// callers who are told it.
	ID string
}

// Attributes are facts about a request: r.sub.Age is Subject["Age"], a field
// of the request that is none of subject, domain, object and action is
// Context[name]. A rule that asks for one that is absent denies.
type Attributes struct{ Subject, Domain, Object, Action, Context map[string]any }

// A query is a request as the model lists its fields.
type query struct {
	text  [maxFields]string
	kind  [maxFields]valueKind
	hash  [maxFields]uint64
	raw   []any // of Raw, instead of attributes
	attrs *Attributes
	names []string
	place *[4]int
}

func (q *query) fill(r *Request, t *requestType) bool {
	q.attrs, q.names, q.place = r.Attributes, t.fields, &t.standard
	ok := q.put(t.standard[0], r.Subject) && q.put(t.standard[1], r.Domain) &&
		q.put(t.standard[2], r.Object) && q.put(t.standard[3], r.Action)
	if !ok {
		return false
	}
	for i := range t.fields {
		if q.text[i] == "" && !q.context(i) {
			return false
		}
	}
	return true
}

func (q *query) put(i int, s string) bool {
	if i >= 0 {
		q.text[i] = s
		return s != ""
	}
	return true
}

// context takes a field from the context.
func (q *query) context(i int) bool {
	if q.attrs == nil {
		return false
	}
	v, err := valueOf(q.attrs.Context[q.names[i]])
	q.text[i], q.kind[i] = v.text, v.kind
	return err == nil && (v.kind != isText || v.text != "")
}

// fillRaw takes values in the order of the model.
func (q *query) fillRaw(values []any, t *requestType) bool {
	if len(values) != len(t.fields) {
		return false
	}
	q.raw, q.names, q.place = values, t.fields, &t.standard
	for i, x := range values {
		v, err := valueOf(x)
		if err != nil || v.kind == isText && v.text == "" {
			return false
		}
		q.text[i], q.kind[i] = v.text, v.kind
	}
	return true
}

// other is a field that is not text.
func (q *query) other(i int) any {
	if q.raw != nil {
		return q.raw[i]
	}
	return q.attrs.Context[q.names[i]]
}

// object is what has the attributes of a field.
func (q *query) object(i int) (any, error) {
	switch {
	case q.raw != nil:
		return q.raw[i], nil
	case q.attrs == nil:
		return nil, errAttribute
	}
	for n, at := range q.place {
		if at == i {
			return [...]map[string]any{q.attrs.Subject, q.attrs.Domain, q.attrs.Object, q.attrs.Action}[n], nil
		}
	}
	return q.attrs.Context[q.names[i]], nil
}

// inlineVisits is how many roles a decision knows without allocating.
const inlineVisits = 12

// A decider is one decision being made. It stays on the stack.
type decider struct {
	s   *snapshot
	m   *matcher
	q   query
	row row
	now clock

	visits [inlineVisits]visit
	more   []visit
	count  int
	ranges [maxSlots][2]uint16 // of visits, by slot
	at     [maxSlots]uint16    // the visit at hand, by slot
	any    [maxSlots]bool      // rules at hand have a pattern of names there

	segments [maxSegments]uint64
	depth    int

	found  bool
	rank   int64 // of the rule that counts, where order matters
	order  uint64
	number uint32
	effect ruleEffect
	plan   *plan // at hand
	gate   uint8
	by     *plan // by which the rule was found that counts
	err    error
}

func (d *decider) visit(i int) *visit {
	if i < inlineVisits {
		return &d.visits[i]
	}
	return &d.more[i-inlineVisits]
}

func (d *decider) addVisit(v visit) {
	if d.count < inlineVisits {
		d.visits[d.count] = v
	} else {
		d.more = append(d.more, v)
	}
	d.count++
}

// run finds the rules that match.
func (d *decider) run(matcher int) {
	for _, x := range d.m.always {
		if ok, err := d.holds(x); err != nil {
			d.err = err
			return
		} else if ok {
			d.everyRule()
			return
		}
	}
	for i := range d.m.plans {
		if d.follow(&d.m.plans[i], &d.s.indexes[matcher][i]) {
			return
		}
	}
}

// everyRule decides where the matcher holds whatever the rule: it matches
// each, and a policy without rules is decided by the matcher alone.
func (d *decider) everyRule() {
	rules := &d.s.rules[d.m.rules]
	if len(d.m.plans) == 0 || rules.count == 0 || d.m.effect == allowOverride && rules.allows > 0 {
		d.found, d.effect, d.number = true, effectAllow, none
		return
	}
	rules.all(func(n uint32) bool {
		d.row = rules.at(n)
		return !d.apply(n)
	})
}

// follow looks for rules by one plan, and reports whether the decision is
// final.
func (d *decider) follow(p *plan, ix *index) bool {
	if ix.table.count == 0 {
		return false
	}
	d.row, d.plan, d.gate = row{}, p, gateUnknown
	d.count, d.more = 0, d.more[:0]
	for i := range p.slots {
		if !d.prepare(p, i) {
			return false
		}
	}
	return d.probe(p, ix, 0, start)
}

func (d *decider) fail(err error) bool {
	d.err = err
	return err != nil
}

func (d *decider) hash(field int) uint64 {
	if d.q.hash[field] == 0 {
		d.q.hash[field] = d.s.m.hash(d.q.text[field])
	}
	return d.q.hash[field]
}

// prepare works out under which hashes rules may stand. It reports false if
// no rule can match.
func (d *decider) prepare(p *plan, i int) bool {
	s := &p.slots[i]
	if d.q.kind[s.request] != isText {
		return false
	}
	switch s.kind {
	case slotRole:
		if s.domain >= 0 && d.q.kind[s.domain] != isText {
			return false
		}
		d.closure(s, i)
	case slotPath:
		d.split(d.q.text[s.request], s.strip)
	default:
		d.hash(s.request)
	}
	return true
}

// closure lists what a field of the request is, by itself and through roles.
func (d *decider) closure(s *slot, i int) {
	g := &d.s.graphs[s.role]
	var x next
	if s.domain >= 0 {
		x.domain, x.domainHash = d.q.text[s.domain], d.hash(s.domain)
	} else {
		x.domainHash = d.s.m.noDomain
	}
	first := d.count
	d.addVisit(visit{name: d.q.text[s.request], hash: d.hash(s.request)})
	for at := first; at < d.count; at++ {
		v := *d.visit(at)
		if v.hops == maxHops {
			continue
		}
		if g.plain {
			d.climb(g, v, x.domain, x.domainHash, first)
			continue
		}
		x.name, x.nameHash, x.n, x.d, x.at = v.name, v.hash, 0, 0, 0
		x.list = g.table.get(key(mix(x.nameHash, x.domainHash)))
		for n, ok := g.step(d.s.m, &x, &d.now); ok; n, ok = g.step(d.s.m, &x, &d.now) {
			d.reach(first, g.rows.values(n)[1], g.rows.meta(n).order, v.hops+1)
		}
	}
	d.ranges[i] = [2]uint16{uint16(first), uint16(d.count)} //nolint:gosec // at most maxVisits
}

// climb takes the roles given to a name, where lines have no patterns.
func (d *decider) climb(g *graph, v visit, domain string, domainHash uint64, first int) {
	for _, n := range g.table.get(key(mix(v.hash, domainHash))) {
		c, i := g.rows.chunks[n/chunkSize], int(n%chunkSize)
		values, m := c.values[i*g.rows.stride:(i+1)*g.rows.stride], &c.meta[i]
		if values[0] == v.name && (!g.kind.domain || values[2] == domain) && m.valid(&d.now) {
			d.reach(first, values[1], m.order, v.hops+1)
		}
	}
}

// maxVisits bounds the roles of one request that count.
const maxVisits = 1<<16 - 1

// reach adds a role, once.
func (d *decider) reach(first int, name string, hash uint64, hops uint8) {
	if d.count < maxVisits && !d.visited(first, name, hash) {
		d.addVisit(visit{name, hash, hops})
	}
}

func (d *decider) visited(first int, name string, hash uint64) bool {
	for i := first; i < d.count; i++ {
		if v := d.visit(i); v.hash == hash && v.name == name {
			return true
		}
	}
	return false
}

// split hashes the segments of a path.
func (d *decider) split(path string, strip bool) {
	if strip {
		path, _, _ = strings.Cut(path, "?")
	}
	d.depth = 0
	for more := true; more; d.depth++ {
		var part string
		part, path, more = strings.Cut(path, "/")
		if d.depth < maxSegments {
			d.segments[d.depth] = d.s.m.hash(part)
		}
	}
}

// segmentOf is a segment of a path.
func segmentOf(path string, i int) string {
	part, rest, _ := strings.Cut(path, "/")
	for ; i > 0; i-- {
		part, rest, _ = strings.Cut(rest, "/")
	}
	return part
}

// probe combines the slots from the i-th on, and reports whether the decision
// is final.
func (d *decider) probe(p *plan, ix *index, i int, h uint64) bool {
	if i == len(p.slots) {
		for _, n := range ix.table.get(key(h)) {
			if d.consider(p, n) {
				return true
			}
		}
		return false
	}
	s := &p.slots[i]
	switch s.kind {
	case slotPath:
		for j := range ix.shapes {
			if c := &ix.shapes[j]; c.fits(d.depth) && d.probe(p, ix, i+1, mix(h, d.shapeHash(c.shape))) {
				return true
			}
		}
		return false
	case slotRole:
		for at := d.ranges[i][0]; at < d.ranges[i][1]; at++ {
			if d.at[i] = at; d.probe(p, ix, i+1, mix(h, d.visit(int(at)).hash)) {
				return true
			}
		}
		d.any[i] = true
		stop := ix.wild[i] > 0 && d.probe(p, ix, i+1, mix(h, wild))
		d.any[i] = false
		return stop
	default:
		if d.probe(p, ix, i+1, mix(h, d.q.hash[s.request])) {
			return true
		}
	}
	return ix.wild[i] > 0 && d.probe(p, ix, i+1, mix(h, wild))
}

func (d *decider) shapeHash(h shape) uint64 {
	x := h.start()
	for mask := h.literals; mask != 0; mask &= mask - 1 {
		x = mix(x, d.segments[bits.TrailingZeros32(mask)])
	}
	return x
}

// consider compares a rule in full, and reports whether the decision is
// final.
func (d *decider) consider(p *plan, n uint32) bool {
	d.row = d.s.rules[d.m.rules].at(n)
	for i := range p.slots {
		s := &p.slots[i]
		have, want := d.row.values[s.rule], d.q.text[s.request]
		switch s.kind {
		case slotPath:
			if ok, err := d.row.compiled[s.pattern].matches(want); err != nil || !ok {
				return d.fail(err)
			}
			continue
		case slotRole:
			if d.any[i] {
				if !d.isAny(s, i, have) {
					return false
				}
				continue
			}
			want = d.visit(int(d.at[i])).name
		}
		if have != want && (s.kind != slotAny || have != "*") {
			return false
		}
	}
	if ok, err := d.open(p); err != nil || !ok {
		return d.fail(err)
	}
	for _, x := range p.rest {
		if ok, err := d.holds(x); err != nil || !ok {
			return d.fail(err)
		}
	}
	return d.apply(n)
}

// What is known of a plan's gates.
const (
	gateUnknown = iota
	gateOpen
	gateClosed
)

// open asks the gates, once and only if there is a rule that they are for: an
// attribute that is missing then denies nothing that has no use for it.
func (d *decider) open(p *plan) (bool, error) {
	if d.gate == gateUnknown {
		d.gate = gateOpen
		for _, x := range p.gates {
			if ok, err := d.holds(x); err != nil || !ok {
				d.gate = gateClosed
				return false, err
			}
		}
	}
	return d.gate == gateOpen, nil
}

// isAny compares a name of a rule, which is a pattern, with all that the
// request's is.
func (d *decider) isAny(s *slot, i int, have string) bool {
	t := d.s.graphs[s.role].kind
	for at := d.ranges[i][0]; at < d.ranges[i][1]; at++ {
		if t.matches(d.visit(int(at)).name, have) {
			return true
		}
	}
	return false
}

// apply lets a rule that matches count, and reports whether the decision is
// final.
func (d *decider) apply(n uint32) bool {
	e := d.row.effect
	switch d.m.effect {
	case allowOverride:
		if e == effectAllow {
			d.take(n, 0)
		}
		return d.found
	case denyOverride, allowAndDeny:
		if e == effectDeny || e == effectAllow && !d.found {
			d.take(n, 0)
		}
		return e == effectDeny
	case byPriority:
		d.rankBy(n, int64(d.row.priority))
	case subjectPriority:
		d.rankBy(n, -int64(d.height()))
	}
	return false
}

// rankBy lets the rule count that comes before all others.
func (d *decider) rankBy(n uint32, rank int64) {
	if d.row.effect == effectIndeterminate {
		return
	}
	if !d.found || rank < d.rank || rank == d.rank && d.row.order < d.order {
		d.take(n, rank)
	}
}

// height is how near the rule is to the subject. As in casbin, the subject
// of a rule is its first field.
func (d *decider) height() int {
	t := &d.s.m.rules[d.m.rules]
	g := &d.s.graphs[d.s.m.subjects]
	domain := ""
	if t.domain >= 0 && g.kind.domain {
		domain = d.row.values[t.domain]
	}
	return g.height(d.s.m, d.row.values[0], domain, 0, &d.now)
}

func (d *decider) take(n uint32, rank int64) {
	d.found, d.number, d.effect, d.rank, d.order = true, n, d.row.effect, rank, d.row.order
	d.by = d.plan
}

// none is the number of no rule.
const none = listBit
