package detect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/detect/sigma"
	"github.com/surety-go/surety/controls/findings"
)

// Findings takes alerts. A *findings.Tracker is one.
type Findings interface {
	Raise(ctx context.Context, tenant string, r findings.Report) (findings.Finding, error)
}

// An Alert says that a rule fired.
type Alert struct {
	Rule   Rule
	Tenant string            // of the last event
	Group  map[string]string // the rule's fields and their values
	Count  int               // events of this group so far
	First  time.Time         // of the events within the window
	Last   time.Time
	Event  auditlog.Event // the last event
}

// Subject names the rule and the group in one line.
func (a *Alert) Subject() string {
	parts := []string{a.Rule.ID}
	for _, f := range a.Rule.Group {
		parts = append(parts, f+"="+a.Group[f])
	}
	return clip(strings.Join(parts, " "), 200)
}

// An Action answers an alert, such as by locking an account for a while. It
// runs within the call that recorded the last event, so it must be quick and
// respect its context.
type Action func(ctx context.Context, a Alert) error

// Options are the optional settings of a [Detector].
type Options struct {
	// Findings gets a finding per alert; nil means none is raised.
	Findings Findings
	// Actions are what rules may name.
	Actions map[string]Action
	// MaxGroups bounds the groups remembered per rule; 0 means 10,000, at
	// most 1,000,000.
	MaxGroups int
	// Sigma are further rules in the language of Sigma; nil means none.
	Sigma *sigma.Set
	// Tenant gets the findings of events without a tenant; empty means
	// "system".
	Tenant string
	// ActionTimeout bounds one action and the finding; 0 means 5 seconds.
	ActionTimeout time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.MaxGroups == 0 {
		o.MaxGroups = 10_000
	}
	if o.Tenant == "" {
		o.Tenant = "system"
	}
	if o.ActionTimeout == 0 {
		o.ActionTimeout = 5 * time.Second
	}
	if o.MaxGroups < 1 || o.MaxGroups > 1_000_000 {
		return o, errors.New("detect: Options.MaxGroups: want 1 to 1,000,000")
	}
	if o.ActionTimeout < 0 || o.ActionTimeout > time.Minute {
		return o, errors.New("detect: Options.ActionTimeout: want more than 0 and at most a minute")
	}
	return o, nil
}

// A Detector is a Recorder that looks at what it records. It is safe for
// concurrent use.
type Detector struct {
	next  auditlog.Recorder
	rules []Rule
	opts  Options

	mu     sync.Mutex
	groups []groups
	failed error // why the last alert was not answered in full
	since  time.Time
	alerts int64
}

