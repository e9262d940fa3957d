package review

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
)

// A Record is one step of a campaign as a store keeps it.
type Record struct {
	Sequence int64 // from 1, without gaps
	Data     []byte
	MAC      [sha256.Size]byte // over all of the above, where it stands, and the MAC before it
}

// A Store keeps the steps of campaigns. It need not be trusted with them.
// Conformance is in authz/authztest. Tenants and campaigns are never empty.
type Store interface {
	// Append adds a record, or reports false if its sequence is not the next.
	Append(ctx context.Context, tenant, campaign string, r Record) (bool, error)
	// Read returns a campaign's records in order; none if there is no such
	// campaign.
	Read(ctx context.Context, tenant, campaign string) ([]Record, error)
	// Campaigns lists the campaigns of a tenant, by id.
	Campaigns(ctx context.Context, tenant string) ([]string, error)
}

// ErrNoTenant says that a store was called without a tenant or a campaign.
var ErrNoTenant = errors.New("review: the tenant or the campaign is empty")

// Memory is a Store in memory, for tests. The zero Memory is ready.
type Memory struct {
	mu   sync.Mutex
	list map[[2]string][]Record
}

// Append implements Store.
func (m *Memory) Append(_ context.Context, tenant, campaign string, r Record) (bool, error) {
	if tenant == "" || campaign == "" {
		return false, ErrNoTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := [2]string{tenant, campaign}
	if r.Sequence != int64(len(m.list[at]))+1 {
		return false, nil
	}
	if m.list == nil {
		m.list = make(map[[2]string][]Record)
	}
	r.Data = slices.Clone(r.Data)
	m.list[at] = append(m.list[at], r)
	return true, nil
}

// Read implements Store.
func (m *Memory) Read(_ context.Context, tenant, campaign string) ([]Record, error) {
	if tenant == "" || campaign == "" {
		return nil, ErrNoTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.list[[2]string{tenant, campaign}])
	for i := range list {
		list[i].Data = slices.Clone(list[i].Data)
	}
	return list, nil
}

// Campaigns implements Store.
func (m *Memory) Campaigns(_ context.Context, tenant string) ([]string, error) {
	if tenant == "" {
		return nil, ErrNoTenant
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for at := range m.list {
		if at[0] == tenant {
			ids = append(ids, at[1])
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// mac seals a record into its place behind another.
func mac(key []byte, tenant, campaign string, before [sha256.Size]byte, r *Record) [sha256.Size]byte {
	h := hmac.New(sha256.New, key)
	b := []byte("surety authz review v1\x00")
	for _, s := range []string{tenant, campaign} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.Sequence)) //nolint:gosec // from 1
	b = append(b, before[:]...)
	h.Write(b)
	h.Write(r.Data)
	return [sha256.Size]byte(h.Sum(nil))
}
