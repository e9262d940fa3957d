package review

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
)

// KeySize is the length of the key of the MACs, in bytes.
const KeySize = 32

// Errors of reviews.
var (
	// ErrPlan says what a plan lacks.
	ErrPlan = errors.New("review: bad plan")
	// ErrReviewer says that the decision is somebody else's.
	ErrReviewer = errors.New("review: this grant is for somebody else to decide")
	// ErrDecision says what a decision lacks, or why it is too late.
	ErrDecision = errors.New("review: bad decision")
	// ErrUnknown says that there is no such campaign or item.
	ErrUnknown = errors.New("review: unknown")
	// ErrForged says that the store has steps that no desk wrote, or lacks some.
	ErrForged = errors.New("review: the stored campaign was changed past the application")
	// ErrConflict says that others changed the campaign again and again.
	ErrConflict = errors.New("review: others change the campaign")
)

// A Revoker takes roles away; *change.Keeper is one.
type Revoker interface {
	Revoke(ctx context.Context, domain, subject, role, reason string) error
}

// Options adapt a desk.
type Options struct {
	// Facts tells what is known of a grant; nil is nothing, which shows in
	// evidence. An error keeps a campaign from starting.
	Facts func(ctx context.Context, tenant string, g authz.Grant) (Facts, error)
	// Remind tells a reviewer how many grants wait for them, once a day in
	// the last week; nil reminds nobody, which shows in evidence.
	Remind func(ctx context.Context, reviewer string, c Campaign, waiting int) error
	// Interval is how old the last campaign of a tenant may be; 0 is 92 days.
	Interval time.Duration
}

// A Desk runs campaigns. It is safe for concurrent use, also by several
// processes on one store.
type Desk struct {
	store  Store
	key    []byte
	engine *authz.Engine
	revoke Revoker
	rec    auditlog.Recorder
	o      Options
	now    func() time.Time
}

// New makes a desk. The key has KeySize bytes and is kept apart from the
// store; the engine has the population, and the revoker changes it.
func New(store Store, key []byte, e *authz.Engine, revoke Revoker, rec auditlog.Recorder, o Options) (*Desk, error) {
	if store == nil || e == nil || revoke == nil || rec == nil || len(key) != KeySize || o.Interval < 0 {
		return nil, fmt.Errorf("%w: New needs a store, a key of %d bytes, an engine, a revoker and a recorder", ErrPlan, KeySize)
	}
	if o.Interval == 0 {
		o.Interval = 92 * 24 * time.Hour
	}
	return &Desk{store, slices.Clone(key), e, revoke, rec, o, time.Now}, nil
}

// A Plan says what is reviewed, by whom and until when.
type Plan struct {
	Name   string   // such as "2026-Q4", at most 100 bytes
	Domain string   // of the roles; empty where roles have none
	Roles  []string // in scope; none is all
	// Reviewers are accounts by role. The role "" is for roles that have no
	// other.
	Reviewers map[string]string
	// Second decides what is escalated, and what a reviewer holds themselves.
	Second string
	// Due is the deadline, at most a year away.
	Due time.Time
	// Revoke takes away what nobody decided by the deadline. Otherwise it
	// stays, and fails the control.
	Revoke bool
}

func (p *Plan) validate(now time.Time) error {
	switch {
	case p.Name == "" || len(p.Name) > 100:
		return fmt.Errorf("%w: Name: want 1 to 100 bytes", ErrPlan)
	case !p.Due.After(now) || p.Due.After(now.AddDate(1, 0, 0)):
		return fmt.Errorf("%w: Due: want a time within a year", ErrPlan)
	case p.Second == "":
		return fmt.Errorf("%w: Second: somebody must decide what is escalated", ErrPlan)
	}
	return nil
}

// reviewer is who decides about a grant: never its subject.
func (p *Plan) reviewer(g authz.Grant) (string, error) {
	who, ok := p.Reviewers[g.Role]
	if !ok {
		who = p.Reviewers[""]
	}
	if who == g.Subject {
		who = p.Second
	}
	if who == "" || who == g.Subject {
		return "", fmt.Errorf("%w: Reviewers: nobody is there for role %q but those who hold it", ErrPlan, g.Role)
	}
	return who, nil
}

// Start fixes the population and opens a campaign.
func (d *Desk) Start(ctx context.Context, tenant string, p Plan) (Campaign, error) {
	now := d.now().UTC()
	if err := p.validate(now); err != nil {
		return Campaign{}, err
	}
	c := Campaign{
		ID: strings.ToLower(rand.Text()), Tenant: tenant, Name: p.Name, Domain: p.Domain, Roles: slices.Clone(p.Roles),
		Second: p.Second, Started: now, Due: p.Due.UTC(), Revoke: p.Revoke,
	}
	for _, g := range d.population(p) {
		i, err := d.item(ctx, tenant, &p, g)
		if err != nil {
			return Campaign{}, err
		}
		i.Number = len(c.Items) + 1
		c.Items = append(c.Items, i)
	}
	if err := d.record(ctx, &c, "start", nil, auditlog.Int("grants", len(c.Items))); err != nil {
		return Campaign{}, err
	}
	whole := c
	ok, err := d.append(ctx, &c, step{Start: &whole, At: now})
	if err == nil && !ok {
		err = ErrConflict
	}
	return c, err
}

