package authz

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// Errors of loading.
var (
	// ErrModel says that a model is not understood, and which part.
	ErrModel = errors.New("authz: model")
	// ErrPolicy says that a policy is malformed, and in which line.
	ErrPolicy = errors.New("authz: policy")
)

var errTooMany = fmt.Errorf("%w: more than %d lines of one kind", ErrPolicy, maxRows)

// effect is how the rules that match are combined.
type effect uint8

const (
	allowOverride   effect = iota // some allow
	denyOverride                  // no deny
	allowAndDeny                  // some allow and no deny
	byPriority                    // the first rule that matches
	subjectPriority               // the rule nearest to the subject
)

var effectNames = [...]string{"allow-override", "deny-override", "allow-and-deny", "priority", "subject-priority"}

// ruleEffect is what one rule does.
type ruleEffect uint8

const (
	effectNone ruleEffect = iota // of a line that is no rule
	effectAllow
	effectDeny
	effectIndeterminate
)

// maxFields is how many fields a request can have.
const maxFields = 8

// A requestType is an r line of the model.
type requestType struct {
	name   string
	fields []string
	// standard is where a Request's subject, domain, object and action are
	// among the fields, or -1.
	standard [4]int
}

// The fields of a Request, by the names that models give them.
var standardNames = [4][]string{
	{"sub", "subject", "user", "username", "principal"},
	{"dom", "domain", "tenant", "org"},
	{"obj", "object", "thing", "resource", "res", "path"},
	{"act", "action", "method"},
}

// A ruleType is a p line of the model.
type ruleType struct {
	name     string
	fields   []string
	eft      int   // where lines have their effect, or -1
	priority int   // where lines have their priority, or -1
	domain   int   // where lines have their domain, or -1
	patterns []use // the fields that are compiled, and as what
}

// A use is a field of rules that a function compiles.
type use struct {
	function string
	field    int
	negated  bool
}

// A roleType is a g line of the model.
type roleType struct {
	name   string
	domain bool
	params int // of conditional links
	used   bool
	// roleMatch and domainMatch are the functions by which names and domains
	// of grants are patterns, or nil.
	roleMatch, domainMatch *builtin
}

// head is how many fields come before the conditions.
func (t *roleType) head() int {
	if t.domain {
		return 3
	}
	return 2
}

func (t *roleType) fields() int { return t.head() + t.params }

// A matcher is an m line, compiled.
type matcher struct {
	name    string
	text    string
	request *requestType
	rules   int // the number of its rule type
	effect  effect
	always  []*node // alternatives that no rule has a part in
	plans   []plan  // the other alternatives
}

// A model is the compiled form of a model file. It never changes.
type model struct {
	seed     maphash.Seed
	requests []requestType
	rules    []ruleType
	roles    []roleType
	effects  map[string]effect
	matchers []matcher // the first is m
	noDomain uint64    // the hash of no domain
	subjects int       // the number of g, or -1
	options  Options
}

// A definition is a line of a model file.
type definition struct {
	section, key, value string
	line                int
}

var sectionKeys = map[string]string{
	"request_definition": "r", "policy_definition": "p", "role_definition": "g", "policy_effect": "e", "matchers": "m",
}

// readDefinitions reads the INI form: names in brackets, and definitions.
func readDefinitions(text string) ([]definition, error) {
	var list []definition
	section, continued := "", ""
	for n, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		line = strings.TrimSpace(withoutComment(line))
		rest, more := strings.CutSuffix(line, "\\")
		if more {
			continued += strings.TrimSpace(rest) + " "
			continue
		}
		line, continued = strings.TrimSpace(continued+line), ""
		switch {
		case line == "":
			continue
		case line[0] == '[':
			name, closed := strings.CutSuffix(line[1:], "]")
			if !closed || sectionKeys[name] == "" {
				return nil, fmt.Errorf("%w: line %d: section %q is not understood", ErrModel, n+1, clip(line))
			}
			section = name
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		d := definition{sectionKeys[section], strings.TrimSpace(key), strings.TrimSpace(value), n + 1}
		if !ok || d.value == "" || d.section == "" || !definitionKey(d.key, d.section) {
			return nil, fmt.Errorf("%w: line %d: want \"%s = …\" in section %q", ErrModel, n+1, sectionKeys[section], section)
		}
		if slices.ContainsFunc(list, func(have definition) bool { return have.key == d.key }) {
			return nil, fmt.Errorf("%w: line %d: %s is defined twice", ErrModel, n+1, d.key)
		}
		list = append(list, d)
	}
	if continued != "" {
		return nil, fmt.Errorf("%w: the last line is continued", ErrModel)
	}
	return list, nil
}

// withoutComment cuts a line at a # or ; that is not inside quotes. casbin
// cuts inside of them too.
func withoutComment(line string) string {
	quote := byte(0)
	for i := range len(line) {
		c := line[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' || c == ';':
			return line[:i]
		}
	}
	return line
}

// definitionKey reports whether a key is the letter, or the letter and a
// number from 2 to 99.
func definitionKey(key, letter string) bool {
	rest, ok := strings.CutPrefix(key, letter)
	return ok && (rest == "" || len(rest) <= 2 && rest != "1" && rest[0] != '0' && strings.Trim(rest, "0123456789") == "")
}

