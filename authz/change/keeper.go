package change

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
)

// Errors of changes.
var (
	// ErrForged says that the store has entries that no keeper wrote, or
	// lacks some that one did.
	ErrForged = errors.New("change: the stored policy was changed past the application")
	// ErrWentBack says that the store has fewer entries than were seen.
	ErrWentBack = errors.New("change: the stored policy went back")
	// ErrConflict says that someone would have roles that exclude each other.
	ErrConflict = errors.New("change: the roles are in conflict")
	// ErrApproval says that a role needs approval: propose it.
	ErrApproval = errors.New("change: the role needs approval")
	// ErrApprover says that whoever approves must be someone else.
	ErrApprover = errors.New("change: who asks or gets a role can't approve it")
	// ErrInvalid says that a change lacks what it must have.
	ErrInvalid = errors.New("change: invalid")
	// ErrUnknown says that nothing is known by an id.
	ErrUnknown = errors.New("change: unknown")
)

// Options adapt a keeper.
type Options struct {
	// Conflicts are duties that nobody may hold together.
	Conflicts []Conflict
	// Approval lists roles that are given only with another person's
	// approval.
	Approval []string
	// Ticket makes a ticket mandatory for every grant.
	Ticket bool
	// Longest bounds how long a grant may hold; zero allows grants without
	// an end.
	Longest time.Duration
	// Elevations are the roles that people may take for a while.
	Elevations []Elevation
	// BreakGlass is the way in when nothing else works; the zero value has
	// none.
	BreakGlass BreakGlass
}

// A Keeper changes an engine's policy through a store. It is safe for
// concurrent use; several processes may keep the same policy.
type Keeper struct {
	engine  *authz.Engine
	store   Store
	tenant  string
	key     []byte
	rec     auditlog.Recorder
	o       Options
	now     func() time.Time
	mu      sync.Mutex // held while the policy changes
	at      int64
	last    [sha256.Size]byte
	failed  error
	pending map[string]proposal
	glass   map[int64]Use
}

// Open reads a tenant's policy from the store into the engine. The key has
// [KeySize] bytes and belongs to this policy alone.
func Open(ctx context.Context, e *authz.Engine, s Store, tenant string, key []byte, rec auditlog.Recorder, o Options) (*Keeper, error) {
	switch {
	case e == nil || s == nil || rec == nil:
		return nil, errors.New("change: Open needs an engine, a store and a recorder")
	case tenant == "":
		return nil, ErrNoTenant
	case len(key) != KeySize:
		return nil, fmt.Errorf("change: the key has %d bytes, want %d", len(key), KeySize)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	k := &Keeper{
		engine: e, store: s, tenant: tenant, key: slices.Clone(key), rec: rec, o: o, now: time.Now,
		pending: map[string]proposal{}, glass: map[int64]Use{},
	}
	_, err := k.Sync(ctx)
	return k, err
}

// Sequence is the last entry that is in force.
func (k *Keeper) Sequence() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at
}

// Sync takes in what other processes wrote, and reports whether that was
// anything. What can't be verified changes nothing, and is an event.
func (k *Keeper) Sync(ctx context.Context) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sync(ctx)
}

func (k *Keeper) sync(ctx context.Context) (bool, error) {
	var list []Entry
	last := k.last
	head, err := k.store.Read(ctx, k.tenant, k.at, func(e Entry) error {
		want := k.mac(last, &e)
		if e.Sequence != k.at+int64(len(list))+1 || !hmac.Equal(want[:], e.MAC[:]) {
			return fmt.Errorf("%w: entry %d", ErrForged, e.Sequence)
		}
		list, last = append(list, e), want
		return nil
	})
	if err == nil {
		err = k.checkHead(head, k.at+int64(len(list)), last)
	}
	if err != nil {
		return false, k.refuse(ctx, err)
	}
	k.failed = nil
	if len(list) == 0 {
		return false, nil
	}
	if err := k.engine.Apply(ctx, changeOf(list)); err != nil {
		return false, k.refuse(ctx, err)
	}
	k.take(list, last)
	return true, nil
}

// checkHead finds entries that were cut off, or a store that went back.
func (k *Keeper) checkHead(head Head, sequence int64, last [sha256.Size]byte) error {
	want := k.headMAC(sequence, last)
	switch {
	case head.Sequence < k.at:
		return fmt.Errorf("%w: to %d, %d was seen", ErrWentBack, head.Sequence, k.at)
	case sequence == 0 && head == Head{}:
		return nil
	case head.Sequence != sequence || !hmac.Equal(want[:], head.MAC[:]):
		return fmt.Errorf("%w: the head is of entry %d, the last one is %d", ErrForged, head.Sequence, sequence)
	}
	return nil
}

// refuse records that the stored policy is not taken, once for each cause.
func (k *Keeper) refuse(ctx context.Context, err error) error {
	if k.failed != nil && k.failed.Error() == err.Error() || ctx.Err() != nil {
		return err
	}
	k.failed = err
	return errors.Join(err, k.rec.Record(ctx, auditlog.Event{
		Action: "authz.policy.load", Outcome: auditlog.Failed, Tenant: k.tenant, Reason: "authz.policy",
		Attrs: []auditlog.Attr{auditlog.Int("sequence", k.at), auditlog.String("why", short(err.Error()))},
	}))
}

func short(s string) string {
	if len(s) > 200 {
		return s[:200]
	}
	return s
}

// Ready reports why the policy in force is not the stored one, or nil.
func (k *Keeper) Ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

// take notes what is in force now.
func (k *Keeper) take(list []Entry, last [sha256.Size]byte) {
	k.at, k.last = k.at+int64(len(list)), last
	for _, e := range list {
		k.note(e)
	}
}

