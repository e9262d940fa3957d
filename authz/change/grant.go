package change

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/controls"
)

// A Grant is a role for someone.
type Grant struct {
	Domain, Subject, Role string
	Until                 time.Time // zero is without an end, if Options.Longest allows that
	Ticket, Reason        string
}

// proposal turns a grant into a change. A grant of the role that stands
// already is replaced.
func (k *Keeper) proposal(g Grant) (Proposal, error) {
	now := k.now()
	switch {
	case k.o.Ticket && g.Ticket == "":
		return Proposal{}, fmt.Errorf("%w: a grant needs a ticket", ErrInvalid)
	case !g.Until.IsZero() && !g.Until.After(now):
		return Proposal{}, fmt.Errorf("%w: the grant would have ended already", ErrInvalid)
	case k.o.Longest > 0 && (g.Until.IsZero() || g.Until.After(now.Add(k.o.Longest))):
		return Proposal{}, fmt.Errorf("%w: a grant ends within %v", ErrInvalid, k.o.Longest)
	}
	p := Proposal{Reason: g.Reason, Ticket: g.Ticket}
	r := authz.Rule{Kind: "g", Fields: []string{g.Subject, g.Role}}
	if g.Domain != "" {
		r.Fields = append(r.Fields, g.Domain)
	}
	if _, has := k.engine.Holds(g.Domain, g.Subject, g.Role); has {
		p.Remove = []authz.Rule{r}
	}
	if !g.Until.IsZero() {
		r.Until = g.Until.Unix()
	}
	p.Add = []authz.Rule{r}
	return p, nil
}

// Grant gives someone a role. Nobody gives himself one.
func (k *Keeper) Grant(ctx context.Context, g Grant) error {
	p, err := k.proposal(g)
	if err != nil {
		return err
	}
	return k.Apply(ctx, p)
}

// Revoke takes a role away. It needs no approval, and is no error if there
// is nothing to take.
func (k *Keeper) Revoke(ctx context.Context, domain, subject, role, reason string) error {
	if _, err := k.Sync(ctx); err != nil {
		return err
	}
	r := authz.Rule{Kind: "g", Fields: []string{subject, role}}
	if domain != "" {
		r.Fields = append(r.Fields, domain)
	}
	if _, has := k.engine.Holds(domain, subject, role); !has {
		return nil
	}
	return k.Apply(ctx, Proposal{Change: authz.Change{Remove: []authz.Rule{r}}, Reason: reason})
}

// needsApproval returns a role of the change that needs approval. Rules
// (p lines) change what roles mean, and need it as soon as any role does.
func (k *Keeper) needsApproval(c authz.Change) string {
	for _, r := range c.Add {
		switch {
		case len(k.o.Approval) == 0:
		case r.Kind != "g" || len(r.Fields) < 2:
			return "a rule"
		case slices.Contains(k.o.Approval, r.Fields[1]):
			return r.Fields[1]
		}
		// A role below one that needs approval leads there as well.
		for _, above := range k.engine.Roles(domainOf(r), last(r)) {
			if slices.Contains(k.o.Approval, above) {
				return above
			}
		}
	}
	return ""
}

func last(r authz.Rule) string {
	if r.Kind == "g" && len(r.Fields) > 1 {
		return r.Fields[1]
	}
	return ""
}

// A proposal is one that waits.
type proposal struct {
	Proposal
	by      string
	expires time.Time
}

// waits bounds how long a proposal waits, and pending how many do.
const (
	waits      = 24 * time.Hour
	maxPending = 1000
)

// Propose asks for a grant that somebody else approves with the id. What is
// proposed waits a day, in this process: after a restart it is asked for
// again.
func (k *Keeper) Propose(ctx context.Context, g Grant) (string, error) {
	by := auditlog.ActorFrom(ctx).ID
	p, err := k.proposal(g)
	if err != nil {
		return "", err
	}
	if by == "" {
		return "", fmt.Errorf("%w: the context names nobody who asks", ErrInvalid)
	}
	if err := k.couldBe(ctx, p, by); err != nil {
		return "", err
	}
	id := rand.Text()
	if err := k.about(ctx, "authz.policy.propose", g.Domain, g.Subject, g.Role, auditlog.String("proposal", id)); err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for old, w := range k.pending {
		if k.now().After(w.expires) {
			delete(k.pending, old)
		}
	}
	if len(k.pending) >= maxPending {
		return "", fmt.Errorf("%w: %d proposals wait already", ErrInvalid, maxPending)
	}
	k.pending[id] = proposal{p, by, k.now().Add(waits)}
	return id, nil
}

// couldBe refuses a proposal that nobody could approve, such as of conflicting
// roles: whoever asks is told, and not whoever approves. It is checked again
// then.
func (k *Keeper) couldBe(ctx context.Context, p Proposal, by string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.sync(ctx); err != nil {
		return err
	}
	if err := k.check(p.Change, by, true); err != nil {
		return errors.Join(err, k.denied(ctx, p, err))
	}
	return nil
}

