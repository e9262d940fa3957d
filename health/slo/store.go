package slo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrTampered says that stored counts were not written with the key.
var ErrTampered = errors.New("slo: stored counts were changed")

// A Count is what one source saw of one objective in one minute.
type Count struct {
	Objective string
	Source    string    // the run of a program that counted, random
	Outside   bool      // whether a [Watcher] counted
	Minute    time.Time // its beginning, UTC
	Good, Bad int64
	MAC       [sha256.Size]byte // over all of the above and the tenant
}

// A Store keeps counts. Every method takes the tenant whose service it is, who
// in most programs is the operator. [NewMemory] is one; health/healthsql has
// one for SQLite and PostgreSQL.
type Store interface {
	// Put adds counts, all or none. Counts that are there already (same
	// objective, source and minute) are left as they are: a repeated Put is
	// no error.
	Put(ctx context.Context, tenant string, counts []Count) error
	// Counts calls f for the counts of an objective with from <= Minute < to,
	// ordered by minute. An error of f ends it and is returned.
	Counts(ctx context.Context, tenant, objective string, from, to time.Time, f func(Count) error) error
}

// seal fills in the MAC.
func (c *Count) seal(key []byte, tenant string) { c.MAC = c.mac(key, tenant) }

// check compares the MAC. The store's writers are not trusted.
func (c *Count) check(key []byte, tenant string) error {
	if want := c.mac(key, tenant); !hmac.Equal(want[:], c.MAC[:]) {
		return fmt.Errorf("%w: %s at %s", ErrTampered, c.Objective, c.Minute.UTC().Format(time.RFC3339))
	}
	return nil
}

func (c *Count) mac(key []byte, tenant string) [sha256.Size]byte {
	b := []byte("surety slo count v1")
	for _, s := range []string{tenant, c.Objective, c.Source} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	outside := byte(0)
	if c.Outside {
		outside = 1
	}
	b = append(b, outside)
	for _, n := range []int64{c.Minute.Unix(), c.Good, c.Bad} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return [sha256.Size]byte(h.Sum(nil))
}

// Memory is a [Store] in memory, for tests and for programs that keep no
// history. It is safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	counts map[memoryKey]Count
}

type memoryKey struct {
	tenant, objective, source string
	minute                    int64
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{counts: make(map[memoryKey]Count)} }

// Put implements [Store].
func (m *Memory) Put(_ context.Context, tenant string, counts []Count) error {
	if tenant == "" {
		return errNoTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range counts {
		k := memoryKey{tenant, c.Objective, c.Source, c.Minute.Unix()}
		if _, there := m.counts[k]; !there {
			m.counts[k] = c
		}
	}
	return nil
}

// Counts implements [Store].
func (m *Memory) Counts(_ context.Context, tenant, objective string, from, to time.Time, f func(Count) error) error {
	if tenant == "" {
		return errNoTenant
	}
	m.mu.Lock()
	var list []Count
	for k, c := range m.counts {
		if k.tenant == tenant && k.objective == objective && !c.Minute.Before(from) && c.Minute.Before(to) {
			list = append(list, c)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b Count) int { return a.Minute.Compare(b.Minute) })
	for _, c := range list {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

var errNoTenant = errors.New("slo: tenant is empty")
