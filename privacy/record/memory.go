package record

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Memory is a [Store] in memory, for tests and for what may be forgotten.
type Memory struct {
	mu     sync.Mutex
	latest map[[3]string]Record
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{latest: map[[3]string]Record{}} }

// Append stores a version.
func (m *Memory) Append(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := [3]string{r.Tenant, r.Kind, r.ID}
	if m.latest[k].Version != r.Version-1 {
		return ErrConflict
	}
	r.Data, r.MAC = slices.Clone(r.Data), slices.Clone(r.MAC)
	m.latest[k] = r
	return nil
}

// Get returns the latest version.
func (m *Memory) Get(_ context.Context, tenant, kind, id string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.latest[[3]string{tenant, kind, id}]
	if !ok {
		return Record{}, ErrNotFound
	}
	return r, nil
}

// List returns the latest versions of a kind, by id.
func (m *Memory) List(_ context.Context, tenant, kind string, f Filter) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Record
	for k, r := range m.latest {
		if k[0] == tenant && k[1] == kind && (f.Subject == "" || r.Subject == f.Subject) && (r.Open || !f.OpenOnly) && r.ID > f.After {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Record) int { return cmp.Compare(a.ID, b.ID) })
	if f.Limit > 0 && len(list) > f.Limit {
		list = list[:f.Limit]
	}
	return list, nil
}
