package lifecycle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
)

// Errors of the package, for errors.Is.
var (
	ErrNotFound = errors.New("lifecycle: no such person")
	// ErrState says that the person's state does not allow it, or changed
	// meanwhile.
	ErrState = errors.New("lifecycle: not in this state")
	// ErrSelf says that nobody approves what he asked for, or his own access.
	ErrSelf = errors.New("lifecycle: somebody else has to approve this")
	// ErrRole says that a role is not one of Options.Roles.
	ErrRole = errors.New("lifecycle: unknown role")
	// ErrTaken says that the name or the external id is somebody's.
	ErrTaken = errors.New("lifecycle: the name or the id is taken")
	// ErrFeed says that a feed can't be read or would remove too many.
	ErrFeed = errors.New("lifecycle: the feed is refused")
)

// Accounts is where accounts are kept. *authnsql.Accounts is one.
type Accounts interface {
	Create(ctx context.Context, a login.Account) error
	SetDisabled(ctx context.Context, tenant, id string, disabled bool) (bool, error)
}

// A Granter gives roles. *authz.Engine is one. Its methods record what they
// do; granting what one has and taking what one hasn't is no error.
type Granter interface {
	Grant(ctx context.Context, tenant, account, role string) error
	Revoke(ctx context.Context, tenant, account, role string) error
	Roles(tenant, account string) []string
}

// An Ender ends one kind of thing that an account may have open.
type Ender struct {
	Name string
	// End ends all there is and returns the number.
	End func(ctx context.Context, tenant, account, reason string) (int, error)
	// Open returns how many there are.
	Open func(ctx context.Context, tenant, account string) (int, error)
}

// Sessions is the Ender of sessions.
func Sessions(m *session.Manager) Ender {
	return Ender{"sessions", m.EndAll, func(ctx context.Context, tenant, account string) (int, error) {
		list, err := m.List(ctx, tenant, account)
		return len(list), err //nolint:wrapcheck // says where it comes from
	}}
}

// APIKeys is the Ender of API keys.
func APIKeys(m *apikey.Manager) Ender {
	return Ender{"apikeys", m.RevokeAll, func(ctx context.Context, tenant, account string) (int, error) {
		list, err := m.List(ctx, tenant, account)
		return len(list), err //nolint:wrapcheck // likewise
	}}
}

// Parts are what a Manager is made of. All are required; the Enders are every
// kind of thing that gives access, and their absence is an error.
type Parts struct {
	Store    Store
	Accounts Accounts
	Granter  Granter
	Enders   []Ender
	Recorder auditlog.Recorder
}

// Options are the options of a [Manager].
type Options struct {
	// Roles are the roles that can be asked for. Required.
	Roles []string
	// Deadline is until when everything of somebody who leaves has ended; 0 is
	// 5 minutes, at most 24 h.
	Deadline time.Duration
	// Dormant is after how long without a sign-in an account counts as
	// dormant; 0 is 90 days.
	Dormant time.Duration
	// TrustSources lets SCIM and feeds open accounts without an approval here:
	// they were approved there. It shows in evidence.
	TrustSources bool
	// MaxLeavers is the share of people, in percent, that one feed may remove;
	// 0 is 10.
	MaxLeavers int
	// Tenants lists the tenants that the probe looks at; nil is none, and the
	// probe says so.
	Tenants func(ctx context.Context) ([]string, error)
}

// A Manager moves people through their states. It is safe for concurrent use.
type Manager struct {
	p   Parts
	o   Options
	now func() time.Time
}

