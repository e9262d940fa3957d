package findings

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of this package.
var (
	ErrNotFound    = errors.New("findings: no such finding")
	ErrTransition  = errors.New("findings: the state does not allow this step")
	ErrIncomplete  = errors.New("findings: something is missing")
	ErrDuties      = errors.New("findings: someone else must do this")
	ErrNotVerified = errors.New("findings: the control does not pass yet")
	ErrConflict    = errors.New("findings: the finding was changed meanwhile")
)

// A Severity says how bad a finding is. The zero value is refused.
type Severity uint8

// The severities.
const (
	severityUnknown Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"unknown", "low", "medium", "high", "critical"}

// String returns the severity's name as evidence spells it.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[0]
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(b []byte) error {
	i := slices.Index(severityNames[:], string(b))
	if i <= 0 {
		return fmt.Errorf("low, medium, high or critical is wanted, got %q", clip(string(b), 32))
	}
	*s = Severity(i)
	return nil
}

func (s Severity) valid() bool { return s > severityUnknown && s <= Critical }

// A State is where a finding stands.
type State string

// The states.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Remediated   State = "remediated"
	Verified     State = "verified"
	Closed       State = "closed"
	RiskAccepted State = "risk-accepted"
)

// next lists the states that may follow each state.
var next = map[State][]State{
	"":           {Open},
	Open:         {Acknowledged, RiskAccepted},
	Acknowledged: {Remediated, RiskAccepted, Open},
	Remediated:   {Verified, Open},
	Verified:     {Closed, Open},
	RiskAccepted: {Open},
	Closed:       nil,
}

// Allowed reports whether a finding may go from one state to another; from is
// empty for a new finding.
func Allowed(from, to State) bool { return slices.Contains(next[from], to) }

// A Step is one change of state.
type Step struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"` // account id, or "system"
	From State     `json:"from"`
	To   State     `json:"to"`
	Note string    `json:"note,omitempty"`
}

// An Acceptance is the decision to live with a finding for a while.
type Acceptance struct {
	// Approver is who decided: a role or account id in the same spelling as
	// owners have, and never the owner.
	Approver string    `json:"approver"`
	Reason   string    `json:"reason"`
	Until    time.Time `json:"until"`
}

// A Finding is one deficiency.
type Finding struct {
	ID string `json:"id"`
	// Control is the key of the control that is deficient.
	Control string `json:"control"`
	// Subject tells findings about the same control apart, such as a detection
	// rule and the pseudonym of an account. Never personal data.
	Subject  string   `json:"subject,omitempty"`
	Summary  string   `json:"summary"`
	Severity Severity `json:"severity"`
	Owner    string   `json:"owner"`
	State    State    `json:"state"`

	Opened    time.Time `json:"opened"`
	Due       time.Time `json:"due"`
	LastSeen  time.Time `json:"last_seen"`
	Seen      int       `json:"seen"` // how often it was raised, at least 1
	Escalated time.Time `json:"escalated,omitzero"`

	// Evidence says what proves the closure.
	Evidence   string      `json:"evidence,omitempty"`
	Acceptance *Acceptance `json:"acceptance,omitempty"`
	Steps      []Step      `json:"steps"`
	// Version counts the stored changes; a [Store] compares it on update.
	Version int `json:"version"`
}

// Overdue reports whether the finding should have been closed by now. An
// accepted finding is overdue when its acceptance has ended.
func (f *Finding) Overdue(now time.Time) bool {
	switch f.State {
	case Closed:
		return false
	case RiskAccepted:
		return f.Acceptance == nil || now.After(f.Acceptance.Until)
	}
	return now.After(f.Due)
}

// Check reports how the finding contradicts the rules of this package: a step
// out of order, a missing owner, a closure without evidence. An offline check
// runs it over an export.
func (f *Finding) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("finding %s: "+format, append([]any{clip(f.ID, 64)}, args...)...))
	}
	if f.ID == "" || f.Control == "" || f.Owner == "" || f.Due.IsZero() || !f.Severity.valid() || f.Seen < 1 {
		bad("id, control, owner, due date, severity or count is missing")
	}
	var at State
	for i, s := range f.Steps {
		if s.From != at || !Allowed(s.From, s.To) {
			bad("step %d goes from %q to %q", i, s.From, s.To)
		}
		if s.By == "" || s.At.IsZero() || i > 0 && s.At.Before(f.Steps[i-1].At) {
			bad("step %d has no actor, or its time is before the step's before", i)
		}
		if s.To == Verified && f.remediedBy(i) == s.By {
			bad("step %d: who remedied verified as well", i)
		}
		at = s.To
	}
	if at != f.State {
		bad("the state is %q, the steps lead to %q", f.State, at)
	}
	if f.State == Closed && f.Evidence == "" {
		bad("it is closed without evidence")
	}
	if a := f.Acceptance; f.State == RiskAccepted && (a == nil || a.Approver == "" || a.Until.IsZero() || same(a.Approver, f.Owner)) {
		bad("the acceptance lacks an approver other than the owner, or an end")
	}
	return errors.Join(errs...)
}

// remediedBy returns who took the last step to Remediated before step i.
func (f *Finding) remediedBy(i int) string {
	for _, s := range slices.Backward(f.Steps[:i]) {
		if s.To == Remediated {
			return s.By
		}
	}
	return ""
}

// clone returns a copy that shares nothing.
func (f Finding) clone() Finding {
	f.Steps = slices.Clone(f.Steps)
	if f.Acceptance != nil {
		a := *f.Acceptance
		f.Acceptance = &a
	}
	return f
}

// MarshalBinary and UnmarshalBinary are how stores keep a finding.
func (f Finding) MarshalBinary() ([]byte, error) { return json.Marshal(plain(f)) }

// UnmarshalBinary reads what MarshalBinary wrote.
func (f *Finding) UnmarshalBinary(b []byte) error { return json.Unmarshal(b, (*plain)(f)) }

type plain Finding
