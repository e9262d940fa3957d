package authz

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ErrNoFilter says that what a policy allows can't be written as a condition
// of SQL. Nothing was decided: ask for each row instead.
var ErrNoFilter = errors.New("authz: the policy is no condition of SQL")

// Columns say how the rows of a table are objects.
type Columns struct {
	// Prefix and the value of the column ID are the row's object, such as
	// "/files/" and "id". Without a column, Prefix is the object of all rows.
	Prefix, ID string
	// Attributes are the columns behind r.obj's attributes, by name.
	Attributes map[string]string
}

// A Condition is what rows must fulfil, for the WHERE clause of a query.
type Condition struct {
	Where string // with "?" for each argument
	Args  []any
}

// Postgres writes the condition with $first, $first+1 … for its arguments.
func (c Condition) Postgres(first int) string {
	var b strings.Builder
	for _, r := range c.Where {
		if r == '?' {
			b.WriteString("$" + strconv.Itoa(first))
			first++
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Filter returns the condition for the rows that the request's subject may do
// the action to; the request's object is left empty. Names of columns come
// from the application and are checked; values are arguments. Models with
// priorities, functions of the application and patterns that SQL lacks are
// [ErrNoFilter].
func (e *Engine) Filter(r Request, c Columns) (Condition, error) {
	if err := c.validate(); err != nil {
		return Condition{}, err
	}
	s := e.current.Load()
	i := s.m.matcher(r.Matcher)
	if i < 0 || s.m.matchers[i].effect > allowAndDeny {
		return Condition{}, ErrNoFilter
	}
	f := filter{columns: c}
	f.d.s, f.d.m = s, &s.m.matchers[i]
	f.object = f.d.m.request.standard[2]
	r.Object = "\x00"
	if f.object < 0 {
		return Condition{}, ErrNoFilter
	}
	if !f.d.q.fill(&r, f.d.m.request) {
		return Condition{Where: "1 = 0"}, nil
	}
	return f.condition()
}

func (c Columns) validate() error {
	names := []string{c.ID}
	for _, name := range c.Attributes {
		names = append(names, name)
	}
	for _, n := range names {
		if strings.Trim(strings.ToLower(n), "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
			return fmt.Errorf("authz: column %q: want letters, digits, dots and _", clip(n))
		}
	}
	return nil
}

// Allowing returns a predicate over objects and their attributes, for lists
// in memory. It stays with the policy of the moment.
func (e *Engine) Allowing(r Request) func(object string, attributes map[string]any) bool {
	fixed := e.at(e.current.Load())
	return func(object string, attributes map[string]any) bool {
		q := r
		q.Object = object
		a := Attributes{}
		if r.Attributes != nil {
			a = *r.Attributes
		}
		a.Object, q.Attributes = attributes, &a
		return fixed.Decide(q).Allowed
	}
}

// A filter evaluates a matcher for a row that is not known.
type filter struct {
	d       decider
	columns Columns
	object  int
}

// A truth is known, or a condition of the row.
type truth struct {
	known, value bool
	sql          string
	args         []any
}

func known(b bool) truth { return truth{known: true, value: b} }

func (t truth) not() truth {
	if t.known {
		return known(!t.value)
	}
	return truth{sql: "NOT (" + t.sql + ")", args: t.args}
}

// joined is the and, or the or, of some.
func joined(o op, list []truth) truth {
	out, word := truth{known: true, value: o == opAnd}, " OR "
	if o == opAnd {
		word = " AND "
	}
	var parts []string
	for _, t := range list {
		switch {
		case t.known && t.value != (o == opAnd):
			return t
		case !t.known:
			parts, out.args = append(parts, "("+t.sql+")"), append(out.args, t.args...)
		}
	}
	if len(parts) > 0 {
		out.known, out.sql = false, strings.Join(parts, word)
	}
	return out
}

// condition joins what rules say. One that denies takes away.
func (f *filter) condition() (Condition, error) {
	var allow, deny []truth
	for _, x := range f.d.m.always {
		t, err := f.truth(x)
		if err != nil {
			return Condition{}, err
		}
		if len(f.d.m.plans) > 0 && f.d.m.effect != allowOverride && !(t.known && !t.value) {
			return Condition{}, ErrNoFilter // it matches the rules that deny as well
		}
		allow = append(allow, t)
	}
	rules := &f.d.s.rules[f.d.m.rules]
	var err error
	rules.all(func(n uint32) bool {
		f.d.row = rules.at(n)
		for i := range f.d.m.plans {
			var t truth
			if t, err = f.rule(&f.d.m.plans[i]); err != nil {
				return false
			}
			switch f.d.row.effect {
			case effectAllow:
				allow = append(allow, t)
			case effectDeny:
				deny = append(deny, t)
			}
		}
		return true
	})
	if err != nil {
		return Condition{}, err
	}
	if f.d.m.effect == denyOverride {
		allow = []truth{known(rules.count > 0)}
	}
	list := []truth{joined(opOr, allow)}
	if f.d.m.effect != allowOverride {
		list = append(list, joined(opOr, deny).not())
	}
	t := joined(opAnd, list)
	switch {
	case !t.known:
		return Condition{t.sql, t.args}, nil
	case t.value:
		return Condition{Where: "1 = 1"}, nil
	}
	return Condition{Where: "1 = 0"}, nil
}

// rule is what a plan says about the rule at hand, what is known first.
func (f *filter) rule(p *plan) (truth, error) {
	list := slices.Concat(p.parts, p.gates, p.rest)
	slices.SortStableFunc(list, func(a, b *node) int { return f.asks(a) - f.asks(b) })
	var out []truth
	for _, x := range list {
		t, err := f.truth(x)
		if err != nil || t.known && !t.value {
			return t, err
		}
		out = append(out, t)
	}
	return joined(opAnd, out), nil
}

// asks is 1 for what asks about the object.
func (f *filter) asks(x *node) int {
	found := 0
	x.walk(func(n *node) {
		if n.op == opRequest && n.field == f.object || n.op == opEval {
			found = 1
		}
	})
	return found
}

// truth evaluates a condition as far as it is known.
func (f *filter) truth(x *node) (truth, error) {
	if x.op == opEval {
		return f.truth(f.d.row.compiled[x.slot].expr)
	}
	if f.asks(x) == 0 {
		ok, err := f.d.holds(x)
		return known(ok), err
	}
	switch x.op {
	case opOr, opAnd:
		var list []truth
		for _, part := range x.list {
			t, err := f.truth(part)
			if err != nil {
				return t, err
			}
			list = append(list, t)
		}
		return joined(x.op, list), nil
	case opNot:
		t, err := f.truth(x.list[0])
		return t.not(), err
	case opEqual, opUnequal, opLess, opLessEqual, opMore, opMoreEqual:
		return f.compare(x)
	case opIn:
		return f.in(x)
	case opPattern:
		if x.builtin.get == nil && x.list[0].op == opRequest && len(x.list[0].path) == 0 {
			return f.pattern(f.d.patternOf(x))
		}
	}
	return truth{}, ErrNoFilter
}

// term is a column, or a value that is known.
func (f *filter) term(x *node) (column string, v value, err error) {
	if f.asks(x) == 0 {
		v, err = f.d.value(x)
		return "", v, err
	}
	if x.op != opRequest || len(x.path) != 1 || f.columns.Attributes[x.path[0]] == "" {
		return "", v, ErrNoFilter
	}
	return f.columns.Attributes[x.path[0]], v, nil
}

func (x *node) isObject(field int) bool {
	return x.op == opRequest && x.field == field && len(x.path) == 0
}

func (f *filter) compare(x *node) (truth, error) {
	a, b, o := x.list[0], x.list[1], x.op
	if f.asks(a) == 0 {
		a, b, o = b, a, mirrored(o)
	}
	if a.isObject(f.object) {
		v, err := f.d.text(b)
		if err != nil || f.asks(b) > 0 || o != opEqual && o != opUnequal {
			return truth{}, ErrNoFilter
		}
		t := f.named(v)
		if o == opUnequal {
			t = t.not()
		}
		return t, nil
	}
	left, _, err := f.term(a)
	if err != nil {
		return truth{}, err
	}
	right, v, err := f.term(b)
	if err != nil {
		return truth{}, err
	}
	token := map[op]string{opEqual: "=", opUnequal: "<>"}[o]
	if token == "" {
		token = opTokens[o]
	}
	if right != "" {
		return truth{sql: left + " " + token + " " + right}, nil
	}
	arg, err := v.argument()
	return truth{sql: left + " " + token + " ?", args: []any{arg}}, err
}

// mirrored is the comparison with its sides exchanged.
func mirrored(o op) op {
	switch o {
	case opLess:
		return opMore
	case opLessEqual:
		return opMoreEqual
	case opMore:
		return opLess
	case opMoreEqual:
		return opLessEqual
	}
	return o
}

// argument is a value as a driver takes it.
func (v value) argument() (any, error) {
	switch v.kind {
	case isText:
		return v.text, nil
	case isBool:
		return v.truth, nil
	case isNumber:
		if v.number == math.Trunc(v.number) && math.Abs(v.number) < 1<<53 {
			return int64(v.number), nil
		}
		return v.number, nil
	}
	return nil, ErrNoFilter
}

func (f *filter) in(x *node) (truth, error) {
	if x.slot == 1 {
		return truth{}, ErrNoFilter
	}
	var list []truth
	for _, n := range x.list[1:] {
		t, err := f.compare(&node{op: opEqual, list: []*node{x.list[0], n}})
		if err != nil {
			return t, err
		}
		list = append(list, t)
	}
	return joined(opOr, list), nil
}

// named is the condition that a row is the object of a name.
func (f *filter) named(object string) truth {
	id, ok := strings.CutPrefix(object, f.columns.Prefix)
	switch {
	case !ok:
		return known(false)
	case f.columns.ID == "":
		return known(id == "")
	}
	return truth{sql: f.columns.ID + " = ?", args: []any{id}}
}

// pattern is the condition that a row's object has a pattern.
func (f *filter) pattern(p *pattern) (truth, error) {
	c := f.columns
	if c.ID == "" {
		ok, err := p.matches(c.Prefix)
		return known(ok), err
	}
	switch p.kind {
	case matchExact:
		return f.named(p.text), nil
	case matchPrefix:
		if strings.HasPrefix(c.Prefix, p.text) {
			return known(true), nil
		}
		rest, ok := strings.CutPrefix(p.text, c.Prefix)
		if !ok {
			return known(false), nil
		}
		return truth{sql: fmt.Sprintf("substr(%s, 1, %d) = ?", c.ID, len([]rune(rest))), args: []any{rest}}, nil
	case matchSegments:
		return f.segments(p)
	}
	return truth{}, ErrNoFilter
}

// segments compares the prefix, segment by segment; the id is the last one.
func (f *filter) segments(p *pattern) (truth, error) {
	parts := strings.Split(f.columns.Prefix, "/")
	last := len(parts) - 1
	if parts[last] != "" || p.strip {
		return truth{}, ErrNoFilter
	}
	for i := range min(last, len(p.segments)) {
		if !p.segments[i].matches(parts[i]) {
			return known(false), nil
		}
	}
	id := f.columns.ID
	one := truth{sql: id + " <> '' AND " + id + " NOT LIKE '%/%'"}
	switch n := len(p.segments); {
	case n <= last && p.tail:
		return truth{sql: id + " NOT LIKE ?", args: []any{"%\n%"}}, nil
	case n == last+1 && !p.tail && p.segments[last].param && p.segments[last].text+p.segments[last].suffix == "":
		return one, nil
	case n == last+1 && !p.tail && !p.segments[last].param:
		return truth{sql: id + " = ?", args: []any{p.segments[last].text}}, nil
	case n < last+1 && !p.tail:
		return known(false), nil
	}
	return truth{}, ErrNoFilter
}
