package authz

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// op is what a node of an expression does.
type op uint8

const (
	opOr op = iota
	opAnd
	opNot
	opEqual
	opUnequal
	opLess
	opLessEqual
	opMore
	opMoreEqual
	opIn
	opAdd
	opSubtract
	opMultiply
	opDivide
	opRemainder
	opNegate
	opText
	opNumber
	opTrue
	opFalse
	opRequest // a field of the request, or an attribute of one
	opRule    // a field of the rule
	opRole    // g
	opPattern // a built-in function
	opCall    // a function of Options.Functions
	opEval
)

// A node is a part of a matcher, or of a rule that is evaluated.
type node struct {
	op      op
	list    []*node
	text    string
	number  float64
	field   int
	path    []string // of an attribute
	slot    int      // where rules keep what was compiled for this node, or -1
	negated bool     // stands below an odd number of !
	builtin *builtin
	// pattern is the one of a literal, strict and loose.
	pattern  [2]*pattern
	role     int
	function Function
}

// maxNesting bounds how deep an expression nests.
const maxNesting = 64

// A parser reads expressions.
type parser struct {
	m       *model
	text    string
	depth   int
	negated bool
	rule    bool // the expression is a rule's: it may be wrong without the model being so

	requests, rules []int // the types that were named
}

// expression reads all of the text.
func (p *parser) expression() (*node, error) {
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.text != "" {
		return nil, fmt.Errorf("%q is not understood", clip(p.text))
	}
	if !x.isCondition() {
		return nil, errors.New("the expression is no condition")
	}
	return x, nil
}

func (p *parser) skip() { p.text = strings.TrimLeft(p.text, " \t") }

// take consumes a token if it comes next.
func (p *parser) take(token string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok {
		p.text = rest
	}
	return ok
}

func (p *parser) or() (*node, error)  { return p.chain(opOr, "||", p.and) }
func (p *parser) and() (*node, error) { return p.chain(opAnd, "&&", p.comparison) }

func (p *parser) chain(o op, token string, next func() (*node, error)) (*node, error) {
	first, err := next()
	if err != nil {
		return nil, err
	}
	x := &node{op: o, list: []*node{first}}
	for p.take(token) {
		n, err := next()
		if err != nil {
			return nil, err
		}
		x.list = append(x.list, n)
	}
	if len(x.list) == 1 {
		return first, nil
	}
	if slices.ContainsFunc(x.list, func(n *node) bool { return !n.isCondition() }) {
		return nil, fmt.Errorf("%s joins conditions", token)
	}
	return x, nil
}

// isCondition reports whether the node is true or false.
func (x *node) isCondition() bool {
	switch x.op {
	case opPattern:
		return x.builtin.get == nil
	case opText, opNumber, opAdd, opSubtract, opMultiply, opDivide, opRemainder, opNegate, opRule:
		return false
	case opRequest:
		return len(x.path) > 0 // an attribute may be
	}
	return true
}

var comparisons = []struct {
	token string
	op    op
}{{"==", opEqual}, {"!=", opUnequal}, {"<=", opLessEqual}, {">=", opMoreEqual}, {"<", opLess}, {">", opMore}}

func (p *parser) comparison() (*node, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	for _, c := range comparisons {
		if p.take(c.token) {
			right, err := p.sum()
			if err != nil {
				return nil, err
			}
			return compared(&node{op: c.op, list: []*node{left, right}})
		}
	}
	for _, token := range []string{"=~", "!~"} {
		if p.take(token) {
			return nil, fmt.Errorf("%s is not understood: use regexMatch", token)
		}
	}
	if word(strings.TrimLeft(p.text, " \t")) == "in" {
		p.take("in")
		return p.in(left)
	}
	return left, nil
}

// compared refuses to compare what is a condition by itself: a match that is
// compared could be negated without anyone seeing it.
func compared(x *node) (*node, error) {
	for _, n := range x.list {
		switch n.op {
		case opOr, opAnd, opNot, opEqual, opUnequal, opLess, opLessEqual, opMore, opMoreEqual, opIn, opRole, opEval:
			return nil, errors.New("a condition is compared: use && || and !, nothing else")
		case opPattern:
			if n.builtin.get == nil {
				return nil, errors.New("a match is compared: use && || and !, nothing else")
			}
		}
	}
	return x, nil
}

func (p *parser) in(left *node) (*node, error) {
	closing := ")"
	if p.take("[") {
		closing = "]"
	} else if !p.take("(") {
		right, err := p.primary()
		if err != nil {
			return nil, err
		}
		if right.op != opRequest || len(right.path) == 0 {
			return nil, errors.New("in wants a list in parentheses, or an attribute that is one")
		}
		return &node{op: opIn, list: []*node{left, right}, slot: 1}, nil
	}
	list, err := p.until(closing)
	return &node{op: opIn, list: append([]*node{left}, list...)}, err
}

