package federation

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Replay remembers what may be used once. All instances share one.
type Replay interface {
	// Use notes the key until then, and reports whether it was new. The
	// tenant is never empty.
	Use(ctx context.Context, tenant, key string, until time.Time) (bool, error)
	// Forget lets a key be used again, because what it was used for failed.
	// One that is not known is no error.
	Forget(ctx context.Context, tenant, key string) error
}

// ErrFull says that a [Memory] can remember no more for now.
var ErrFull = errors.New("federation: too many proofs at once")

// Memory is a Replay for one instance. It holds at most a million keys: over
// that, [ErrFull] denies.
type Memory struct {
	mu   sync.Mutex
	keys map[[2]string]time.Time
	next time.Time // when to look for old ones
	now  func() time.Time
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{keys: map[[2]string]time.Time{}, now: time.Now}
}

const maxMemory = 1_000_000

// Use implements [Replay].
func (m *Memory) Use(_ context.Context, tenant, key string, until time.Time) (bool, error) {
	if tenant == "" {
		return false, errors.New("federation: Use: the tenant is empty")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if !now.Before(m.next) {
		for k, end := range m.keys {
			if !now.Before(end) {
				delete(m.keys, k)
			}
		}
		m.next = now.Add(10 * time.Second)
	}
	at := [2]string{tenant, key}
	if end, used := m.keys[at]; used && now.Before(end) {
		return false, nil
	}
	if len(m.keys) >= maxMemory {
		return false, ErrFull
	}
	m.keys[at] = until
	return true, nil
}

// Forget implements [Replay].
func (m *Memory) Forget(_ context.Context, tenant, key string) error {
	if tenant == "" {
		return errors.New("federation: Forget: the tenant is empty")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.keys, [2]string{tenant, key})
	return nil
}
