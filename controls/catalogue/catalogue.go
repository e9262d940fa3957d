package catalogue

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

//go:embed default.yaml
var defaultYAML []byte

// A Control is what the catalogue knows of one control ID.
type Control struct {
	ID        string `yaml:"id,required" json:"id"`
	Title     string `yaml:"title" json:"title"`         // a few words, for tables
	Statement string `yaml:"statement" json:"statement"` // one sentence an auditor can test
	Owner     string `yaml:"owner" json:"owner"`         // a role, never a person's name
	// Policy is the id of the policy that demands the control; the policy
	// register may claim controls too.
	Policy string `yaml:"policy" json:"policy,omitempty"`
	// Every is the longest time between two probes; at most 366 days.
	Every Period `yaml:"every" json:"every"`
	Test  Test   `yaml:"test" json:"test"`
	// Population names what an auditor samples from, such as "all calls in the
	// audit log".
	Population string       `yaml:"population" json:"population"`
	Parameters []Constraint `yaml:"parameters" json:"parameters,omitempty"`
	Mapping    Mapping      `yaml:"mapping" json:"mapping"`
}

// A Mapping lists what a control serves, by id.
type Mapping struct {
	Enforces  []string `yaml:"enforces" json:"enforces,omitempty"`   // criteria enforced in code
	Evidences []string `yaml:"evidences" json:"evidences,omitempty"` // criteria it leaves evidence for
	ISO27001  []string `yaml:"iso27001" json:"iso27001,omitempty"`   // ISO/IEC 27001:2022 Annex A, such as A.8.5
	CSF       []string `yaml:"csf" json:"csf,omitempty"`             // NIST CSF 2.0 subcategories, such as PR.AA-03
	GDPR      []string `yaml:"gdpr" json:"gdpr,omitempty"`           // articles, such as Art. 32
}

// A Test is how a control is tested.
type Test string

// The kinds of test.
const (
	Inspection    Test = "inspection"    // a configuration or record is looked at
	Observation   Test = "observation"   // the object's behaviour is watched
	Reperformance Test = "reperformance" // a synthetic case goes through the live object
)

// UnmarshalText reads a kind of test.
func (t *Test) UnmarshalText(b []byte) error {
	*t = Test(b)
	if !slices.Contains([]Test{Inspection, Observation, Reperformance}, *t) {
		return fmt.Errorf("inspection, observation or reperformance is wanted, got %q", strictyaml.Clip(string(b)))
	}
	return nil
}

// An Omission is a known control that the application does not use, and why.
type Omission struct {
	ID     string `yaml:"id,required" json:"id"`
	Reason string `yaml:"reason,required" json:"reason"`
}

// A Statement says what serves a criterion outside of the program.
type Statement struct {
	Criterion string `yaml:"criterion,required" json:"criterion"`
	Evidence  string `yaml:"evidence,required" json:"evidence"` // which document or record
	Owner     string `yaml:"owner,required" json:"owner"`       // a role
}

// A Catalogue is a set of controls. It never changes after it is made and is
// safe for concurrent use.
type Catalogue struct {
	list           []Control // sorted by ID
	byID           map[string]int
	omitted        []Omission
	organisational []Statement
}

var loadDefault = sync.OnceValues(func() (*Catalogue, error) { return empty().Overlay("default.yaml", defaultYAML) })

// Default returns the shipped catalogue. It fails only if the embedded file is
// broken, which the package's tests exclude.
func Default() (*Catalogue, error) { return loadDefault() }

func empty() *Catalogue { return &Catalogue{byID: map[string]int{}} }

// Control returns what is known of a control ID.
func (c *Catalogue) Control(id string) (Control, bool) {
	i, ok := c.byID[id]
	if !ok {
		return Control{}, false
	}
	return c.list[i].clone(), true
}

// Known reports whether the catalogue has the control ID.
func (c *Catalogue) Known(id string) bool {
	_, ok := c.byID[id]
	return ok
}

// Owner returns the role that owns the control, or the empty string for one
// that is unknown.
func (c *Catalogue) Owner(id string) string {
	entry, _ := c.Control(id)
	return entry.Owner
}

// Controls returns all controls by ID.
func (c *Catalogue) Controls() []Control {
	list := make([]Control, len(c.list))
	for i := range c.list {
		list[i] = c.list[i].clone()
	}
	return list
}

// Omitted returns the controls the application states that it does not use.
func (c *Catalogue) Omitted() []Omission { return slices.Clone(c.omitted) }

// Organisational returns what serves criteria outside of the program.
func (c *Catalogue) Organisational() []Statement { return slices.Clone(c.organisational) }

func (c *Control) clone() Control {
	copied := *c
	copied.Parameters = slices.Clone(c.Parameters)
	for i := range copied.Parameters {
		copied.Parameters[i].OneOf = slices.Clone(copied.Parameters[i].OneOf)
	}
	m := &copied.Mapping
	for _, ids := range []*[]string{&m.Enforces, &m.Evidences, &m.ISO27001, &m.CSF, &m.GDPR} {
		*ids = slices.Clone(*ids)
	}
	return copied
}

// A file is the form of default.yaml, of overlays and of snapshots.
type file struct {
	Controls       []Control   `yaml:"controls" json:"controls"`
	Omitted        []Omission  `yaml:"omitted" json:"omitted,omitempty"`
	Organisational []Statement `yaml:"organisational" json:"organisational,omitempty"`
}

// MarshalJSON writes the catalogue as it stands in evidence. The text is also
// a valid catalogue file.
func (c *Catalogue) MarshalJSON() ([]byte, error) {
	return json.Marshal(file{c.list, c.omitted, c.organisational})
}

// Parse reads a catalogue that stands alone, such as the snapshot in an
// evidence bundle, without the shipped one under it.
func Parse(name string, data []byte) (*Catalogue, error) { return empty().Overlay(name, data) }

// Overlay returns a new catalogue: this one with the file's statements on top.
// The name stands in messages.
func (c *Catalogue) Overlay(name string, data []byte) (*Catalogue, error) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	var f file
	if err := doc.Decode(&f); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	next := &Catalogue{
		list: c.Controls(), omitted: append(c.Omitted(), f.Omitted...),
		organisational: append(c.Organisational(), f.Organisational...),
	}
	o := overlay{doc: doc, into: next, from: c}
	o.apply(&f)
	if err := o.err(); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	slices.SortFunc(next.list, func(a, b Control) int { return strings.Compare(a.ID, b.ID) })
	next.byID = make(map[string]int, len(next.list))
	for i := range next.list {
		next.byID[next.list[i].ID] = i
	}
	return next, nil
}

// byValue lets stated parameters be found by name.
func parameter(c controls.Control, name string) (controls.Parameter, bool) {
	for _, p := range c.Parameters {
		if p.Name == name {
			return p, true
		}
	}
	return controls.Parameter{}, false
}
