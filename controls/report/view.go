package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

// A view is what all three forms show.
type view struct {
	System            string
	Demo              bool
	From, To, Created time.Time
	Verdict           string // one sentence
	Sound             bool
	Tiles             []tile
	Categories        []category
	Controls          []control
	Problems          []string // parameters out of bounds, unknown controls
	Missing           []string
	Omitted           []catalogue.Omission
	Gaps              []monitor.Gap
	Findings          []finding
	Populations       []evidence.Population
	Entries           int
	Registers         *registers
}

// A tile is one number of the summary.
type tile struct {
	Label, Value, Note string
	Tone               string // good, warn, bad, calm
}

type category struct {
	Name     string
	Criteria []criterion
	Counts   [4]int // by level
}

type criterion struct {
	catalogue.Coverage
	Lines []line
}

// A line is one control that serves a criterion.
type line struct {
	Key, Anchor, Title string
	How                string // enforces, evidences
	Result             string
	Tone               string
}

type control struct {
	Key, Anchor string
	catalogue.Control
	Known      bool
	Parameters []parameter
	Result     string
	Tone       string
	Observed   string
	At         time.Time
	Runs, Good int
	Strip      []mark
	Gaps       []monitor.Gap
	Criteria   []string
}

type parameter struct {
	Name, Value, Bounds string
	Problem             string
}

// A mark is one stretch of the period in a control's strip.
type mark struct{ Tone, Label string }

type finding struct {
	Tenant string
	findings.Finding
	Overdue bool
	Tone    string
}

func build(c *evidence.Content) (*view, error) {
	a := c.Assessment()
	r, err := readRegisters(c)
	if err != nil {
		return nil, err
	}
	v := &view{
		System: c.System, Demo: c.Demo, From: c.From.UTC(), To: c.To.UTC(), Created: c.Created.UTC(),
		Gaps: c.History.Gaps, Missing: a.Missing, Omitted: c.Catalogue.Omitted(), Populations: c.Populations, Entries: len(c.History.Entries), Registers: r,
	}
	for _, p := range a.Problems {
		v.Problems = append(v.Problems, p.Err.Error())
	}
	v.controls(c, a)
	v.criteria(c, a)
	v.findings(c)
	v.summary()
	return v, nil
}

func toneOf(s controls.State) string {
	switch s {
	case controls.Pass:
		return "good"
	case controls.NotApplicable:
		return "calm"
	case controls.Fail:
		return "bad"
	}
	return "warn"
}

// anchor makes an id that needs no escaping and differs for different keys.
func anchor(key string) string {
	b := []byte("c-")
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
			b = append(b, c)
		default:
			b = fmt.Appendf(b, "_%02x", c)
		}
	}
	return string(b)
}

// strips is how many marks a control's strip has.
const strips = 60

func (v *view) controls(c *evidence.Content, a *catalogue.Assessment) {
	runs := map[string][]monitor.Entry{}
	for _, e := range c.History.Entries {
		if e.Kind == monitor.Probed {
			runs[e.Control] = append(runs[e.Control], e)
		}
	}
	for _, s := range a.Controls {
		entry, known := c.Catalogue.Control(s.ID)
		row := control{
			Key: s.Key(), Anchor: anchor(s.Key()), Control: entry, Known: known,
			Parameters: parameters(s, entry), Result: "never probed", Tone: "warn",
			Runs: len(runs[s.Key()]), Strip: strip(runs[s.Key()], c.From, c.To),
			Criteria: slices.Concat(entry.Mapping.Enforces, entry.Mapping.Evidences),
		}
		for _, e := range runs[s.Key()] {
			if e.Good() {
				row.Good++
			}
			if !e.At.Before(row.At) {
				row.Result, row.Tone, row.Observed, row.At = e.State.String(), toneOf(e.State), e.Observed, e.At
			}
		}
		for _, g := range v.Gaps {
			if g.Control == s.Key() {
				row.Gaps = append(row.Gaps, g)
			}
		}
		v.Controls = append(v.Controls, row)
	}
}

func parameters(s controls.Control, entry catalogue.Control) (list []parameter) {
	for _, p := range s.Parameters {
		row := parameter{Name: p.Name, Value: strings.TrimSpace(p.Value + " " + p.Unit)}
		for _, k := range entry.Parameters {
			if k.Name == p.Name {
				row.Bounds = bounds(k)
				if err := k.Check(p); err != nil {
					row.Problem = err.Error()
				}
			}
		}
		list = append(list, row)
	}
	return list
}

