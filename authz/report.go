package authz

import (
	"fmt"
	"slices"
	"strings"
)

// A Report says how a policy was compiled: what is found by an index, what is
// compared rule by rule, and how much of each there is.
type Report struct {
	Version  uint64
	Rules    int
	Grants   int
	Repeated int // lines of the file that say what another one says
	// DeepRoles are names whose chain of roles is longer than 10: what lies
	// beyond denies.
	DeepRoles []string
	Matchers  []MatcherReport
}

// A MatcherReport is about one matcher of the model.
type MatcherReport struct {
	Name, Effect string
	// Always are alternatives that hold whatever the rules say.
	Always []string
	Plans  []PlanReport
}

// A PlanReport is about one alternative of a matcher.
type PlanReport struct {
	// Gates are asked once for a request, before any rule.
	Gates []string
	// Indexed are the fields by which rules are found: "role sub",
	// "path obj", "equal act". Without any, every rule is looked at.
	Indexed []string
	// Compared is what is evaluated for each rule that was found.
	Compared []string
	// Shapes are how many forms of paths there are; a decision costs a lookup
	// for each that fits.
	Shapes int
	// Longest is the largest number of rules that one lookup finds.
	Longest int
}

// Report describes the policy in force. It takes a look at every rule.
func (e *Engine) Report() Report {
	s := e.current.Load()
	r := Report{Version: s.version, Rules: s.count(), Grants: s.grants(), Repeated: s.repeated}
	for i := range s.m.matchers {
		m := &s.m.matchers[i]
		mr := MatcherReport{Name: m.name, Effect: effectNames[m.effect], Always: s.m.texts(m, m.always)}
		for j := range m.plans {
			p, ix := &m.plans[j], &s.indexes[i][j]
			pr := PlanReport{Gates: s.m.texts(m, p.gates), Compared: s.m.texts(m, p.rest), Shapes: len(ix.shapes), Longest: ix.table.longest()}
			for _, slot := range p.slots {
				pr.Indexed = append(pr.Indexed, slotNames[slot.kind]+" "+s.m.rules[m.rules].fields[slot.rule])
			}
			mr.Plans = append(mr.Plans, pr)
		}
		r.Matchers = append(r.Matchers, mr)
	}
	for i := range s.graphs {
		r.DeepRoles = append(r.DeepRoles, s.graphs[i].deep(s.m)...)
	}
	return r
}

func (t *table) longest() (n int) {
	for _, b := range t.dir {
		if b.used > 0 {
			n = max(n, 1)
		}
		for _, list := range b.lists {
			n = max(n, len(list))
		}
	}
	return n
}

// deep lists names whose chain of roles is too long to count.
func (g *graph) deep(m *model) []string {
	heights := map[holder]int{}
	var height func(h holder) int
	height = func(h holder) int {
		n, done := heights[h]
		if !done {
			for _, to := range g.above(m, h) {
				n = max(n, 1+height(holder{to, h.domain}))
			}
			heights[h] = n
		}
		return n
	}
	var list []string
	g.rows.all(func(n uint32) bool {
		v := g.rows.values(n)
		if height(holder{v[0], g.domainOf(v)}) > maxHops {
			list = append(list, v[0])
		}
		return true
	})
	slices.Sort(list)
	return slices.Compact(list)
}

func (m *model) texts(t *matcher, list []*node) []string {
	var out []string
	for _, x := range list {
		out = append(out, m.write(t, x))
	}
	return out
}

var opTokens = map[op]string{
	opOr: "||", opAnd: "&&", opEqual: "==", opUnequal: "!=", opLess: "<", opLessEqual: "<=", opMore: ">", opMoreEqual: ">=",
	opAdd: "+", opSubtract: "-", opMultiply: "*", opDivide: "/", opRemainder: "%",
}

// write spells an expression out.
func (m *model) write(t *matcher, x *node) string {
	parts := m.texts(t, x.list)
	switch x.op {
	case opNot:
		return "!" + parts[0]
	case opNegate:
		return "-" + parts[0]
	case opText:
		return `"` + x.text + `"`
	case opNumber:
		return fmt.Sprint(x.number)
	case opTrue, opFalse:
		return fmt.Sprint(x.op == opTrue)
	case opRequest:
		return strings.Join(append([]string{t.request.name, t.request.fields[x.field]}, x.path...), ".")
	case opRule:
		return m.rules[t.rules].name + "." + m.rules[t.rules].fields[x.field]
	case opRole:
		return m.roles[x.role].name + "(" + strings.Join(parts, ", ") + ")"
	case opPattern:
		return x.builtin.name + "(" + strings.Join(parts, ", ") + ")"
	case opCall:
		return x.text + "(" + strings.Join(parts, ", ") + ")"
	case opEval:
		return "eval(" + parts[0] + ")"
	case opIn:
		return parts[0] + " in (" + strings.Join(parts[1:], ", ") + ")"
	}
	return "(" + strings.Join(parts, " "+opTokens[x.op]+" ") + ")"
}