// until reads values between commas and the closing bracket.
func (p *parser) until(closing string) ([]*node, error) {
	var list []*node
	for {
		x, err := p.sum()
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		if p.take(closing) {
			return list, nil
		}
		if !p.take(",") {
			return nil, fmt.Errorf("%q: want a comma or %s", clip(p.text), closing)
		}
	}
}

func (p *parser) sum() (*node, error) {
	return p.arithmetic([]string{"+", "-"}, []op{opAdd, opSubtract}, p.product)
}

func (p *parser) product() (*node, error) {
	return p.arithmetic([]string{"*", "/", "%"}, []op{opMultiply, opDivide, opRemainder}, p.unary)
}

func (p *parser) arithmetic(tokens []string, ops []op, next func() (*node, error)) (*node, error) {
	left, err := next()
	for err == nil {
		i := slices.IndexFunc(tokens, p.take)
		if i < 0 {
			return left, nil
		}
		var right *node
		right, err = next()
		left = &node{op: ops[i], list: []*node{left, right}}
	}
	return nil, err
}

func (p *parser) unary() (*node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("the expression is nested deeper than %d", maxNesting)
	}
	defer func() { p.depth-- }()
	p.skip()
	switch {
	case strings.HasPrefix(p.text, "!="), strings.HasPrefix(p.text, "!~"):
	case p.take("!"):
		p.negated = !p.negated
		x, err := p.unary()
		p.negated = !p.negated
		if err == nil && !x.isCondition() {
			err = errors.New("! stands before a condition")
		}
		return &node{op: opNot, list: []*node{x}}, err
	case p.take("-"):
		x, err := p.unary()
		return &node{op: opNegate, list: []*node{x}}, err
	case p.take("("):
		x, err := p.or()
		if err == nil && !p.take(")") {
			err = errors.New("a parenthesis is not closed")
		}
		return x, err
	}
	return p.primary()
}

// word returns the identifier that s begins with.
func word(s string) string {
	i := strings.IndexFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
	if i < 0 {
		i = len(s)
	}
	if i > 0 && s[0] >= '0' && s[0] <= '9' {
		return ""
	}
	return s[:i]
}

// primary reads a literal, a field or a call.
func (p *parser) primary() (*node, error) {
	p.skip()
	switch {
	case p.text == "":
		return nil, errors.New("the expression ends too early")
	case p.text[0] == '"' || p.text[0] == '\'':
		return p.literal()
	case p.text[0] >= '0' && p.text[0] <= '9':
		return p.numeral()
	}
	name := word(p.text)
	if name == "" {
		return nil, fmt.Errorf("%q is not understood", clip(p.text))
	}
	p.text = p.text[len(name):]
	switch {
	case name == "true":
		return &node{op: opTrue}, nil
	case name == "false":
		return &node{op: opFalse}, nil
	case strings.HasPrefix(strings.TrimLeft(p.text, " \t"), "("):
		p.take("(")
		return p.call(name)
	}
	return p.field(name)
}

