package detect

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// Limits of one rule.
const (
	MaxCount  = 1000
	MaxWindow = 7 * 24 * time.Hour
)

// A Match says which events a rule counts. An empty field matches every event.
type Match struct {
	Action  string           `yaml:"action" json:"action,omitempty"` // exact, or one "*" at its start or end
	Reason  string           `yaml:"reason" json:"reason,omitempty"` // likewise
	Outcome auditlog.Outcome `yaml:"outcome" json:"outcome,omitempty"`
}

func (m Match) matches(ev *auditlog.Event) bool {
	return auditlog.Rule{Action: m.Action, Reason: m.Reason, Outcome: m.Outcome}.Matches(ev)
}

// A Rule says which events are too many.
type Rule struct {
	ID       string            `yaml:"id,required" json:"id"`
	Title    string            `yaml:"title,required" json:"title"`
	Severity findings.Severity `yaml:"severity,required" json:"severity"`
	// Control is the ID of the control that is under attack. Its owner gets
	// the finding, which closes when its probe passes.
	Control string `yaml:"control,required" json:"control"`
	// Match lists what is counted: events that match any of it.
	Match []Match `yaml:"match,required" json:"match"`
	// Group lists the fields that tell counts apart: "tenant", "actor",
	// "target.TYPE" for the id of the first target of a type, "attr.KEY" for
	// an attribute. An event that lacks one is not counted.
	Group []string `yaml:"group,required" json:"group"`
	// Count events within Window fire the rule: 1 to 1,000.
	Count  int              `yaml:"count,required" json:"count"`
	Window catalogue.Period `yaml:"window,required" json:"window"` // at most 7 days
	// Quiet is how long a group stays silent after it fired; 0 means Window.
	Quiet catalogue.Period `yaml:"quiet" json:"quiet,omitempty"`
	// Action is the name of the action to take, or empty.
	Action string `yaml:"action" json:"action,omitempty"`
}

func (r *Rule) quiet() time.Duration {
	if r.Quiet > 0 {
		return r.Quiet.Duration()
	}
	return r.Window.Duration()
}

// Validate reports what is wrong with the rule.
func (r *Rule) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("detect: rule %q: %s", strictyaml.Clip(r.ID), fmt.Sprintf(format, args...))
	}
	switch {
	case !controls.ValidID("rule." + r.ID):
		return bad("ID: lower-case words joined by dots are wanted")
	case !controls.ValidID(r.Control):
		return bad("Control: the ID of a control is wanted")
	case r.Severity < findings.Low || r.Severity > findings.Critical:
		return bad("Severity is not stated")
	case len(r.Match) == 0:
		return bad("Match: at least one is wanted, or the rule would count nothing")
	case r.Count < 1 || r.Count > MaxCount:
		return bad("Count: 1 to %d is wanted", MaxCount)
	case r.Window <= 0 || r.Window.Duration() > MaxWindow:
		return bad("Window: more than 0 and at most %v is wanted", MaxWindow)
	case r.Quiet < 0 || r.Quiet.Duration() > MaxWindow:
		return bad("Quiet: at most %v is wanted", MaxWindow)
	case len(r.Group) == 0 || len(r.Group) > 8:
		return bad("Group: 1 to 8 fields are wanted")
	}
	for _, m := range r.Match {
		if m == (Match{}) {
			return bad("Match: an empty one would count every event")
		}
		for _, p := range []string{m.Action, m.Reason} {
			if strings.Contains(strings.TrimPrefix(strings.TrimSuffix(p, "*"), "*"), "*") || strings.HasPrefix(p, "*") && strings.HasSuffix(p, "*") {
				return bad("Match: one * at the start or the end is wanted, got %q", strictyaml.Clip(p))
			}
		}
	}
	for _, g := range r.Group {
		if !validField(g) {
			return bad("Group: tenant, actor, target.TYPE or attr.KEY is wanted, got %q", strictyaml.Clip(g))
		}
	}
	return nil
}

func validField(f string) bool {
	for _, prefix := range []string{"target.", "attr."} {
		if rest, ok := strings.CutPrefix(f, prefix); ok {
			return rest != ""
		}
	}
	return f == "tenant" || f == "actor"
}

// field reads a group's field from an event, or is empty.
func field(ev *auditlog.Event, name string) string {
	if kind, ok := strings.CutPrefix(name, "target."); ok {
		for _, t := range ev.Targets {
			if t.Type == kind {
				return t.ID
			}
		}
		return ""
	}
	if key, ok := strings.CutPrefix(name, "attr."); ok {
		for _, a := range ev.Attrs {
			if a.Key == key {
				return a.Text()
			}
		}
		return ""
	}
	if name == "actor" {
		return ev.Actor.ID
	}
	return ev.Tenant
}

// LoadRules reads rules from a strict YAML file:
//
//	rules:
//	  - id: login.failures
//	    title: Many failed logins on one account
//	    severity: high
//	    control: authn.throttle
//	    match: [{action: authn.login, outcome: denied}]
//	    group: [tenant, target.account]
//	    count: 10
//	    window: 15m
//	    action: lock
func LoadRules(name string, data []byte) ([]Rule, error) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	var f struct {
		Rules []Rule `yaml:"rules,required"`
	}
	if err := doc.Decode(&f); err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	var errs []error
	for i := range f.Rules {
		if err := f.Rules[i].Validate(); err != nil {
			errs = append(errs, doc.Errorf(fmt.Sprintf("rules[%d]", i), "%v", err))
		}
	}
	return f.Rules, errors.Join(errs...)
}

// DefaultRules returns rules against guessing: ten wrong passwords or codes on
// one account within fifteen minutes, with the action "lock", for which the
// alert's Group has "tenant" and "target.account"; and fifty refused steps of a
// login from one network, which is a finding alone.
func DefaultRules() []Rule {
	wrong := []Match{{Action: "authn.password.verify", Outcome: auditlog.Denied}, {Action: "authn.totp.verify", Outcome: auditlog.Denied}}
	refused := []Match{{Action: "authn.login.*", Outcome: auditlog.Denied}}
	const window = catalogue.Period(15 * time.Minute)
	return []Rule{
		{
			ID: "login.account", Title: "Many failed logins on one account", Severity: findings.High, Control: "authn.throttle",
			Match: wrong, Group: []string{"tenant", "target.account"}, Count: 10, Window: window, Action: "lock",
		},
		{
			ID: "login.network", Title: "Many failed logins from one network", Severity: findings.Medium, Control: "authn.throttle",
			Match: refused, Group: []string{"attr.network"}, Count: 50, Window: window,
		},
	}
}
