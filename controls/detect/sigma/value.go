package sigma

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A test says whether one value of a field is what a rule looks for.
type test func(value string) bool

// fieldTest is one line of a selection: a field, and what it must be.
type fieldTest struct {
	field  string
	tests  []test
	all    bool  // every test must hold, else one
	exists *bool // the field must, or must not, be there
	null   bool  // one of the values is null: the field is absent or empty
	negate bool  // neq
	ref    string
	fold   bool // fieldref compares without regard to case
}

func (f *fieldTest) holds(e *event) bool {
	values := e.get(f.field)
	switch {
	case f.exists != nil:
		return (len(values) > 0) == *f.exists
	case f.ref != "":
		return slices.ContainsFunc(e.get(f.ref), func(other string) bool {
			return slices.ContainsFunc(values, func(v string) bool { return v == other || f.fold && strings.EqualFold(v, other) })
		}) != f.negate
	}
	return f.match(values) != f.negate
}

func (f *fieldTest) match(values []string) bool {
	if f.null && (len(values) == 0 || slices.Equal(values, []string{""})) {
		return true
	}
	if len(f.tests) == 0 {
		return false
	}
	hit := func(t test) bool { return slices.ContainsFunc(values, t) }
	if f.all {
		return !slices.ContainsFunc(f.tests, func(t test) bool { return !hit(t) })
	}
	return slices.ContainsFunc(f.tests, hit)
}

// modifiers of one field, in any order.
type modifiers struct {
	position               string // contains, startswith, endswith
	kind                   string // re, cidr, lt, lte, gt, gte, exists, fieldref
	all, cased, neq        bool
	foldRE, multi, dotNewl bool // of re
}

func (m *modifiers) add(name string) error {
	set := func(to *string) error {
		if *to != "" {
			return fmt.Errorf("the modifiers %s and %s don't go together", *to, name)
		}
		*to = name
		return nil
	}
	switch name {
	case "contains", "startswith", "endswith":
		return set(&m.position)
	case "re", "cidr", "lt", "lte", "gt", "gte", "exists", "fieldref":
		return set(&m.kind)
	case "all":
		m.all = true
	case "cased":
		m.cased = true
	case "neq":
		m.neq = true
	case "i", "m", "s":
		if m.kind != "re" {
			return fmt.Errorf("the modifier %s follows re", name)
		}
		m.foldRE, m.multi, m.dotNewl = m.foldRE || name == "i", m.multi || name == "m", m.dotNewl || name == "s"
	default:
		return fmt.Errorf("the modifier %q is not supported", clip(name))
	}
	return nil
}

// parseField reads a key such as "attr.path|contains|all" and its values.
func parseField(key string, value *yaml.Node) (*fieldTest, error) {
	name, rest, _ := strings.Cut(key, "|")
	f := &fieldTest{field: name}
	var m modifiers
	for rest != "" {
		var mod string
		mod, rest, _ = strings.Cut(rest, "|")
		if err := m.add(mod); err != nil {
			return nil, err
		}
	}
	if m.position != "" && m.kind != "" {
		return nil, fmt.Errorf("the modifiers %s and %s don't go together", m.position, m.kind)
	}
	f.all, f.negate, f.fold = m.all, m.neq, !m.cased
	values := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		values = value.Content
	}
	if len(values) == 0 || m.all && len(values) < 2 {
		return nil, fmt.Errorf("more values are wanted")
	}
	for _, v := range values {
		if err := f.value(v, &m); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fieldTest) value(n *yaml.Node, m *modifiers) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("a value or a list of values is wanted")
	}
	switch m.kind {
	case "exists":
		if n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
			return fmt.Errorf("exists wants true or false")
		}
		want := n.Value == "true"
		f.exists = &want
		return nil
	case "fieldref":
		f.ref = n.Value
		return nil
	}
	if n.Tag == "!!null" {
		if m.kind != "" || m.position != "" {
			return fmt.Errorf("null goes without a modifier")
		}
		f.null = true
		return nil
	}
	t, err := m.test(n.Value)
	f.tests = append(f.tests, t)
	return err
}

// test makes the comparison with one value.
func (m *modifiers) test(value string) (test, error) {
	switch m.kind {
	case "re":
		return m.regular(value)
	case "cidr":
		p, err := netip.ParsePrefix(value)
		if err != nil {
			return nil, fmt.Errorf("cidr wants a range such as 192.0.2.0/24, got %q", clip(value))
		}
		return func(v string) bool { return inRange(v, p) }, nil
	case "lt", "lte", "gt", "gte":
		want, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("%s wants a number, got %q", m.kind, clip(value))
		}
		kind := m.kind
		return func(v string) bool { return compare(v, want, kind) }, nil
	}
	return m.pattern(value)
}

func (m *modifiers) regular(value string) (test, error) {
	flags := ""
	for _, f := range []struct {
		on   bool
		flag string
	}{{m.foldRE, "i"}, {m.multi, "m"}, {m.dotNewl, "s"}} {
		if f.on {
			flags += f.flag
		}
	}
	if flags != "" {
		flags = "(?" + flags + ")"
	}
	re, err := regexp.Compile(flags + value)
	if err != nil || len(value) > 1000 {
		return nil, fmt.Errorf("re wants a regular expression of RE2 of at most 1,000 bytes")
	}
	return re.MatchString, nil
}

// inRange takes an address or a range that lies within.
func inRange(v string, p netip.Prefix) bool {
	if a, err := netip.ParseAddr(v); err == nil {
		return p.Contains(a.Unmap())
	}
	q, err := netip.ParsePrefix(v)
	return err == nil && q.Bits() >= p.Bits() && p.Contains(q.Addr().Unmap())
}

func compare(v string, want float64, kind string) bool {
	got, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return false
	}
	switch kind {
	case "lt":
		return got < want
	case "lte":
		return got <= want
	case "gt":
		return got > want
	}
	return got >= want
}

// pattern compiles text with wildcards. A backslash takes the meaning from *,
// ? and itself, and is itself before anything else.
func (m *modifiers) pattern(value string) (test, error) {
	var parts []glyph
	runes := []rune(m.fold(value))
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '\\' && i+1 < len(runes) && strings.ContainsRune(`*?\`, runes[i+1]):
			i++
			parts = append(parts, glyph{r: runes[i]})
		case c == '*':
			parts = append(parts, glyph{many: true})
		case c == '?':
			parts = append(parts, glyph{one: true})
		default:
			parts = append(parts, glyph{r: c})
		}
	}
	if m.position == "contains" || m.position == "endswith" {
		parts = append([]glyph{{many: true}}, parts...)
	}
	if m.position == "contains" || m.position == "startswith" {
		parts = append(parts, glyph{many: true})
	}
	if len(parts) > 2000 {
		return nil, fmt.Errorf("a value of at most 2,000 characters is wanted")
	}
	return func(v string) bool { return glob(parts, []rune(m.fold(v))) }, nil
}

func (m *modifiers) fold(s string) string {
	if m.cased {
		return s
	}
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}

// A glyph is a character, or a wildcard for one or many.
type glyph struct {
	r         rune
	one, many bool
}

// glob matches with one step back per star: quadratic at worst.
func glob(p []glyph, s []rune) bool {
	i, j, star, from := 0, 0, -1, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i].many:
			star, from = i, j
			i++
		case i < len(p) && (p[i].one || p[i].r == s[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i].many {
		i++
	}
	return i == len(p)
}

func clip(s string) string {
	if len(s) > 48 {
		return strings.ToValidUTF8(s[:48], "") + "…"
	}
	return s
}
