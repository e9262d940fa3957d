package sigma

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// Options are the optional settings of a [Set].
type Options struct {
	// Fields maps the field names of the rules to those of this package.
	Fields map[string]string
	// MaxGroups bounds the groups remembered per correlation; 0 means 10,000.
	MaxGroups int
	// Quiet is how long a rule without correlation stays silent for a tenant
	// after it matched; 0 means 5 minutes.
	Quiet time.Duration
}

// A Match says that a rule matched.
type Match struct {
	Rule   *Rule
	Tenant string
	Group  map[string]string // of a correlation: its group-by and the values
	Count  int               // of a count: the count that was reached
	First  time.Time
	Last   time.Time
}

// A Set is rules that were loaded together. It is safe for concurrent use.
type Set struct {
	opts         Options
	rules        []*Rule // with detection
	correlations []*Rule
	silent       map[*Rule]bool // only used by correlations

	mu    sync.Mutex
	quiet map[*Rule]map[string]time.Time
}

// Load reads rule files by name. Correlations may refer to rules of any of the
// files. The error names file, line and field of every mistake.
func Load(files map[string][]byte, opts Options) (*Set, error) {
	if opts.MaxGroups == 0 {
		opts.MaxGroups = 10_000
	}
	if opts.Quiet == 0 {
		opts.Quiet = 5 * time.Minute
	}
	if opts.MaxGroups < 1 || opts.Quiet < 0 {
		return nil, errors.New("sigma: Options: MaxGroups and Quiet can't be negative")
	}
	s := &Set{opts: opts, silent: map[*Rule]bool{}, quiet: map[*Rule]map[string]time.Time{}}
	byName := map[string]*Rule{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		docs, err := strictyaml.ParseAll(name, files[name])
		if err != nil {
			errs = append(errs, err)
		}
		for _, d := range docs {
			errs = append(errs, s.add(d, byName))
		}
	}
	errs = append(errs, s.link(byName))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("sigma: %w", err)
	}
	return s, nil
}

// add takes one rule.
func (s *Set) add(d *strictyaml.Document, byName map[string]*Rule) error {
	r, err := parseRule(d)
	if err != nil {
		return err
	}
	if !controls.ValidID(r.Control) {
		return d.At(d.Root(), "tags", "surety.CONTROL wants the ID of a control, got %q", clip(r.Control))
	}
	for _, name := range []string{r.Name, r.ID} {
		if name == "" {
			continue
		}
		if byName[name] != nil {
			return d.At(d.Root(), "", "the name or id %q is used twice", clip(name))
		}
		byName[name] = r
	}
	if r.correlation != nil {
		s.correlations = append(s.correlations, r)
	} else {
		s.rules = append(s.rules, r)
	}
	return nil
}

// link resolves what correlations refer to.
func (s *Set) link(byName map[string]*Rule) error {
	var errs []error
	for _, c := range s.correlations {
		for _, name := range c.correlation.rules {
			r := byName[name]
			switch {
			case r == nil:
				errs = append(errs, fmt.Errorf("%s: correlation.rules: no rule has the name or id %q", clip(c.Title), clip(name)))
			case r.correlation != nil:
				errs = append(errs, fmt.Errorf("%s: correlation.rules: %q is a correlation itself, which is not supported", clip(c.Title), clip(name)))
			case !c.correlation.generate:
				s.silent[r] = true
			}
		}
	}
	for _, c := range s.correlations { // one correlation that generates is enough
		for _, name := range c.correlation.rules {
			if r := byName[name]; r != nil && c.correlation.generate {
				delete(s.silent, r)
			}
		}
	}
	return errors.Join(errs...)
}

// Rules returns all rules, correlations last.
func (s *Set) Rules() []*Rule { return slices.Concat(s.rules, s.correlations) }

// Forgotten counts groups that were forgotten for lack of room and could still
// have completed a correlation.
func (s *Set) Forgotten() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.correlations {
		n += r.correlation.forgotten
	}
	return n
}

// Evaluate compares an event with all rules and returns the matches it causes.
// at must come from time.Now, for its monotonic reading.
func (s *Set) Evaluate(ev *auditlog.Event, at time.Time) []Match {
	e := &event{ev, s.opts.Fields}
	var hit []*Rule
	for _, r := range s.rules {
		if r.matches(e) {
			hit = append(hit, r)
		}
	}
	if len(hit) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var matches []Match
	wall := func(t time.Time) time.Time { return t.UTC().Round(0) }
	for _, r := range hit {
		if !s.silent[r] && s.speak(r, ev.Tenant, at) {
			matches = append(matches, Match{Rule: r, Tenant: ev.Tenant, Count: 1, First: wall(at), Last: wall(at)})
		}
	}
	for _, c := range s.correlations {
		if fields, first, fired := s.correlate(c.correlation, hit, e, at); fired {
			matches = append(matches, Match{c, ev.Tenant, fields, c.correlation.count, wall(first), wall(at)})
		}
	}
	return matches
}

// correlate shows an event to a correlation once for every rule it matched. An
// event that matches two rules of a count is one event.
func (s *Set) correlate(c *correlation, hit []*Rule, e *event, at time.Time) (fields map[string]string, first time.Time, fired bool) {
	counts := c.kind == "event_count" || c.kind == "value_count"
	// Later rules first: see correlation.temporal.
	for _, name := range slices.Backward(unique(c.rules)) {
		if !slices.ContainsFunc(hit, func(r *Rule) bool { return r.Name == name || r.ID == name }) {
			continue
		}
		f, from, ok := c.see(name, e, at, s.opts.MaxGroups)
		if ok {
			fields, first, fired = f, from, true
		}
		if counts {
			break
		}
	}
	return fields, first, fired
}

func unique(names []string) (list []string) {
	for _, n := range names {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// maxTenants bounds what is remembered of rules that matched.
const maxTenants = 10_000

// speak reports whether the rule was silent for a while in this tenant.
func (s *Set) speak(r *Rule, tenant string, at time.Time) bool {
	m := s.quiet[r]
	if m == nil {
		m = map[string]time.Time{}
		s.quiet[r] = m
	}
	if last, ok := m[tenant]; ok && at.Sub(last) < s.opts.Quiet {
		return false
	}
	if len(m) >= maxTenants {
		clear(m) // to speak too often is better than to grow or be silent
	}
	m[tenant] = at
	return true
}