func parseModel(text string, o Options) (*model, error) {
	list, err := readDefinitions(text)
	if err != nil {
		return nil, err
	}
	m := &model{seed: maphash.MakeSeed(), effects: map[string]effect{}, options: o}
	for _, letter := range []string{"r", "p", "g", "e"} {
		for _, d := range list {
			if d.section != letter {
				continue
			}
			if err := m.define(d); err != nil {
				return nil, fmt.Errorf("%w: line %d: %s: %w", ErrModel, d.line, d.key, err)
			}
		}
	}
	m.noDomain, m.subjects = m.hash(""), m.role("g")
	if err := m.complete(list); err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.section != "m" {
			continue
		}
		if err := m.addMatcher(d); err != nil {
			return nil, fmt.Errorf("%w: line %d: %s: %w", ErrModel, d.line, d.key, err)
		}
	}
	return m, nil
}

func (m *model) complete(list []definition) error {
	for _, key := range []string{"r", "p", "e", "m"} {
		if !slices.ContainsFunc(list, func(d definition) bool { return d.key == key }) {
			return fmt.Errorf("%w: %s is not defined", ErrModel, key)
		}
	}
	// The first matcher is m, whatever the order of lines.
	slices.SortStableFunc(list, func(a, b definition) int { return len(a.key) - len(b.key) })
	return nil
}

func (m *model) define(d definition) (err error) {
	switch d.section {
	case "r":
		t := requestType{name: d.key, standard: [4]int{-1, -1, -1, -1}}
		if t.fields, err = fieldNames(d.value); err != nil {
			return err
		}
		for i, names := range standardNames {
			t.standard[i] = slices.IndexFunc(t.fields, func(f string) bool { return slices.Contains(names, f) })
		}
		m.requests = append(m.requests, t)
	case "p":
		t := ruleType{name: d.key}
		if t.fields, err = fieldNames(d.value); err != nil {
			return err
		}
		t.eft = slices.Index(t.fields, "eft")
		t.domain = slices.IndexFunc(t.fields, func(f string) bool { return slices.Contains(standardNames[1], f) })
		t.priority = slices.IndexFunc(t.fields, func(f string) bool {
			return f == "priority" || f == m.options.PriorityField && f != ""
		})
		m.rules = append(m.rules, t)
	case "g":
		return m.defineRole(d)
	case "e":
		m.effects[d.key], err = m.parseEffect(d.value, d.key)
	}
	return err
}

// fieldNames reads "sub, dom, obj, act".
func fieldNames(s string) ([]string, error) {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" || word(part) != part {
			return nil, fmt.Errorf("field %q: want a name", clip(part))
		}
		if slices.Contains(list, part) {
			return nil, fmt.Errorf("field %q is repeated", part)
		}
		list = append(list, part)
	}
	if len(list) > maxFields {
		return nil, fmt.Errorf("%d fields, want at most %d", len(list), maxFields)
	}
	return list, nil
}

func (m *model) defineRole(d definition) error {
	t := roleType{name: d.key}
	head, params, conditional := strings.Cut(strings.ReplaceAll(d.value, " ", ""), ",(")
	switch head {
	case "_,_":
	case "_,_,_":
		t.domain = true
	default:
		return errors.New("want _, _ or _, _, _, and (_, _) for conditions")
	}
	if conditional {
		list, closed := strings.CutSuffix(params, ")")
		t.params = strings.Count(list, "_")
		if !closed || t.params == 0 || strings.Trim(list, "_,") != "" || t.params > 4 {
			return errors.New("the conditions are not understood: want (_, _)")
		}
		if t.params != 2 && m.options.Links[d.key] == nil {
			return errors.New("two conditions are a start and an end: name a function in Options.Links for others")
		}
	}
	var err error
	if t.roleMatch, err = matchFunction(m.options.RoleMatch[d.key]); err != nil {
		return err
	}
	if t.domainMatch, err = matchFunction(m.options.DomainMatch[d.key]); err != nil {
		return err
	}
	m.roles = append(m.roles, t)
	return nil
}

func (m *model) parseEffect(s, name string) (effect, error) {
	const allow, deny = "some(where(p.eft==allow))", "!some(where(p.eft==deny))"
	s = strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "p_eft", "p.eft")
	switch s = strings.ReplaceAll(s, "p"+strings.TrimPrefix(name, "e")+".eft", "p.eft"); s {
	case allow:
		return allowOverride, nil
	case allow + "&&" + deny, deny + "&&" + allow:
		return allowAndDeny, nil
	case "priority(p.eft)||deny":
		return byPriority, nil
	case "subjectPriority(p.eft)||deny":
		return subjectPriority, nil
	case deny:
		if !m.options.DefaultAllow {
			return 0, errors.New("the effect allows what no rule speaks of: add some(where (p.eft == allow)), or set Options.DefaultAllow")
		}
		return denyOverride, nil
	}
	return 0, fmt.Errorf("%q is not understood", clip(s))
}

// role is the number of a g, or -1.
func (m *model) role(name string) int {
	return slices.IndexFunc(m.roles, func(t roleType) bool { return t.name == name })
}

// rule is the number of a p, or -1.
func (m *model) rule(name string) int {
	return slices.IndexFunc(m.rules, func(t ruleType) bool { return t.name == name })
}

// matcher is the number of an m, or -1; without a name it is m.
func (m *model) matcher(name string) int {
	if name == "" || name == "m" {
		return 0
	}
	return slices.IndexFunc(m.matchers, func(t matcher) bool { return t.name == name })
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
