package findings

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
)

// A Store keeps findings. Every method takes a tenant that is not empty, and
// no method shows or changes another tenant's findings. Implementations are
// held by findingstest.Run.
type Store interface {
	// Create stores a finding whose Version is 1. While the tenant has a
	// finding with the same Control and Subject that is not Closed, it stores
	// nothing and returns that one and false.
	Create(ctx context.Context, tenant string, f Finding) (Finding, bool, error)
	// Get returns one finding or ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Finding, error)
	// Update replaces the finding if the stored version is f.Version-1, else
	// it returns ErrConflict; ErrNotFound if there is none.
	Update(ctx context.Context, tenant string, f Finding) error
	// List returns up to limit findings with an ID greater than after, by ID.
	// With states, only findings in one of them. The limit is at least 1.
	List(ctx context.Context, tenant, after string, limit int, states ...State) ([]Finding, error)
}

// ErrTenant says that a store method got no tenant.
var ErrTenant = errors.New("findings: the tenant is empty")

// Memory is a Store in memory. The zero value is ready to use.
type Memory struct {
	mu      sync.Mutex
	tenants map[string]map[string]Finding
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// Create implements [Store].
func (m *Memory) Create(_ context.Context, tenant string, f Finding) (Finding, bool, error) {
	if tenant == "" {
		return Finding{}, false, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.tenants[tenant] {
		if other.State != Closed && other.Control == f.Control && other.Subject == f.Subject {
			return other.clone(), false, nil
		}
	}
	if m.tenants == nil {
		m.tenants = map[string]map[string]Finding{}
	}
	if m.tenants[tenant] == nil {
		m.tenants[tenant] = map[string]Finding{}
	}
	if _, ok := m.tenants[tenant][f.ID]; ok {
		return Finding{}, false, ErrConflict
	}
	m.tenants[tenant][f.ID] = f.clone()
	return f.clone(), true, nil
}

// Get implements [Store].
func (m *Memory) Get(_ context.Context, tenant, id string) (Finding, error) {
	if tenant == "" {
		return Finding{}, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.tenants[tenant][id]
	if !ok {
		return Finding{}, ErrNotFound
	}
	return f.clone(), nil
}

// Update implements [Store].
func (m *Memory) Update(_ context.Context, tenant string, f Finding) error {
	if tenant == "" {
		return ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.tenants[tenant][f.ID]
	switch {
	case !ok:
		return ErrNotFound
	case old.Version != f.Version-1:
		return ErrConflict
	}
	m.tenants[tenant][f.ID] = f.clone()
	return nil
}

// List implements [Store].
func (m *Memory) List(_ context.Context, tenant, after string, limit int, states ...State) ([]Finding, error) {
	if tenant == "" {
		return nil, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Finding
	for id, f := range m.tenants[tenant] {
		if id > after && (len(states) == 0 || slices.Contains(states, f.State)) {
			list = append(list, f.clone())
		}
	}
	slices.SortFunc(list, func(a, b Finding) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(max(limit, 1), len(list))], nil
}
