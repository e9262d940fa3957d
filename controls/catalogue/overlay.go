package catalogue

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// An overlay applies one file and collects what is wrong with it.
type overlay struct {
	doc  *strictyaml.Document
	from *Catalogue // what was known before
	into *Catalogue
	errs []error
}

func (o *overlay) fail(field, format string, args ...any) {
	o.errs = append(o.errs, o.doc.Errorf(field, format, args...))
}

func (o *overlay) err() error { return errors.Join(o.errs...) }

func (o *overlay) apply(f *file) {
	seen := map[string]bool{}
	for i := range f.Controls {
		c, path := &f.Controls[i], fmt.Sprintf("controls[%d]", i)
		if seen[c.ID] {
			o.fail(path+".id", "the control %s is listed twice", c.ID)
			continue
		}
		seen[c.ID] = true
		if at, ok := o.from.byID[c.ID]; ok {
			o.tighten(&o.into.list[at], c, path)
		} else {
			o.add(c, path)
		}
	}
	o.omissions(f, seen)
	o.statements(f)
}

// add checks a control that is new and takes it over.
func (o *overlay) add(c *Control, path string) {
	if !controls.ValidID(c.ID) {
		o.fail(path+".id", "two to six lower-case words joined by dots are wanted")
	}
	for _, f := range []struct{ name, value string }{
		{"title", c.Title}, {"statement", c.Statement}, {"owner", c.Owner}, {"population", c.Population}, {"test", string(c.Test)},
	} {
		if f.value == "" {
			o.fail(path+"."+f.name, "the field is required for a control that is not known yet")
		}
	}
	if c.Every <= 0 {
		o.fail(path+".every", "the longest time between two probes is required, such as 1h or 7d")
	}
	if len(c.Mapping.Enforces)+len(c.Mapping.Evidences) == 0 {
		o.fail(path+".mapping", "at least one criterion is wanted under enforces or evidences")
	}
	o.mapping(c.Mapping, path+".mapping")
	for i, p := range c.Parameters {
		o.constraint(p, c.Parameters[:i], fmt.Sprintf("%s.parameters[%d]", path, i))
	}
	o.into.list = append(o.into.list, *c)
}

// tighten applies what an overlay may say about a known control.
func (o *overlay) tighten(known, c *Control, path string) {
	for _, f := range []struct{ name, value string }{
		{"title", c.Title}, {"statement", c.Statement}, {"population", c.Population}, {"test", string(c.Test)},
	} {
		if f.value != "" {
			o.fail(path+"."+f.name, "%s is a known control: its %s can't be changed", c.ID, f.name)
		}
	}
	if c.Owner != "" {
		known.Owner = c.Owner
	}
	if c.Policy != "" {
		known.Policy = c.Policy
	}
	if c.Every > known.Every {
		o.fail(path+".every", "at most %s is wanted: an overlay may test more often, not less", known.Every)
	} else if c.Every > 0 {
		known.Every = c.Every
	}
	o.mapping(c.Mapping, path+".mapping")
	known.Mapping = known.Mapping.with(c.Mapping)
	for i, p := range c.Parameters {
		o.constraint(p, c.Parameters[:i], fmt.Sprintf("%s.parameters[%d]", path, i))
		o.bound(known, p, fmt.Sprintf("%s.parameters[%d]", path, i))
	}
}

// bound narrows one constraint, or adds it.
func (o *overlay) bound(known *Control, p Constraint, path string) {
	i := slices.IndexFunc(known.Parameters, func(k Constraint) bool { return k.Name == p.Name })
	if i < 0 {
		known.Parameters = append(known.Parameters, p)
		return
	}
	narrowed, err := known.Parameters[i].narrow(p)
	if err != nil {
		o.fail(path, "%v", err)
		return
	}
	known.Parameters[i] = narrowed
}

func (o *overlay) constraint(p Constraint, before []Constraint, path string) {
	for _, b := range before {
		if b.Name == p.Name {
			o.fail(path+".name", "the parameter %s is listed twice", p.Name)
		}
	}
	if err := p.validate(); err != nil {
		o.fail(path, "%v", err)
	}
}

// The ids of other frameworks, by form: their wording is not ours to copy.
var (
	isoID  = regexp.MustCompile(`^A\.[5-8]\.([1-9]|[12][0-9]|3[0-7])$`)
	csfID  = regexp.MustCompile(`^(GV|ID|PR|DE|RS|RC)\.[A-Z]{2}-(0[1-9]|1[0-2])$`)
	gdprID = regexp.MustCompile(`^Art\. [1-9][0-9]?(\([1-9]\))?$`)
)

func (o *overlay) mapping(m Mapping, path string) {
	for name, ids := range map[string][]string{"enforces": m.Enforces, "evidences": m.Evidences} {
		for i, id := range ids {
			if _, ok := CriterionByID(id); !ok {
				o.fail(fmt.Sprintf("%s.%s[%d]", path, name, i), "an id of the Trust Services Criteria such as CC6.1 is wanted, got %q", strictyaml.Clip(id))
			}
		}
	}
	o.ids(m.ISO27001, isoID, path+".iso27001", "an Annex A id such as A.8.5")
	o.ids(m.CSF, csfID, path+".csf", "a CSF 2.0 subcategory such as PR.AA-03")
	o.ids(m.GDPR, gdprID, path+".gdpr", "an article such as Art. 32")
}

func (o *overlay) ids(ids []string, form *regexp.Regexp, path, want string) {
	for i, id := range ids {
		if !form.MatchString(id) {
			o.fail(fmt.Sprintf("%s[%d]", path, i), "%s is wanted, got %q", want, strictyaml.Clip(id))
		}
	}
}

// with returns the union of two mappings.
func (m Mapping) with(n Mapping) Mapping {
	union := func(a, b []string) []string {
		for _, id := range b {
			if !slices.Contains(a, id) {
				a = append(a, id)
			}
		}
		return a
	}
	return Mapping{
		Enforces: union(m.Enforces, n.Enforces), Evidences: union(m.Evidences, n.Evidences),
		ISO27001: union(m.ISO27001, n.ISO27001), CSF: union(m.CSF, n.CSF), GDPR: union(m.GDPR, n.GDPR),
	}
}

func (o *overlay) omissions(f *file, listed map[string]bool) {
	for i, m := range f.Omitted {
		path := fmt.Sprintf("omitted[%d].id", i)
		switch {
		case !o.known(m.ID):
			o.fail(path, "the id of a known control is wanted, got %q", strictyaml.Clip(m.ID))
		case listed[m.ID] && o.from.Known(m.ID):
			o.fail(path, "the control %s is described above and can't be omitted as well", m.ID)
		}
	}
}

func (o *overlay) known(id string) bool {
	return slices.ContainsFunc(o.into.list, func(c Control) bool { return c.ID == id })
}

func (o *overlay) statements(f *file) {
	for i, s := range f.Organisational {
		if _, ok := CriterionByID(s.Criterion); !ok {
			o.fail(fmt.Sprintf("organisational[%d].criterion", i), "an id of the Trust Services Criteria such as CC1.1 is wanted, got %q", strictyaml.Clip(s.Criterion))
		}
	}
}
