package erasure

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/record"
)

// A Run is what a ledger knows of an erasure. It does not say whose.
type Run struct {
	Reason    string
	Begun     time.Time
	Done      []string  // the places that were proven empty
	Completed time.Time // zero: not yet
	Times     int       // how often it was begun
}

// A Ledger remembers erasures under pseudonyms: a keyed hash of tenant and
// subject, which leads from a person to the run and not back. Keep its store
// apart from what is erased, so that a restored backup does not take it along.
type Ledger struct {
	book *record.Book[Run]
	key  []byte
}

// NewLedger makes a ledger. The key has record.KeySize bytes.
func NewLedger(store record.Store, key []byte) (*Ledger, error) {
	book, err := record.NewBook[Run](store, key, "erasure")
	if err != nil {
		return nil, fmt.Errorf("erasure: %w", err)
	}
	return &Ledger{book, slices.Clone(key)}, nil
}

// Pseudonym is the name under which a person's erasure is remembered.
func (l *Ledger) Pseudonym(tenant, subject string) string {
	h := hmac.New(sha256.New, l.key)
	fmt.Fprintf(h, "surety erasure v1 %d %s %s", len(tenant), tenant, subject)
	return hex.EncodeToString(h.Sum(nil))
}

// Run returns what is known of a person's erasure, or record.ErrNotFound.
func (l *Ledger) Run(ctx context.Context, tenant, subject string) (Run, error) {
	e, err := l.book.Load(ctx, tenant, l.Pseudonym(tenant, subject))
	return e.Value, err
}

// Open counts the erasures that are not complete.
func (l *Ledger) Open(ctx context.Context, tenant string) (int, error) {
	list, err := l.book.List(ctx, tenant, record.Filter{OpenOnly: true})
	return len(list), err
}

type run struct{ tenant, id string }

// begin notes that an erasure begins, or begins again. A nil ledger notes
// nothing.
func (l *Ledger) begin(ctx context.Context, tenant, subject, reason string) (*run, error) {
	if l == nil {
		return nil, nil
	}
	r := &run{tenant, l.Pseudonym(tenant, subject)}
	_, err := l.book.Update(ctx, tenant, r.id, func(e *record.Entry[Run]) error {
		e.Open, e.Value.Done, e.Value.Completed = true, nil, time.Time{}
		e.Value.Times++
		return nil
	})
	if errors.Is(err, record.ErrNotFound) {
		err = l.book.Save(ctx, record.Entry[Run]{Tenant: tenant, ID: r.id, Version: 1, Open: true, Value: Run{Reason: reason, Begun: time.Now().UTC(), Times: 1}})
	}
	if err != nil {
		return nil, fmt.Errorf("erasure: ledger: %w", err)
	}
	return r, nil
}

func (l *Ledger) note(ctx context.Context, r *run, place string) error {
	return l.update(ctx, r, func(e *record.Entry[Run]) { e.Value.Done = append(slices.Clone(e.Value.Done), place) })
}

func (l *Ledger) finish(ctx context.Context, r *run) error {
	return l.update(ctx, r, func(e *record.Entry[Run]) { e.Open, e.Value.Completed = false, time.Now().UTC() })
}

func (l *Ledger) update(ctx context.Context, r *run, f func(*record.Entry[Run])) error {
	if l == nil {
		return nil
	}
	_, err := l.book.Update(ctx, r.tenant, r.id, func(e *record.Entry[Run]) error { f(e); return nil })
	if err != nil {
		return fmt.Errorf("erasure: ledger: %w", err)
	}
	return nil
}

// Replay erases again each of the subjects that the ledger knows: run it after
// a backup was restored, over all accounts that came back with it, and after a
// crash, over the subjects of open requests too. It returns how many it
// erased; the first error ends it, and running it again goes on.
func (e *Eraser) Replay(ctx context.Context, tenant string, subjects iter.Seq2[string, error]) (int, error) {
	if e.ledger == nil {
		return 0, errors.New("erasure: Replay needs a ledger")
	}
	n := 0
	for subject, err := range subjects {
		if err != nil {
			return n, fmt.Errorf("erasure: subjects: %w", err)
		}
		run, err := e.ledger.Run(ctx, tenant, subject)
		if errors.Is(err, record.ErrNotFound) {
			continue
		}
		if err != nil {
			return n, err
		}
		if err := e.record(ctx, "privacy.erasure.replay", auditlog.Success, tenant, subject, "", auditlog.Bool("completed_before", !run.Completed.IsZero())); err != nil {
			return n, err
		}
		if _, err := e.Erase(ctx, tenant, subject, run.Reason); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// All lists the subjects of a place page by page, for [Eraser.Replay].
func All(ctx context.Context, tenant string, page func(ctx context.Context, tenant, after string, limit int) ([]string, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := ""
		for {
			list, err := page(ctx, tenant, after, 1000)
			if err != nil {
				yield("", err)
				return
			}
			for _, s := range list {
				if !yield(s, nil) {
					return
				}
				after = s
			}
			if len(list) == 0 {
				return
			}
		}
	}
}
