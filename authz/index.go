package authz

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"
)

// readMeta reads the effect and the priority of a rule.
func (t *ruleType) readMeta(values []string, m *meta) error {
	if t.eft >= 0 {
		switch values[t.eft] {
		case "allow":
		case "deny":
			m.effect = effectDeny
		case "indeterminate":
			m.effect = effectIndeterminate
		default:
			return fmt.Errorf("effect %q: want allow, deny or indeterminate", clip(values[t.eft]))
		}
	}
	if t.priority >= 0 {
		n, err := strconv.ParseInt(values[t.priority], 10, 32)
		if err != nil {
			return fmt.Errorf("priority %q: want a whole number of 32 bits", clip(values[t.priority]))
		}
		m.priority = int32(n)
	}
	return nil
}

// windowLayout is how casbin's TimeMatch writes times; they are UTC.
const windowLayout = "2006-01-02 15:04:05"

// window reads the conditions of a link: when it begins and ends, "_" for no
// bound. What a function of the application answers is asked at decisions.
func (m *model) window(t *roleType, params []string, w *meta) error {
	if t.params == 0 || m.options.Links[t.name] != nil {
		return nil
	}
	var bounds [2]time.Time
	for i, p := range params {
		if p == "_" {
			continue
		}
		at, err := time.Parse(windowLayout, p)
		if err != nil {
			return fmt.Errorf("time %q: want %q or _", clip(p), windowLayout)
		}
		bounds[i] = at
	}
	w.bound(bounds[0], bounds[1])
	return nil
}

// bound narrows when a line holds. An end that is not after the start is
// never.
func (m *meta) bound(from, until time.Time) {
	if !from.IsZero() {
		m.from = max(m.from, max(from.Unix(), 1))
	}
	if !until.IsZero() {
		end := max(until.Unix(), 1)
		if m.until == 0 || end < m.until {
			m.until = end
		}
	}
}

const start = 0x243F6A8885A308D3

// wild is the hash of what matches more than one text.
const wild = 0x13198A2E03707344

// part is the hash under which a rule stands for a slot.
func (p *slot) part(m *model, r row, ix *index, i int, c counting) uint64 {
	v := r.values[p.rule]
	switch p.kind {
	case slotAny:
		if v == "*" {
			c.wild(ix, i)
			return wild
		}
	case slotRole:
		if isPattern(m.roles[p.role].roleMatch, v) {
			c.wild(ix, i)
			return wild
		}
	case slotPath:
		pat := r.compiled[p.pattern]
		c.shape(ix, pat.shape)
		return pat.hash(m)
	}
	return m.hash(v)
}

// counting keeps an index's counts while a rule is added or removed; the
// zero value only looks.
type counting struct {
	e  *edit
	by int
}

func (c counting) wild(ix *index, i int) {
	if c.by != 0 {
		ix.wild[i] += c.by
	}
}

func (c counting) shape(ix *index, h shape) {
	if c.by == 0 {
		return
	}
	if ix.owner != c.e {
		ix.owner, ix.shapes = c.e, slices.Clone(ix.shapes)
	}
	i := slices.IndexFunc(ix.shapes, func(have shapeCount) bool { return have.shape == h })
	if i < 0 {
		ix.shapes = append(ix.shapes, shapeCount{h, c.by})
		return
	}
	if ix.shapes[i].count += c.by; ix.shapes[i].count == 0 {
		ix.shapes = slices.Delete(ix.shapes, i, i+1)
	}
}

// hash is that of the shape and of the segments it consists of.
func (p *pattern) hash(m *model) uint64 {
	h := p.shape.start()
	for mask := p.shape.literals; mask != 0; mask &= mask - 1 {
		h = mix(h, m.hash(p.literal(bits.TrailingZeros32(mask))))
	}
	return h
}

