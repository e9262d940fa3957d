package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// slotKind is how an index finds a part of a rule.
type slotKind uint8

const (
	slotEqual slotKind = iota // r.x == p.y
	slotAny                   // p.y == "*" || r.x == p.y
	slotRole                  // g(r.x, p.y) or g(r.x, p.y, r.d)
	slotPath                  // keyMatch…(r.x, p.y)
)

var slotNames = [...]string{"equal", `equal or "*"`, "role", "path"}

// maxSlots is how many parts of a rule an index is made of.
const maxSlots = 6

// A slot is one part of an index.
type slot struct {
	kind    slotKind
	request int // the field of the request
	rule    int // the field of the rule
	role    int // the role type
	domain  int // the request's field that is the roles' domain, or -1
	pattern int // where rules have the compiled field
	strip   bool
}

// A plan says how rules are found that match one alternative of a matcher:
// the gates say whether any can, the slots find some, the rest is compared.
type plan struct {
	gates []*node
	slots []slot
	rest  []*node
	parts []*node // what the slots stand for
	// subject is the slot of the subject's roles, or -1.
	subject int
}

func (m *model) addMatcher(d definition) error {
	p := &parser{m: m, text: d.value}
	x, err := p.expression()
	if err != nil {
		return err
	}
	suffix := strings.TrimPrefix(d.key, "m")
	t := matcher{name: d.key, text: d.value}
	request, err := one(p.requests, m.requestNamed("r"+suffix))
	if err != nil {
		return fmt.Errorf("requests of %w", err)
	}
	t.request = &m.requests[request]
	if t.rules, err = one(p.rules, m.rule("p"+suffix)); err != nil {
		return fmt.Errorf("rules of %w", err)
	}
	var ok bool
	if t.effect, ok = m.effects["e"+suffix]; !ok {
		t.effect = m.effects["e"]
	}
	if t.effect == subjectPriority && m.role("g") < 0 {
		return errors.New("subject priority needs g")
	}
	for _, alternative := range x.split(opOr) {
		if alternative.usesRule() {
			t.plans = append(t.plans, newPlan(alternative.split(opAnd), t.request.standard[0]))
		} else {
			t.always = append(t.always, alternative)
		}
	}
	m.matchers = append(m.matchers, t)
	return nil
}

func (m *model) requestNamed(name string) int {
	return max(0, slices.IndexFunc(m.requests, func(t requestType) bool { return t.name == name }))
}

// one is the type that a matcher speaks of, or the usual one if it speaks of
// none.
func one(named []int, usual int) (int, error) {
	switch list := slices.Compact(slices.Sorted(slices.Values(named))); len(list) {
	case 0:
		return max(0, usual), nil
	case 1:
		return list[0], nil
	}
	return 0, errors.New("two types are mixed in one matcher")
}

func newPlan(parts []*node, subject int) plan {
	var p plan
	for _, x := range parts {
		s, ok := slotOf(x)
		paths := slices.ContainsFunc(p.slots, func(have slot) bool { return have.kind == slotPath })
		switch {
		case !x.usesRule() && len(p.rest) == 0: // what is written later is asked later: it may fail
			p.gates = append(p.gates, x)
		case ok && len(p.slots) < maxSlots && (s.kind != slotPath || !paths):
			p.slots, p.parts = append(p.slots, s), append(p.parts, x)
		default:
			p.rest = append(p.rest, x)
		}
	}
	// What costs one lookup comes first, what costs several last.
	slices.SortStableFunc(p.slots, func(a, b slot) int { return int(a.kind) - int(b.kind) })
	p.subject = slices.IndexFunc(p.slots, func(s slot) bool { return s.kind == slotRole && s.request == subject })
	return p
}

// plainField is the field of a request or rule that a node is, without an
// attribute.
func (x *node) plainField(o op) (int, bool) { return x.field, x.op == o && len(x.path) == 0 }

// slotOf returns the slot that does the work of a part.
func slotOf(x *node) (s slot, ok bool) {
	s = slot{domain: -1}
	switch x.op {
	case opEqual:
		s.request, s.rule, ok = fieldsOf(x)
	case opOr:
		s.kind = slotAny
		s.request, s.rule, ok = anyOf(x.list)
	case opRole:
		s.kind, s.role = slotRole, x.role
		s.request, ok = x.list[0].plainField(opRequest)
		rule, isRule := x.list[1].plainField(opRule)
		s.rule = rule
		if ok = ok && isRule; ok && len(x.list) == 3 {
			s.domain, ok = x.list[2].plainField(opRequest)
		}
	case opPattern:
		s.kind, s.pattern, s.strip = slotPath, x.slot, x.builtin.name == "keyMatch5"
		s.request, ok = x.list[0].plainField(opRequest)
		s.rule = x.list[1].field
		ok = ok && x.slot >= 0 && !x.negated && x.builtin.get == nil &&
			(strings.HasPrefix(x.builtin.name, "keyMatch") || x.builtin.name == "globMatch")
	}
	return s, ok
}

// fieldsOf is the request's and the rule's field of an equality.
func fieldsOf(x *node) (request, rule int, ok bool) {
	a, b := x.list[0], x.list[1]
	if a.op == opRule {
		a, b = b, a
	}
	request, isRequest := a.plainField(opRequest)
	rule, isRule := b.plainField(opRule)
	return request, rule, isRequest && isRule
}

// anyOf recognises p.y == "*" || r.x == p.y, in either order.
func anyOf(list []*node) (request, rule int, ok bool) {
	if len(list) != 2 || list[0].op != opEqual || list[1].op != opEqual {
		return 0, 0, false
	}
	for i := range list {
		star := list[i].list
		if star[0].op == opText {
			star = []*node{star[1], star[0]}
		}
		request, rule, ok = fieldsOf(list[1-i])
		field, isRule := star[0].plainField(opRule)
		if ok && isRule && field == rule && star[1].op == opText && star[1].text == "*" {
			return request, rule, true
		}
	}
	return 0, 0, false
}
