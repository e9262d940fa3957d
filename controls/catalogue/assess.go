package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// Errors of [Assessment.Err].
var (
	// ErrUnknown says that a component states a control the catalogue lacks.
	ErrUnknown = errors.New("catalogue: unknown control")
	// ErrParameter says that a parameter is missing or out of bounds, or that
	// a stated control is malformed.
	ErrParameter = errors.New("catalogue: parameter out of bounds")
	// ErrMissing says that a known control is neither mounted nor omitted
	// with a reason.
	ErrMissing = errors.New("catalogue: control is not mounted")
)

// A Problem is one way in which the mounted components differ from the
// catalogue.
type Problem struct {
	Control string // the control's key
	Err     error  // wraps ErrUnknown or ErrParameter
}

// A Level says what the program does for a criterion.
type Level uint8

// The levels, from nothing to most.
const (
	// None: no mounted control and no statement serves the criterion.
	None Level = iota
	// OutsideOnly: the application states what serves it outside of the program.
	OutsideOnly
	// Evidenced: a mounted control leaves evidence for it.
	Evidenced
	// Enforced: a mounted control enforces part of it.
	Enforced
)

var levelNames = [...]string{"none", "organisational", "evidence", "enforced"}

// String returns the level's name as evidence spells it.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return levelNames[None]
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a level's name.
func (l *Level) UnmarshalText(b []byte) error {
	i := slices.Index(levelNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("catalogue: unknown level %q", strictyaml.Clip(string(b)))
	}
	*l = Level(i)
	return nil
}

// A Coverage is what serves one criterion.
type Coverage struct {
	Criterion Criterion   `json:"criterion"`
	Level     Level       `json:"level"`
	Enforces  []string    `json:"enforces,omitempty"`  // keys of mounted controls
	Evidences []string    `json:"evidences,omitempty"` // keys of mounted controls
	Outside   []Statement `json:"outside,omitempty"`
}

// An Assessment compares mounted components with the catalogue.
type Assessment struct {
	// Controls are all that the components state, by key.
	Controls []controls.Control
	// Problems are unknown controls and parameters out of bounds.
	Problems []Problem
	// Missing are known controls that nothing mounts and nobody omitted.
	Missing []string
	// Coverage has one element per criterion, in the criteria's order.
	Coverage []Coverage
}

// Err joins what is wrong, or is nil. Controls that are not mounted are no
// error here, since few programs mount all; see [Assessment.Complete].
func (a *Assessment) Err() error {
	errs := make([]error, len(a.Problems))
	for i, p := range a.Problems {
		errs[i] = p.Err
	}
	return errors.Join(errs...)
}

// Complete is like [Assessment.Err] and also demands that every control of the
// catalogue is either mounted or omitted with a reason.
func (a *Assessment) Complete() error {
	errs := []error{a.Err()}
	for _, id := range a.Missing {
		errs = append(errs, fmt.Errorf("%w: %s: mount it or state in omitted why not", ErrMissing, id))
	}
	return errors.Join(errs...)
}

// Assess lists what the components state and compares it with the catalogue.
// Probes are not run.
func (c *Catalogue) Assess(components ...controls.Component) *Assessment {
	var stated []controls.Control
	for _, component := range components {
		stated = append(stated, component.Controls()...)
	}
	return c.AssessStated(stated)
}

// AssessStated is [Catalogue.Assess] for controls that were listed before,
// such as those in an evidence bundle.
func (c *Catalogue) AssessStated(stated []controls.Control) *Assessment {
	a := &Assessment{Controls: distinct(stated)}
	mounted := map[string]bool{}
	for i, s := range a.Controls {
		mounted[s.ID] = true
		for _, err := range c.compare(s) {
			a.Problems = append(a.Problems, Problem{s.Key(), err})
		}
		if i > 0 && a.Controls[i-1].Key() == s.Key() {
			a.Problems = append(a.Problems, Problem{s.Key(), fmt.Errorf("%w: %s: two objects state the same key with different parameters, give each an Instance", ErrParameter, s.Key())})
		}
	}
	for _, known := range c.list {
		omitted := slices.ContainsFunc(c.omitted, func(o Omission) bool { return o.ID == known.ID })
		if !mounted[known.ID] && !omitted {
			a.Missing = append(a.Missing, known.ID)
		}
	}
	a.Coverage = c.coverage(a.Controls)
	return a
}

