package consent

import (
	"context"
	"sync"
)

// Memory is a [Store] in memory, for tests and single processes that can
// afford to forget.
type Memory struct {
	mu     sync.Mutex
	chains map[[2]string][]Entry
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{chains: make(map[[2]string][]Entry)} }

// Append stores an entry.
func (m *Memory) Append(_ context.Context, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := [2]string{e.Tenant, e.Subject}
	if e.Seq != len(m.chains[k])+1 {
		return ErrConflict
	}
	m.chains[k] = append(m.chains[k], e)
	return nil
}

// Chain returns a copy of a subject's entries.
func (m *Memory) Chain(_ context.Context, tenant, subject string) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Entry(nil), m.chains[[2]string{tenant, subject}]...), nil
}
