package otp

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// A Hash is what is stored of a code.
type Hash [sha256.Size]byte

// A Record is what is known of an account's codes of one purpose.
type Record struct {
	Rev      int64     // grows by one with each change; 0 is a record not stored yet
	Hash     Hash      // of the code that is out; zero for none
	Expires  time.Time // of that code
	Window   time.Time // when the present hour began
	Sent     int       // in this hour
	Failures int       // in this hour
	Row      int       // failures in a row
}

// roll begins a new hour when one is over.
func (r *Record) roll(now time.Time) {
	if now.Sub(r.Window) >= window {
		r.Window, r.Sent, r.Failures = now.Truncate(time.Second), 0, 0
	}
}

// A Store keeps records. authn/authnsql has one; authn/authntest the suite it
// must pass.
type Store interface {
	// Get returns a record; the zero Record for an unknown key.
	Get(ctx context.Context, tenant, key string) (Record, error)
	// Swap stores next with Rev = rev+1 if the stored Rev is rev, atomically,
	// and reports whether it did.
	Swap(ctx context.Context, tenant, key string, rev int64, next Record) (bool, error)
}

// Memory is a [Store] in memory. The zero Memory is ready.
type Memory struct {
	mu sync.Mutex
	m  map[[2]string]Record
}

var errNoTenant = errors.New("otp: the tenant is empty")

// Get implements [Store].
func (s *Memory) Get(_ context.Context, tenant, key string) (Record, error) {
	if tenant == "" {
		return Record{}, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[[2]string{tenant, key}], nil
}

// Swap implements [Store].
func (s *Memory) Swap(_ context.Context, tenant, key string, rev int64, next Record) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{tenant, key}
	if s.m[k].Rev != rev {
		return false, nil
	}
	if s.m == nil {
		s.m = map[[2]string]Record{}
	}
	next.Rev = rev + 1
	s.m[k] = next
	return true, nil
}