// distinct returns the controls by key. What is stated twice alike is there
// once: one object is often reached by several ways, such as a policy engine
// that guards many routes.
func distinct(stated []controls.Control) []controls.Control {
	list := slices.Clone(stated)
	slices.SortStableFunc(list, func(x, y controls.Control) int {
		if c := strings.Compare(x.Key(), y.Key()); c != 0 {
			return c
		}
		return slices.CompareFunc(x.Parameters, y.Parameters, func(p, q controls.Parameter) int {
			return cmp.Or(strings.Compare(p.Name, q.Name), strings.Compare(p.Value, q.Value), strings.Compare(p.Unit, q.Unit))
		})
	})
	return slices.CompactFunc(list, func(x, y controls.Control) bool {
		return x.Key() == y.Key() && slices.Equal(x.Parameters, y.Parameters)
	})
}

// compare says what is wrong with one stated control.
func (c *Catalogue) compare(s controls.Control) (errs []error) {
	if err := s.Validate(); err != nil {
		return []error{fmt.Errorf("%w: %w", ErrParameter, err)}
	}
	known, ok := c.Control(s.ID)
	if !ok {
		return []error{fmt.Errorf("%w: %s: describe it in the application's catalogue file", ErrUnknown, s.ID)}
	}
	for _, constraint := range known.Parameters {
		p, ok := parameter(s, constraint.Name)
		if !ok {
			if !constraint.Optional {
				errs = append(errs, fmt.Errorf("%w: %s: %s is not stated", ErrParameter, s.Key(), constraint.Name))
			}
			continue
		}
		if err := constraint.Check(p); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %s: %w", ErrParameter, s.Key(), p.Name, err))
		}
	}
	return errs
}

// coverage says for each criterion which stated controls serve it.
func (c *Catalogue) coverage(stated []controls.Control) []Coverage {
	list := make([]Coverage, 0, len(criteria))
	for _, criterion := range criteria {
		v := Coverage{Criterion: criterion}
		for _, s := range stated {
			known, _ := c.Control(s.ID)
			if slices.Contains(known.Mapping.Enforces, criterion.ID) {
				v.Enforces = append(v.Enforces, s.Key())
			} else if slices.Contains(known.Mapping.Evidences, criterion.ID) {
				v.Evidences = append(v.Evidences, s.Key())
			}
		}
		for _, o := range c.organisational {
			if o.Criterion == criterion.ID {
				v.Outside = append(v.Outside, o)
			}
		}
		switch {
		case len(v.Enforces) > 0:
			v.Level = Enforced
		case len(v.Evidences) > 0:
			v.Level = Evidenced
		case len(v.Outside) > 0:
			v.Level = OutsideOnly
		}
		list = append(list, v)
	}
	return list
}

// LooserThan reports every way in which this catalogue asks for less than
// base: a control that is gone, tested less often or with wider bounds. An
// offline check compares the catalogue of a bundle with the shipped one.
func (c *Catalogue) LooserThan(base *Catalogue) []string {
	var list []string
	for _, b := range base.list {
		mine, ok := c.Control(b.ID)
		if !ok {
			list = append(list, b.ID+": the control is gone")
			continue
		}
		if mine.Every > b.Every {
			list = append(list, fmt.Sprintf("%s: tested every %s, not every %s", b.ID, mine.Every, b.Every))
		}
		for _, bound := range b.Parameters {
			list = append(list, looser(b.ID, mine.Parameters, bound)...)
		}
	}
	return list
}

func looser(id string, mine []Constraint, bound Constraint) []string {
	i := slices.IndexFunc(mine, func(m Constraint) bool { return m.Name == bound.Name })
	if i < 0 {
		return []string{fmt.Sprintf("%s: %s has no bounds any more", id, bound.Name)}
	}
	m := mine[i]
	if _, err := bound.narrow(m); err != nil {
		return []string{fmt.Sprintf("%s: %s: %v", id, bound.Name, err)}
	}
	if bound.Min != nil && m.Min == nil || bound.Max != nil && m.Max == nil || len(bound.OneOf) > 0 && len(m.OneOf) == 0 {
		return []string{fmt.Sprintf("%s: %s lost a bound", id, bound.Name)}
	}
	return nil
}