// population lists the grants in scope, in an order that does not change.
func (d *Desk) population(p Plan) []authz.Grant {
	list := slices.DeleteFunc(d.engine.Grants(p.Domain), func(g authz.Grant) bool {
		return len(p.Roles) > 0 && !slices.Contains(p.Roles, g.Role)
	})
	slices.SortFunc(list, func(a, b authz.Grant) int {
		if n := strings.Compare(a.Role, b.Role); n != 0 {
			return n
		}
		return strings.Compare(a.Subject, b.Subject)
	})
	return list
}

func (d *Desk) item(ctx context.Context, tenant string, p *Plan, g authz.Grant) (Item, error) {
	i := Item{Subject: g.Subject, Role: g.Role}
	if g.Until != 0 {
		i.Until = time.Unix(g.Until, 0).UTC()
	}
	var err error
	if i.Reviewer, err = p.reviewer(g); err != nil {
		return i, err
	}
	if d.o.Facts != nil {
		if i.Facts, err = d.o.Facts(ctx, tenant, g); err != nil {
			return i, fmt.Errorf("review: what is known of role %q: %w", g.Role, err)
		}
	}
	return i, nil
}

// Decide enters the verdict of the context's actor about an item, with a
// reason of at most 1,000 bytes. A role that is revoked is gone when Decide
// returns; if that failed, the verdict stands and Sweep tries again.
func (d *Desk) Decide(ctx context.Context, tenant, campaign string, number int, v Verdict, reason string) (Campaign, error) {
	actor := auditlog.ActorFrom(ctx).ID
	recorded := false
	for range 8 {
		c, err := d.load(ctx, tenant, campaign)
		if err != nil {
			return Campaign{}, err
		}
		i, err := d.mayDecide(&c, number, actor, v, reason)
		if err != nil {
			return Campaign{}, err
		}
		if !recorded {
			if err := d.record(ctx, &c, "decide", i, auditlog.String("verdict", string(v)), auditlog.String("why", reason)); err != nil {
				return Campaign{}, err
			}
			recorded = true
		}
		ok, err := d.append(ctx, &c, step{Item: number, Verdict: v, Reason: reason, By: actor, At: d.now().UTC()})
		if err != nil {
			return Campaign{}, err
		}
		if ok {
			return c, d.carryOut(ctx, &c, number)
		}
	}
	return Campaign{}, ErrConflict
}

func (d *Desk) mayDecide(c *Campaign, number int, actor string, v Verdict, reason string) (*Item, error) {
	i, err := c.item(number)
	switch {
	case err != nil:
		return nil, err
	case actor == "" || i.Reviewer != actor || i.Subject == actor:
		return nil, ErrReviewer
	case v != Keep && v != Revoke && v != Escalate:
		return nil, fmt.Errorf("%w: want keep, revoke or escalate", ErrDecision)
	case reason == "" || len(reason) > 1000:
		return nil, fmt.Errorf("%w: want a reason of 1 to 1000 bytes", ErrDecision)
	case v == Escalate && (i.Escalated || i.Reviewer == c.Second || i.Subject == c.Second):
		return nil, fmt.Errorf("%w: there is nobody else to escalate to", ErrDecision)
	case i.Verdict != "" || !c.Closed.IsZero() || d.now().After(c.Due):
		return nil, fmt.Errorf("%w: it was decided, or the deadline has passed", ErrDecision)
	}
	return i, nil
}

// carryOut takes away what is to be revoked.
func (d *Desk) carryOut(ctx context.Context, c *Campaign, number int) error {
	i, err := c.item(number)
	if err != nil || i.Verdict != Revoke || !i.Revoked.IsZero() {
		return err
	}
	if err := d.revoke.Revoke(ctx, c.Domain, i.Subject, i.Role, "access review "+c.ID); err != nil {
		return fmt.Errorf("review: the decision stands and the role is not taken away yet: %w", err)
	}
	_, err = d.append(ctx, c, step{Item: number, Revoked: true, At: d.now().UTC()}) // who comes second finds nothing to take
	return err
}

