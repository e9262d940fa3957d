package findings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// Options are the optional settings of a [Tracker].
type Options struct {
	// Due is how long a finding may stay open. A severity that is missing has
	// its default: critical 7, high 30, medium 90, low 180 days. At most a
	// year.
	Due map[Severity]time.Duration
	// MaxAcceptance is the longest a risk may be accepted for; 0 means 90
	// days. At most a year.
	MaxAcceptance time.Duration
	// ProbeSeverity is the severity of a failed probe; 0 means High.
	ProbeSeverity Severity
	// Tenant is whose findings the tracker's own probe looks at; empty means
	// "system".
	Tenant string
}

var defaultDue = map[Severity]time.Duration{
	Critical: 7 * 24 * time.Hour, High: 30 * 24 * time.Hour, Medium: 90 * 24 * time.Hour, Low: 180 * 24 * time.Hour,
}

const year = 366 * 24 * time.Hour

func (o Options) withDefaults() (Options, error) {
	due := map[Severity]time.Duration{}
	for s, d := range defaultDue {
		due[s] = d
	}
	for s, d := range o.Due {
		if !s.valid() || d <= 0 || d > year {
			return o, fmt.Errorf("findings: Options.Due of %s: want more than 0 and at most 366 days", s)
		}
		due[s] = d
	}
	o.Due = due
	if o.MaxAcceptance == 0 {
		o.MaxAcceptance = 90 * 24 * time.Hour
	}
	if o.MaxAcceptance < 0 || o.MaxAcceptance > year {
		return o, errors.New("findings: Options.MaxAcceptance: want more than 0 and at most 366 days")
	}
	if o.ProbeSeverity == severityUnknown {
		o.ProbeSeverity = High
	}
	if !o.ProbeSeverity.valid() {
		return o, errors.New("findings: Options.ProbeSeverity is unknown")
	}
	if o.Tenant == "" {
		o.Tenant = "system"
	}
	return o, nil
}

// A Tracker moves findings through their states. It is safe for concurrent
// use and by several processes over one store.
type Tracker struct {
	store  Store
	rec    auditlog.Recorder
	owners func(control string) string
	opts   Options
	now    func() time.Time
}

