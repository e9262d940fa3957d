package monitor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// A Store keeps the history. Every method takes a tenant that is not empty.
// Implementations are held by monitortest.Run.
type Store interface {
	// Append gives the entry the tenant's next sequence number, without a
	// hole even when several programs append at once, stores and returns it.
	Append(ctx context.Context, tenant string, e Entry) (Entry, error)
	// Range calls yield for the tenant's entries in the order of Seq, from the
	// first to the last one with from ≤ At < to and with all that lie between
	// these two whatever their date, until yield returns false.
	Range(ctx context.Context, tenant string, from, to time.Time, yield func(Entry) bool) error
	// Last returns the entry with the highest Seq for each control the tenant
	// ever had an entry for.
	Last(ctx context.Context, tenant string) ([]Entry, error)
}

// ErrTenant says that a store method got no tenant.
var ErrTenant = errors.New("monitor: the tenant is empty")

// Memory is a Store in memory: for tests and for programs whose history
// matters only until they end. The zero value is ready to use. It keeps the
// latest 100,000 entries of a tenant; what it dropped shows as a gap.
type Memory struct {
	mu      sync.Mutex
	tenants map[string]*timeline
}

type timeline struct {
	seq     uint64
	entries []Entry
	last    map[string]Entry
}

const maxMemory = 100_000

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// Append implements [Store].
func (m *Memory) Append(_ context.Context, tenant string, e Entry) (Entry, error) {
	if tenant == "" {
		return Entry{}, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tenants == nil {
		m.tenants = map[string]*timeline{}
	}
	t := m.tenants[tenant]
	if t == nil {
		t = &timeline{last: map[string]Entry{}}
		m.tenants[tenant] = t
	}
	t.seq++
	e.Seq = t.seq
	if len(t.entries) == maxMemory {
		t.entries = append(t.entries[:0], t.entries[maxMemory/10:]...)
	}
	t.entries = append(t.entries, e)
	if e.Control != "" {
		t.last[e.Control] = e
	}
	return e, nil
}

// Range implements [Store].
func (m *Memory) Range(_ context.Context, tenant string, from, to time.Time, yield func(Entry) bool) error {
	if tenant == "" {
		return ErrTenant
	}
	m.mu.Lock()
	var found []Entry
	if t := m.tenants[tenant]; t != nil {
		first, last := -1, -1
		for i, e := range t.entries {
			if !e.At.Before(from) && e.At.Before(to) {
				if last = i; first < 0 {
					first = i
				}
			}
		}
		if first >= 0 {
			found = slices.Clone(t.entries[first : last+1])
		}
	}
	m.mu.Unlock()
	for _, e := range found {
		if !yield(e) {
			break
		}
	}
	return nil
}

// Last implements [Store].
func (m *Memory) Last(_ context.Context, tenant string) ([]Entry, error) {
	if tenant == "" {
		return nil, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Entry
	if t := m.tenants[tenant]; t != nil {
		for _, e := range t.last {
			list = append(list, e)
		}
	}
	return list, nil
}
