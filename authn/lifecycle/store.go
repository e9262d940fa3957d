package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// A State is where somebody stands.
type State string

// The states.
const (
	Requested State = "requested" // waits for approval; no access
	Active    State = "active"
	Suspended State = "suspended" // closed for a time, such as when dormant
	Leaving   State = "leaving"   // closed; something may still be open
	Left      State = "left"      // everything has ended
)

// A Person is what is known of somebody who has, wants or had access.
type Person struct {
	Tenant string
	ID     string // of the account; given by Request
	// External is the person's id at the identity source; empty for none.
	External string
	// Name is the login name.
	Name  string
	State State
	// Roles are what was asked for, and given once active.
	Roles []string
	// By is the account that asked, or "scim" or "feed".
	By string
	// Since is when the state was entered.
	Since time.Time
	// Seen is when the person last signed in; zero is never.
	Seen time.Time
	Rev  int64 // grows by one with each change
}

// A Store keeps people. authn/authnsql has one; authn/authntest the suite it
// must pass.
type Store interface {
	// Insert adds a person. It reports false if the tenant has the ID, the
	// name, or a non-empty external id already.
	Insert(ctx context.Context, p Person) (bool, error)
	// Get returns a person, or ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Person, error)
	// Update replaces a person if the stored Rev is p.Rev-1 and reports
	// whether it did. It never inserts.
	Update(ctx context.Context, p Person) (bool, error)
	// List returns the tenant's people by name.
	List(ctx context.Context, tenant string) ([]Person, error)
}

var errNoTenant = errors.New("lifecycle: the tenant is empty")

// Memory is a [Store] in this process. The zero Memory is ready.
type Memory struct {
	mu sync.Mutex
	m  map[[2]string]Person
}

// Insert implements [Store].
func (s *Memory) Insert(_ context.Context, p Person) (bool, error) {
	if p.Tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, o := range s.m {
		if k[0] == p.Tenant && (o.ID == p.ID || o.Name == p.Name || p.External != "" && o.External == p.External) {
			return false, nil
		}
	}
	if s.m == nil {
		s.m = map[[2]string]Person{}
	}
	p.Roles = slices.Clone(p.Roles)
	s.m[[2]string{p.Tenant, p.ID}] = p
	return true, nil
}

// Get implements [Store].
func (s *Memory) Get(_ context.Context, tenant, id string) (Person, error) {
	if tenant == "" {
		return Person{}, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.m[[2]string{tenant, id}]
	if !ok {
		return p, ErrNotFound
	}
	p.Roles = slices.Clone(p.Roles)
	return p, nil
}

// Update implements [Store].
func (s *Memory) Update(_ context.Context, p Person) (bool, error) {
	if p.Tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{p.Tenant, p.ID}
	if old, ok := s.m[k]; !ok || old.Rev != p.Rev-1 {
		return false, nil
	}
	p.Roles = slices.Clone(p.Roles)
	s.m[k] = p
	return true, nil
}

// List implements [Store].
func (s *Memory) List(_ context.Context, tenant string) ([]Person, error) {
	if tenant == "" {
		return nil, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Person
	for k, p := range s.m {
		if k[0] == tenant {
			p.Roles = slices.Clone(p.Roles)
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b Person) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
