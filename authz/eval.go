package authz

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// valueKind is what a value is.
type valueKind uint8

const (
	isText valueKind = iota
	isNumber
	isBool
	isOther // a list, or an object with attributes
)

// A value is what an expression works on.
type value struct {
	kind   valueKind
	truth  bool
	number float64
	text   string
	other  any
}

var (
	errKind      = errors.New("values of different kinds are compared")
	errAttribute = errors.New("the request lacks an attribute")
	errCondition = errors.New("an expression is neither true nor false")
)

func condition(b bool) value { return value{kind: isBool, truth: b} }

// valueOf takes in what a caller or a function gives.
func valueOf(x any) (value, error) {
	switch x := x.(type) {
	case nil:
		return value{}, errAttribute
	case string:
		return value{text: x}, nil
	case bool:
		return condition(x), nil
	case float64:
		return value{kind: isNumber, number: x}, nil
	case int:
		return value{kind: isNumber, number: float64(x)}, nil
	}
	v := reflect.ValueOf(x)
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return value{}, errAttribute
	case v.CanInt():
		return value{kind: isNumber, number: float64(v.Int())}, nil
	case v.CanUint():
		return value{kind: isNumber, number: float64(v.Uint())}, nil
	case v.CanFloat():
		return value{kind: isNumber, number: v.Float()}, nil
	case v.Kind() == reflect.String:
		return value{text: v.String()}, nil
	case v.Kind() == reflect.Bool:
		return condition(v.Bool()), nil
	}
	return value{kind: isOther, other: x}, nil
}

// attribute finds a member of a map, or an exported field of a struct.
func attribute(x any, name string) (any, error) {
	if m, ok := x.(map[string]any); ok {
		if a, ok := m[name]; ok {
			return a, nil
		}
		return nil, errAttribute
	}
	v := reflect.ValueOf(x)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			if a := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())); a.IsValid() {
				return a.Interface(), nil
			}
		}
	case reflect.Struct:
		if f, ok := v.Type().FieldByName(name); ok && f.IsExported() {
			if a, err := v.FieldByIndexErr(f.Index); err == nil {
				return a.Interface(), nil
			}
		}
	}
	return nil, errAttribute
}

// holds evaluates a condition about the rule that is at hand.
func (d *decider) holds(x *node) (bool, error) {
	switch x.op {
	case opOr, opAnd:
		for _, part := range x.list {
			if ok, err := d.holds(part); err != nil || ok == (x.op == opOr) {
				return ok, err
			}
		}
		return x.op == opAnd, nil
	case opNot:
		ok, err := d.holds(x.list[0])
		return !ok && err == nil, err
	case opPattern:
		if x.builtin.get == nil {
			return d.match(x)
		}
	case opRole:
		return d.hasRole(x)
	case opEval:
		return d.holds(d.row.compiled[x.slot].expr)
	}
	v, err := d.value(x)
	if err == nil && v.kind != isBool {
		err = errCondition
	}
	return v.truth && err == nil, err
}

// text evaluates what must be text.
func (d *decider) text(x *node) (string, error) {
	v, err := d.value(x)
	if err == nil && v.kind != isText {
		err = errKind
	}
	return v.text, err
}

// patternOf is the pattern of a call: that of the rule, or of the literal.
func (d *decider) patternOf(x *node) *pattern {
	if x.slot >= 0 {
		return d.row.compiled[x.slot]
	}
	loose := d.row.meta != nil && d.row.effect == effectDeny
	if loose != x.negated {
		return x.pattern[1]
	}
	return x.pattern[0]
}

func (d *decider) match(x *node) (bool, error) {
	s, err := d.text(x.list[0])
	if err != nil {
		return false, err
	}
	return d.patternOf(x).matches(s)
}

func (d *decider) hasRole(x *node) (bool, error) {
	var args [3]string
	for i, a := range x.list {
		var err error
		if args[i], err = d.text(a); err != nil {
			return false, err
		}
	}
	return d.s.hasRole(x.role, args[0], args[1], args[2], &d.now), nil
}

// value evaluates any expression.
func (d *decider) value(x *node) (value, error) {
	switch x.op {
	case opText:
		return value{text: x.text}, nil
	case opNumber:
		return value{kind: isNumber, number: x.number}, nil
	case opTrue, opFalse:
		return condition(x.op == opTrue), nil
	case opRule:
		return value{text: d.row.values[x.field]}, nil
	case opRequest:
		return d.requested(x)
	case opEqual, opUnequal, opLess, opLessEqual, opMore, opMoreEqual:
		ok, err := d.compare(x)
		return condition(ok), err
	case opIn:
		ok, err := d.in(x)
		return condition(ok), err
	case opCall:
		return d.call(x)
	case opPattern:
		if x.builtin.get != nil {
			s, err := d.text(x.list[0])
			if err != nil {
				return value{}, err
			}
			return value{text: x.builtin.get(d.patternOf(x), s, x.text)}, nil
		}
	case opAdd, opSubtract, opMultiply, opDivide, opRemainder, opNegate:
		return d.arithmetic(x)
	}
	ok, err := d.holds(x)
	return condition(ok), err
}