// New returns a tracker. owners names the role that owns a control by its ID;
// a catalogue's Owner method does.
func New(store Store, rec auditlog.Recorder, owners func(control string) string, opts Options) (*Tracker, error) {
	if store == nil || rec == nil || owners == nil {
		return nil, errors.New("findings: New needs a store, a recorder and the controls' owners")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Tracker{store, rec, owners, opts, func() time.Time { return time.Now().UTC().Round(0) }}, nil
}

// A Report says that something is wrong.
type Report struct {
	// Control is the key of the control that is deficient: its ID, with "/"
	// and the instance when there is one. Its owner gets the finding.
	Control string
	// Subject tells findings about the same control apart; see [Finding].
	Subject  string
	Severity Severity
	// Summary is for people; it is cut to 500 bytes. No secrets, no personal
	// data.
	Summary string
}

const (
	maxNote = 500
	maxName = 200
)

func (r Report) validate() error {
	id, _, _ := strings.Cut(r.Control, "/")
	switch {
	case !controls.ValidID(id) || len(r.Control) > maxName:
		return fmt.Errorf("%w: Report.Control: want the key of a control of at most %d bytes", ErrIncomplete, maxName)
	case len(r.Subject) > maxName:
		return fmt.Errorf("%w: Report.Subject has %d bytes, limit %d", ErrIncomplete, len(r.Subject), maxName)
	case !r.Severity.valid():
		return fmt.Errorf("%w: Report.Severity is not stated", ErrIncomplete)
	case strings.TrimSpace(r.Summary) == "":
		return fmt.Errorf("%w: Report.Summary is empty", ErrIncomplete)
	}
	return nil
}

// Raise opens a finding, or counts on the one that is open already. One that
// was remediated or verified is open again, since the remedy did not hold; one
// that was raised with more severity becomes more severe and due earlier.
func (t *Tracker) Raise(ctx context.Context, tenant string, r Report) (Finding, error) {
	r.Subject, r.Summary = plainText(r.Subject), plainText(r.Summary)
	if err := r.validate(); err != nil {
		return Finding{}, err
	}
	id, _, _ := strings.Cut(r.Control, "/")
	owner := t.owners(id)
	if owner == "" {
		return Finding{}, fmt.Errorf("%w: the control %s has no owner in the catalogue", ErrIncomplete, id)
	}
	now := t.now()
	f := Finding{
		ID: "f-" + strings.ToLower(rand.Text()), Control: r.Control, Subject: r.Subject,
		Summary: clip(r.Summary, maxNote), Severity: r.Severity, Owner: owner, State: Open,
		Opened: now, Due: now.Add(t.opts.Due[r.Severity]), LastSeen: now, Seen: 1, Version: 1,
		Steps: []Step{{At: now, By: by(ctx), To: Open}},
	}
	for range attempts {
		known, created, err := t.create(ctx, tenant, f)
		if err != nil || created {
			return known, err
		}
		known, err = t.again(ctx, tenant, known, r)
		if !errors.Is(err, ErrConflict) {
			return known, err
		}
	}
	return Finding{}, ErrConflict
}

// attempts bounds the retries when several callers change one finding.
const attempts = 20

// create stores and records a finding if there is none like it.
func (t *Tracker) create(ctx context.Context, tenant string, f Finding) (Finding, bool, error) {
	known, created, err := t.store.Create(ctx, tenant, f)
	if err != nil || !created {
		return known, false, err
	}
	if err := t.record(ctx, tenant, "open", auditlog.Success, &f, ""); err != nil {
		return f, true, fmt.Errorf("findings: the finding %s is open but not recorded: %w", f.ID, err)
	}
	return f, true, nil
}

// again counts a finding that is known.
func (t *Tracker) again(ctx context.Context, tenant string, f Finding, r Report) (Finding, error) {
	now := t.now()
	f.Seen++
	f.LastSeen = now
	f.Summary = clip(r.Summary, maxNote)
	if r.Severity > f.Severity {
		f.Severity = r.Severity
		if due := now.Add(t.opts.Due[r.Severity]); due.Before(f.Due) {
			f.Due = due
		}
	}
	if f.State == Remediated || f.State == Verified {
		return t.move(ctx, tenant, f, Open, "reopen", "it happened again")
	}
	f.Version++
	return f, t.store.Update(ctx, tenant, f)
}

// ProbeFailed raises a finding for a control whose probe did not pass. It is
// what a monitor calls.
func (t *Tracker) ProbeFailed(ctx context.Context, tenant string, c controls.Control, r controls.Result) error {
	_, err := t.Raise(ctx, tenant, Report{
		Control: clip(c.Key(), maxName), Severity: t.opts.ProbeSeverity,
		Summary: ended[r.State] + ": " + r.Observed,
	})
	return err
}

var ended = map[controls.State]string{
	controls.Fail: "the probe failed", controls.Error: "the probe got no answer", controls.Inconclusive: "the probe decided nothing",
	controls.Pass: "the probe passed", controls.NotApplicable: "the control is not applicable",
}

// by names the acting person or program.
func by(ctx context.Context) string {
	if a := auditlog.ActorFrom(ctx); a.ID != "" {
		return a.ID
	}
	return "system"
}

func (t *Tracker) record(ctx context.Context, tenant, verb string, outcome auditlog.Outcome, f *Finding, note string) error {
	ev := auditlog.Event{
		Action: "controls.finding." + verb, Outcome: outcome, Tenant: tenant, Reason: f.Control,
		Targets: []auditlog.Target{{Type: "finding", ID: f.ID}, {Type: "control", ID: f.Control}},
		Attrs: []auditlog.Attr{
			auditlog.String("state", string(f.State)), auditlog.String("severity", f.Severity.String()),
			auditlog.String("owner", f.Owner), auditlog.Time("due", f.Due), auditlog.Int("seen", f.Seen),
		},
	}
	if auditlog.ActorFrom(ctx).IsZero() {
		ev.Actor = auditlog.Actor{ID: "findings", Kind: auditlog.System}
	}
	if note != "" {
		ev.Attrs = append(ev.Attrs, auditlog.String("note", clip(note, maxNote)))
	}
	return t.rec.Record(ctx, ev)
}

// plainText replaces what a database or a terminal would choke on, so that
// whoever causes a finding can't keep it from being stored.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// clip shortens text to at most n bytes without cutting a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	cut := n - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}

func same(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
