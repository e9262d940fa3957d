package crypto

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// A MemoryStore is a KeyStore in memory: for tests, and for data that may end
// with the process. Use NewMemoryStore.
type MemoryStore struct {
	mu      sync.Mutex
	tenants map[string]*memoryTenant
}

type memoryTenant struct {
	keys     map[KeyID]*Record
	scopes   map[Scope][]*Record  // by version, latest first
	subjects map[string][]*Record // what a destruction touches
	tombs    map[string]*memoryTomb
}

type memoryTomb struct{ at, allowed time.Time }

func (t *memoryTomb) stands() bool { return t != nil && !t.allowed.After(t.at) }

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{tenants: map[string]*memoryTenant{}} }

var errNoTenant = errors.New("crypto: the tenant is empty")

func (m *MemoryStore) in(ctx context.Context, tenant string, f func(*memoryTenant) error) error {
	if tenant == "" {
		return errNoTenant
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tenants[tenant]
	if t == nil {
		t = &memoryTenant{map[KeyID]*Record{}, map[Scope][]*Record{}, map[string][]*Record{}, map[string]*memoryTomb{}}
		m.tenants[tenant] = t
	}
	return f(t)
}

func (t *memoryTenant) erased(subject string) bool {
	return t.tombs[subject].stands() || t.tombs[""].stands()
}

// Insert adds a key.
func (m *MemoryStore) Insert(ctx context.Context, r Record) error {
	return m.in(ctx, r.Tenant, func(t *memoryTenant) error {
		line := t.scopes[r.Scope]
		switch {
		case t.erased(r.Subject):
			return ErrShredded
		case t.keys[r.ID] != nil || slices.ContainsFunc(line, func(o *Record) bool { return o.Version == r.Version }):
			return ErrExists
		}
		c := r
		c.Wrapped = bytes.Clone(r.Wrapped)
		t.keys[r.ID] = &c
		line = append(line, &c)
		slices.SortFunc(line, func(a, b *Record) int { return b.Version - a.Version })
		t.scopes[r.Scope] = line
		t.subjects[r.Subject] = append(t.subjects[r.Subject], &c)
		return nil
	})
}

// Get returns a key by id.
func (m *MemoryStore) Get(ctx context.Context, tenant string, id KeyID) (r Record, err error) {
	err = m.in(ctx, tenant, func(t *memoryTenant) error {
		p := t.keys[id]
		if p == nil {
			return ErrNotFound
		}
		r = copyOf(p)
		return nil
	})
	return r, err
}

func copyOf(p *Record) Record {
	r := *p
	r.Wrapped = bytes.Clone(p.Wrapped)
	return r
}

// Latest returns the scope's highest version that is not destroyed.
func (m *MemoryStore) Latest(ctx context.Context, s Scope) (r Record, err error) {
	err = m.in(ctx, s.Tenant, func(t *memoryTenant) error {
		if t.erased(s.Subject) {
			return ErrShredded
		}
		line := t.scopes[s]
		if len(line) == 0 {
			return ErrNotFound
		}
		if !line[0].Destroyed.IsZero() {
			r.Version = line[0].Version
			return ErrNotFound
		}
		r = copyOf(line[0])
		return nil
	})
	return r, err
}

// Versions returns the scope's keys that are not destroyed, latest first.
func (m *MemoryStore) Versions(ctx context.Context, s Scope) (list []Record, err error) {
	err = m.in(ctx, s.Tenant, func(t *memoryTenant) error {
		for _, p := range t.scopes[s] {
			if p.Destroyed.IsZero() {
				list = append(list, copyOf(p))
			}
		}
		return nil
	})
	return list, err
}

// List returns a page of a tenant's keys in the order of ids.
func (m *MemoryStore) List(ctx context.Context, tenant string, after KeyID, limit int) (list []Record, err error) {
	err = m.in(ctx, tenant, func(t *memoryTenant) error {
		for id, p := range t.keys {
			if p.Destroyed.IsZero() && bytes.Compare(id[:], after[:]) > 0 {
				list = append(list, copyOf(p))
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Record) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list[:min(len(list), max(limit, 0))], err
}

// Reserve adds n to a key's uses.
func (m *MemoryStore) Reserve(ctx context.Context, tenant string, id KeyID, n uint64) (total uint64, err error) {
	err = m.in(ctx, tenant, func(t *memoryTenant) error {
		p := t.keys[id]
		if p == nil {
			return ErrNotFound
		}
		if !p.Destroyed.IsZero() {
			return ErrShredded
		}
		p.Reserved += n
		total = p.Reserved
		return nil
	})
	return total, err
}

// Rewrap replaces the wrapped key.
func (m *MemoryStore) Rewrap(ctx context.Context, tenant string, id KeyID, old []byte, kek string, wrapped []byte) error {
	return m.in(ctx, tenant, func(t *memoryTenant) error {
		p := t.keys[id]
		if p == nil || !p.Destroyed.IsZero() || !bytes.Equal(p.Wrapped, old) {
			return ErrConflict
		}
		p.KEK, p.Wrapped = kek, bytes.Clone(wrapped)
		return nil
	})
}

// Destroy removes keys and leaves a tombstone.
func (m *MemoryStore) Destroy(ctx context.Context, ts Tombstone) ([]Destroyed, error) {
	return m.destroy(ctx, ts, false)
}

// Replay removes keys that were created before a tombstone.
func (m *MemoryStore) Replay(ctx context.Context, ts Tombstone) ([]Destroyed, error) {
	return m.destroy(ctx, ts, true)
}

func (m *MemoryStore) destroy(ctx context.Context, ts Tombstone, replay bool) (list []Destroyed, err error) {
	err = m.in(ctx, ts.Tenant, func(t *memoryTenant) error {
		tomb := t.tombs[ts.Subject]
		if tomb == nil {
			tomb = &memoryTomb{}
			t.tombs[ts.Subject] = tomb
		}
		if ts.At.After(tomb.at) {
			tomb.at = ts.At
		}
		if !replay {
			tomb.allowed = time.Time{} // stands, whatever the clocks say
		}
		for subject, keys := range t.touched(ts.Subject) {
			t.subjects[subject] = slices.DeleteFunc(keys, func(p *Record) bool {
				if replay && p.Created.After(ts.At) {
					return false
				}
				list = append(list, Destroyed{p.ID, sha256.Sum256(p.Wrapped)})
				p.Destroyed, p.Wrapped = ts.At, nil
				return true
			})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Destroyed) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list, err
}

// touched returns the keys of a subject, or with an empty one of everyone.
func (t *memoryTenant) touched(subject string) map[string][]*Record {
	if subject == "" {
		return maps.Clone(t.subjects)
	}
	return map[string][]*Record{subject: t.subjects[subject]}
}

// Allow ends a tombstone.
func (m *MemoryStore) Allow(ctx context.Context, tenant, subject string, at time.Time) error {
	return m.in(ctx, tenant, func(t *memoryTenant) error {
		if old := t.tombs[subject]; old != nil && at.After(old.allowed) {
			old.allowed = at
		}
		return nil
	})
}
