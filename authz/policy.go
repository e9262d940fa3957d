package authz

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Rule is one line of a policy: its kind, such as p, p2 or g, and its
// fields in the model's order.
type Rule struct {
	Kind   string
	Fields []string
	// From and Until bound when a line that gives a role holds, in seconds
	// since 1970; 0 is always. Files have no place for them; conditional role
	// definitions have it among the fields.
	From, Until int64

	line  int
	order uint64
}

// String writes the rule as a line of a policy file.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(r.Kind)
	for _, f := range r.Fields {
		b.WriteString(", ")
		if strings.ContainsAny(f, ",\"\n") || strings.HasPrefix(f, " ") {
			f = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
		b.WriteString(f)
	}
	return b.String()
}

// A PolicyError says which line of a policy is wrong, and why. It wraps
// [ErrPolicy].
type PolicyError struct {
	Line int    // from 1, or 0 for a rule that came from no file
	Kind string // such as p
	Err  error
}

// Error names the line.
func (e *PolicyError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%v: %s: %v", ErrPolicy, clip(e.Kind), e.Err)
	}
	return fmt.Sprintf("%v: line %d: %s: %v", ErrPolicy, e.Line, clip(e.Kind), e.Err)
}

// Unwrap lets errors.Is find [ErrPolicy] and the cause.
func (e *PolicyError) Unwrap() []error { return []error{ErrPolicy, e.Err} }

// ParsePolicy reads a policy file of casbin's: fields between commas, quoted
// where they contain some, and comments that begin with #.
func ParsePolicy(text string) ([]Rule, error) {
	list := make([]Rule, 0, strings.Count(text, "\n")+1)
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields, err := splitLine(line)
		if err != nil {
			return nil, &PolicyError{n, clip(line), err}
		}
		list = append(list, Rule{Kind: fields[0], Fields: fields[1:], line: n})
	}
	return list, nil
}

// splitLine is fast for lines without quotes, whose fields stay where they
// are in the text.
func splitLine(line string) ([]string, error) {
	var fields []string
	if strings.Contains(line, `"`) {
		r := csv.NewReader(strings.NewReader(line))
		r.TrimLeadingSpace = true
		var err error
		if fields, err = r.Read(); err != nil {
			return nil, errors.New("quotes are not closed, or stand inside a field")
		}
		fields = join(fields)
	} else {
		fields = make([]string, 0, strings.Count(line, ",")+1)
		for f := range strings.SplitSeq(line, ",") {
			fields = append(fields, strings.TrimLeft(f, " \t"))
		}
	}
	for i, f := range fields {
		switch {
		case f == "":
			return nil, fmt.Errorf("field %d is empty", i)
		case strings.TrimRight(f, " \t") != f:
			return nil, fmt.Errorf("field %d ends in a space: it would match nothing", i)
		}
	}
	return fields, nil
}

// A snapshot is a compiled policy. It never changes.
type snapshot struct {
	m        *model
	version  uint64
	rules    []rows  // by rule type
	same     []table // by rule type: whole lines, where no index finds them
	graphs   []graph // by role type
	indexes  [][]index
	repeated int                         // lines of the file that say what another says
	patterns map[use]map[string]*pattern // while a policy is loaded
}

// An index finds the rules of a plan.
type index struct {
	owner  *edit // of shapes
	table  table
	wild   [maxSlots]int // rules with a * or a pattern of names, by slot
	shapes []shapeCount
}

type shapeCount struct {
	shape
	count int
}

func newSnapshot(m *model) *snapshot {
	e := &edit{}
	s := &snapshot{m: m}
	for i := range m.rules {
		s.rules = append(s.rules, rows{owner: e, stride: len(m.rules[i].fields), extra: len(m.rules[i].patterns)})
		s.same = append(s.same, newTable(e))
	}
	for i := range m.roles {
		s.graphs = append(s.graphs, newGraph(e, m, &m.roles[i]))
	}
	for i := range m.matchers {
		s.indexes = append(s.indexes, make([]index, len(m.matchers[i].plans)))
		for j := range s.indexes[i] {
			s.indexes[i][j].table = newTable(e)
		}
	}
	return s
}

// clone shares everything; what is then edited is copied.
func (s *snapshot) clone() *snapshot {
	c := *s
	c.rules, c.same, c.graphs = slices.Clone(s.rules), slices.Clone(s.same), slices.Clone(s.graphs)
	c.indexes = slices.Clone(s.indexes)
	for i := range c.indexes {
		c.indexes[i] = slices.Clone(c.indexes[i])
	}
	c.patterns = nil
	return &c
}

