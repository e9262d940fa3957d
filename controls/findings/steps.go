package findings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// A Verifier knows whether a control passed. A monitor is one.
type Verifier interface {
	// PassedSince reports whether the control's latest probe started after
	// since and passed.
	PassedSince(ctx context.Context, tenant, control string, since time.Time) (bool, error)
}

// Acknowledge says that the owner knows and has begun.
func (t *Tracker) Acknowledge(ctx context.Context, tenant, id, note string) (Finding, error) {
	return t.step(ctx, tenant, id, Acknowledged, "acknowledge", note, nil)
}

// Remediate says what was done about it; the text is required.
func (t *Tracker) Remediate(ctx context.Context, tenant, id, remedy string) (Finding, error) {
	return t.step(ctx, tenant, id, Remediated, "remediate", remedy, func(*Finding) error {
		return required("what was done", remedy)
	})
}

// Verify says that the control passes again. Someone other than who remedied
// asks for it, and the control's latest probe must have started after the
// remedy and passed.
func (t *Tracker) Verify(ctx context.Context, tenant, id string, v Verifier) (Finding, error) {
	if v == nil {
		return Finding{}, fmt.Errorf("%w: a Verifier", ErrIncomplete)
	}
	return t.step(ctx, tenant, id, Verified, "verify", "", func(f *Finding) error {
		if len(f.Steps) == 0 || f.State != Remediated {
			return nil // the transition is refused below
		}
		if f.remediedBy(len(f.Steps)) == by(ctx) {
			return fmt.Errorf("%w: %s remedied it and can't verify it as well", ErrDuties, by(ctx))
		}
		ok, err := v.PassedSince(ctx, tenant, f.Control, f.Steps[len(f.Steps)-1].At)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotVerified, err)
		}
		if !ok {
			return fmt.Errorf("%w: %s has no passing probe since the remedy", ErrNotVerified, f.Control)
		}
		return nil
	})
}

// Close ends a verified finding; evidence says what proves it and is required.
func (t *Tracker) Close(ctx context.Context, tenant, id, evidence string) (Finding, error) {
	return t.step(ctx, tenant, id, Closed, "close", evidence, func(f *Finding) error {
		f.Evidence = clip(evidence, maxNote)
		return required("evidence", evidence)
	})
}

// Accept records the decision to live with the finding until a date.
func (t *Tracker) Accept(ctx context.Context, tenant, id string, a Acceptance) (Finding, error) {
	return t.step(ctx, tenant, id, RiskAccepted, "accept", a.Reason, func(f *Finding) error {
		now := t.now()
		switch {
		case required("Acceptance.Approver", a.Approver) != nil || len(a.Approver) > maxName:
			return fmt.Errorf("%w: Acceptance.Approver of at most %d bytes", ErrIncomplete, maxName)
		case required("Acceptance.Reason", a.Reason) != nil:
			return required("Acceptance.Reason", a.Reason)
		case same(a.Approver, f.Owner) || same(by(ctx), f.Owner):
			return fmt.Errorf("%w: the owner can't accept the risk", ErrDuties)
		case !a.Until.After(now) || a.Until.After(now.Add(t.opts.MaxAcceptance)):
			return fmt.Errorf("%w: Acceptance.Until: want a time in the next %v", ErrIncomplete, t.opts.MaxAcceptance)
		}
		a.Reason = clip(a.Reason, maxNote)
		f.Acceptance = &a
		return nil
	})
}

// Reopen takes a finding back to open; the reason is required. A closed
// finding stays closed: what happens again is a new one.
func (t *Tracker) Reopen(ctx context.Context, tenant, id, reason string) (Finding, error) {
	return t.step(ctx, tenant, id, Open, "reopen", reason, func(*Finding) error { return required("the reason", reason) })
}