func (p *parser) literal() (*node, error) {
	end := strings.IndexByte(p.text[1:], p.text[0])
	if end < 0 {
		return nil, errors.New("a quote is not closed")
	}
	text := p.text[1 : 1+end]
	if p.rule && strings.Contains(text, `\`) {
		return nil, fmt.Errorf("literal %q: a backslash has no place in the literals of rules", clip(text))
	}
	p.text = p.text[end+2:]
	return &node{op: opText, text: text}, nil
}

func (p *parser) numeral() (*node, error) {
	end := strings.IndexFunc(p.text, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	if end < 0 {
		end = len(p.text)
	}
	n, err := strconv.ParseFloat(p.text[:end], 64)
	if err != nil {
		return nil, fmt.Errorf("number %q is not understood", clip(p.text[:end]))
	}
	p.text = p.text[end:]
	return &node{op: opNumber, number: n}, nil
}

// field reads r.sub, r_sub or r.sub.Age: the name is what stands before the
// first dot.
func (p *parser) field(name string) (*node, error) {
	kind, first, under := strings.Cut(name, "_")
	if rest, dot := strings.CutPrefix(p.text, "."); dot && p.m.isType(name) {
		kind, first = name, word(rest)
		p.text = rest[len(first):]
	} else if !under {
		return nil, fmt.Errorf("%q is not understood", clip(name))
	}
	x := &node{op: opRequest, slot: -1}
	var fields []string
	if i := slices.IndexFunc(p.m.requests, func(t requestType) bool { return t.name == kind }); i >= 0 {
		p.requests = append(p.requests, i)
		fields = p.m.requests[i].fields
	} else if i := p.m.rule(kind); i >= 0 {
		p.rules = append(p.rules, i)
		x.op, fields = opRule, p.m.rules[i].fields
	}
	if x.field = slices.Index(fields, first); x.field < 0 {
		return nil, fmt.Errorf("%q is not defined", clip(kind+"."+first))
	}
	for strings.HasPrefix(p.text, ".") {
		part := word(p.text[1:])
		if part == "" || x.op == opRule {
			return nil, fmt.Errorf("%q is not understood: attributes belong to fields of the request", clip(p.text))
		}
		p.text = p.text[1+len(part):]
		x.path = append(x.path, part)
	}
	if strings.HasPrefix(strings.TrimLeft(p.text, " \t"), "(") {
		return nil, fmt.Errorf("%q: methods can't be called", clip(first))
	}
	return x, nil
}

// isType reports whether a name is one of the model's r or p.
func (m *model) isType(name string) bool {
	return m.rule(name) >= 0 || slices.ContainsFunc(m.requests, func(t requestType) bool { return t.name == name })
}

func (p *parser) call(name string) (*node, error) {
	arguments, err := p.until(")")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", clip(name), err)
	}
	x := &node{list: arguments, slot: -1, negated: p.negated}
	if i := p.m.role(name); i >= 0 {
		return x, p.callRole(x, i)
	}
	if name == "eval" {
		if len(arguments) != 1 || arguments[0].op != opRule || p.rule {
			return nil, errors.New("eval wants a field of the rule, and has no place inside a rule")
		}
		x.op, x.slot = opEval, p.slot(name, arguments[0].field, p.negated)
		return x, nil
	}
	if f := p.m.options.Functions[name]; f != nil {
		x.op, x.function, x.text = opCall, f, name
		return x, nil
	}
	b := builtins[name]
	if b == nil {
		return nil, fmt.Errorf("function %q is not understood: name it in Options.Functions", clip(name))
	}
	x.op, x.builtin = opPattern, b
	return x, p.callBuiltin(x)
}

func (p *parser) callRole(x *node, i int) error {
	t := &p.m.roles[i]
	want := 2
	if t.domain {
		want = 3
	}
	if len(x.list) != want {
		return fmt.Errorf("%s has %d arguments, want %d", t.name, len(x.list), want)
	}
	t.used = true
	x.op, x.role = opRole, i
	return nil
}

// callBuiltin compiles the pattern of a call if it is a literal, or has it
// compiled for every rule.
func (p *parser) callBuiltin(x *node) (err error) {
	want := 2
	if x.builtin.named {
		want = 3
	}
	if len(x.list) != want {
		return fmt.Errorf("%s has %d arguments, want %d", x.builtin.name, len(x.list), want)
	}
	if x.builtin.named {
		if x.list[2].op != opText {
			return fmt.Errorf("%s: the third argument is a literal", x.builtin.name)
		}
		x.text = x.list[2].text
	}
	switch arg := x.list[1]; arg.op {
	case opText:
		for loose := range x.pattern {
			if x.pattern[loose], err = x.builtin.compile(arg.text, loose == 1); err != nil {
				return fmt.Errorf("%s: %w", x.builtin.name, err)
			}
		}
		return nil
	case opRule:
		if p.rule {
			return fmt.Errorf("%s: the pattern inside a rule is a literal", x.builtin.name)
		}
		x.slot = p.slot(x.builtin.name, arg.field, p.negated)
		return nil
	}
	return fmt.Errorf("%s: the pattern comes from the rule or is a literal, never from the request", x.builtin.name)
}

// slot is where rules keep a compiled field.
func (p *parser) slot(function string, field int, negated bool) int {
	t := &p.m.rules[p.rules[len(p.rules)-1]]
	u := use{function, field, negated}
	if i := slices.Index(t.patterns, u); i >= 0 {
		return i
	}
	t.patterns = append(t.patterns, u)
	return len(t.patterns) - 1
}

// walk calls f for x and all its parts.
func (x *node) walk(f func(*node)) {
	f(x)
	for _, n := range x.list {
		n.walk(f)
	}
}

// usesRule reports whether the answer depends on the rule.
func (x *node) usesRule() (found bool) {
	x.walk(func(n *node) { found = found || n.op == opRule })
	return found
}

// split returns the alternatives of an or, or the parts of an and.
func (x *node) split(o op) []*node {
	if x.op != o {
		return []*node{x}
	}
	var list []*node
	for _, n := range x.list {
		list = append(list, n.split(o)...)
	}
	return list
}
