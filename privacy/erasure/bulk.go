package erasure

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/record"
)

// ErrApproval says that erasing many people was not approved by a second
// person.
var ErrApproval = errors.New("erasure: not approved by a second person")

// A Proposal to erase many people waits for a second person.
type Proposal struct {
	ID       string
	Count    int
	Hash     string // of the pseudonyms, so that what runs is what was approved
	Reason   string
	By       string
	Approved string // who approved it; empty: nobody yet
	Expires  time.Time
}

const proposalLife = 7 * 24 * time.Hour

// Bulk erases many people, which takes two: one proposes, another approves.
type Bulk struct {
	e    *Eraser
	book *record.Book[Proposal]
}

// NewBulk makes the bulk erasures of an eraser, which needs a [Ledger]. The
// key has record.KeySize bytes.
func NewBulk(e *Eraser, store record.Store, key []byte) (*Bulk, error) {
	if e == nil || e.ledger == nil {
		return nil, errors.New("erasure: NewBulk needs an eraser with a ledger")
	}
	book, err := record.NewBook[Proposal](store, key, "bulk-erasure")
	if err != nil {
		return nil, fmt.Errorf("erasure: %w", err)
	}
	return &Bulk{e, book}, nil
}

func (b *Bulk) hash(tenant string, subjects []string) string {
	names := make([]string, len(subjects))
	for i, s := range subjects {
		names[i] = b.e.ledger.Pseudonym(tenant, s)
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(names), "\n")))
	return hex.EncodeToString(sum[:])
}

// Propose asks for the erasure of many people, in the name of the context's
// actor. It waits a week for approval.
func (b *Bulk) Propose(ctx context.Context, tenant string, subjects []string, reason string) (Proposal, error) {
	actor := auditlog.ActorFrom(ctx)
	if tenant == "" || len(subjects) == 0 || reason == "" || actor.ID == "" {
		return Proposal{}, errors.New("erasure: a proposal needs a tenant, subjects, a reason and an actor")
	}
	p := Proposal{ID: rand.Text(), Count: len(subjects), Hash: b.hash(tenant, subjects), Reason: reason, By: actor.ID, Expires: time.Now().Add(proposalLife).UTC()}
	if err := b.record(ctx, "privacy.erasure.plan", auditlog.Success, tenant, p, ""); err != nil {
		return Proposal{}, err
	}
	return p, b.book.Save(ctx, record.Entry[Proposal]{Tenant: tenant, ID: p.ID, Version: 1, Open: true, Value: p})
}

// Approve agrees to a proposal in the name of the context's actor, who must be
// another person than proposed it.
func (b *Bulk) Approve(ctx context.Context, tenant, id string) (Proposal, error) {
	actor := auditlog.ActorFrom(ctx)
	e, err := b.book.Update(ctx, tenant, id, func(e *record.Entry[Proposal]) error {
		if actor.Kind != auditlog.User || actor.ID == "" || actor.ID == e.Value.By || actor.For != "" {
			return errors.Join(fmt.Errorf("%w: the actor proposed it, or is no person", ErrApproval),
				b.record(ctx, "privacy.erasure.approve", auditlog.Denied, tenant, e.Value, "privacy.erasure"))
		}
		if !time.Now().Before(e.Value.Expires) {
			return fmt.Errorf("%w: the proposal is too old", ErrApproval)
		}
		e.Value.Approved = actor.ID
		return b.record(ctx, "privacy.erasure.approve", auditlog.Success, tenant, e.Value, "")
	})
	return e.Value, err
}

// Run erases the people of an approved proposal, who must be the ones that
// were proposed. It does all it can, returns how many are done and the errors
// of the others, and may be run again.
func (b *Bulk) Run(ctx context.Context, tenant, id string, subjects []string) (int, error) {
	e, err := b.book.Load(ctx, tenant, id)
	if err != nil {
		return 0, err
	}
	p := e.Value
	if p.Approved == "" || p.Approved == p.By || p.Hash != b.hash(tenant, subjects) || !time.Now().Before(p.Expires) {
		return 0, errors.Join(fmt.Errorf("%w: there is no approval for these people", ErrApproval),
			b.record(ctx, "privacy.erasure.request", auditlog.Denied, tenant, p, "privacy.erasure"))
	}
	n := 0
	var errs []error
	for _, s := range subjects {
		if _, err := b.e.Erase(ctx, tenant, s, p.Reason); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	if len(errs) > 0 {
		return n, fmt.Errorf("erasure: %d of %d people are not erased: %w", len(errs), len(subjects), errors.Join(errs...))
	}
	_, err = b.book.Update(ctx, tenant, id, func(e *record.Entry[Proposal]) error { e.Open = false; return nil })
	return n, err
}

func (b *Bulk) record(ctx context.Context, action string, o auditlog.Outcome, tenant string, p Proposal, reason string) error {
	err := b.e.rec.Record(ctx, auditlog.Event{
		Action: action, Outcome: o, Tenant: tenant, Reason: reason, Targets: []auditlog.Target{{Type: "bulk-erasure", ID: p.ID}},
		Attrs: []auditlog.Attr{auditlog.Int("people", p.Count), auditlog.String("hash", p.Hash), auditlog.String("proposed_by", p.By)},
	})
	if err != nil {
		return fmt.Errorf("erasure: %w", err)
	}
	return nil
}
