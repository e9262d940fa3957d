package change

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/controls"
)

// A Conflict names roles of which nobody may have more than one in a domain,
// directly or through other roles (static separation of duties).
type Conflict struct {
	Name  string
	Roles []string
}

func (o *Options) validate() error {
	for _, c := range o.Conflicts {
		if c.Name == "" || len(c.Roles) < 2 {
			return fmt.Errorf("%w: a conflict has a name and two roles or more", ErrInvalid)
		}
	}
	for i := range o.Elevations {
		if e := &o.Elevations[i]; e.Role == "" || len(e.From) == 0 || e.Longest <= 0 {
			return fmt.Errorf("%w: an elevation has a role, roles it starts from, and a longest time", ErrInvalid)
		}
	}
	return o.BreakGlass.validate()
}

// broken returns the first conflict that a set of roles is in.
func (o *Options) broken(roles []string) *Conflict {
	for i := range o.Conflicts {
		held := 0
		for _, r := range o.Conflicts[i].Roles {
			if slices.Contains(roles, r) {
				held++
			}
		}
		if held > 1 {
			return &o.Conflicts[i]
		}
	}
	return nil
}

// conflicts looks at everyone whom added lines give roles, in the policy as
// it would be.
func (k *Keeper) conflicts(next *authz.Engine, add []authz.Rule) error {
	if len(k.o.Conflicts) == 0 {
		return nil
	}
	for _, r := range add {
		if r.Kind != "g" || len(r.Fields) < 2 {
			continue
		}
		domain := domainOf(r)
		for name := range below(next.Grants(domain), r.Fields[0]) {
			roles := append(next.Roles(domain, name), name)
			if c := k.o.broken(roles); c != nil {
				return fmt.Errorf("%w: %s", ErrConflict, c.Name)
			}
		}
	}
	return nil
}

func domainOf(r authz.Rule) string {
	if len(r.Fields) > 2 {
		return r.Fields[2]
	}
	return ""
}

// below are a name and all who have it as a role.
func below(grants []authz.Grant, name string) map[string]bool {
	members := map[string][]string{}
	for _, g := range grants {
		members[g.Role] = append(members[g.Role], g.Subject)
	}
	found := map[string]bool{name: true}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, m := range members[queue[0]] {
			if !found[m] {
				found[m] = true
				queue = append(queue, m)
			}
		}
	}
	return found
}

// Controls describes the separation of duties, the way in for emergencies and
// the engine's policy. The first probe looks at every grant in force, whoever
// made it; the last one fails while the stored policy is not the one in force.
func (k *Keeper) Controls() []controls.Control {
	list := []controls.Control{{
		ID: "authz.sod", Parameters: []controls.Parameter{controls.Int("conflicts", len(k.o.Conflicts))}, Probe: k.probeConflicts,
	}}
	if k.o.BreakGlass.Alert != nil {
		list = append(list, k.o.BreakGlass.control(k))
	}
	for _, c := range k.engine.Controls() {
		probe := c.Probe
		c.Probe = func(ctx context.Context) controls.Result {
			if err := k.Ready(); err != nil {
				return controls.Failed("the policy in force stays: %v", err)
			}
			return probe(ctx)
		}
		list = append(list, c)
	}
	return list
}

func (k *Keeper) probeConflicts(context.Context) controls.Result {
	if len(k.o.Conflicts) == 0 {
		return controls.Failed("no conflicts are declared")
	}
	type holder struct{ domain, subject string }
	seen := map[holder]bool{}
	for _, g := range k.engine.Grants("") {
		h := holder{g.Domain, g.Subject}
		if seen[h] {
			continue
		}
		seen[h] = true
		if c := k.o.broken(append(k.engine.Roles(g.Domain, g.Subject), g.Subject)); c != nil {
			return controls.Failed("somebody has roles that conflict: %s", c.Name)
		}
	}
	return controls.Passed("nobody of %d holders has roles in conflict", len(seen))
}

// A Duty names actions of which one person does at most one to the same
// object, such as "pay.request" and "pay.approve" (dynamic separation of
// duties).
type Duty struct {
	Name    string
	Actions []string
}

// A History remembers who did what to an object. Whoever is asked to remember
// what another action of the duty rules out reports false, in one step.
type History interface {
	Do(ctx context.Context, tenant, duty, object, subject, action string) (bool, error)
}

// Duties asks an engine, and then whether the subject did another part of a
// duty before.
type Duties struct {
	engine  *authz.Engine
	history History
	rec     auditlog.Recorder
	list    []Duty
}

// NewDuties returns an engine's decisions with duties separated.
func NewDuties(e *authz.Engine, h History, rec auditlog.Recorder, list ...Duty) (*Duties, error) {
	if e == nil || h == nil || rec == nil || len(list) == 0 {
		return nil, errors.New("change: NewDuties needs an engine, a history, a recorder and a duty")
	}
	for _, d := range list {
		if d.Name == "" || len(d.Actions) < 2 {
			return nil, fmt.Errorf("%w: a duty has a name and two actions or more", ErrInvalid)
		}
	}
	return &Duties{e, h, rec, list}, nil
}

// Authorize decides about an action that is then done: an action of a duty is
// remembered for the object. The request's domain is the tenant of the
// history and must not be empty. A history that can't be asked denies.
func (d *Duties) Authorize(ctx context.Context, r authz.Request) (authz.Decision, error) {
	out, err := d.engine.Authorize(ctx, r)
	if err != nil || !out.Allowed {
		return out, err //nolint:wrapcheck // the engine's own
	}
	for _, duty := range d.list {
		if !slices.Contains(duty.Actions, r.Action) {
			continue
		}
		ok, err := d.history.Do(ctx, r.Domain, duty.Name, r.Object, r.Subject, r.Action)
		if err == nil && ok {
			continue
		}
		denied := authz.Decision{PolicyVersion: out.PolicyVersion, Reason: "the subject did another part of the duty " + duty.Name}
		return denied, errors.Join(err, d.rec.Record(ctx, auditlog.Event{
			Action: "authz.decide", Outcome: auditlog.Denied, Tenant: r.Domain, Reason: "authz.sod",
			Attrs: []auditlog.Attr{auditlog.String("duty", duty.Name), auditlog.String("act", short(r.Action))},
		}))
	}
	return out, nil
}

// MemoryHistory is a History in memory, for tests.
type MemoryHistory struct {
	mu   sync.Mutex
	done map[[4]string]string
}

// Do implements History.
func (h *MemoryHistory) Do(_ context.Context, tenant, duty, object, subject, action string) (bool, error) {
	if tenant == "" {
		return false, ErrNoTenant
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done == nil {
		h.done = map[[4]string]string{}
	}
	k := [4]string{tenant, duty, object, subject}
	if h.done[k] == "" {
		h.done[k] = action
	}
	return h.done[k] == action, nil
}