// changeOf is the sum of entries: a line that was added and taken away again
// is neither.
func changeOf(list []Entry) authz.Change {
	type state struct {
		first, last Op
		rule        authz.Rule
	}
	lines := map[string]*state{}
	var order []string
	for _, e := range list {
		op := e.Op
		switch op {
		case Emergency:
			op = Add
		case Reviewed:
			continue
		}
		name := e.Rule.String()
		if lines[name] == nil {
			lines[name] = &state{first: op}
			order = append(order, name)
		}
		lines[name].last, lines[name].rule = op, e.Rule
	}
	var c authz.Change
	for _, name := range order {
		s := lines[name]
		if s.first == Remove {
			c.Remove = append(c.Remove, s.rule)
		}
		if s.last == Add {
			c.Add = append(c.Add, s.rule)
		}
	}
	return c
}

// A Proposal is a change with what is said about it.
type Proposal struct {
	authz.Change
	Reason, Ticket string
}

// Apply makes a change: checked, written, recorded, in force. Roles that need
// approval are refused ([ErrApproval]).
func (k *Keeper) Apply(ctx context.Context, p Proposal) error {
	if role := k.needsApproval(p.Change); role != "" {
		return fmt.Errorf("%w: %s", ErrApproval, role)
	}
	return k.apply(ctx, p, auditlog.ActorFrom(ctx).ID, "", Add, false)
}

func (k *Keeper) apply(ctx context.Context, p Proposal, by, approver string, add Op, self bool) error {
	if by == "" {
		return fmt.Errorf("%w: the context names nobody who makes the change", ErrInvalid)
	}
	if len(p.Add)+len(p.Remove) == 0 {
		return fmt.Errorf("%w: the change is empty", ErrInvalid)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for range 5 {
		// What others wrote counts first: conflicts are checked against it.
		if _, err := k.sync(ctx); err != nil {
			return err
		}
		if err := k.check(p.Change, by, self); err != nil {
			return errors.Join(err, k.denied(ctx, p, err))
		}
		list, last := k.entries(p, by, approver, add)
		// Recorded before it is written: a change without a trace can't be.
		if err := k.record(ctx, p, list, approver, auditlog.Success, ""); err != nil {
			return err
		}
		head := Head{k.at + int64(len(list)), k.headMAC(k.at+int64(len(list)), last)}
		done, err := k.store.Append(ctx, k.tenant, list, head)
		if err != nil {
			return errors.Join(fmt.Errorf("change: %w", err), k.record(ctx, p, list, approver, auditlog.Failed, "authz.policy"))
		}
		if !done {
			if err := k.record(ctx, p, list, approver, auditlog.Failed, "authz.policy"); err != nil {
				return err
			}
			continue // another process was first
		}
		_, err = k.sync(ctx) // reads back what is stored, verifies it and puts it in force
		return err
	}
	return fmt.Errorf("%w: other changes came first, five times", ErrInvalid)
}

// check asks, before anything is written, whether the change is one that may
// be made.
func (k *Keeper) check(c authz.Change, by string, self bool) error {
	next, err := k.engine.Preview(c)
	if err != nil {
		return err
	}
	for _, r := range c.Add {
		if r.Kind == "g" && len(r.Fields) > 1 && r.Fields[0] == by && !self {
			return fmt.Errorf("%w: nobody gives himself a role", ErrApprover)
		}
	}
	return k.conflicts(next, c.Add)
}

func (k *Keeper) entries(p Proposal, by, approver string, add Op) ([]Entry, [sha256.Size]byte) {
	last, at := k.last, k.now().UTC().Truncate(time.Microsecond)
	var list []Entry
	put := func(op Op, r authz.Rule) {
		e := Entry{
			Sequence: k.at + int64(len(list)) + 1, Op: op, Rule: r, By: by, Approver: approver,
			Ticket: p.Ticket, Reason: p.Reason, At: at,
		}
		e.MAC = k.mac(last, &e)
		list, last = append(list, e), e.MAC
	}
	for _, r := range p.Remove {
		put(Remove, r)
	}
	for _, r := range p.Add {
		put(add, r)
	}
	return list, last
}

func (k *Keeper) record(ctx context.Context, p Proposal, list []Entry, approver string, outcome auditlog.Outcome, reason string) error {
	ev := auditlog.Event{
		Action: "authz.policy.update", Outcome: outcome, Tenant: k.tenant, Reason: reason,
		Attrs: []auditlog.Attr{
			auditlog.Int("sequence", list[0].Sequence), auditlog.Int("added", len(p.Add)), auditlog.Int("removed", len(p.Remove)),
			auditlog.String("line", short(list[0].Rule.String())),
		},
	}
	for _, a := range [][2]string{{"approver", approver}, {"ticket", p.Ticket}, {"because", p.Reason}} {
		if a[1] != "" {
			ev.Attrs = append(ev.Attrs, auditlog.String(a[0], short(a[1])))
		}
	}
	if err := k.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("change: %w", err)
	}
	return nil
}

// denied records a change that was refused.
func (k *Keeper) denied(ctx context.Context, p Proposal, cause error) error {
	reason := "authz.policy"
	if errors.Is(cause, ErrConflict) {
		reason = "authz.sod"
	}
	return k.rec.Record(ctx, auditlog.Event{ //nolint:wrapcheck // joined with the cause
		Action: "authz.policy.update", Outcome: auditlog.Denied, Tenant: k.tenant, Reason: reason,
		Attrs: []auditlog.Attr{
			auditlog.Int("added", len(p.Add)), auditlog.Int("removed", len(p.Remove)), auditlog.String("why", short(cause.Error())),
		},
	})
}
