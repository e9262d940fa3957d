package change

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/surety-go/surety/authz"
)

// An Entry is one line that was added to a policy or taken away, or a note
// about one.
type Entry struct {
	Sequence int64 // from 1, without gaps
	Op       Op
	Rule     authz.Rule
	By       string // the account that made the change
	Approver string // the account that approved it, if it needed that
	Ticket   string
	Reason   string
	At       time.Time // UTC, whole microseconds
	MAC      [sha256.Size]byte
}

// An Op says what an entry does.
type Op uint8

// The operations. The zero Op is none.
const (
	Add Op = iota + 1
	Remove
	Emergency // an Add by break-glass
	Reviewed  // a note: Rule.Fields has the sequence of the Emergency and the verdict
)

// A Head is the end of a tenant's entries.
type Head struct {
	Sequence int64
	MAC      [sha256.Size]byte
}

// A Store keeps entries by tenant, in sequence. Conformance is in
// authz/authztest. The tenant is never empty.
type Store interface {
	// Append adds entries and replaces the head, in one transaction. It
	// reports false, and does nothing, if the store's sequence is not the one
	// before the first entry.
	Append(ctx context.Context, tenant string, list []Entry, head Head) (bool, error)
	// Read calls f for the entries after a sequence, in order, and returns
	// the head of the same moment; the zero Head if there is nothing.
	Read(ctx context.Context, tenant string, after int64, f func(Entry) error) (Head, error)
	// Sequence returns the last one, or 0.
	Sequence(ctx context.Context, tenant string) (int64, error)
}

// ErrNoTenant says that a store was called without a tenant.
var ErrNoTenant = errors.New("change: the tenant is empty")

// Memory is a Store in memory, for tests and single processes that load their
// policy elsewhere.
type Memory struct {
	mu      sync.Mutex
	tenants map[string]*memory
}

type memory struct {
	list []Entry
	head Head
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{tenants: map[string]*memory{}} }

// of returns a tenant's entries; the mutex is held.
func (s *Memory) of(tenant string) (*memory, error) {
	if tenant == "" {
		return nil, ErrNoTenant
	}
	if s.tenants[tenant] == nil {
		s.tenants[tenant] = &memory{}
	}
	return s.tenants[tenant], nil
}

// Append implements Store.
func (s *Memory) Append(_ context.Context, tenant string, list []Entry, head Head) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.of(tenant)
	if err != nil || len(list) == 0 || list[0].Sequence != int64(len(m.list))+1 {
		return false, err
	}
	for _, e := range list {
		e.Rule.Fields = slices.Clone(e.Rule.Fields)
		m.list = append(m.list, e)
	}
	m.head = head
	return true, nil
}

// Read implements Store.
func (s *Memory) Read(_ context.Context, tenant string, after int64, f func(Entry) error) (Head, error) {
	s.mu.Lock()
	m, err := s.of(tenant)
	if err != nil {
		s.mu.Unlock()
		return Head{}, err
	}
	list, head := m.list[min(max(after, 0), int64(len(m.list))):], m.head
	s.mu.Unlock()
	for _, e := range list {
		if err := f(e); err != nil {
			return head, err
		}
	}
	return head, nil
}

// Sequence implements Store.
func (s *Memory) Sequence(_ context.Context, tenant string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.of(tenant)
	if err != nil {
		return 0, err
	}
	return int64(len(m.list)), nil
}

// KeySize is the length of the key of the MACs, in bytes.
const KeySize = 32

// mac authenticates an entry and, through the one before, all that came
// before it. Every part has its length before it, so that none runs into
// the next.
func (k *Keeper) mac(before [sha256.Size]byte, e *Entry) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, k.key)
	var n [8]byte
	number := func(v int64) {
		binary.BigEndian.PutUint64(n[:], uint64(v)) //nolint:gosec // any 64 bits
		h.Write(n[:])
	}
	text := func(s string) {
		number(int64(len(s)))
		h.Write([]byte(s))
	}
	text("authz/change entry 1")
	text(k.tenant)
	h.Write(before[:])
	number(e.Sequence)
	number(int64(e.Op))
	text(e.Rule.Kind)
	number(int64(len(e.Rule.Fields)))
	for _, f := range e.Rule.Fields {
		text(f)
	}
	number(e.Rule.From)
	number(e.Rule.Until)
	for _, s := range []string{e.By, e.Approver, e.Ticket, e.Reason} {
		text(s)
	}
	number(e.At.UnixMicro())
	h.Sum(sum[:0])
	return sum
}

// headMAC authenticates the end.
func (k *Keeper) headMAC(sequence int64, last [sha256.Size]byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, k.key)
	h.Write([]byte("authz/change head 1\x00" + k.tenant + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(sequence))) //nolint:gosec // any 64 bits
	h.Write(last[:])
	h.Sum(sum[:0])
	return sum
}