// New returns a detector in front of next. Rules have unrepeated IDs and name
// actions that Options.Actions has.
func New(next auditlog.Recorder, rules []Rule, opts Options) (*Detector, error) {
	if next == nil {
		return nil, errors.New("detect: New needs a recorder")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Detector{next: next, rules: slices.Clone(rules), opts: opts, groups: make([]groups, len(rules))}
	d.opts.Actions = maps.Clone(opts.Actions)
	seen := map[string]bool{}
	for i := range d.rules {
		r := &d.rules[i]
		if err := r.Validate(); err != nil {
			return nil, err
		}
		if seen[r.ID] {
			return nil, fmt.Errorf("detect: rule %q is listed twice", r.ID)
		}
		seen[r.ID] = true
		if r.Action != "" && opts.Actions[r.Action] == nil {
			return nil, fmt.Errorf("detect: rule %q names the action %q, which Options.Actions lacks", r.ID, r.Action)
		}
		d.groups[i].windows = map[string]*window{}
	}
	if opts.Sigma != nil {
		for _, r := range opts.Sigma.Rules() {
			if r.Action != "" && opts.Actions[r.Action] == nil {
				return nil, fmt.Errorf("detect: Sigma rule %q names the action %q, which Options.Actions lacks", clip(r.Key(), 64), clip(r.Action, 64))
			}
		}
	}
	return d, nil
}

// Record hands the event to the log and then compares it with the rules. Its
// error is the log's; an alert that can't be answered does not undo the event
// that caused it, it is recorded and fails the detector's probe.
func (d *Detector) Record(ctx context.Context, ev auditlog.Event) error {
	err := d.next.Record(ctx, ev)
	if ev.Actor.IsZero() {
		ev.Actor = auditlog.ActorFrom(ctx)
	}
	if ev.Tenant == "" {
		ev.Tenant = ev.Actor.Tenant
	}
	if ev.Actor.Kind == auditlog.Probe {
		return err
	}
	for _, a := range d.evaluate(&ev, time.Now()) {
		d.answer(context.WithoutCancel(ctx), a)
	}
	return err
}

// evaluate counts the event and returns the alerts it completes.
func (d *Detector) evaluate(ev *auditlog.Event, at time.Time) (alerts []Alert) {
	for i := range d.rules {
		r := &d.rules[i]
		if !slices.ContainsFunc(r.Match, func(m Match) bool { return m.matches(ev) }) {
			continue
		}
		key, ok := groupKey(r, ev)
		if !ok {
			continue
		}
		d.mu.Lock()
		w := d.groups[i].of(key, at, r, d.opts.MaxGroups)
		first, full := w.hit(at, r.Count, r.Window.Duration())
		if full && !at.Before(w.quiet) {
			w.quiet = at.Add(r.quiet())
			d.alerts++
			alerts = append(alerts, newAlert(r, ev, w.total, first, at))
		}
		d.mu.Unlock()
	}
	if d.opts.Sigma != nil {
		for _, m := range d.opts.Sigma.Evaluate(ev, at) {
			alerts = append(alerts, sigmaAlert(&m, ev))
			d.mu.Lock()
			d.alerts++
			d.mu.Unlock()
		}
	}
	return alerts
}

// sigmaAlert makes a match of a Sigma rule an alert like others.
func sigmaAlert(m *sigma.Match, ev *auditlog.Event) Alert {
	a := Alert{Tenant: m.Tenant, Group: map[string]string{}, Count: m.Count, First: m.First, Last: m.Last, Event: *ev}
	maps.Copy(a.Group, m.Group)
	if _, ok := a.Group["tenant"]; !ok && m.Tenant != "" {
		a.Group["tenant"] = m.Tenant
	}
	severity := findings.Low // of informational, too
	_ = severity.UnmarshalText([]byte(m.Rule.Level))
	a.Rule = Rule{
		ID: "sigma." + clip(m.Rule.Key(), 100), Title: clip(m.Rule.Title, 200), Severity: severity, Control: m.Rule.Control, Action: m.Rule.Action,
		Group: slices.Sorted(maps.Keys(a.Group)), Count: m.Count, Window: catalogue.Period(m.Last.Sub(m.First)),
	}
	return a
}

// groupKey joins the group's values unambiguously, or reports that the event
// lacks one.
func groupKey(r *Rule, ev *auditlog.Event) (string, bool) {
	var b strings.Builder
	for _, f := range r.Group {
		v := field(ev, f)
		if v == "" {
			return "", false
		}
		fmt.Fprintf(&b, "%d:%s", len(v), v)
	}
	return b.String(), true
}

func newAlert(r *Rule, ev *auditlog.Event, total int, first, last time.Time) Alert {
	a := Alert{Rule: *r, Tenant: ev.Tenant, Group: map[string]string{}, Count: total, First: first.UTC().Round(0), Last: last.UTC().Round(0), Event: *ev}
	for _, f := range r.Group {
		a.Group[f] = field(ev, f)
	}
	return a
}

// answer takes the action, raises the finding and records the alert.
func (d *Detector) answer(ctx context.Context, a Alert) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.ActionTimeout)
	defer cancel()
	tenant := a.Tenant
	if tenant == "" {
		tenant = d.opts.Tenant
	}
	ctx = auditlog.WithActor(ctx, auditlog.Actor{ID: "detect", Tenant: tenant, Kind: auditlog.System})
	acted := d.act(ctx, a)
	var raised error
	if d.opts.Findings != nil {
		_, raised = d.opts.Findings.Raise(ctx, tenant, findings.Report{
			Control: a.Rule.Control, Subject: a.Subject(), Severity: a.Rule.Severity,
			Summary: fmt.Sprintf("%s: %d events within %v", a.Rule.Title, a.Rule.Count, a.Rule.Window),
		})
	}
	err := errors.Join(acted, raised)
	if rerr := d.next.Record(ctx, alertEvent(a, err)); rerr != nil {
		err = errors.Join(err, rerr)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed = err; err != nil {
		d.since = time.Now()
	}
}

