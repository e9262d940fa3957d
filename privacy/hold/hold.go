// Package hold keeps legal holds: what must not be erased or disposed of while
// a lawsuit or an investigation needs it.
//
//	holds, err := hold.New(store, key, log)
//	h, err := holds.Place(ctx, "acme", hold.Hold{Subjects: []string{id}, Reason: "case 17", Review: inSixMonths})
//	eraser, err := erasure.New(keeper, log, erasure.Options{Holds: holds}, …)
//
// A hold wins over erasure and retention. Place returns after steps that were
// under way in this process have ended, so that nothing it names goes
// afterwards; other processes see it at their next step, because a [Register]
// never caches. Whether a hold stands that can't be found out counts as one.
//
// Every hold has a date of review. A hold whose date has passed still stands,
// and fails the control.
package hold

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/record"
)

// Errors of the package.
var (
	ErrHold = errors.New("hold: bad hold")
	ErrHeld = errors.New("hold: a legal hold stands")
)

// A Hold is a legal hold.
type Hold struct {
	ID       string
	Subjects []string  // account ids; none means everyone of the tenant
	Reason   string    // such as the case's number; no personal data
	Review   time.Time // when someone must look whether it is still needed
	By       string
	Placed   time.Time
	Released time.Time // zero: it stands
	Because  string    // why it was released or prolonged
}

// A Register keeps holds. It is safe for concurrent use, an erasure.Locker, and
// what crypto.Options.Holds asks before keys go (a crypto.HoldLocker).
type Register struct {
	book    *record.Book[Hold]
	rec     auditlog.Recorder
	tenants func(context.Context) ([]string, error)
	now     func() time.Time
	steps   steps
}

// steps are what holds must not come in between of. Unlike a sync.RWMutex it
// lets a step begin another one while a hold waits to be placed: erasing asks,
// and so does destroying the keys, which is a part of erasing.
type steps struct {
	mu      sync.Mutex
	changed *sync.Cond
	running int
	placing bool
}

// begin waits for a hold that is being placed.
func (s *steps) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.placing {
		s.changed.Wait()
	}
	s.running++
}

func (s *steps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.changed.Broadcast()
}

// place runs f while no step runs.
func (s *steps) place(f func() error) error {
	s.mu.Lock()
	for s.running > 0 || s.placing {
		s.changed.Wait()
	}
	s.placing = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.placing = false
		s.changed.Broadcast()
	}()
	return f()
}

// New makes a register. The key has record.KeySize bytes; tenants lists whose
// holds the probe looks at.
func New(store record.Store, key []byte, rec auditlog.Recorder, tenants func(context.Context) ([]string, error)) (*Register, error) {
	if rec == nil || tenants == nil {
		return nil, errors.New("hold: New needs a recorder and the tenants")
	}
	book, err := record.NewBook[Hold](store, key, "hold")
	if err != nil {
		return nil, fmt.Errorf("hold: %w", err)
	}
	r := &Register{book: book, rec: rec, tenants: tenants, now: time.Now}
	r.steps.changed = sync.NewCond(&r.steps.mu)
	return r, nil
}

// Place places a hold and returns it with its id.
func (r *Register) Place(ctx context.Context, tenant string, h Hold) (Hold, error) {
	if tenant == "" || h.Reason == "" || len(h.Reason) > auditlog.MaxName || !h.Review.After(r.now()) || slices.Contains(h.Subjects, "") {
		return Hold{}, fmt.Errorf("%w: a tenant, a reason of at most %d bytes and a review in the future must be given", ErrHold, auditlog.MaxName)
	}
	h.ID, h.By, h.Placed, h.Released = rand.Text(), auditlog.ActorFrom(ctx).ID, r.now().UTC(), time.Time{}
	// The hold goes first here: one that nobody recorded is better than data
	// that is gone.
	err := r.steps.place(func() error {
		return r.book.Save(ctx, record.Entry[Hold]{Tenant: tenant, ID: h.ID, Version: 1, Open: true, Value: h})
	})
	if err != nil {
		return Hold{}, fmt.Errorf("hold: %w", err)
	}
	return h, r.record(ctx, "place", tenant, h)
}

// Review notes that a hold is still needed, until another date.
func (r *Register) Review(ctx context.Context, tenant, id, because string, next time.Time) (Hold, error) {
	if because == "" || !next.After(r.now()) {
		return Hold{}, fmt.Errorf("%w: a reason and a date in the future must be given", ErrHold)
	}
	return r.change(ctx, tenant, id, "review", func(h *Hold) { h.Review, h.Because = next, because })
}

