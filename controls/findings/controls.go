package findings

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// Controls lists controls.findings. Its probe takes a synthetic finding
// through the states in a store of its own, trying each short cut, and then
// looks at the live findings of Options.Tenant: each must obey the rules, and
// none may be overdue for a day without having been escalated.
func (t *Tracker) Controls() []controls.Control {
	return []controls.Control{{
		ID: "controls.findings",
		Parameters: []controls.Parameter{
			controls.Duration("due_critical", t.opts.Due[Critical]), controls.Duration("due_high", t.opts.Due[High]),
			controls.Duration("due_medium", t.opts.Due[Medium]), controls.Duration("due_low", t.opts.Due[Low]),
			controls.Duration("max_acceptance", t.opts.MaxAcceptance),
		},
		Probe: t.probe,
	}}
}

func (t *Tracker) probe(ctx context.Context) controls.Result {
	if err := t.tryShortCuts(ctx); err != nil {
		return controls.Failed("%v", err)
	}
	all, err := t.All(ctx, t.opts.Tenant, Open, Acknowledged, Remediated, Verified, RiskAccepted)
	if err != nil {
		return controls.Errored("the findings can't be listed: %v", err)
	}
	late := t.now().Add(-24 * time.Hour)
	overdue := 0
	for _, f := range all {
		if err := f.Check(); err != nil {
			return controls.Failed("%v", err)
		}
		if f.Overdue(t.now()) {
			overdue++
		}
		if f.Overdue(late) && f.Escalated.IsZero() {
			return controls.Failed("%s of %s is overdue since %s and was not escalated", f.ID, f.Owner, f.Due.Format(time.DateOnly))
		}
	}
	return controls.Passed("four short cuts to closure were refused; %d findings are not closed, %d of them overdue and escalated", len(all), overdue)
}

// tryShortCuts drives a copy of the tracker over an empty store.
func (t *Tracker) tryShortCuts(ctx context.Context) error {
	discard := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	trial := &Tracker{store: NewMemory(), rec: discard, owners: func(string) string { return "probe owner" }, opts: t.opts, now: t.now}
	const tenant = "probe"
	f, err := trial.Raise(ctx, tenant, Report{Control: "controls.findings", Severity: Low, Summary: "synthetic"})
	if err != nil {
		return fmt.Errorf("a synthetic finding could not be raised: %w", err)
	}
	other := auditlog.WithActor(ctx, auditlog.Actor{ID: "probe-verifier", Tenant: tenant, Kind: auditlog.Probe})
	accept := Acceptance{Approver: "probe owner", Reason: "synthetic", Until: t.now().Add(time.Hour)}
	for _, step := range []struct {
		what string
		take func() (Finding, error)
		want error
	}{
		{"closing an open finding", func() (Finding, error) { return trial.Close(ctx, tenant, f.ID, "none") }, ErrTransition},
		{"accepting a risk as its owner", func() (Finding, error) { return trial.Accept(ctx, tenant, f.ID, accept) }, ErrDuties},
		{"acknowledging", func() (Finding, error) { return trial.Acknowledge(ctx, tenant, f.ID, "") }, nil},
		{"remediating", func() (Finding, error) { return trial.Remediate(ctx, tenant, f.ID, "synthetic") }, nil},
		{"verifying one's own remedy", func() (Finding, error) { return trial.Verify(ctx, tenant, f.ID, always(true)) }, ErrDuties},
		{"verifying while the control fails", func() (Finding, error) { return trial.Verify(other, tenant, f.ID, always(false)) }, ErrNotVerified},
	} {
		if _, err := step.take(); !errors.Is(err, step.want) {
			return fmt.Errorf("%s gave %w, want %w", step.what, orNone(err), orNone(step.want))
		}
	}
	return nil
}

var errNone = errors.New("no error")

func orNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

type always bool

func (a always) PassedSince(context.Context, string, string, time.Time) (bool, error) {
	return bool(a), nil
}