// New makes a Manager.
func New(p Parts, o Options) (*Manager, error) {
	if p.Store == nil || p.Accounts == nil || p.Granter == nil || p.Recorder == nil || len(p.Enders) == 0 {
		return nil, errors.New("lifecycle: New: a part is missing")
	}
	for _, e := range p.Enders {
		if e.Name == "" || e.End == nil || e.Open == nil {
			return nil, errors.New("lifecycle: New: an Ender is incomplete")
		}
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&o.Deadline, 5 * time.Minute}, {&o.Dormant, 90 * 24 * time.Hour}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if o.MaxLeavers == 0 {
		o.MaxLeavers = 10
	}
	switch {
	case len(o.Roles) == 0:
		return nil, errors.New("lifecycle: Options: Roles: want at least one")
	case o.Deadline < time.Second || o.Deadline > 24*time.Hour:
		return nil, errors.New("lifecycle: Options: Deadline: want 1 s to 24 h")
	case o.Dormant < 24*time.Hour || o.Dormant > 366*24*time.Hour:
		return nil, errors.New("lifecycle: Options: Dormant: want 1 to 366 days")
	case o.MaxLeavers < 1 || o.MaxLeavers > 100:
		return nil, errors.New("lifecycle: Options: MaxLeavers: want 1 to 100")
	}
	p.Enders, o.Roles = slices.Clone(p.Enders), slices.Clone(o.Roles)
	return &Manager{p, o, time.Now}, nil
}

// Request asks for access. The account it makes is closed and without roles
// until Approve. Of the person, Tenant, Name, Roles and External count.
func (m *Manager) Request(ctx context.Context, p Person) (Person, error) {
	p = prepared(p, actor(ctx))
	err := m.request(ctx, &p)
	return p, err
}

// prepared is a request as it is stored.
func prepared(p Person, by string) Person {
	return Person{Tenant: p.Tenant, ID: rand.Text(), External: p.External, Name: login.Name(p.Name), State: Requested, Roles: slices.Clone(p.Roles), By: by, Rev: 1}
}

// actor is the account of the caller; empty for nobody.
func actor(ctx context.Context) string {
	who, _ := authn.FromContext(ctx)
	return who.ID
}

func (m *Manager) request(ctx context.Context, p *Person) error {
	if p.Name == "" || !session.ValidTenant(p.Tenant) || len(p.External) > 128 {
		return errors.New("lifecycle: Request: want a tenant, a name and an external id of at most 128 bytes")
	}
	if err := m.checkRoles(p.Roles); err != nil {
		return err
	}
	p.Since = m.second()
	if err := m.record(ctx, p, "authn.lifecycle.request", auditlog.Success, ""); err != nil {
		return err
	}
	switch ok, err := m.p.Store.Insert(ctx, *p); {
	case err != nil:
		return fmt.Errorf("lifecycle: store: %w", err)
	case !ok:
		return ErrTaken
	}
	if err := m.p.Accounts.Create(ctx, login.Account{Tenant: p.Tenant, ID: p.ID, Name: p.Name, Disabled: true}); err != nil {
		return fmt.Errorf("lifecycle: accounts: %w", err)
	}
	return nil
}

func (m *Manager) checkRoles(roles []string) error {
	for i, r := range roles {
		if !slices.Contains(m.o.Roles, r) || slices.Contains(roles[:i], r) {
			return fmt.Errorf("%w: role %d of %d", ErrRole, i+1, len(roles))
		}
	}
	return nil
}

func (m *Manager) second() time.Time { return m.now().UTC().Truncate(time.Second) }

// Approve opens what was requested. The caller of the context is neither the
// one who asked nor the person.
func (m *Manager) Approve(ctx context.Context, tenant, id string) error {
	p, err := m.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	switch by := actor(ctx); {
	case p.State != Requested:
		return ErrState
	case by == "" || by == p.By || by == p.ID:
		return errors.Join(ErrSelf, m.record(ctx, &p, "authn.lifecycle.approve", auditlog.Denied, "authn.lifecycle.self"))
	}
	return m.open(ctx, &p, "authn.lifecycle.approve")
}

// open gives the roles and then opens the account.
func (m *Manager) open(ctx context.Context, p *Person, action string) error {
	if err := m.enter(ctx, p, Active, action, ""); err != nil {
		return err
	}
	for _, r := range p.Roles {
		if err := m.p.Granter.Grant(ctx, p.Tenant, p.ID, r); err != nil {
			return fmt.Errorf("lifecycle: granter: %w", err)
		}
	}
	if err := m.disable(ctx, p, false); err != nil {
		return err
	}
	return m.overtaken(ctx, p)
}

