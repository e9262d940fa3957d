package evidence

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

// CheckOptions are the optional settings of [Bundle.Check].
type CheckOptions struct {
	// Log is what the auditor trusts of the audit log: its key and the
	// witnesses'. Nil leaves the log unchecked, and the verdict says so.
	Log *verify.Policy
	// Base is what the bundle's catalogue must not ask for less than; nil
	// means the catalogue shipped with this program.
	Base *catalogue.Catalogue
}

// A Problem says that the bundle is not what it claims.
type Problem struct {
	Check string `json:"check"` // signature, files, catalogue, parameters, history, findings, populations, log
	What  string `json:"what"`
}

// A Verdict is the result of a check.
type Verdict struct {
	Problems   []Problem `json:"problems"`   // the bundle is not what it claims
	Exceptions []string  `json:"exceptions"` // what it discloses, for the auditor to judge
	Notes      []string  `json:"notes"`      // what was not checked, and marks such as demo
}

// Intact reports whether the bundle is what it claims.
func (v *Verdict) Intact() bool { return len(v.Problems) == 0 }

// maxListed bounds what a verdict lists of a hostile bundle.
const maxListed = 1000

func (v *Verdict) problem(check, format string, args ...any) {
	if len(v.Problems) == maxListed {
		v.Problems = append(v.Problems, Problem{check, "there are more problems, which are not listed"})
	}
	if len(v.Problems) > maxListed {
		return
	}
	v.Problems = append(v.Problems, Problem{check, clip(fmt.Sprintf(format, args...))})
}

func (v *Verdict) exception(format string, args ...any) {
	if len(v.Exceptions) == maxListed {
		v.Exceptions = append(v.Exceptions, "there are more exceptions, which are not listed")
	}
	if len(v.Exceptions) > maxListed {
		return
	}
	v.Exceptions = append(v.Exceptions, clip(fmt.Sprintf(format, args...)))
}

// Check re-performs what can be re-performed without the system. The key is
// the auditor's own copy of the public key. If the signature or the files are
// wrong, nothing further is checked.
func (b *Bundle) Check(key ed25519.PublicKey, opts CheckOptions) *Verdict {
	v := &Verdict{Problems: []Problem{}, Exceptions: []string{}, Notes: []string{}}
	if err := b.signed(key); err != nil {
		v.problem("signature", "%v", err)
		return v
	}
	for _, p := range b.listed() {
		v.problem("files", "%s", p)
	}
	if !v.Intact() {
		return v
	}
	if b.Demo {
		v.Notes = append(v.Notes, "this is a demonstration: its data and credentials are not those of a real system")
	}
	b.checkCatalogue(v, opts.Base)
	b.checkParameters(v)
	b.checkHistory(v)
	b.checkFindings(v)
	b.checkPopulations(v)
	b.checkLog(v, opts.Log)
	return v
}

func (b *Bundle) checkCatalogue(v *Verdict, base *catalogue.Catalogue) {
	if base == nil {
		shipped, err := catalogue.Default()
		if err != nil {
			v.problem("catalogue", "%v", err)
			return
		}
		base = shipped
	}
	for _, less := range b.Catalogue.LooserThan(base) {
		v.problem("catalogue", "asks for less than this program's: %s", less)
	}
	for _, o := range b.Catalogue.Omitted() {
		v.exception("%s is omitted: %s", o.ID, o.Reason)
	}
	if missing := b.Assessment().Missing; len(missing) > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("%d controls of the catalogue are not mounted and not omitted: %s", len(missing), strings.Join(missing, ", ")))
	}
}

// checkParameters compares the controls as mounted, and as they were at every
// run, with the bundle's catalogue.
func (b *Bundle) checkParameters(v *Verdict) {
	seen, asked := map[string]bool{}, map[string]bool{}
	report := func(when string, list []controls.Control) {
		for _, p := range b.Catalogue.AssessStated(list).Problems {
			if text := p.Err.Error(); !seen[text] {
				seen[text] = true
				v.exception("%s: %v", when, p.Err)
			}
		}
	}
	report("at the export", b.Controls)
	for _, e := range b.History.Entries {
		if e.Kind != monitor.Probed {
			continue
		}
		if e.Control != (controls.Control{ID: e.ID, Instance: e.Instance}).Key() {
			v.problem("history", "entry %d: the control's key is not its ID and instance", e.Seq)
			continue
		}
		same := fmt.Sprintf("%s %q", e.Control, e.Parameters)
		if asked[same] {
			continue
		}
		asked[same] = true
		report("at "+e.At.Format(time.RFC3339), []controls.Control{{ID: e.ID, Instance: e.Instance, Parameters: e.Parameters}})
	}
}

