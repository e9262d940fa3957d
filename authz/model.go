package authz

import (
	"errors"
	"fmt"
	"regexp"
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

// field is a part of a request.
type field uint8

const (
	subject field = iota
	domain
	object
	action
	fields
)

var fieldNames = [fields]string{"sub", "dom", "obj", "act"}

// match says how one field of a request is compared with a rule's.
type match uint8

const (
	matchNone   match = iota // the model has no such field
	matchEqual               // r.x == p.x
	matchAny                 // p.x == "*" || r.x == p.x
	matchRole                // g(r.sub, p.sub[, r.dom])
	matchRegion              // keyMatch2(r.x, p.x)
)

// effect is how the rules that match are combined.
type effect uint8

const (
	allowOverride effect = iota // some allow
	denyOverride                // some allow and no deny
)

// A model is the compiled form of a model file.
type model struct {
	request []field // in the order of the request
	rule    []field // in the order of a policy line
	eft     bool    // whether lines end with allow or deny
	match   [fields]match
	roles   int // parts of a g line: 2, or 3 with a domain
	effect  effect
}

// sections reads the INI form: names in brackets, and one definition each.
func sections(text string) (map[string]string, error) {
	known := map[string]string{
		"request_definition": "r", "policy_definition": "p", "role_definition": "g", "policy_effect": "e", "matchers": "m",
	}
	found := map[string]string{}
	section, continued := "", ""
	for n, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if rest, more := strings.CutSuffix(line, "\\"); more {
			continued += strings.TrimSpace(rest) + " "
			continue
		}
		line, continued = continued+line, ""
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			if known[section] == "" {
				return nil, fmt.Errorf("%w: line %d: section %q is not understood", ErrModel, n+1, section)
			}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || section == "" || name != known[section] || found[name] != "" {
			return nil, fmt.Errorf("%w: line %d: want one definition %q in section %q", ErrModel, n+1, known[section], section)
		}
		found[name] = strings.TrimSpace(value)
	}
	if continued != "" {
		return nil, fmt.Errorf("%w: the last line is continued by nothing", ErrModel)
	}
	return found, nil
}

func parseModel(text string) (*model, error) {
	found, err := sections(text)
	if err != nil {
		return nil, err
	}
	m := &model{}
	if m.request, err = names(found["r"]); err != nil {
		return nil, fmt.Errorf("%w: request_definition: %w", ErrModel, err)
	}
	rule := found["p"]
	if cut, ok := strings.CutSuffix(strings.ReplaceAll(rule, " ", ""), ",eft"); ok {
		rule, m.eft = cut, true
	}
	if m.rule, err = names(rule); err != nil {
		return nil, fmt.Errorf("%w: policy_definition: %w", ErrModel, err)
	}
	switch strings.ReplaceAll(found["g"], " ", "") {
	case "":
	case "_,_":
		m.roles = 2
	case "_,_,_":
		m.roles = 3
	default:
		return nil, fmt.Errorf("%w: role_definition: want _, _ or _, _, _", ErrModel)
	}
	if m.effect, err = parseEffect(found["e"]); err != nil {
		return nil, err
	}
	if err := m.parseMatcher(found["m"]); err != nil {
		return nil, fmt.Errorf("%w: matchers: %w", ErrModel, err)
	}
	return m, nil
}

// names reads "sub, dom, obj, act" in any order.
func names(s string) ([]field, error) {
	var list []field
	for part := range strings.SplitSeq(s, ",") {
		i := slices.Index(fieldNames[:], strings.TrimSpace(part))
		if i < 0 {
			return nil, fmt.Errorf("field %q: want sub, dom, obj or act", strings.TrimSpace(part))
		}
		if slices.Contains(list, field(i)) {
			return nil, fmt.Errorf("field %q is repeated", fieldNames[i])
		}
		list = append(list, field(i))
	}
	for _, f := range []field{subject, object, action} {
		if !slices.Contains(list, f) {
			return nil, fmt.Errorf("field %q is missing", fieldNames[f])
		}
	}
	return list, nil
}