// overtaken takes back what was given to somebody whose state has changed
// meanwhile. Whoever changes a state writes it before he acts on it: one of
// the two sees the other.
func (m *Manager) overtaken(ctx context.Context, p *Person) error {
	now, err := m.Get(ctx, p.Tenant, p.ID)
	if err != nil || now.State == Active {
		return err
	}
	err = errors.Join(ErrState, m.disable(ctx, p, true), m.endAll(ctx, p, "overtaken"))
	if now.State != Suspended {
		err = errors.Join(err, m.revokeRoles(ctx, p))
	}
	return err
}

func (m *Manager) disable(ctx context.Context, p *Person, disabled bool) error {
	switch ok, err := m.p.Accounts.SetDisabled(ctx, p.Tenant, p.ID, disabled); {
	case err != nil:
		return fmt.Errorf("lifecycle: accounts: %w", err)
	case !ok && !disabled:
		return fmt.Errorf("lifecycle: accounts: %w", ErrNotFound)
	}
	return nil
}

// enter records a new state and writes it, if nobody else did meanwhile.
func (m *Manager) enter(ctx context.Context, p *Person, s State, action, reason string) error {
	p.State, p.Since = s, m.second()
	return m.write(ctx, p, action, reason)
}

func (m *Manager) write(ctx context.Context, p *Person, action, reason string) error {
	p.Rev++
	if err := m.record(ctx, p, action, auditlog.Success, reason); err != nil {
		return err
	}
	switch ok, err := m.p.Store.Update(ctx, *p); {
	case err != nil:
		return fmt.Errorf("lifecycle: store: %w", err)
	case !ok:
		return ErrState
	}
	return nil
}

// Get returns a person.
func (m *Manager) Get(ctx context.Context, tenant, id string) (Person, error) {
	p, err := m.p.Store.Get(ctx, tenant, id)
	if errors.Is(err, ErrNotFound) {
		return p, ErrNotFound
	}
	if err != nil || p.Tenant != tenant || p.ID != id {
		return Person{}, fmt.Errorf("lifecycle: store: %w", errors.Join(err, ErrNotFound))
	}
	return p, nil
}

// List returns the tenant's people by name.
func (m *Manager) List(ctx context.Context, tenant string) ([]Person, error) {
	list, err := m.p.Store.List(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("lifecycle: store: %w", err)
	}
	return list, nil
}

// Move gives an active person these roles in place of the ones before. Roles
// are taken before any is given.
func (m *Manager) Move(ctx context.Context, tenant, id string, roles []string) error {
	if err := m.checkRoles(roles); err != nil {
		return err
	}
	p, err := m.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	if p.State != Active {
		return ErrState
	}
	before := p.Roles
	p.Roles = slices.Clone(roles)
	if err := m.write(ctx, &p, "authn.lifecycle.move", ""); err != nil {
		return err
	}
	for _, r := range before {
		if !slices.Contains(roles, r) {
			if err := m.p.Granter.Revoke(ctx, tenant, id, r); err != nil {
				return fmt.Errorf("lifecycle: granter: %w", err)
			}
		}
	}
	for _, r := range roles {
		if err := m.p.Granter.Grant(ctx, tenant, id, r); err != nil {
			return fmt.Errorf("lifecycle: granter: %w", err)
		}
	}
	return m.overtaken(ctx, &p)
}

// Suspend closes an account for a time and ends what it has open. Its roles
// stay. The reason is a code for the audit log.
func (m *Manager) Suspend(ctx context.Context, tenant, id, reason string) error {
	p, err := m.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	if p.State != Active {
		return ErrState
	}
	if err := m.enter(ctx, &p, Suspended, "authn.lifecycle.suspend", reason); err != nil {
		return err
	}
	return errors.Join(m.disable(ctx, &p, true), m.endAll(ctx, &p, reason))
}

// Resume opens a suspended account. The caller of the context is not the
// person.
func (m *Manager) Resume(ctx context.Context, tenant, id string) error {
	p, err := m.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	switch by := actor(ctx); {
	case p.State != Suspended:
		return ErrState
	case by == "" || by == p.ID:
		return ErrSelf
	}
	return m.open(ctx, &p, "authn.lifecycle.resume")
}

