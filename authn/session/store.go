package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"
)

// Errors of a [Store].
var (
	// ErrNotFound says that there is no such session.
	ErrNotFound = errors.New("session: not found")
	// ErrTenant says that a store was called without a tenant.
	ErrTenant = errors.New("session: the tenant is empty")
)

// A Key is where a session stands: the SHA-256 of its token.
type Key [sha256.Size]byte

// A Row is a session as a [Store] keeps it. Stores copy it and understand
// none of it but the fields they search by.
type Row struct {
	Tenant  string
	Key     Key
	Account string
	ID      string // names the session; stays the same when the token is rotated
	Rev     int64  // grows by one with each Update
	Expires time.Time
	Data    []byte // what the Manager wrote, with its MAC

	// rec is Data, read. Only a store in this process can carry it, and
	// nobody else writes such a store.
	rec *record
}

// A Store keeps rows. Every condition is atomic with its write.
// authn/authnsql and authn/session/sessionredis have one each; authn/authntest
// holds the suite they must pass.
type Store interface {
	// Insert adds a row if its key is free and the account's epoch is the
	// given one, and reports whether it did.
	Insert(ctx context.Context, r Row, epoch int64) (bool, error)
	// Get returns a row, or ErrNotFound.
	Get(ctx context.Context, tenant string, key Key) (Row, error)
	// Update replaces Data and Expires of the row with r's key if its Rev is
	// r.Rev-1, sets Rev to r.Rev, and reports whether it did. It never
	// inserts.
	Update(ctx context.Context, r Row) (bool, error)
	// Replace removes the row with the old key and inserts r, if the old row
	// is there, in one step, and reports whether it did.
	Replace(ctx context.Context, old Key, r Row) (bool, error)
	// Delete removes a row and reports whether it was there.
	Delete(ctx context.Context, tenant string, key Key) (bool, error)
	// List returns the account's rows, oldest first or in any order.
	List(ctx context.Context, tenant, account string) ([]Row, error)
	// DeleteAll removes the account's rows but the one with the key to keep
	// (the zero Key keeps none), raises the account's epoch by one, in one
	// step, and returns the number removed.
	DeleteAll(ctx context.Context, tenant, account string, keep Key) (int, error)
	// Epoch returns the account's epoch: 0 until DeleteAll was called.
	Epoch(ctx context.Context, tenant, account string) (int64, error)
	// Purge removes rows whose Expires is before t and returns their number.
	Purge(ctx context.Context, tenant string, t time.Time) (int, error)
}

type (
	rowKey struct {
		tenant string
		key    Key
	}
	accountKey struct{ tenant, account string }
)

// Memory is a [Store] in this process: for one instance, and for tests. The
// zero Memory is ready.
type Memory struct {
	mu     sync.RWMutex
	rows   map[rowKey]*Row
	owned  map[accountKey][]Key // in the order of insertion
	epochs map[accountKey]int64
}

// Insert implements [Store].
func (m *Memory) Insert(_ context.Context, r Row, epoch int64) (bool, error) {
	if r.Tenant == "" {
		return false, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[rowKey{r.Tenant, r.Key}] != nil || m.epochs[accountKey{r.Tenant, r.Account}] != epoch {
		return false, nil
	}
	m.put(r)
	return true, nil
}

func (m *Memory) put(r Row) {
	if m.rows == nil {
		m.rows, m.owned = map[rowKey]*Row{}, map[accountKey][]Key{}
	}
	r.Data = slices.Clone(r.Data)
	m.rows[rowKey{r.Tenant, r.Key}] = &r
	a := accountKey{r.Tenant, r.Account}
	m.owned[a] = append(m.owned[a], r.Key)
}

func (m *Memory) remove(tenant string, key Key) bool {
	k := rowKey{tenant, key}
	r := m.rows[k]
	if r == nil {
		return false
	}
	delete(m.rows, k)
	a := accountKey{tenant, r.Account}
	m.owned[a] = slices.DeleteFunc(m.owned[a], func(o Key) bool { return o == key })
	if len(m.owned[a]) == 0 {
		delete(m.owned, a)
	}
	return true
}

// Get implements [Store].
func (m *Memory) Get(_ context.Context, tenant string, key Key) (Row, error) {
	if tenant == "" {
		return Row{}, ErrTenant
	}
	m.mu.RLock()
	r := m.rows[rowKey{tenant, key}]
	m.mu.RUnlock()
	if r == nil {
		return Row{}, ErrNotFound
	}
	return *r, nil // rows are replaced, never changed
}

// Update implements [Store].
func (m *Memory) Update(_ context.Context, r Row) (bool, error) {
	if r.Tenant == "" {
		return false, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := rowKey{r.Tenant, r.Key}
	old := m.rows[k]
	if old == nil || old.Rev != r.Rev-1 {
		return false, nil
	}
	next := *old
	next.Rev, next.Data, next.Expires, next.rec = r.Rev, slices.Clone(r.Data), r.Expires, r.rec
	m.rows[k] = &next
	return true, nil
}

// Replace implements [Store].
func (m *Memory) Replace(_ context.Context, old Key, r Row) (bool, error) {
	if r.Tenant == "" {
		return false, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[rowKey{r.Tenant, r.Key}] != nil || !m.remove(r.Tenant, old) {
		return false, nil
	}
	m.put(r)
	return true, nil
}

// Delete implements [Store].
func (m *Memory) Delete(_ context.Context, tenant string, key Key) (bool, error) {
	if tenant == "" {
		return false, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(tenant, key), nil
}

// List implements [Store].
func (m *Memory) List(_ context.Context, tenant, account string) ([]Row, error) {
	if tenant == "" {
		return nil, ErrTenant
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []Row
	for _, k := range m.owned[accountKey{tenant, account}] {
		list = append(list, *m.rows[rowKey{tenant, k}])
	}
	return list, nil
}

// DeleteAll implements [Store].
func (m *Memory) DeleteAll(_ context.Context, tenant, account string, keep Key) (int, error) {
	if tenant == "" {
		return 0, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := accountKey{tenant, account}
	if m.epochs == nil {
		m.epochs = map[accountKey]int64{}
	}
	m.epochs[a]++
	n := 0
	for _, k := range slices.Clone(m.owned[a]) {
		if k != keep && m.remove(tenant, k) {
			n++
		}
	}
	return n, nil
}

// Epoch implements [Store].
func (m *Memory) Epoch(_ context.Context, tenant, account string) (int64, error) {
	if tenant == "" {
		return 0, ErrTenant
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.epochs[accountKey{tenant, account}], nil
}

// Purge implements [Store].
func (m *Memory) Purge(_ context.Context, tenant string, t time.Time) (int, error) {
	if tenant == "" {
		return 0, ErrTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for k, r := range m.rows {
		if k.tenant == tenant && r.Expires.Before(t) && m.remove(tenant, k.key) {
			n++
		}
	}
	return n, nil
}
