package throttle

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A State is what is known of one account or client.
type State struct {
	Rev      int64 // grows by one with each change; 0 is a state not stored yet
	Failures int   // in a row
	Last     time.Time
	Until    time.Time // no attempt before
	Reason   string    // of a lock by Lock
	Disabled bool      // until Unlock
	Keep     bool      // not to be forgotten
}

// A Store keeps states. authn/authnsql and authn/session/sessionredis have
// one each; authn/authntest the suite they must pass.
type Store interface {
	// Get returns a state; the zero State for an unknown key.
	Get(ctx context.Context, tenant, key string) (State, error)
	// Swap stores next with Rev = rev+1 if the stored Rev is rev, atomically,
	// and reports whether it did.
	Swap(ctx context.Context, tenant, key string, rev int64, next State) (bool, error)
	// Purge forgets the states with Last and Until before t that are neither
	// Disabled nor to Keep, and returns their number.
	Purge(ctx context.Context, tenant string, t time.Time) (int, error)
}

type memoryKey struct{ tenant, key string }

// Memory is a [Store] in this process. The zero Memory is ready.
type Memory struct {
	mu sync.Mutex
	m  map[memoryKey]State
}

var errNoTenant = errors.New("throttle: the tenant is empty")

// Get implements [Store].
func (s *Memory) Get(_ context.Context, tenant, key string) (State, error) {
	if tenant == "" {
		return State{}, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[memoryKey{tenant, key}], nil
}

// Swap implements [Store].
func (s *Memory) Swap(_ context.Context, tenant, key string, rev int64, next State) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := memoryKey{tenant, key}
	if s.m[k].Rev != rev {
		return false, nil
	}
	if s.m == nil {
		s.m = map[memoryKey]State{}
	}
	next.Rev = rev + 1
	s.m[k] = next
	return true, nil
}

// Purge implements [Store].
func (s *Memory) Purge(_ context.Context, tenant string, t time.Time) (int, error) {
	if tenant == "" {
		return 0, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k, st := range s.m {
		if k.tenant == tenant && st.forgettable(t) {
			delete(s.m, k)
			n++
		}
	}
	return n, nil
}

func (s State) forgettable(t time.Time) bool {
	return s.Last.Before(t) && s.Until.Before(t) && !s.Disabled && !s.Keep
}
