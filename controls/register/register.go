package register

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// A Set is the three registers of one application.
type Set struct {
	Risks    *Risks
	Vendors  *Vendors
	Policies *Policies
}

// Load reads risks.yaml, vendors.yaml and policies.yaml. Controls named in
// them must be in the catalogue. mounted lists the controls that are live, so
// that a risk is not treated on paper only; nil means that nobody knows, and
// then this is not checked.
func Load(fsys fs.FS, cat *catalogue.Catalogue, mounted func() []controls.Control) (*Set, error) {
	if fsys == nil || cat == nil {
		return nil, errors.New("register: Load needs a file system and a catalogue")
	}
	env := env{fsys, cat, mounted, time.Now}
	r, e1 := env.risks("risks.yaml")
	v, e2 := env.vendors("vendors.yaml")
	p, e3 := env.policies("policies.yaml")
	if err := errors.Join(e1, e2, e3); err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return &Set{r, v, p}, nil
}

// Controls lists the controls of the three registers.
func (s *Set) Controls() []controls.Control {
	return append(append(s.Risks.Controls(), s.Vendors.Controls()...), s.Policies.Controls()...)
}

// Issues lists what is stale or orphaned at a time.
func (s *Set) Issues(at time.Time) []Issue {
	return append(append(s.Risks.Issues(at), s.Vendors.Issues(at)...), s.Policies.Issues(at)...)
}

// An Issue is something in a register that someone has to see to.
type Issue struct {
	Register string `json:"register"` // risks, vendors or policies
	ID       string `json:"id"`       // the entry, or empty for the register
	Owner    string `json:"owner"`    // who has to
	What     string `json:"what"`
}

// String is one line for people.
func (i Issue) String() string {
	if i.ID == "" {
		return i.Register + ": " + i.What
	}
	return fmt.Sprintf("%s %s (%s): %s", i.Register, i.ID, i.Owner, i.What)
}

// env is what registers are read from and checked against.
type env struct {
	fsys    fs.FS
	cat     *catalogue.Catalogue
	mounted func() []controls.Control
	now     func() time.Time
}

// live tells for a control ID whether a component states it. Without a list
// everything counts as live.
func (e *env) live() func(id string) bool {
	if e.mounted == nil {
		return func(string) bool { return true }
	}
	ids := map[string]bool{}
	for _, c := range e.mounted() {
		ids[c.ID] = true
	}
	return func(id string) bool { return ids[id] }
}

// open reads and decodes one file.
func (e *env) open(name string, into any) (*checker, error) {
	data, err := readFile(e.fsys, name, strictyaml.MaxBytes+1)
	if err != nil {
		return nil, fmt.Errorf("%s: the file can't be read: %w", name, err)
	}
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if err := doc.Decode(into); err != nil {
		return nil, err
	}
	return &checker{doc: doc}, nil
}

// readFile reads at most limit bytes.
func readFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// A checker collects what is wrong with a decoded file.
type checker struct {
	doc  *strictyaml.Document
	errs []error
	ids  map[string]bool
}

func (c *checker) fail(field, format string, args ...any) {
	c.errs = append(c.errs, c.doc.Errorf(field, format, args...))
}

func (c *checker) err() error { return errors.Join(c.errs...) }

var idForm = regexp.MustCompile(`^[A-Z]{1,8}-[A-Z0-9]{1,12}$`)

// id wants a well-formed id that no entry before has.
func (c *checker) id(field, id string) {
	if c.ids == nil {
		c.ids = map[string]bool{}
	}
	if !idForm.MatchString(id) {
		c.fail(field, "an id such as R-12 is wanted, got %q", strictyaml.Clip(id))
	}
	if c.ids[id] {
		c.fail(field, "the id %s is used twice", strictyaml.Clip(id))
	}
	c.ids[id] = true
}

// maxReview is the longest time between two reviews.
const maxReview = 366 * 24 * time.Hour

// review wants the next review within a year of the last.
func (c *checker) review(field string, last, next time.Time) {
	if !last.IsZero() && !next.IsZero() && (!next.After(last) || next.Sub(last) > maxReview) {
		c.fail(field, "a date within 366 days after %s is wanted", last.Format(time.DateOnly))
	}
}

// other wants two different roles.
func (c *checker) other(field, a, b, what string) {
	if a != "" && strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) {
		c.fail(field, "someone other than the %s is wanted", what)
	}
}

func (c *checker) oneOf(field, got string, want []string) {
	for _, w := range want {
		if got == w {
			return
		}
	}
	c.fail(field, "one of %s is wanted, got %q", strings.Join(want, ", "), strictyaml.Clip(got))
}

// past reports whether the day has ended. Dates are days in UTC.
func past(day, at time.Time) bool { return !day.IsZero() && !at.Before(day.AddDate(0, 0, 1)) }

// summary turns issues into the result of a probe.
func summary(issues []Issue, passed string, args ...any) controls.Result {
	if len(issues) == 0 {
		return controls.Passed(passed, args...)
	}
	const show = 3
	lines := make([]string, 0, show)
	for _, i := range issues[:min(show, len(issues))] {
		lines = append(lines, i.String())
	}
	more := ""
	if n := len(issues) - len(lines); n > 0 {
		more = fmt.Sprintf("; and %d more", n)
	}
	return controls.Failed("%s%s", strings.Join(lines, "; "), more)
}