// Approve makes a proposed change. The approver is the context's actor, and
// neither who proposed nor who gets the role.
func (k *Keeper) Approve(ctx context.Context, id string) error {
	approver := auditlog.ActorFrom(ctx).ID
	k.mu.Lock()
	w, ok := k.pending[id]
	k.mu.Unlock()
	if !ok || k.now().After(w.expires) {
		return fmt.Errorf("%w: proposal", ErrUnknown)
	}
	subject := w.Add[0].Fields[0]
	if approver == "" || approver == w.by || approver == subject {
		return errors.Join(ErrApprover, k.denied(ctx, w.Proposal, ErrApprover))
	}
	if err := k.about(ctx, "authz.policy.approve", domainOf(w.Add[0]), subject, w.Add[0].Fields[1], auditlog.String("proposal", id)); err != nil {
		return err
	}
	// Who asked for himself is not refused: somebody else agrees.
	if err := k.apply(ctx, w.Proposal, w.by, approver, Add, true); err != nil {
		return err
	}
	return k.drop(id)
}

// Reject drops a proposed change.
func (k *Keeper) Reject(ctx context.Context, id string) error {
	if err := k.about(ctx, "authz.policy.reject", k.tenant, "", "", auditlog.String("proposal", short(id))); err != nil {
		return err
	}
	return k.drop(id)
}

func (k *Keeper) drop(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.pending[id]; !ok {
		return fmt.Errorf("%w: proposal", ErrUnknown)
	}
	delete(k.pending, id)
	return nil
}

// about records what was done about somebody's role.
func (k *Keeper) about(ctx context.Context, action, domain, subject, role string, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{Action: action, Outcome: auditlog.Success, Tenant: domain, Attrs: attrs}
	if ev.Tenant == "" {
		ev.Tenant = k.tenant
	}
	if subject != "" {
		ev.Targets = []auditlog.Target{{Type: "account", ID: subject}}
	}
	if role != "" {
		ev.Attrs = append(ev.Attrs, auditlog.String("role", short(role)))
	}
	if err := k.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("change: %w", err)
	}
	return nil
}

// An Elevation lets whoever has one of some roles take another for a while.
type Elevation struct {
	Role    string
	From    []string
	Longest time.Duration
}

// Elevate gives the context's actor a role until a time that an
// [Elevation] allows (just-in-time access). The reason is mandatory.
func (k *Keeper) Elevate(ctx context.Context, domain, role, reason, ticket string, until time.Time) error {
	by := auditlog.ActorFrom(ctx).ID
	if by == "" || reason == "" {
		return fmt.Errorf("%w: an elevation has a reason, and somebody whom the context names", ErrInvalid)
	}
	i := slices.IndexFunc(k.o.Elevations, func(e Elevation) bool { return e.Role == role })
	if i < 0 {
		return fmt.Errorf("%w: no elevation to the role", ErrInvalid)
	}
	e, has := k.o.Elevations[i], k.engine.Roles(domain, by)
	if !slices.ContainsFunc(e.From, func(r string) bool { return slices.Contains(has, r) }) {
		return fmt.Errorf("%w: the elevation starts from another role", ErrInvalid)
	}
	if until.IsZero() || until.After(k.now().Add(e.Longest)) {
		return fmt.Errorf("%w: the elevation ends within %v", ErrInvalid, e.Longest)
	}
	p, err := k.proposal(Grant{Domain: domain, Subject: by, Role: role, Until: until, Ticket: ticket, Reason: reason})
	if err != nil {
		return err
	}
	if err := k.about(ctx, "authz.session.elevate", domain, by, role, auditlog.Time("until", until), auditlog.String("because", short(reason))); err != nil {
		return err
	}
	return k.apply(ctx, p, by, "", Add, true)
}

// BreakGlass is the way in when nothing else works. The zero value has none.
type BreakGlass struct {
	Roles []string
	// Longest is how long it lasts; at most four hours, and 15 minutes if it
	// is zero.
	Longest time.Duration
	// Review is how long the review afterwards may take; 72 hours if zero.
	Review time.Duration
	// Alert tells people at once. Access is not given before it returned
	// without an error.
	Alert func(context.Context, Use) error
}

func (b *BreakGlass) validate() error {
	if b.Longest == 0 {
		b.Longest = 15 * time.Minute
	}
	if b.Review == 0 {
		b.Review = 72 * time.Hour
	}
	if (b.Alert == nil) != (len(b.Roles) == 0) || b.Longest < 0 || b.Longest > 4*time.Hour || b.Review < 0 {
		return fmt.Errorf("%w: break-glass has roles, an alert, and lasts at most four hours", ErrInvalid)
	}
	return nil
}

// A Use is one time that the glass was broken.
type Use struct {
	Sequence              int64
	Domain, Subject, Role string
	Reason                string
	At, Until             time.Time
	// Reviewer and Verdict are of the review afterwards, or empty.
	Reviewer, Verdict string
}

