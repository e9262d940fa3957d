package authz

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A rule is one p line.
type rule struct {
	line  int
	text  string
	value [fields]string
	deny  bool
	path  *regexp.Regexp // of the object, for keyMatch2
}

// A grant gives a subject a role; in a model with domains, in one of them.
type grant struct{ subject, role, domain string }

// A snapshot is a compiled policy. It never changes.
type snapshot struct {
	model  *model
	rules  []rule
	index  map[[3]string][]int    // by subject, action and object, see key
	grants map[grant]int          // to the line, 0 when given at run time
	roles  map[[2]string][]string // direct roles, by subject and domain
}

func parsePolicy(m *model, text string) (*snapshot, error) {
	s := &snapshot{model: m, grants: map[grant]int{}}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	seen := map[string]int{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
		}
		line, _ := r.FieldPos(0)
		for i := range record {
			record[i] = strings.TrimSpace(record[i])
		}
		if first := seen[strings.Join(record, "\x00")]; first > 0 {
			return nil, fmt.Errorf("%w: line %d: stands in line %d already", ErrPolicy, line, first)
		}
		seen[strings.Join(record, "\x00")] = line
		if err := s.add(line, record); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrPolicy, line, err)
		}
	}
	return s, s.compile()
}

func (s *snapshot) add(line int, record []string) error {
	if slices.Contains(record, "") {
		return errors.New("a field is empty")
	}
	switch record[0] {
	case "p":
		return s.addRule(line, record[1:])
	case "g":
		if s.model.roles == 0 {
			return errors.New("the model has no roles")
		}
		if len(record)-1 != s.model.roles {
			return fmt.Errorf("%d fields after g, want %d", len(record)-1, s.model.roles)
		}
		g := grant{subject: record[1], role: record[2]}
		if s.model.roles == 3 {
			g.domain = record[3]
		}
		s.grants[g] = line
		return nil
	}
	return fmt.Errorf("%q: want p or g", clip(record[0]))
}

func (s *snapshot) addRule(line int, values []string) error {
	r := rule{line: line, text: "p, " + strings.Join(values, ", ")}
	want := len(s.model.rule)
	if s.model.eft {
		want++
	}
	if len(values) != want {
		return fmt.Errorf("%d fields after p, want %d", len(values), want)
	}
	for i, f := range s.model.rule {
		r.value[f] = values[i]
	}
	if s.model.eft {
		switch values[want-1] {
		case "allow":
		case "deny":
			r.deny = true
		default:
			return fmt.Errorf("effect %q: want allow or deny", clip(values[want-1]))
		}
	}
	if s.model.match[object] == matchRegion {
		path, err := compilePath(r.value[object])
		if err != nil {
			return err
		}
		r.path = path
	}
	s.rules = append(s.rules, r)
	return nil
}

// compilePath turns keyMatch2's pattern into an anchored expression: ":name"
// is one segment, a "/*" at the end anything below. Everything else is
// literal; casbin leaves dots and brackets to the expression.
func compilePath(pattern string) (*regexp.Regexp, error) {
	body, below := strings.CutSuffix(pattern, "/*")
	if strings.Contains(body, "*") {
		return nil, fmt.Errorf("pattern %q: a * may stand at the end, after a slash", clip(pattern))
	}
	parts := strings.Split(body, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ":") {
			parts[i] = "[^/]+"
		} else {
			parts[i] = regexp.QuoteMeta(p)
		}
	}
	expr := "^" + strings.Join(parts, "/")
	if below {
		expr += "/.*"
	}
	return regexp.Compile(expr + "$")
}

// compile indexes the rules and the roles, and refuses role cycles.
func (s *snapshot) compile() error {
	s.index = make(map[[3]string][]int)
	for i, r := range s.rules {
		k := [3]string{r.value[subject], s.key(action, r.value[action]), s.key(object, r.value[object])}
		s.index[k] = append(s.index[k], i)
	}
	s.roles = make(map[[2]string][]string)
	for g := range s.grants {
		k := [2]string{g.subject, g.domain}
		s.roles[k] = append(s.roles[k], g.role)
	}
	for k := range s.roles {
		slices.Sort(s.roles[k]) // decisions must not depend on a map's order
	}
	return s.acyclic()
}

// key is the value where rules name it exactly, and "" where they may have a
// pattern.
func (s *snapshot) key(f field, value string) string {
	if s.model.match[f] == matchEqual {
		return value
	}
	return ""
}

const maxDepth = 16

func (s *snapshot) acyclic() error {
	for k := range s.roles {
		if path := s.cycle(k[0], k[1], nil); path != nil {
			return fmt.Errorf("%w: roles go in a circle or deeper than %d: %s", ErrPolicy, maxDepth, clip(strings.Join(path, " > ")))
		}
	}
	return nil
}

func (s *snapshot) cycle(at, domain string, path []string) []string {
	path = append(path, at)
	if slices.Contains(path[:len(path)-1], at) || len(path) > maxDepth {
		return path
	}
	for _, r := range s.roles[[2]string{at, domain}] {
		if found := s.cycle(r, domain, path); found != nil {
			return found
		}
	}
	return nil
}

// with returns a snapshot with one grant more or fewer.
func (s *snapshot) with(g grant, given bool) (*snapshot, error) {
	next := &snapshot{model: s.model, rules: s.rules, grants: maps.Clone(s.grants)}
	if given {
		next.grants[g] = 0
	} else {
		delete(next.grants, g)
	}
	return next, next.compile()
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