func (h shape) start() uint64 {
	tail := uint64(0)
	if h.tail {
		tail = 1
	}
	return mix(start, uint64(h.literals)<<16|uint64(h.length)<<1|tail)
}

// literal is a segment of the shape.
func (p *pattern) literal(i int) string {
	if p.segments != nil {
		return p.segments[i].text
	}
	return segmentOf(p.text, i)
}

// index calls f for every index that has rules of this type.
func (s *snapshot) index(kind int, r row, f func(t *table, key uint64), c counting) {
	indexed := false
	for i := range s.m.matchers {
		t := &s.m.matchers[i]
		if t.rules != kind {
			continue
		}
		for j := range t.plans {
			ix, p := &s.indexes[i][j], &t.plans[j]
			f(&ix.table, ix.key(s.m, p, r, c))
			indexed = indexed || p.unique(&s.m.rules[kind])
		}
	}
	if !indexed {
		f(&s.same[kind], s.lineKey(r.values))
	}
}

func (ix *index) key(m *model, p *plan, r row, c counting) uint64 {
	h := uint64(start)
	for i := range p.slots {
		h = mix(h, p.slots[i].part(m, r, ix, i, c))
	}
	return key(h)
}

func (s *snapshot) lineKey(values []string) uint64 {
	h := uint64(start)
	for _, v := range values {
		h = mix(h, s.m.hash(v))
	}
	return key(h)
}

// unique reports whether the slots tell all rules apart that differ in more
// than their effect and priority.
func (p *plan) unique(t *ruleType) bool {
	for i := range t.fields {
		found := i == t.eft || i == t.priority || slices.ContainsFunc(p.slots, func(s slot) bool {
			return s.rule == i && s.kind != slotPath
		})
		if !found {
			return false
		}
	}
	return true
}

// find returns the row of a rule, or -1.
func (s *snapshot) find(kind int, values []string, compiled []*pattern) int64 {
	rows, r := &s.rules[kind], row{values: values, compiled: compiled}
	for i := range s.m.matchers {
		t := &s.m.matchers[i]
		for j := range t.plans {
			if p := &t.plans[j]; t.rules == kind && p.unique(&s.m.rules[kind]) {
				ix := &s.indexes[i][j]
				return rows.among(ix.table.get(ix.key(s.m, p, r, counting{})), values)
			}
		}
	}
	return rows.among(s.same[kind].get(s.lineKey(values)), values)
}

// among returns the row of a list that has the values, or -1.
func (r *rows) among(list []uint32, values []string) int64 {
	for _, n := range list {
		if slices.Equal(r.values(n), values) {
			return int64(n)
		}
	}
	return -1
}

func (s *snapshot) remove(e *edit, r *Rule) error {
	if i := s.m.role(r.Kind); i >= 0 {
		g := &s.graphs[i]
		if want := g.kind.head(); len(r.Fields) < want {
			return fmt.Errorf("%d fields, want %d", len(r.Fields), want)
		}
		n := g.find(s.m, r.Fields)
		if n < 0 {
			return errAbsent
		}
		g.remove(e, s.m, uint32(n)) //nolint:gosec // a row
		return nil
	}
	i := s.m.rule(r.Kind)
	if i < 0 || len(r.Fields) != len(s.m.rules[i].fields) {
		return errAbsent
	}
	m := meta{effect: effectAllow}
	if err := s.m.rules[i].readMeta(r.Fields, &m); err != nil {
		return errAbsent
	}
	compiled, err := s.compile(&s.m.rules[i], r.Fields, m.effect)
	if err != nil {
		return errAbsent // it would not have been accepted
	}
	found := s.find(i, r.Fields, compiled)
	if found < 0 || found > math.MaxUint32 {
		return errAbsent
	}
	n := uint32(found)
	s.index(i, s.rules[i].at(n), func(t *table, k uint64) { t.remove(e, k, n) }, counting{e, -1})
	s.rules[i].remove(e, n)
	return nil
}