func bounds(c catalogue.Constraint) string {
	var parts []string
	if c.Min != nil {
		parts = append(parts, fmt.Sprintf("at least %g", *c.Min))
	}
	if c.Max != nil {
		parts = append(parts, fmt.Sprintf("at most %g", *c.Max))
	}
	if len(c.OneOf) > 0 {
		parts = append(parts, "one of "+strings.Join(c.OneOf, ", "))
	}
	return strings.Join(parts, ", ")
}

// strip divides the period into equal marks; the worst result of each shows.
func strip(runs []monitor.Entry, from, to time.Time) []mark {
	rank := map[string]int{"": 0, "good": 1, "calm": 2, "warn": 3, "bad": 4}
	marks := make([]mark, strips)
	width := max(to.Sub(from)/strips, 1)
	for _, e := range runs {
		i := int(e.At.Sub(from) / width)
		if i < 0 || e.At.After(to) {
			continue
		}
		i = min(i, strips-1)
		if t := toneOf(e.State); rank[t] > rank[marks[i].Tone] {
			marks[i] = mark{t, e.State.String()}
		}
	}
	return marks
}

func (v *view) criteria(c *evidence.Content, a *catalogue.Assessment) {
	byKey := map[string]*control{}
	for i := range v.Controls {
		byKey[v.Controls[i].Key] = &v.Controls[i]
	}
	for _, coverage := range a.Coverage {
		name := coverage.Criterion.Category()
		if n := len(v.Categories); n == 0 || v.Categories[n-1].Name != name {
			v.Categories = append(v.Categories, category{Name: name})
		}
		cat := &v.Categories[len(v.Categories)-1]
		row := criterion{Coverage: coverage}
		for how, keys := range map[string][]string{"enforces": coverage.Enforces, "evidences": coverage.Evidences} {
			for _, key := range keys {
				k := byKey[key]
				row.Lines = append(row.Lines, line{key, k.Anchor, k.Title, how, k.Result, k.Tone})
			}
		}
		slices.SortFunc(row.Lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.How, b.How), cmp.Compare(a.Key, b.Key)) })
		cat.Criteria = append(cat.Criteria, row)
		cat.Counts[coverage.Level]++
	}
}

func (v *view) findings(c *evidence.Content) {
	for tenant, list := range c.Findings {
		for _, f := range list {
			row := finding{Tenant: tenant, Finding: f, Overdue: f.Overdue(c.To), Tone: "warn"}
			switch {
			case f.State == findings.Closed:
				row.Tone = "good"
			case row.Overdue || f.Severity >= findings.High:
				row.Tone = "bad"
			}
			v.Findings = append(v.Findings, row)
		}
	}
	slices.SortFunc(v.Findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
}

// order puts what is not closed first, and there the worst.
func order(f finding) int {
	if f.State == findings.Closed {
		return 10
	}
	return -int(f.Severity)
}

func (v *view) summary() {
	var levels [4]int
	for _, c := range v.Categories {
		for i, n := range c.Counts {
			levels[i] += n
		}
	}
	good, failing := 0, 0
	for _, c := range v.Controls {
		switch c.Tone {
		case "good", "calm":
			good++
		case "bad":
			failing++
		}
	}
	open, overdue := 0, 0
	for _, f := range v.Findings {
		if f.State != findings.Closed {
			open++
		}
		if f.Overdue {
			overdue++
		}
	}
	total := levels[0] + levels[1] + levels[2] + levels[3]
	v.Tiles = []tile{
		{"Controls that stand", fmt.Sprintf("%d of %d", good, len(v.Controls)), fmt.Sprintf("%d failing", failing), tone(good == len(v.Controls), failing > 0)},
		{"Criteria served", fmt.Sprintf("%d of %d", total-levels[0], total), fmt.Sprintf("%d enforced, %d evidenced, %d outside", levels[3], levels[2], levels[1]), "calm"},
		{"Gaps in monitoring", fmt.Sprint(len(v.Gaps)), fmt.Sprintf("in %d entries", v.Entries), tone(len(v.Gaps) == 0, len(v.Gaps) > 0)},
		{"Findings not closed", fmt.Sprint(open), fmt.Sprintf("%d overdue", overdue), tone(open == 0, overdue > 0)},
	}
	v.Sound = good == len(v.Controls) && len(v.Gaps) == 0 && open == 0 && len(v.Problems) == 0
	v.Verdict = "Every mounted control stood at its last probe, no gap in monitoring, no finding open."
	if !v.Sound {
		v.Verdict = fmt.Sprintf("Not as promised: %s not standing, %s, %s, %s of the catalogue.", count(len(v.Controls)-good, "control"),
			count(len(v.Gaps), "gap"), count(open, "open finding"), count(len(v.Problems), "broken bound"))
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func tone(good, bad bool) string {
	switch {
	case good:
		return "good"
	case bad:
		return "bad"
	}
	return "warn"
}
