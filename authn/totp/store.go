package totp

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// ErrNotFound is returned by a [Store] without such a credential.
var ErrNotFound = errors.New("totp: no credential")

// A Credential is an account's enrolment as a [Store] keeps it.
type Credential struct {
	Tenant  string
	Account string
	ID      string // random, names the enrolment
	Seed    []byte // sealed
	Active  bool   // confirmed by a code
	Step    int64  // the last accepted time step
	Created time.Time
}

// A Store keeps at most one active and one pending credential per account.
// authn/authnsql has one; authn/authntest the suite it must pass.
type Store interface {
	// Put adds a pending credential in place of an earlier pending one.
	Put(ctx context.Context, c Credential) error
	// Get returns the active credential, or the pending one, or ErrNotFound.
	Get(ctx context.Context, tenant, account string, active bool) (Credential, error)
	// Activate makes the pending credential with the id the active one, in
	// place of an earlier one, with the step as its last. It reports false if
	// it is not there any more.
	Activate(ctx context.Context, tenant, account, id string, step int64) (bool, error)
	// Advance sets the last step of the active credential with the id if it
	// is less than step, atomically, and reports whether it did.
	Advance(ctx context.Context, tenant, account, id string, step int64) (bool, error)
	// Delete removes the account's credentials and reports whether an active
	// one was among them.
	Delete(ctx context.Context, tenant, account string) (bool, error)
}

type memoryKey struct {
	tenant, account string
	active          bool
}

// Memory is a [Store] in memory. The zero Memory is ready.
type Memory struct {
	mu sync.Mutex
	m  map[memoryKey]Credential
}

var errNoTenant = errors.New("totp: the tenant is empty")

// Put implements [Store].
func (s *Memory) Put(_ context.Context, c Credential) error {
	if c.Tenant == "" {
		return errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[memoryKey]Credential{}
	}
	s.m[memoryKey{c.Tenant, c.Account, false}] = c
	return nil
}

// Get implements [Store].
func (s *Memory) Get(_ context.Context, tenant, account string, active bool) (Credential, error) {
	if tenant == "" {
		return Credential{}, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.m[memoryKey{tenant, account, active}]
	if !ok {
		return Credential{}, ErrNotFound
	}
	return c, nil
}

// Activate implements [Store].
func (s *Memory) Activate(_ context.Context, tenant, account, id string, step int64) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := memoryKey{tenant, account, false}
	c, ok := s.m[pending]
	if !ok || c.ID != id {
		return false, nil
	}
	delete(s.m, pending)
	c.Active, c.Step = true, step
	s.m[memoryKey{tenant, account, true}] = c
	return true, nil
}

// Advance implements [Store].
func (s *Memory) Advance(_ context.Context, tenant, account, id string, step int64) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := memoryKey{tenant, account, true}
	c, ok := s.m[k]
	if !ok || c.ID != id || c.Step >= step {
		return false, nil
	}
	c.Step = step
	s.m[k] = c
	return true, nil
}

// Delete implements [Store].
func (s *Memory) Delete(_ context.Context, tenant, account string) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had := false
	maps.DeleteFunc(s.m, func(k memoryKey, c Credential) bool {
		gone := k.tenant == tenant && k.account == account
		had = had || gone && c.Active
		return gone
	})
	return had, nil
}