// Assign gives the finding to another owner.
func (t *Tracker) Assign(ctx context.Context, tenant, id, owner string) (Finding, error) {
	if required("the owner", owner) != nil || len(owner) > maxName {
		return Finding{}, fmt.Errorf("%w: an owner of at most %d bytes", ErrIncomplete, maxName)
	}
	f, err := t.store.Get(ctx, tenant, id)
	switch {
	case err != nil:
		return Finding{}, err
	case f.State == Closed:
		return f, fmt.Errorf("%w: it is closed", ErrTransition)
	case f.Acceptance != nil && f.State == RiskAccepted && same(f.Acceptance.Approver, owner):
		return f, fmt.Errorf("%w: the new owner accepted the risk", ErrDuties)
	}
	f.Owner = owner
	return t.write(ctx, tenant, f, "assign", "")
}

// step moves a finding after check has agreed.
func (t *Tracker) step(ctx context.Context, tenant, id string, to State, verb, note string, check func(*Finding) error) (Finding, error) {
	f, err := t.store.Get(ctx, tenant, id)
	if err != nil {
		return Finding{}, err
	}
	if check != nil {
		if err := check(&f); err != nil {
			return Finding{}, err
		}
	}
	return t.move(ctx, tenant, f, to, verb, note)
}

// move adds the step and writes it.
func (t *Tracker) move(ctx context.Context, tenant string, f Finding, to State, verb, note string) (Finding, error) {
	if !Allowed(f.State, to) {
		return f, fmt.Errorf("%w: from %s to %s", ErrTransition, f.State, to)
	}
	at := t.now()
	if last := f.Steps[len(f.Steps)-1].At; at.Before(last) {
		at = last // a clock that was set back must not reorder the steps
	}
	f.Steps = append(slices.Clone(f.Steps), Step{At: at, By: by(ctx), From: f.State, To: to, Note: clip(note, maxNote)})
	f.State = to
	if to == Open {
		f.Acceptance = nil
	}
	return t.write(ctx, tenant, f, verb, note)
}

// write records the change, then stores it.
func (t *Tracker) write(ctx context.Context, tenant string, f Finding, verb, note string) (Finding, error) {
	f.Version++
	if err := t.record(ctx, tenant, verb, auditlog.Success, &f, note); err != nil {
		return Finding{}, fmt.Errorf("findings: %s of %s is not done, since it can't be recorded: %w", verb, f.ID, err)
	}
	if err := t.store.Update(ctx, tenant, f); err != nil {
		undone := t.record(context.WithoutCancel(ctx), tenant, verb, auditlog.Failed, &f, "not stored: "+err.Error())
		return Finding{}, errors.Join(err, undone)
	}
	return f, nil
}

// All returns the tenant's findings by ID; with states, only those in one of
// them.
func (t *Tracker) All(ctx context.Context, tenant string, states ...State) ([]Finding, error) {
	const page = 500
	var all []Finding
	for after := ""; ; after = all[len(all)-1].ID {
		list, err := t.store.List(ctx, tenant, after, page, states...)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if len(list) < page {
			return all, nil
		}
	}
}

// Overdue returns the findings that should have been closed by now.
func (t *Tracker) Overdue(ctx context.Context, tenant string) ([]Finding, error) {
	all, err := t.All(ctx, tenant, Open, Acknowledged, Remediated, Verified, RiskAccepted)
	now := t.now()
	return slices.DeleteFunc(all, func(f Finding) bool { return !f.Overdue(now) }), err
}

// Sweep escalates overdue findings, once each, and reopens those whose
// acceptance has ended. It returns the findings it changed.
func (t *Tracker) Sweep(ctx context.Context, tenant string) ([]Finding, error) {
	overdue, err := t.Overdue(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var changed []Finding
	var errs []error
	for _, f := range overdue {
		switch {
		case f.State == RiskAccepted:
			f, err = t.move(ctx, tenant, f, Open, "reopen", "the acceptance has ended")
		case f.Escalated.IsZero():
			f.Escalated = t.now()
			f, err = t.write(ctx, tenant, f, "escalate", "overdue since "+f.Due.Format(time.DateOnly))
		default:
			continue
		}
		if errors.Is(err, ErrConflict) {
			continue // someone else is at it; the next sweep looks again
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		changed = append(changed, f)
	}
	return changed, errors.Join(errs...)
}

func required(what, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("%w: %s", ErrIncomplete, what)
	}
	return nil
}