func parseEffect(s string) (effect, error) {
	const allow, deny = "some(where(p.eft==allow))", "!some(where(p.eft==deny))"
	switch strings.ReplaceAll(s, " ", "") {
	case allow:
		return allowOverride, nil
	case allow + "&&" + deny, deny + "&&" + allow:
		return denyOverride, nil
	case deny:
		return 0, fmt.Errorf("%w: policy_effect: %q allows what no rule speaks of: add some(where (p.eft == allow))", ErrModel, s)
	}
	return 0, fmt.Errorf("%w: policy_effect %q is not understood", ErrModel, s)
}

var (
	equal  = regexp.MustCompile(`^(?:r\.(\w+)==p\.(\w+)|p\.(\w+)==r\.(\w+))$`)
	anyOf  = regexp.MustCompile(`^\((?:p\.(\w+)==["']\*["']\|\|r\.(\w+)==p\.(\w+)|r\.(\w+)==p\.(\w+)\|\|p\.(\w+)==["']\*["'])\)$`)
	role2  = regexp.MustCompile(`^g\(r\.sub,p\.sub\)$`)
	role3  = regexp.MustCompile(`^g\(r\.sub,p\.sub,r\.dom\)$`)
	region = regexp.MustCompile(`^keyMatch2\(r\.(\w+),p\.(\w+)\)$`)
)

// parseMatcher reads a conjunction of one term per field.
func (m *model) parseMatcher(s string) error {
	for _, term := range conjuncts(strings.ReplaceAll(s, " ", "")) {
		f, how, err := m.parseTerm(term)
		if err != nil {
			return err
		}
		if m.match[f] != matchNone {
			return fmt.Errorf("the field %s is compared twice", fieldNames[f])
		}
		m.match[f] = how
	}
	for _, f := range m.request {
		if m.match[f] == matchNone {
			return fmt.Errorf("the field %s of requests is compared with nothing", fieldNames[f])
		}
	}
	for f, how := range m.match {
		inRule, inRequest := slices.Contains(m.rule, field(f)), slices.Contains(m.request, field(f))
		if how != matchNone && (!inRule || !inRequest) || how == matchNone && inRule {
			return fmt.Errorf("the field %s must stand in the request, the rule and the matcher, or nowhere", fieldNames[f])
		}
	}
	if m.match[subject] != matchEqual && m.match[subject] != matchRole {
		return errors.New("subjects are compared with == or g: a rule for every subject is a role that everyone has")
	}
	if (m.match[subject] == matchRole) != (m.roles > 0) {
		return errors.New("roles are defined and not used, or used and not defined")
	}
	return nil
}

func (m *model) parseTerm(term string) (field, match, error) {
	one := func(groups []string, how match) (field, match, error) {
		name := ""
		for _, g := range groups[1:] {
			if g != "" && name != "" && g != name {
				return 0, 0, fmt.Errorf("%q compares two different fields", term)
			}
			if g != "" {
				name = g
			}
		}
		i := slices.Index(fieldNames[:], name)
		if i < 0 {
			return 0, 0, fmt.Errorf("%q: want sub, dom, obj or act", term)
		}
		return field(i), how, nil
	}
	if role2.MatchString(term) && m.roles == 2 || role3.MatchString(term) && m.roles == 3 {
		return subject, matchRole, nil
	}
	if g := equal.FindStringSubmatch(term); g != nil {
		return one(g, matchEqual)
	}
	if g := anyOf.FindStringSubmatch(term); g != nil {
		return one(g, matchAny)
	}
	if g := region.FindStringSubmatch(term); g != nil {
		f, how, err := one(g, matchRegion)
		if err == nil && f != object {
			err = fmt.Errorf("%q: keyMatch2 is for obj", term)
		}
		return f, how, err
	}
	return 0, 0, fmt.Errorf("%q is not understood", term)
}

// conjuncts splits at "&&" outside parentheses.
func conjuncts(s string) []string {
	var list []string
	depth, from := 0, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(s[i:], "&&"):
			list = append(list, s[from:i])
			from = i + 2
			i++
		}
	}
	return append(list, s[from:])
}
