package authz

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// An Objector names the object of a call.
type Objector func(ctx context.Context, call *guard.Call) string

// Object is an object with a fixed name, such as the type "file".
func Object(name string) Objector { return func(context.Context, *guard.Call) string { return name } }

// Param is an object with a prefix and the value of a route's parameter, such
// as "/files/" and "id".
func Param(prefix, name string) Objector {
	return func(_ context.Context, call *guard.Call) string {
		v := call.Param(name)
		if v == "" {
			return ""
		}
		return prefix + v
	}
}

// Own is one object for what belongs to the caller, and another for what does
// not: mine if the route's parameter is the caller's account id.
func Own(param, mine, others string) Objector {
	return func(ctx context.Context, call *guard.Call) string {
		if p, ok := authn.FromContext(ctx); ok && p.ID == call.Param(param) {
			return mine
		}
		return others
	}
}

// Require returns the guard of phase authorise that admits callers whom the
// policy allows the action on any of the objects. The subject is the
// principal's account, the domain its tenant. A caller without an identity is
// Unauthenticated, another one PermissionDenied.
func (e *Engine) Require(action string, objects ...Objector) guard.Guard {
	return &require{e, action, objects, ""}
}

// RequireAt is [Engine.Require] with a login page for people's browsers.
func (e *Engine) RequireAt(loginPage, action string, objects ...Objector) guard.Guard {
	return &require{e, action, objects, loginPage}
}

type require struct {
	engine  *Engine
	action  string
	objects []Objector
	login   string
}

func (r *require) Phase() guard.Phase { return guard.Authorise }

func (r *require) Validate() error {
	if r.engine == nil || r.action == "" || len(r.objects) == 0 {
		return errors.New("authz: Require needs an action and an object")
	}
	return nil
}

func (r *require) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	p, ok := authn.FromContext(ctx)
	if !ok {
		return ctx, &guard.Denial{
			Control: "authn.required", Code: guard.Unauthenticated, Public: "Sign in to continue.", Location: r.login,
		}
	}
	var last Request
	for _, name := range r.objects {
		last = Request{Subject: p.ID, Domain: p.Tenant, Object: name(ctx, call), Action: r.action}
		if d := r.engine.Decide(last); d.Allowed {
			call.Attr(auditlog.String("rule", clip(d.Rule())))
			return ctx, nil
		}
	}
	if _, err := r.engine.Authorize(ctx, last); err != nil {
		return ctx, fmt.Errorf("authz: require: %w", err)
	}
	return ctx, &guard.Denial{Control: "authz.policy", Code: guard.PermissionDenied, Public: "You may not do this."}
}

// Readmit ends streams of callers who lost the right to them.
func (r *require) Readmit(ctx context.Context, call *guard.Call) error {
	p, _ := authn.FromContext(ctx)
	for _, name := range r.objects {
		if r.engine.Decide(Request{Subject: p.ID, Domain: p.Tenant, Object: name(ctx, call), Action: r.action}).Allowed {
			return nil
		}
	}
	return &guard.Denial{Control: "authz.policy", Code: guard.PermissionDenied, Public: "You may no longer do this."}
}

func (r *require) Controls() []controls.Control { return r.engine.Controls() }

// Controls describes the policy. The probe asks in the name of a subject that
// has no roles, and of nobody, about every rule of the policy.
func (e *Engine) Controls() []controls.Control {
	s := e.current.Load()
	defaults := "deny"
	for _, x := range s.m.effects {
		if x == denyOverride {
			defaults = "allow"
		}
	}
	return []controls.Control{{
		ID: "authz.policy",
		Parameters: []controls.Parameter{
			controls.Int("rules", s.count()), controls.Int("grants", s.grants()),
			controls.Int("version", int64(s.version)), //nolint:gosec // a counter
			controls.Text("default", defaults),
		},
		Probe: e.probe,
	}}
}

func (s *snapshot) count() (n int) {
	for i := range s.rules {
		n += s.rules[i].count
	}
	return n
}

func (s *snapshot) grants() (n int) {
	for i := range s.graphs {
		n += s.graphs[i].rows.count
	}
	return n
}
