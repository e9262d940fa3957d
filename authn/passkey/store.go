package passkey

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrTenant says that a store was called without a tenant.
var ErrTenant = errors.New("passkey: the tenant is empty")

// A Row is a passkey as a [Store] keeps it.
type Row struct {
	Tenant, Account, ID string
	Rev                 int64 // grows by one with each Update
	Data                []byte
}

// A Store keeps passkeys and ceremonies. Every condition is atomic with its
// write. passkeysql has one; passkeytest the suite it must pass.
type Store interface {
	// Insert adds a row and reports false if the tenant has its ID already,
	// whichever account's it is.
	Insert(ctx context.Context, r Row) (bool, error)
	// List returns the account's rows.
	List(ctx context.Context, tenant, account string) ([]Row, error)
	// Update replaces Data of the row if its Rev is r.Rev-1, sets Rev to
	// r.Rev, and reports whether it did. It never inserts.
	Update(ctx context.Context, r Row) (bool, error)
	// Delete removes a row and reports whether it was there.
	Delete(ctx context.Context, tenant, account, id string) (bool, error)

	// PutCeremony keeps the data of a ceremony until it expires.
	PutCeremony(ctx context.Context, tenant, id string, data []byte, expires time.Time) error
	// TakeCeremony removes the data and returns it; nil if it is not there.
	// Of many that ask, one gets it.
	TakeCeremony(ctx context.Context, tenant, id string) ([]byte, error)
}

type memoryCeremony struct {
	data    []byte
	expires time.Time
}

// Memory is a [Store] in this process. The zero Memory is ready.
type Memory struct {
	mu         sync.Mutex
	rows       map[[2]string]Row
	ceremonies map[[2]string]memoryCeremony
}

// Insert implements [Store].
func (s *Memory) Insert(_ context.Context, r Row) (bool, error) {
	if r.Tenant == "" {
		return false, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{r.Tenant, r.ID}
	if _, taken := s.rows[k]; taken {
		return false, nil
	}
	if s.rows == nil {
		s.rows = map[[2]string]Row{}
	}
	r.Data = slices.Clone(r.Data)
	s.rows[k] = r
	return true, nil
}

// List implements [Store].
func (s *Memory) List(_ context.Context, tenant, account string) ([]Row, error) {
	if tenant == "" {
		return nil, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Row
	for k, r := range s.rows {
		if k[0] == tenant && r.Account == account {
			r.Data = slices.Clone(r.Data)
			list = append(list, r)
		}
	}
	return list, nil
}

// Update implements [Store].
func (s *Memory) Update(_ context.Context, r Row) (bool, error) {
	if r.Tenant == "" {
		return false, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{r.Tenant, r.ID}
	old, ok := s.rows[k]
	if !ok || old.Rev != r.Rev-1 || old.Account != r.Account {
		return false, nil
	}
	r.Data = slices.Clone(r.Data)
	s.rows[k] = r
	return true, nil
}

// Delete implements [Store].
func (s *Memory) Delete(_ context.Context, tenant, account, id string) (bool, error) {
	if tenant == "" {
		return false, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{tenant, id}
	if r, ok := s.rows[k]; !ok || r.Account != account {
		return false, nil
	}
	delete(s.rows, k)
	return true, nil
}

// PutCeremony implements [Store].
func (s *Memory) PutCeremony(_ context.Context, tenant, id string, data []byte, expires time.Time) error {
	if tenant == "" {
		return ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ceremonies == nil {
		s.ceremonies = map[[2]string]memoryCeremony{}
	}
	for k, c := range s.ceremonies { // those that were begun and left
		if expires.Sub(c.expires) > time.Hour {
			delete(s.ceremonies, k)
		}
	}
	s.ceremonies[[2]string{tenant, id}] = memoryCeremony{slices.Clone(data), expires}
	return nil
}

// TakeCeremony implements [Store].
func (s *Memory) TakeCeremony(_ context.Context, tenant, id string) ([]byte, error) {
	if tenant == "" {
		return nil, ErrTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := [2]string{tenant, id}
	c := s.ceremonies[k]
	delete(s.ceremonies, k)
	return c.data, nil
}
