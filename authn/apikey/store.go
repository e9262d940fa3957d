package apikey

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Errors of a [Store].
var (
	// ErrNotFound says that there is no such key.
	ErrNotFound = errors.New("apikey: not found")
	// ErrTenant says that a store was called without a tenant.
	ErrTenant = errors.New("apikey: the tenant is empty")
)

// A Row is a key as a [Store] keeps it.
type Row struct {
	Tenant, ID, Owner string
	Expires           time.Time
	Used              time.Time // zero is never
	Data              []byte    // what the Manager wrote, with its MAC
}

// A Store keeps rows. authn/authnsql has one; authn/authntest the suite it
// must pass.
type Store interface {
	// Insert adds a row; one that is there is an error.
	Insert(ctx context.Context, r Row) error
	// Get returns a row, or ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Row, error)
	// Update replaces Data and Expires of a row and reports whether it was
	// there. It never inserts.
	Update(ctx context.Context, r Row) (bool, error)
	// Use notes when a key was used; one that is gone is no error.
	Use(ctx context.Context, tenant, id string, at time.Time) error
	// Delete removes a row and reports whether it was there.
	Delete(ctx context.Context, tenant, id string) (bool, error)
	// List returns the rows of an owner, or all of the tenant if it is empty.
	List(ctx context.Context, tenant, owner string) ([]Row, error)
}

// Memory is a [Store] in this process. The zero Memory is ready.
type Memory struct {
	mu sync.RWMutex
	m  map[[2]string]Row
}

// Insert implements [Store].
func (s *Memory) Insert(_ context.Context, r Row) error {
	if r.Tenant == "" {
		return ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{r.Tenant, r.ID}
	if _, taken := s.m[k]; taken {
		return errors.New("apikey: the id is taken")
	}
	if s.m == nil {
		s.m = map[[2]string]Row{}
	}
	r.Data = slices.Clone(r.Data)
	s.m[k] = r
	return nil
}

// Get implements [Store].
func (s *Memory) Get(_ context.Context, tenant, id string) (Row, error) {
	if tenant == "" {
		return Row{}, ErrTenant
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.m[[2]string{tenant, id}]
	if !ok {
		return r, ErrNotFound
	}
	r.Data = slices.Clone(r.Data)
	return r, nil
}

// Update implements [Store].
func (s *Memory) Update(_ context.Context, r Row) (bool, error) {
	if r.Tenant == "" {
		return false, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{r.Tenant, r.ID}
	old, ok := s.m[k]
	if !ok {
		return false, nil
	}
	old.Data, old.Expires = slices.Clone(r.Data), r.Expires
	s.m[k] = old
	return true, nil
}

// Use implements [Store].
func (s *Memory) Use(_ context.Context, tenant, id string, at time.Time) error {
	if tenant == "" {
		return ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{tenant, id}
	if r, ok := s.m[k]; ok {
		r.Used = at.UTC()
		s.m[k] = r
	}
	return nil
}

// Delete implements [Store].
func (s *Memory) Delete(_ context.Context, tenant, id string) (bool, error) {
	if tenant == "" {
		return false, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{tenant, id}
	_, ok := s.m[k]
	delete(s.m, k)
	return ok, nil
}

// List implements [Store].
func (s *Memory) List(_ context.Context, tenant, owner string) ([]Row, error) {
	if tenant == "" {
		return nil, ErrTenant
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []Row
	for k, r := range s.m {
		if k[0] == tenant && (owner == "" || r.Owner == owner) {
			r.Data = slices.Clone(r.Data)
			list = append(list, r)
		}
	}
	return list, nil
}
