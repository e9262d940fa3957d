package authz

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
)

// A Change is some rules more and some fewer, as one step.
type Change struct {
	Add, Remove []Rule
}

// Apply changes the policy. The change is recorded before it takes effect,
// whole or not at all, and is effective for every decision that begins after
// Apply returns. An error leaves the policy as it is.
func (e *Engine) Apply(ctx context.Context, c Change) error {
	return e.apply(ctx, c, auditlog.Event{
		Action: "authz.policy.update", Outcome: auditlog.Success,
		Attrs: []auditlog.Attr{auditlog.Int("added", len(c.Add)), auditlog.Int("removed", len(c.Remove))},
	})
}

// Load replaces the whole policy by that of a file. If it is wrong the old
// one stays in force, and [Engine.Ready] says so until a policy loads.
func (e *Engine) Load(ctx context.Context, policyText string) error {
	list, err := ParsePolicy(policyText)
	if err == nil {
		return e.Replace(ctx, list)
	}
	e.stale.Store(&err)
	return err
}

// Replace is [Engine.Load] for rules that came from elsewhere.
func (e *Engine) Replace(ctx context.Context, list []Rule) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next, err := load(e.model, list)
	if err != nil {
		e.stale.Store(&err)
		return err
	}
	return e.publish(ctx, next, auditlog.Event{
		Action: "authz.policy.load", Outcome: auditlog.Success, Attrs: []auditlog.Attr{auditlog.Int("lines", len(list))},
	})
}

// Ready reports why the policy in force is not the one that was given last,
// or nil.
func (e *Engine) Ready() error {
	if err := e.stale.Load(); err != nil {
		return fmt.Errorf("authz: version %d is stale: %w", e.current.Load().version, *err)
	}
	return nil
}

// Grant gives a subject a role, in a domain where roles have one. It is
// recorded before it takes effect, and effective when it returns. A role that
// the subject has already is no error.
func (e *Engine) Grant(ctx context.Context, domain, subject, role string) error {
	return e.role(ctx, "authz.role.grant", domain, subject, role)
}

// Revoke takes a role away.
func (e *Engine) Revoke(ctx context.Context, domain, subject, role string) error {
	return e.role(ctx, "authz.role.revoke", domain, subject, role)
}

func (e *Engine) role(ctx context.Context, act, domain, subject, role string) error {
	r, err := e.model.grant(domain, subject, role)
	if err != nil {
		return err
	}
	ev := auditlog.Event{
		Action: act, Outcome: auditlog.Success, Tenant: domain,
		Targets: []auditlog.Target{{Type: "account", ID: subject}},
		Attrs:   []auditlog.Attr{auditlog.String("role", clip(role))},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current.Load()
	has := s.graphs[s.m.subjects].find(s.m, r.Fields) >= 0
	c := Change{Add: []Rule{r}}
	if act == "authz.role.revoke" {
		c = Change{Remove: []Rule{r}}
	}
	if has == (len(c.Add) > 0) {
		return e.publish(ctx, s.clone(), ev) // it is so already
	}
	next, err := s.change(c.Add, c.Remove)
	if err != nil {
		return err
	}
	return e.publish(ctx, next, ev)
}

// grant is the line of g that gives a role.
func (m *model) grant(domain, subject, role string) (Rule, error) {
	if m.subjects < 0 {
		return Rule{}, fmt.Errorf("%w: the model has no g", ErrPolicy)
	}
	t := &m.roles[m.subjects]
	if subject == "" || role == "" || (domain == "") == t.domain {
		return Rule{}, fmt.Errorf("%w: a role is given to a subject, and in a domain if the model has domains for roles", ErrPolicy)
	}
	r := Rule{Kind: t.name, Fields: []string{subject, role}}
	if t.domain {
		r.Fields = append(r.Fields, domain)
	}
	for range t.params {
		r.Fields = append(r.Fields, "_")
	}
	return r, nil
}

func (e *Engine) apply(ctx context.Context, c Change, ev auditlog.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next, err := e.current.Load().change(c.Add, c.Remove)
	if err != nil {
		return err
	}
	return e.publish(ctx, next, ev)
}

// publish records a change and lets it take effect. The mutex is held.
func (e *Engine) publish(ctx context.Context, next *snapshot, ev auditlog.Event) error {
	next.version = e.current.Load().version + 1
	ev.Attrs = append(ev.Attrs, auditlog.Int("version", int64(next.version))) //nolint:gosec // a counter
	if err := e.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	e.current.Store(next)
	if ev.Action == "authz.policy.load" {
		e.stale.Store(nil)
	}
	return nil
}