func (d *Detector) act(ctx context.Context, a Alert) (err error) {
	if a.Rule.Action == "" {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the action %s panicked: %v", a.Rule.Action, p)
		}
	}()
	if err := d.opts.Actions[a.Rule.Action](ctx, a); err != nil {
		return fmt.Errorf("the action %s failed: %w", a.Rule.Action, err)
	}
	return nil
}

func alertEvent(a Alert, failed error) auditlog.Event {
	ev := auditlog.Event{
		Action: "controls.detect.alert", Outcome: auditlog.Success, Reason: a.Rule.Control,
		Targets: []auditlog.Target{{Type: "rule", ID: a.Rule.ID}},
		Attrs: []auditlog.Attr{
			auditlog.String("subject", a.Subject()), auditlog.Int("count", a.Count),
			auditlog.Time("first", a.First), auditlog.String("severity", a.Rule.Severity.String()),
		},
	}
	if a.Rule.Action != "" {
		ev.Attrs = append(ev.Attrs, auditlog.String("action", a.Rule.Action))
	}
	if failed != nil {
		ev.Outcome = auditlog.Failed
		ev.Attrs = append(ev.Attrs, auditlog.String("error", clip(failed.Error(), 300)))
	}
	return ev
}

// ruleCount counts rules of both kinds.
func (d *Detector) ruleCount() int {
	n := len(d.rules)
	if d.opts.Sigma != nil {
		n += len(d.opts.Sigma.Rules())
	}
	return n
}

// Controls lists controls.detect. Its probe sends the events that would fire
// each rule through the same evaluation, in windows of its own, and fails if a
// rule stays silent; it fails too for a day after the last alert was not
// answered in full, and when groups were forgotten that could have fired.
func (d *Detector) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "controls.detect",
		Parameters: []controls.Parameter{controls.Int("rules", d.ruleCount()), controls.Int("max_groups", d.opts.MaxGroups)},
		Probe:      d.probe,
	}}
}

func (d *Detector) probe(context.Context) controls.Result {
	for i := range d.rules {
		if err := tryRule(&d.rules[i]); err != nil {
			return controls.Failed("%v", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var evicted int64
	for i := range d.groups {
		evicted += d.groups[i].evicted
	}
	if d.opts.Sigma != nil {
		evicted += d.opts.Sigma.Forgotten()
	}
	switch {
	case d.failed != nil && time.Since(d.since) < 24*time.Hour:
		return controls.Failed("the last alert was not answered in full: %s", clip(d.failed.Error(), 300))
	case evicted > 0:
		return controls.Failed("%d groups were forgotten that could have fired: raise Options.MaxGroups", evicted)
	}
	return controls.Passed("%d rules, of which %d fired on synthetic events; %d alerts so far, each answered", d.ruleCount(), len(d.rules), d.alerts)
}

// tryRule fires a rule in a detector of its own.
func tryRule(r *Rule) error {
	trial := &Detector{rules: []Rule{*r}, groups: []groups{{windows: map[string]*window{}}}, opts: Options{MaxGroups: 1}}
	ev, at := synthetic(r), time.Now()
	for i := range r.Count {
		alerts := trial.evaluate(&ev, at)
		if fired := len(alerts) > 0; fired != (i == r.Count-1) {
			return fmt.Errorf("the rule %s gave %d alerts after %d of %d events", r.ID, len(alerts), i+1, r.Count)
		}
	}
	return nil
}

// synthetic is an event that the rule counts.
func synthetic(r *Rule) auditlog.Event {
	m := r.Match[0]
	ev := auditlog.Event{
		Action: strings.Replace(m.Action, "*", "probe", 1), Reason: strings.Replace(m.Reason, "*", "probe", 1),
		Outcome: m.Outcome, Tenant: "probe", Actor: auditlog.Actor{ID: "probe"},
	}
	for _, f := range r.Group {
		if kind, ok := strings.CutPrefix(f, "target."); ok {
			ev.Targets = append(ev.Targets, auditlog.Target{Type: kind, ID: "probe"})
		}
		if key, ok := strings.CutPrefix(f, "attr."); ok {
			ev.Attrs = append(ev.Attrs, auditlog.String(key, "probe"))
		}
	}
	return ev
}

// clip shortens text to about n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}