// requested is a field of the request, or an attribute of one.
func (d *decider) requested(x *node) (value, error) {
	q := &d.q
	if len(x.path) == 0 {
		if q.kind[x.field] == isText {
			return value{text: q.text[x.field]}, nil
		}
		return valueOf(q.other(x.field))
	}
	at, err := q.object(x.field)
	for i := 0; err == nil && i < len(x.path); i++ {
		at, err = attribute(at, x.path[i])
	}
	if err != nil {
		return value{}, err
	}
	return valueOf(at)
}

func (d *decider) pair(x *node) (a, b value, err error) {
	if a, err = d.value(x.list[0]); err == nil {
		b, err = d.value(x.list[1])
	}
	return a, b, err
}

// equal is false for values of different kinds, and for objects.
func (v value) equal(w value) bool {
	return v.kind == w.kind && v.kind != isOther && v.text == w.text && v.number == w.number && v.truth == w.truth
}

func (d *decider) compare(x *node) (bool, error) {
	a, b, err := d.pair(x)
	if err != nil {
		return false, err
	}
	switch x.op {
	case opEqual:
		return a.equal(b), nil
	case opUnequal:
		return !a.equal(b), nil
	}
	if a.kind != b.kind || a.kind != isText && a.kind != isNumber {
		return false, errKind
	}
	less, same := a.number < b.number, a.number == b.number
	if a.kind == isText {
		less, same = a.text < b.text, a.text == b.text
	}
	switch x.op {
	case opLess:
		return less, nil
	case opLessEqual:
		return less || same, nil
	case opMore:
		return !less && !same, notNumber(a, b)
	}
	return !less, notNumber(a, b)
}

// notNumber finds the number that compares with none.
func notNumber(a, b value) error {
	if math.IsNaN(a.number) || math.IsNaN(b.number) {
		return errKind
	}
	return nil
}

func (d *decider) in(x *node) (bool, error) {
	a, err := d.value(x.list[0])
	if err != nil {
		return false, err
	}
	if x.slot == 1 {
		list, err := d.value(x.list[1])
		if err != nil {
			return false, err
		}
		return a.among(list.other)
	}
	for _, n := range x.list[1:] {
		b, err := d.value(n)
		if err != nil {
			return false, err
		}
		if a.equal(b) {
			return true, nil
		}
	}
	return false, nil
}

// among looks for the value in a list that is an attribute.
func (v value) among(list any) (bool, error) {
	switch list := list.(type) {
	case []string:
		return v.kind == isText && slices.Contains(list, v.text), nil
	case []any:
		for _, x := range list {
			if w, err := valueOf(x); err == nil && v.equal(w) {
				return true, nil
			}
		}
		return false, nil
	}
	return false, errKind
}

func (d *decider) arithmetic(x *node) (value, error) {
	a, err := d.value(x.list[0])
	if err != nil {
		return a, err
	}
	if x.op == opNegate {
		if a.kind != isNumber {
			return a, errKind
		}
		a.number = -a.number
		return a, nil
	}
	b, err := d.value(x.list[1])
	if err != nil {
		return a, err
	}
	if x.op == opAdd && a.kind == isText && b.kind == isText {
		return value{text: a.text + b.text}, nil
	}
	if a.kind != isNumber || b.kind != isNumber {
		return a, errKind
	}
	switch x.op {
	case opAdd:
		a.number += b.number
	case opSubtract:
		a.number -= b.number
	case opMultiply:
		a.number *= b.number
	case opDivide:
		a.number /= b.number
	default:
		a.number = math.Mod(a.number, b.number)
	}
	return a, nil
}

// call asks a function of the application. One that panics denies.
func (d *decider) call(x *node) (v value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("function %s panics", x.text)
		}
	}()
	args := make([]any, len(x.list))
	for i, n := range x.list {
		a, err := d.value(n)
		if err != nil {
			return value{}, err
		}
		args[i] = a.plain()
	}
	out, err := x.function(args...)
	if err != nil {
		return value{}, fmt.Errorf("function %s: %w", x.text, err)
	}
	return valueOf(out)
}

func (v value) plain() any {
	switch v.kind {
	case isText:
		return v.text
	case isNumber:
		return v.number
	case isBool:
		return v.truth
	}
	return v.other
}