// load compiles a whole policy.
func load(m *model, list []Rule) (*snapshot, error) {
	s, e := newSnapshot(m), &edit{}
	s.patterns = map[use]map[string]*pattern{}
	for i := range list {
		if err := s.add(e, &list[i]); errors.Is(err, errSame) {
			s.repeated++ // says the same twice: harmless, and in casbin's own examples
		} else if err != nil {
			return nil, &PolicyError{list[i].line, list[i].Kind, err}
		}
	}
	s.patterns = nil
	for i := range s.graphs {
		if err := s.graphs[i].check(m); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// change returns a snapshot with some rules fewer and some more.
func (s *snapshot) change(add, remove []Rule) (*snapshot, error) {
	c, e := s.clone(), &edit{}
	for i := range remove {
		if err := c.remove(e, &remove[i]); err != nil {
			return nil, &PolicyError{0, remove[i].Kind, err}
		}
	}
	for i := range add {
		r := add[i]
		r.Fields, r.line = join(r.Fields), 0
		if g := s.m.role(r.Kind); g >= 0 && len(r.Fields) >= 2 && len(r.Fields) == s.m.roles[g].fields() {
			if err := c.graphs[g].checkGrant(s.m, r.Fields); err != nil {
				return nil, &PolicyError{0, r.Kind, err}
			}
		}
		if err := c.add(e, &r); err != nil {
			return nil, &PolicyError{0, r.Kind, err}
		}
	}
	return c, nil
}

var (
	errSame   = errors.New("the line stands there already")
	errOther  = errors.New("the role is given already, under other conditions")
	errAbsent = errors.New("there is no such line")
	errEmpty  = errors.New("a field is empty")
)

func (s *snapshot) add(e *edit, r *Rule) error {
	if slices.Contains(r.Fields, "") {
		return errEmpty
	}
	if i := s.m.role(r.Kind); i >= 0 {
		return s.addGrant(e, i, r)
	}
	i := s.m.rule(r.Kind)
	if i < 0 {
		return errors.New("the model has no such kind of line")
	}
	if r.From != 0 || r.Until != 0 {
		return errors.New("only lines that give roles are bounded in time")
	}
	return s.addRule(e, i, r)
}

func (s *snapshot) addGrant(e *edit, i int, r *Rule) error {
	g := &s.graphs[i]
	if want := g.kind.fields(); len(r.Fields) != want {
		return fmt.Errorf("%d fields, want %d", len(r.Fields), want)
	}
	t := meta{line: uint32(r.line), from: r.From, until: r.Until} //nolint:gosec // of a text in memory
	if err := s.m.window(g.kind, r.Fields[g.kind.head():], &t); err != nil {
		return err
	}
	if n := g.find(s.m, r.Fields); n >= 0 {
		if slices.Equal(g.rows.values(uint32(n)), r.Fields) { //nolint:gosec // a row
			return errSame
		}
		return errOther
	}
	if r.Fields[0] == r.Fields[1] {
		return errors.New("a name has itself as a role")
	}
	return g.add(e, s.m, r.Fields, t)
}

func (s *snapshot) addRule(e *edit, i int, r *Rule) error {
	t := &s.m.rules[i]
	if len(r.Fields) != len(t.fields) {
		return fmt.Errorf("%d fields, want %d", len(r.Fields), len(t.fields))
	}
	rows := &s.rules[i]
	m := meta{line: uint32(r.line), effect: effectAllow, order: rows.orders} //nolint:gosec // of a text in memory
	if err := t.readMeta(r.Fields, &m); err != nil {
		return err
	}
	compiled, err := s.compile(t, r.Fields, m.effect)
	if err != nil {
		return err
	}
	if s.find(i, r.Fields, compiled) >= 0 {
		return errSame
	}
	rows.orders++
	n, err := rows.add(e, r.Fields, compiled, m)
	if err != nil {
		return err
	}
	s.index(i, rows.at(n), func(t *table, k uint64) { t.add(e, k, n) }, counting{e, 1})
	return nil
}

// compile compiles the fields of a rule that are patterns or expressions,
// each distinct one once.
func (s *snapshot) compile(t *ruleType, values []string, effect ruleEffect) ([]*pattern, error) {
	if len(t.patterns) == 0 {
		return nil, nil
	}
	list := make([]*pattern, len(t.patterns))
	for i, u := range t.patterns {
		loose := u.negated != (effect == effectDeny)
		known := use{u.function, 0, loose}
		text := values[u.field]
		p := s.patterns[known][text]
		if p == nil {
			var err error
			if p, err = s.m.compileField(u.function, text, loose); err != nil {
				return nil, fmt.Errorf("field %s: %s: %w", t.fields[u.field], u.function, err)
			}
			if s.patterns != nil {
				if s.patterns[known] == nil {
					s.patterns[known] = map[string]*pattern{}
				}
				s.patterns[known][text] = p
			}
		}
		list[i] = p
	}
	return list, nil
}

func (m *model) compileField(function, text string, loose bool) (*pattern, error) {
	if function != "eval" {
		return builtins[function].compile(text, loose)
	}
	p := &parser{m: m, text: text, rule: true, negated: loose}
	x, err := p.expression()
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", clip(text), err)
	}
	return &pattern{kind: matchExpr, expr: x}, nil
}
