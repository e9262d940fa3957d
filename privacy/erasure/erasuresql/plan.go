package erasuresql

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Rule says what becomes of rows that refer to a person's rows.
type Rule uint8

// The rules.
const (
	Delete Rule = iota // the row is the person's
	Unlink             // the row is someone else's: the column is set to NULL
	Keep               // the row stays as it is; its reference is not enforced or goes nowhere
)

// A Root is a table in which people are named.
type Root struct {
	Table   string
	Subject string // the column with the account id
	Tenant  string // the column with the tenant; empty if the database has one
	Rule    Rule   // Delete or Unlink
}

// A Problem is something a plan can't do, or not well.
type Problem struct {
	Kind   string // "cycle", "unreachable", "not-null", "no-index", "no-key"
	Object string // table, or table.column
}

// String writes the problem as "kind object", which is how it is waived.
func (p Problem) String() string { return p.Kind + " " + p.Object }

// A Step is one kind of rows that is erased or unlinked.
type Step struct {
	Table string
	Path  string // how the rows are found: "people.id > orders.person"
	Rule  Rule
	// where is a condition with one or two arguments: tenant and subject.
	where   string
	columns []string // to be unlinked
	tenant  bool
	depth   int
}

// A Plan is what an erasure does, in order.
type Plan struct {
	Steps    []Step
	Problems []Problem
}

// ErrPlan is returned for a schema that can't be erased from as it is.
var ErrPlan = errors.New("erasuresql: the schema has problems")

// maxSteps bounds the paths that are followed: in a dense schema their number
// can grow without bounds.
const maxSteps = 10_000

type planner struct {
	*schema
	o       Options
	byTable map[string][]foreignKey // by parent
	plan    Plan
	reached map[string]bool
	found   map[Problem]bool
}

func newPlan(s *schema, o Options) (Plan, error) {
	p := &planner{schema: s, o: o, byTable: map[string][]foreignKey{}, reached: map[string]bool{}, found: map[Problem]bool{}}
	for _, k := range s.keys {
		p.byTable[k.parent] = append(p.byTable[k.parent], k)
	}
	for _, r := range o.Roots {
		if err := p.root(r); err != nil {
			return Plan{}, err
		}
	}
	for _, name := range o.Personal {
		if s.tables[name] == nil {
			return Plan{}, fmt.Errorf("%w: there is no table %q", ErrPlan, name)
		}
		if !p.reached[name] {
			p.problem("unreachable", name)
		}
	}
	// Leaves first; what is unlinked before what is deleted.
	slices.SortStableFunc(p.plan.Steps, func(a, b Step) int {
		if (a.Rule == Unlink) != (b.Rule == Unlink) {
			return int(b.Rule) - int(a.Rule)
		}
		return b.depth - a.depth
	})
	slices.SortFunc(p.plan.Problems, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	return p.plan, nil
}

func (p *planner) problem(kind, object string) {
	x := Problem{kind, object}
	if !p.found[x] {
		p.found[x] = true
		p.plan.Problems = append(p.plan.Problems, x)
	}
}

func (p *planner) root(r Root) error {
	t := p.tables[r.Table]
	if t == nil {
		return fmt.Errorf("%w: root: there is no table %q", ErrPlan, r.Table)
	}
	where, columns := quote(r.Subject)+" = ?", []string{r.Subject}
	if r.Tenant != "" {
		where, columns = quote(r.Tenant)+" = ? AND "+where, append(columns, r.Tenant)
	}
	for _, c := range columns {
		if _, ok := t.columns[c]; !ok {
			return fmt.Errorf("%w: root: table %q has no column %q", ErrPlan, r.Table, c)
		}
	}
	if !t.indexed(columns) && !t.indexed(columns[:1]) {
		p.problem("no-index", r.Table+"."+r.Subject)
	}
	s := Step{Table: r.Table, Path: r.Table + "." + r.Subject, Rule: r.Rule, where: where, tenant: r.Tenant != ""}
	if r.Rule == Unlink {
		p.unlink(s, []string{r.Subject})
		return nil
	}
	return p.follow(s, map[string]bool{r.Table: true})
}

func (p *planner) unlink(s Step, columns []string) {
	s.Rule, s.columns = Unlink, columns
	p.reached[s.Table] = true
	for _, c := range columns {
		if p.tables[s.Table].columns[c] {
			s.columns = []string{c} // one NULL is enough to end the reference
			p.plan.Steps = append(p.plan.Steps, s)
			return
		}
	}
	p.problem("not-null", s.Table+"."+strings.Join(columns, ","))
}

// follow adds a step that deletes, and those of all rows that refer to its
// rows. path holds the tables on the way.
func (p *planner) follow(s Step, path map[string]bool) error {
	if len(p.plan.Steps) >= maxSteps {
		return fmt.Errorf("%w: more than %d ways lead from the roots; name rules that end some", ErrPlan, maxSteps)
	}
	t := p.tables[s.Table]
	p.reached[s.Table] = true
	if len(t.key) == 0 && !t.rowid && p.o.sqlite {
		p.problem("no-key", s.Table)
	}
	p.plan.Steps = append(p.plan.Steps, s)
	for _, k := range p.byTable[s.Table] {
		child := Step{
			Table: k.child, Path: s.Path + " > " + k.String(), depth: s.depth + 1, tenant: s.tenant,
			where: tuple(k.columns) + " IN (SELECT " + list(k.referred) + " FROM " + quote(s.Table) + " WHERE " + s.where + ")",
		}
		if !p.tables[k.child].indexed(k.columns) {
			p.problem("no-index", k.String())
		}
		rule, ruled := p.o.Rules[k.String()]
		switch {
		case rule == Keep:
			p.reached[k.child] = true
		case rule == Unlink:
			p.unlink(child, k.columns)
		case path[k.child]:
			if !ruled && k.child != s.Table {
				p.problem("cycle", k.String())
			}
			p.unlink(child, k.columns)
		default:
			deeper := maps.Clone(path)
			deeper[k.child] = true
			if err := p.follow(child, deeper); err != nil {
				return err
			}
		}
	}
	return nil
}

// quote quotes a name for both dialects.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func list(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quote(c)
	}
	return strings.Join(quoted, ", ")
}

func tuple(columns []string) string {
	if len(columns) == 1 {
		return quote(columns[0])
	}
	return "(" + list(columns) + ")"
}