// minReason is how much a reason says at least, in bytes.
const minReason = 10

// BreakGlass gives the context's actor an emergency role for a short time:
// the reason is recorded and people are alerted first. Somebody else reviews
// it afterwards ([Keeper.Review]); the control fails when nobody does.
func (k *Keeper) BreakGlass(ctx context.Context, domain, role, reason string) (Use, error) {
	b, by := k.o.BreakGlass, auditlog.ActorFrom(ctx).ID
	if by == "" || len(reason) < minReason || !slices.Contains(b.Roles, role) {
		return Use{}, fmt.Errorf("%w: break-glass needs a role of the list, a reason of %d characters, and somebody whom the context names", ErrInvalid, minReason)
	}
	now := k.now().UTC()
	u := Use{Domain: domain, Subject: by, Role: role, Reason: reason, At: now, Until: now.Add(b.Longest)}
	p, err := k.proposal(Grant{Domain: domain, Subject: by, Role: role, Until: u.Until, Ticket: "break-glass", Reason: reason})
	if err != nil {
		return Use{}, err
	}
	err = k.about(ctx, "authz.access.grant", domain, by, role,
		auditlog.Bool("break_glass", true), auditlog.Time("until", u.Until), auditlog.String("because", short(reason)))
	if err != nil {
		return Use{}, err
	}
	if err := b.Alert(ctx, u); err != nil {
		return Use{}, fmt.Errorf("change: nobody was alerted: %w", err)
	}
	if err := k.apply(ctx, p, by, "", Emergency, true); err != nil {
		return Use{}, err
	}
	for _, have := range k.Uses() {
		if have.Subject == by && have.Role == role && have.Sequence > u.Sequence {
			u = have
		}
	}
	return u, nil
}

// note keeps what entries say about break-glass. The mutex is held.
func (k *Keeper) note(e Entry) {
	switch {
	case e.Op == Emergency && len(e.Rule.Fields) > 1:
		k.glass[e.Sequence] = Use{
			Sequence: e.Sequence, Domain: domainOf(e.Rule), Subject: e.Rule.Fields[0], Role: e.Rule.Fields[1],
			Reason: e.Reason, At: e.At, Until: time.Unix(e.Rule.Until, 0).UTC(),
		}
	case e.Op == Reviewed && len(e.Rule.Fields) == 2:
		n, err := strconv.ParseInt(e.Rule.Fields[0], 10, 64)
		if u, ok := k.glass[n]; ok && err == nil {
			u.Reviewer, u.Verdict = e.By, e.Rule.Fields[1]
			k.glass[n] = u
		}
	}
}

// Uses lists the times that the glass was broken, oldest first.
func (k *Keeper) Uses() []Use {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Use
	for _, u := range k.glass {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b Use) int { return int(a.Sequence - b.Sequence) })
	return list
}

// Review closes a use of break-glass with a verdict, such as "justified".
// The reviewer is the context's actor, and not who broke the glass.
func (k *Keeper) Review(ctx context.Context, sequence int64, verdict string) error {
	by := auditlog.ActorFrom(ctx).ID
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.sync(ctx); err != nil {
		return err
	}
	u, ok := k.glass[sequence]
	switch {
	case !ok:
		return fmt.Errorf("%w: use of break-glass", ErrUnknown)
	case by == "" || by == u.Subject:
		return ErrApprover
	case verdict == "":
		return fmt.Errorf("%w: a review has a verdict", ErrInvalid)
	}
	e := Entry{
		Sequence: k.at + 1, Op: Reviewed, Rule: authz.Rule{Kind: "review", Fields: []string{strconv.FormatInt(sequence, 10), verdict}},
		By: by, At: k.now().UTC().Truncate(time.Microsecond),
	}
	e.MAC = k.mac(k.last, &e)
	err := k.about(ctx, "authz.access.review", u.Domain, u.Subject, u.Role, auditlog.Int("sequence", sequence), auditlog.String("verdict", short(verdict)))
	if err != nil {
		return err
	}
	done, err := k.store.Append(ctx, k.tenant, []Entry{e}, Head{e.Sequence, k.headMAC(e.Sequence, e.MAC)})
	if err != nil || !done {
		return errors.Join(fmt.Errorf("%w: the review was not stored, try again", ErrInvalid), err)
	}
	_, err = k.sync(ctx)
	return err
}

// control fails while a use waits too long for its review.
func (b *BreakGlass) control(k *Keeper) controls.Control {
	return controls.Control{
		ID: "authz.breakglass",
		Parameters: []controls.Parameter{
			controls.Duration("longest", b.Longest), controls.Duration("review_within", b.Review),
		},
		Probe: func(context.Context) controls.Result {
			list := k.Uses()
			for _, u := range list {
				if u.Verdict == "" && k.now().Sub(u.At) > b.Review {
					return controls.Failed("use %d was not reviewed within %v", u.Sequence, b.Review)
				}
			}
			return controls.Passed("none of %d uses waits longer than %v for its review", len(list), b.Review)
		},
	}
}