// Release ends a hold.
func (r *Register) Release(ctx context.Context, tenant, id, because string) (Hold, error) {
	if because == "" {
		return Hold{}, fmt.Errorf("%w: a reason must be given", ErrHold)
	}
	return r.change(ctx, tenant, id, "release", func(h *Hold) { h.Released, h.Because = r.now().UTC(), because })
}

func (r *Register) change(ctx context.Context, tenant, id, action string, f func(*Hold)) (Hold, error) {
	e, err := r.book.Update(ctx, tenant, id, func(e *record.Entry[Hold]) error {
		if !e.Open {
			return fmt.Errorf("%w: it was released", ErrHold)
		}
		f(&e.Value)
		e.Open = e.Value.Released.IsZero()
		return r.record(ctx, action, tenant, e.Value) // before it counts
	})
	return e.Value, err
}

func (r *Register) record(ctx context.Context, action, tenant string, h Hold) error {
	targets := []auditlog.Target{{Type: "hold", ID: h.ID}}
	for _, s := range h.Subjects[:min(len(h.Subjects), 32)] {
		targets = append(targets, auditlog.Target{Type: "subject", ID: s})
	}
	err := r.rec.Record(ctx, auditlog.Event{
		Action: "privacy.hold." + action, Outcome: auditlog.Success, Tenant: tenant, Targets: targets,
		Attrs: []auditlog.Attr{auditlog.String("because", h.Reason), auditlog.Time("review", h.Review), auditlog.Int("subjects", len(h.Subjects))},
	})
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	return nil
}

// Standing lists the holds that stand.
func (r *Register) Standing(ctx context.Context, tenant string) ([]Hold, error) {
	entries, err := r.book.List(ctx, tenant, record.Filter{OpenOnly: true})
	if err != nil {
		return nil, fmt.Errorf("hold: %w", err)
	}
	list := make([]Hold, len(entries))
	for i, e := range entries {
		list[i] = e.Value
	}
	return list, nil
}

// Held tells whether a hold forbids erasing a person's data, or data of nobody
// if the subject is empty.
func (r *Register) Held(ctx context.Context, tenant, subject string) (reason string, held bool, err error) {
	list, err := r.Standing(ctx, tenant)
	if err != nil {
		return "", false, err
	}
	for _, h := range list {
		if len(h.Subjects) == 0 || subject != "" && slices.Contains(h.Subjects, subject) {
			return h.Reason, true, nil
		}
	}
	return "", false, nil
}

// Unheld runs a step if no hold stands; who places one meanwhile waits for it.
func (r *Register) Unheld(ctx context.Context, tenant, subject string, step func() error) error {
	r.steps.begin()
	defer r.steps.end()
	reason, held, err := r.Held(ctx, tenant, subject)
	switch {
	case err != nil:
		return fmt.Errorf("%w: whether one does can't be found out: %w", ErrHeld, err)
	case held:
		return fmt.Errorf("%w: %s", ErrHeld, reason)
	}
	return step()
}

// LockHolds lets no hold be placed by this process until unlock is called,
// which is safe to call twice.
func (r *Register) LockHolds(context.Context, string, string) (unlock func(), err error) {
	r.steps.begin()
	return sync.OnceFunc(r.steps.end), nil
}

// Controls describes the register. The probe fails when a hold was not
// reviewed in time.
func (r *Register) Controls() []controls.Control {
	return []controls.Control{{ID: "privacy.hold", Probe: func(ctx context.Context) controls.Result {
		tenants, err := r.tenants(ctx)
		if err != nil {
			return controls.Errored("tenants: %v", err)
		}
		standing := 0
		var late []string
		for _, t := range tenants {
			list, err := r.Standing(ctx, t)
			if errors.Is(err, record.ErrTampered) {
				return controls.Failed("%v", err)
			}
			if err != nil {
				return controls.Errored("%v", err)
			}
			for _, h := range list {
				standing++
				if !r.now().Before(h.Review) {
					late = append(late, h.ID)
				}
			}
		}
		if len(late) > 0 {
			return controls.Failed("%d of %d holds were not reviewed in time: %s", len(late), standing, strings.Join(late, ", "))
		}
		return controls.Passed("%d holds stand, all reviewed in time", standing)
	}}}
}