func (m *Manager) endAll(ctx context.Context, p *Person, reason string) error {
	var failed []error
	for _, e := range m.p.Enders {
		if _, err := e.End(ctx, p.Tenant, p.ID, reason); err != nil {
			failed = append(failed, fmt.Errorf("lifecycle: %s: %w", e.Name, err))
		}
	}
	return errors.Join(failed...)
}

// Leave ends all access. What fails stays on record as leaving, for Sweep. To
// leave twice is no error.
func (m *Manager) Leave(ctx context.Context, tenant, id, reason string) error {
	p, err := m.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	switch p.State {
	case Left:
		return nil
	case Leaving:
	default:
		if err := m.enter(ctx, &p, Leaving, "authn.lifecycle.leave", reason); err != nil {
			return err
		}
	}
	return m.finish(ctx, &p, reason)
}

// finish closes the account first: what ends after can't be opened again.
func (m *Manager) finish(ctx context.Context, p *Person, reason string) error {
	err := errors.Join(m.disable(ctx, p, true), m.endAll(ctx, p, reason), m.revokeRoles(ctx, p))
	if err != nil {
		return err
	}
	if open, err := m.stillOpen(ctx, p); err != nil || len(open) > 0 {
		return errors.Join(err, fmt.Errorf("lifecycle: %d kinds of access are still open", len(open)))
	}
	since := p.Since
	if err := m.enter(ctx, p, Left, "authn.lifecycle.left", reason); err != nil {
		return err
	}
	if took := p.Since.Sub(since); took > m.o.Deadline {
		return m.record(ctx, p, "authn.lifecycle.overdue", auditlog.Failed, reason, auditlog.Int("seconds", took/time.Second))
	}
	return nil
}

func (m *Manager) revokeRoles(ctx context.Context, p *Person) error {
	roles := append(slices.Clone(p.Roles), m.p.Granter.Roles(p.Tenant, p.ID)...)
	slices.Sort(roles)
	for _, r := range slices.Compact(roles) {
		if err := m.p.Granter.Revoke(ctx, p.Tenant, p.ID, r); err != nil {
			return fmt.Errorf("lifecycle: granter: %w", err)
		}
	}
	return nil
}

// stillOpen names the kinds of access that somebody has.
func (m *Manager) stillOpen(ctx context.Context, p *Person) ([]string, error) {
	var open []string
	for _, e := range m.p.Enders {
		n, err := e.Open(ctx, p.Tenant, p.ID)
		if err != nil {
			return open, fmt.Errorf("lifecycle: %s: %w", e.Name, err)
		}
		if n > 0 {
			open = append(open, e.Name)
		}
	}
	if len(m.p.Granter.Roles(p.Tenant, p.ID)) > 0 {
		open = append(open, "roles")
	}
	return open, nil
}

// Sweep goes on with everybody who is leaving and returns how many have left.
// Call it every minute.
func (m *Manager) Sweep(ctx context.Context, tenant string) (int, error) {
	list, err := m.List(ctx, tenant)
	if err != nil {
		return 0, err
	}
	n := 0
	var failed []error
	for _, p := range list {
		if p.State != Leaving {
			continue
		}
		if err := m.finish(ctx, &p, "sweep"); err != nil {
			failed = append(failed, err)
			continue
		}
		n++
	}
	return n, errors.Join(failed...)
}

func (m *Manager) record(ctx context.Context, p *Person, action string, o auditlog.Outcome, reason string, attrs ...auditlog.Attr) error {
	err := m.p.Recorder.Record(ctx, auditlog.Event{
		Action: action, Outcome: o, Reason: reason, Tenant: p.Tenant, Attrs: append(attrs, auditlog.String("state", string(p.State))),
		Targets: []auditlog.Target{{Type: "account", ID: p.ID}},
	})
	if err != nil {
		return fmt.Errorf("lifecycle: record: %w", err)
	}
	return nil
}