func (b *Bundle) checkHistory(v *Verdict) {
	h := &b.History
	if !h.From.Equal(b.From) || !h.To.Equal(b.To) {
		v.problem("history", "it is of another period than the manifest")
	}
	gaps := monitor.Gaps(h.Entries, h.From, h.To)
	if !slices.EqualFunc(gaps, h.Gaps, sameGap) {
		v.problem("history", "%d gaps are stated, %d are found in the entries", len(h.Gaps), len(gaps))
	}
	for _, g := range gaps {
		v.exception("gap: %s", g)
	}
	latest := b.Latest()
	for _, c := range b.Controls {
		e, ok := latest[c.Key()]
		switch {
		case !ok:
			v.exception("%s is mounted and was never probed in the period", c.Key())
		case !e.Good():
			v.exception("%s: the last probe was %s: %s", c.Key(), e.State, e.Observed)
		}
	}
	b.checkPromises(v)
}

// checkPromises finds entries that promise less than the catalogue demands:
// gaps are measured by what entries promise.
func (b *Bundle) checkPromises(v *Verdict) {
	every := map[string]time.Duration{"": b.heartbeat()}
	for _, c := range b.Catalogue.Controls() {
		every[c.ID] = c.Every.Duration()
	}
	for _, e := range b.History.Entries {
		if demanded, ok := every[e.ID]; ok && e.Every > demanded {
			v.problem("history", "entry %d promises the next within %v, the catalogue demands %v", e.Seq, e.Every, demanded)
		}
	}
}

// heartbeat is the longest heartbeat that the catalogue allows.
func (b *Bundle) heartbeat() time.Duration {
	c, _ := b.Catalogue.Control("controls.monitor")
	for _, p := range c.Parameters {
		if p.Name == "heartbeat" && p.Max != nil {
			return time.Duration(*p.Max * float64(time.Second))
		}
	}
	return time.Hour
}

func sameGap(a, b monitor.Gap) bool {
	return a.Kind == b.Kind && a.Control == b.Control && a.From.Equal(b.From) && a.To.Equal(b.To) && a.Detail == b.Detail
}

func (b *Bundle) checkFindings(v *Verdict) {
	byControl := map[string][]findings.Finding{}
	for tenant, list := range b.Findings {
		ids, open := map[string]bool{}, map[[2]string]string{}
		for _, f := range list {
			if err := f.Check(); err != nil {
				v.problem("findings", "%v", err)
			}
			about := [2]string{f.Control, f.Subject}
			if ids[f.ID] || f.State != findings.Closed && open[about] != "" {
				v.problem("findings", "finding %s of %s stands twice", clip(f.ID), clip(tenant))
			}
			if ids[f.ID] = true; f.State != findings.Closed {
				open[about] = f.ID
			}
			if f.Overdue(b.To) {
				v.exception("finding %s of %s is overdue since %s: %s", f.ID, f.Owner, f.Due.Format(time.DateOnly), f.Summary)
			}
			b.checkVerified(v, &f)
			byControl[f.Control] = append(byControl[f.Control], f)
		}
	}
	for _, e := range b.History.Entries {
		if e.Kind == monitor.Probed && !e.Good() && !slices.ContainsFunc(byControl[e.Control], func(f findings.Finding) bool { return covers(&f, &e) }) {
			v.problem("findings", "entry %d: %s was %s and has no finding", e.Seq, e.Control, e.State)
		}
	}
}

// moment is how long after a run its finding may be opened.
const moment = time.Minute

// covers reports whether the finding was open when the run failed, or was
// opened because of it.
func covers(f *findings.Finding, e *monitor.Entry) bool {
	if len(f.Steps) == 0 || f.Opened.After(e.At.Add(moment)) {
		return false
	}
	last := f.Steps[len(f.Steps)-1]
	return f.State != findings.Closed || !last.At.Before(e.At)
}

// checkVerified wants a passing run between remedy and verification, as far
// as both lie in the period.
func (b *Bundle) checkVerified(v *Verdict, f *findings.Finding) {
	var remedied time.Time
	for _, s := range f.Steps {
		if s.To == findings.Remediated {
			remedied = s.At
		}
		if s.To != findings.Verified || remedied.Before(b.From) || s.At.After(b.To) {
			continue
		}
		passed := slices.ContainsFunc(b.History.Entries, func(e monitor.Entry) bool {
			about := e.Control == f.Control || e.ID == f.Control
			return about && e.Kind == monitor.Probed && e.State == controls.Pass && e.Began().After(remedied) && !e.At.After(s.At)
		})
		if !passed {
			v.problem("findings", "finding %s was verified and no passing run of %s lies between remedy and verification", clip(f.ID), clip(f.Control))
		}
	}
}

func (b *Bundle) checkPopulations(v *Verdict) {
	for _, p := range b.Manifest.Populations {
		if got := b.counts[p.Name]; got != [2]int{p.Columns, p.Rows} {
			v.problem("populations", "%s has %d rows of %d columns, stated are %d of %d", clip(p.Name), got[1], got[0], p.Rows, p.Columns)
		}
		delete(b.counts, p.Name)
		if !b.Catalogue.Known(p.Control) {
			v.problem("populations", "%s is of the control %s, which the catalogue lacks", clip(p.Name), clip(p.Control))
		}
	}
	for name := range b.counts {
		v.problem("populations", "%s is not stated in the manifest", clip(name))
	}
}
