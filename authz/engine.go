package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/surety-go/surety/auditlog"
)

// A Request asks whether a subject may do an action to an object, in a domain
// (a tenant) where the model has domains.
type Request struct{ Subject, Domain, Object, Action string }

// A Decision is the answer. The zero Decision denies.
type Decision struct {
	Allowed bool
	// Rule is the line of the policy that decided, such as "p, owner, *, file, read".
	Rule string
	// Roles is how the subject comes to the rule's subject: itself, then each
	// role.
	Roles []string
	// Version counts the changes of the policy since it was loaded.
	Version uint64
	// Reason says in a few words why.
	Reason string
}

// An Engine answers requests by a policy. Readers are never blocked; it is
// safe for concurrent use.
type Engine struct {
	rec     auditlog.Recorder
	mu      sync.Mutex // held while the policy changes
	current atomic.Pointer[versioned]
}

type versioned struct {
	*snapshot
	version uint64
}

// New loads a model and a policy, as casbin writes them.
func New(modelText, policyText string, rec auditlog.Recorder) (*Engine, error) {
	if rec == nil {
		return nil, errors.New("authz: New needs a recorder")
	}
	m, err := parseModel(modelText)
	if err != nil {
		return nil, err
	}
	s, err := parsePolicy(m, policyText)
	if err != nil {
		return nil, err
	}
	e := &Engine{rec: rec}
	e.current.Store(&versioned{s, 1})
	return e, nil
}

// Decide answers a request. It has no effects.
func (e *Engine) Decide(r Request) Decision {
	s := e.current.Load()
	d := Decision{Version: s.version, Reason: "no rule allows it"}
	if r.Subject == "" || r.Object == "" || r.Action == "" || s.model.match[domain] != matchNone && r.Domain == "" {
		d.Reason = "the request is incomplete"
		return d
	}
	s.search(r, r.Subject, []string{r.Subject}, &d)
	return d
}

// search looks for rules of a subject and of every role it has. It reports
// whether the decision is final.
func (s *versioned) search(r Request, as string, path []string, d *Decision) bool {
	for _, i := range s.index[[3]string{as, s.key(action, r.Action), s.key(object, r.Object)}] {
		rule := &s.rules[i]
		if !s.matches(rule, r) {
			continue
		}
		if rule.deny {
			*d = Decision{Rule: rule.text, Roles: slices.Clone(path), Version: d.Version, Reason: "a rule denies it"}
			return s.model.effect == denyOverride
		}
		if !d.Allowed {
			*d = Decision{Allowed: true, Rule: rule.text, Roles: slices.Clone(path), Version: d.Version, Reason: "a rule allows it"}
		}
		if s.model.effect == allowOverride {
			return true
		}
	}
	if s.model.match[subject] != matchRole {
		return false
	}
	dom := ""
	if s.model.roles == 3 {
		dom = r.Domain
	}
	for _, role := range s.roles[[2]string{as, dom}] {
		if s.search(r, role, append(path, role), d) {
			return true
		}
	}
	return false
}

// matches compares what the index has not.
func (s *versioned) matches(r *rule, q Request) bool {
	return s.agrees(domain, r, q.Domain) && s.agrees(object, r, q.Object) && s.agrees(action, r, q.Action)
}

func (s *versioned) agrees(f field, r *rule, value string) bool {
	switch s.model.match[f] {
	case matchAny:
		return r.value[f] == "*" || value == r.value[f]
	case matchRegion:
		return r.path.MatchString(value)
	case matchEqual:
		return value == r.value[f]
	default:
		return true // the model has no such field
	}
}

// Authorize answers a request and records the answer if it is no. A denial
// that can't be recorded is an error and a denial.
func (e *Engine) Authorize(ctx context.Context, r Request) (Decision, error) {
	d := e.Decide(r)
	if d.Allowed {
		return d, nil
	}
	err := e.rec.Record(ctx, auditlog.Event{
		Action: "authz.decide", Outcome: auditlog.Denied, Tenant: r.Domain, Reason: "authz.policy",
		Attrs: []auditlog.Attr{
			auditlog.String("object", clip(r.Object)), auditlog.String("act", clip(r.Action)),
			auditlog.Int("version", int64(d.Version)), auditlog.String("why", d.Reason), //nolint:gosec // a counter
		},
	})
	if err != nil {
		return Decision{Version: d.Version, Reason: d.Reason}, fmt.Errorf("authz: %w", err)
	}
	return d, nil
}

// Grant gives a subject a role, in a domain where roles have one. It is
// recorded before it takes effect, and effective when it returns.
func (e *Engine) Grant(ctx context.Context, domain, subject, role string) error {
	return e.change(ctx, "authz.role.grant", grant{subject, role, domain}, true)
}

// Revoke takes a role away.
func (e *Engine) Revoke(ctx context.Context, domain, subject, role string) error {
	return e.change(ctx, "authz.role.revoke", grant{subject, role, domain}, false)
}

func (e *Engine) change(ctx context.Context, act string, g grant, given bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current.Load()
	switch {
	case s.model.roles == 0:
		return fmt.Errorf("%w: the model has no roles", ErrPolicy)
	case g.subject == "" || g.role == "" || (g.domain == "") != (s.model.roles == 2):
		return fmt.Errorf("%w: a role is given to a subject, and in a domain if the model has domains for roles", ErrPolicy)
	}
	next, err := s.with(g, given)
	if err != nil {
		return err
	}
	err = e.rec.Record(ctx, auditlog.Event{
		Action: act, Outcome: auditlog.Success, Tenant: g.domain,
		Targets: []auditlog.Target{{Type: "account", ID: g.subject}},
		Attrs:   []auditlog.Attr{auditlog.String("role", clip(g.role))},
	})
	if err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	e.current.Store(&versioned{next, s.version + 1})
	return nil
}

// Roles lists the roles a subject has in a domain, directly or through others.
func (e *Engine) Roles(domain, subject string) []string {
	s := e.current.Load()
	if s.model.roles == 2 {
		domain = ""
	}
	var list []string
	for queue := []string{subject}; len(queue) > 0; queue = queue[1:] {
		for _, r := range s.roles[[2]string{queue[0], domain}] {
			if !slices.Contains(list, r) {
				list = append(list, r)
				queue = append(queue, r)
			}
		}
	}
	slices.Sort(list)
	return list
}
