package oidc

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrNotLinked says that an identity belongs to no account.
var ErrNotLinked = errors.New("oidc: the identity is not linked to an account")

// A Link says that an identity at a provider is an account here.
type Link struct {
	Tenant          string
	Issuer, Subject string
	Account         string
	Created         time.Time // to the microsecond
}

// Links is where links are kept. oidcsql has one. Tenants are never empty.
type Links interface {
	// Find returns the link of an identity, or ErrNotLinked.
	Find(ctx context.Context, tenant, issuer, subject string) (Link, error)
	// Add adds a link, and reports whether it did: an identity that has one
	// keeps it.
	Add(ctx context.Context, l Link) (bool, error)
	// List returns the links of an account, the oldest first.
	List(ctx context.Context, tenant, account string) ([]Link, error)
	// Remove removes a link of the account, and reports whether there was
	// one.
	Remove(ctx context.Context, tenant, issuer, subject, account string) (bool, error)
}

// Memory keeps links in memory. The zero Memory is ready.
type Memory struct {
	mu    sync.Mutex
	links map[[3]string]Link
}

var _ Links = (*Memory)(nil)

var errTenant = errors.New("oidc: Links: the tenant is empty")

// Find implements [Links].
func (m *Memory) Find(_ context.Context, tenant, issuer, subject string) (Link, error) {
	if tenant == "" {
		return Link{}, errTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.links[[3]string{tenant, issuer, subject}]
	if !ok {
		return Link{}, ErrNotLinked
	}
	return l, nil
}

// Add implements [Links].
func (m *Memory) Add(_ context.Context, l Link) (bool, error) {
	if l.Tenant == "" {
		return false, errTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [3]string{l.Tenant, l.Issuer, l.Subject}
	if _, taken := m.links[key]; taken {
		return false, nil
	}
	if m.links == nil {
		m.links = map[[3]string]Link{}
	}
	m.links[key] = l
	return true, nil
}

// List implements [Links].
func (m *Memory) List(_ context.Context, tenant, account string) ([]Link, error) {
	if tenant == "" {
		return nil, errTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Link
	for _, l := range m.links {
		if l.Tenant == tenant && l.Account == account {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b Link) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
	})
	return list, nil
}

// Remove implements [Links].
func (m *Memory) Remove(_ context.Context, tenant, issuer, subject, account string) (bool, error) {
	if tenant == "" {
		return false, errTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [3]string{tenant, issuer, subject}
	if l, ok := m.links[key]; !ok || l.Account != account {
		return false, nil
	}
	delete(m.links, key)
	return true, nil
}