// Sweep does what is due in a tenant: reminders, what the deadline brings,
// revocations that failed. One campaign that fails does not stop the others.
// Run it every hour.
func (d *Desk) Sweep(ctx context.Context, tenant string) error {
	ids, err := d.store.Campaigns(ctx, tenant)
	if err != nil {
		return fmt.Errorf("review: %w", err)
	}
	var errs []error
	for _, id := range ids {
		c, err := d.load(ctx, tenant, id)
		if err == nil && c.Closed.IsZero() {
			err = d.sweep(ctx, &c)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (d *Desk) sweep(ctx context.Context, c *Campaign) error {
	now := d.now().UTC()
	for n := range c.Items {
		if err := d.carryOut(ctx, c, n+1); err != nil {
			return err
		}
	}
	switch {
	case now.After(c.Due):
		return d.end(ctx, c, now)
	case c.unfinished() == 0:
		return d.close(ctx, c, now)
	case now.After(c.Due.AddDate(0, 0, -7)) && now.Sub(c.Reminded) >= 24*time.Hour:
		return d.remind(ctx, c, now)
	}
	return nil
}

// end carries out what the plan says of grants that nobody decided.
func (d *Desk) end(ctx context.Context, c *Campaign, now time.Time) error {
	for _, i := range c.Undecided() {
		if !c.Revoke {
			continue // it stays, and shows
		}
		const reason = "nobody decided by the deadline"
		if err := d.record(ctx, c, "decide", &i, auditlog.String("verdict", string(Revoke)), auditlog.String("why", reason)); err != nil {
			return err
		}
		ok, err := d.append(ctx, c, step{Item: i.Number, Verdict: Revoke, Reason: reason, At: now})
		if err != nil || !ok {
			return err // somebody else sweeps
		}
		if err := d.carryOut(ctx, c, i.Number); err != nil {
			return err
		}
	}
	return d.close(ctx, c, now)
}

// close ends a campaign. The event has the hash of the report.
func (d *Desk) close(ctx context.Context, c *Campaign, now time.Time) error {
	closed := *c
	closed.Closed = now
	sum := sha256.Sum256(closed.report())
	undecided := len(c.Undecided())
	if err := d.record(ctx, c, "close", nil, auditlog.Int("undecided", undecided), auditlog.String("report", hex.EncodeToString(sum[:]))); err != nil {
		return err
	}
	_, err := d.append(ctx, c, step{Close: true, At: now})
	return err
}

func (d *Desk) remind(ctx context.Context, c *Campaign, now time.Time) error {
	if d.o.Remind == nil {
		return nil
	}
	waiting := make(map[string]int)
	for _, i := range c.Undecided() {
		waiting[i.Reviewer]++
	}
	if err := d.record(ctx, c, "remind", nil, auditlog.Int("reviewers", len(waiting))); err != nil {
		return err
	}
	if ok, err := d.append(ctx, c, step{Remind: true, At: now}); err != nil || !ok {
		return err
	}
	var errs []error
	for who, n := range waiting {
		errs = append(errs, d.o.Remind(ctx, who, *c, n))
	}
	return errors.Join(errs...)
}

// Get returns a campaign.
func (d *Desk) Get(ctx context.Context, tenant, campaign string) (Campaign, error) {
	return d.load(ctx, tenant, campaign)
}

// List returns a tenant's campaigns, the latest first.
func (d *Desk) List(ctx context.Context, tenant string) ([]Campaign, error) {
	ids, err := d.store.Campaigns(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("review: %w", err)
	}
	list := make([]Campaign, 0, len(ids))
	for _, id := range ids {
		c, err := d.load(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Campaign) int { return b.Started.Compare(a.Started) })
	return list, nil
}

// Export writes the report of a campaign, as indented JSON. Once the campaign
// is closed, it is the report whose SHA-256 stands in the event of closing.
func (d *Desk) Export(ctx context.Context, w io.Writer, tenant, campaign string) error {
	c, err := d.load(ctx, tenant, campaign)
	if err == nil {
		err = d.record(ctx, &c, "export", nil)
	}
	if err == nil {
		_, err = w.Write(c.report())
	}
	return err
}

func (c *Campaign) report() []byte {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // times within this year
	}
	return append(b, '\n')
}

// load replays a campaign's steps.
func (d *Desk) load(ctx context.Context, tenant, campaign string) (Campaign, error) {
	list, err := d.store.Read(ctx, tenant, campaign)
	if err != nil {
		return Campaign{}, fmt.Errorf("review: %w", err)
	}
	if len(list) == 0 {
		return Campaign{}, fmt.Errorf("%w: campaign", ErrUnknown)
	}
	var c Campaign
	var last [sha256.Size]byte
	for n := range list {
		r := &list[n]
		if want := mac(d.key, tenant, campaign, last, r); r.Sequence != int64(n)+1 || !equal(want, r.MAC) {
			return Campaign{}, d.forged(ctx, tenant, campaign)
		}
		if err := c.apply(r.Data); err != nil {
			return Campaign{}, err
		}
		last = r.MAC
	}
	c.sequence, c.last = int64(len(list)), last
	return c, nil
}

// append adds a step behind those that the campaign has, or reports false.
func (d *Desk) append(ctx context.Context, c *Campaign, s step) (bool, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return false, fmt.Errorf("review: %w", err)
	}
	r := Record{Sequence: c.sequence + 1, Data: data}
	r.MAC = mac(d.key, c.Tenant, c.ID, c.last, &r)
	ok, err := d.store.Append(ctx, c.Tenant, c.ID, r)
	if err != nil {
		return false, fmt.Errorf("review: %w", err)
	}
	if ok {
		before, last := c.sequence, r.MAC
		err = c.apply(data)
		c.sequence, c.last = before+1, last
	}
	return ok, err
}
