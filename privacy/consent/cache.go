package consent

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy"
)

// Staleness is how old an answer of a [Cache] can be.
const Staleness = time.Second

// slots is how many people a cache remembers at most; two whose hashes meet
// take turns.
const slots = 1 << 14

// A Cache answers from memory what a ledger said less than a second ago. What
// changes through its own ledger counts at once. It is safe for concurrent use
// and a [privacy.Consents].
type Cache struct {
	ledger *Ledger
	seed   maphash.Seed
	slots  [slots]slot
}

// A slot is read without a lock. Its change counts what was forgotten, so that
// an answer that was being read meanwhile is not kept.
type slot struct {
	answers atomic.Pointer[answers]
	mu      sync.Mutex
	change  atomic.Uint64
}

type person struct{ tenant, subject string }

// answers are a person's last choices, as of a moment. They never change.
type answers struct {
	person
	at    time.Time
	given []choice
}

type choice struct {
	purpose         privacy.Purpose
	given, explicit bool
}

// NewCache puts a cache before a ledger, which may have one.
func NewCache(l *Ledger) (*Cache, error) {
	c := &Cache{ledger: l, seed: maphash.MakeSeed()}
	if l == nil || !l.cache.CompareAndSwap(nil, c) {
		return nil, errors.New("consent: NewCache needs a ledger that has no cache yet")
	}
	return c, nil
}

func (c *Cache) slot(k person) *slot {
	return &c.slots[(maphash.String(c.seed, k.subject)^maphash.String(c.seed, k.tenant))%slots]
}

// Consented is like [Ledger.Consented], at most a second old.
func (c *Cache) Consented(ctx context.Context, tenant, subject string, p privacy.Purpose) (bool, error) {
	a, err := c.answer(ctx, person{tenant, subject}, p)
	return a.given, err
}

// ExplicitlyConsented is like [Ledger.ExplicitlyConsented], at most a second
// old.
func (c *Cache) ExplicitlyConsented(ctx context.Context, tenant, subject string, p privacy.Purpose) (bool, error) {
	a, err := c.answer(ctx, person{tenant, subject}, p)
	return a.given && a.explicit, err
}

func (c *Cache) answer(ctx context.Context, k person, p privacy.Purpose) (choice, error) {
	s := c.slot(k)
	a := s.answers.Load()
	if a == nil || a.person != k || time.Since(a.at) >= Staleness {
		var err error
		if a, err = c.read(ctx, k, s); err != nil {
			return choice{}, err
		}
	}
	for i := range a.given {
		if a.given[i].purpose == p {
			return a.given[i], nil
		}
	}
	return choice{}, nil
}

// read asks the ledger. An answer that was being read while something changed
// is given but not kept.
func (c *Cache) read(ctx context.Context, k person, s *slot) (*answers, error) {
	change := s.change.Load()
	a := &answers{person: k, at: time.Now()} // before the read: the bound holds for the data
	chain, err := c.ledger.Chain(ctx, k.tenant, k.subject)
	if err != nil {
		return nil, err
	}
	seen := map[privacy.Purpose]bool{}
	for i := len(chain) - 1; i >= 0; i-- {
		e := chain[i]
		if seen[e.Purpose] {
			continue
		}
		seen[e.Purpose] = true
		stands, err := c.ledger.stands(ctx, e)
		if err != nil {
			return nil, err
		}
		a.given = append(a.given, choice{e.Purpose, e.Given && stands, e.Explicit})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.change.Load() == change {
		s.answers.Store(a)
	}
	return a, nil
}

func (c *Cache) forget(tenant, subject string) {
	s := c.slot(person{tenant, subject})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change.Add(1)
	s.answers.Store(nil)
}

func (l *Ledger) staleness() time.Duration {
	if l.cache.Load() == nil {
		return 0
	}
	return Staleness
}

// Controls describes the ledger behind the cache.
func (c *Cache) Controls() []controls.Control { return c.ledger.Controls() }
