package auditlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
)

// An index has a record for every 256 entries: the earliest and latest time in
// them, and a Bloom filter of what can be searched for. It is a cache: nothing
// depends on it but the speed of a search.
type index struct {
	mu   sync.Mutex
	name string
	file *os.File
	n    uint64 // records that are there and checked
}

const (
	indexSpan   = 256
	bloomBytes  = 2048
	bloomHashes = 5
	recordBytes = 8 + 8 + bloomBytes + 4
	indexMagic  = "surety index 1\n\n"
)

type span struct{ from, to uint64 }

type indexRecord [recordBytes]byte

func (r *indexRecord) bloom() []byte { return r[16 : 16+bloomBytes] }

func (r *indexRecord) times() (first, last int64) {
	return int64(binary.LittleEndian.Uint64(r[:])), int64(binary.LittleEndian.Uint64(r[8:]))
}

// add puts an entry into the record.
func (r *indexRecord) add(e *Entry) {
	first, last := r.times()
	at := e.Time.UnixNano()
	binary.LittleEndian.PutUint64(r[:], uint64(min(first, at)))
	binary.LittleEndian.PutUint64(r[8:], uint64(max(last, at)))
	for _, key := range entryKeys(e) {
		for _, bit := range bloomBits(key) {
			r.bloom()[bit/8] |= 1 << (bit % 8)
		}
	}
}

func (r *indexRecord) has(key string) bool {
	for _, bit := range bloomBits(key) {
		if r.bloom()[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

func (r *indexRecord) seal() {
	binary.LittleEndian.PutUint32(r[recordBytes-4:], crc32.ChecksumIEEE(r[:recordBytes-4]))
}

func (r *indexRecord) valid() bool {
	return binary.LittleEndian.Uint32(r[recordBytes-4:]) == crc32.ChecksumIEEE(r[:recordBytes-4])
}

// bloomBits are the filter's bits for a key, by double hashing.
func bloomBits(key string) (bits [bloomHashes]uint32) {
	h := fnv.New64a()
	h.Write([]byte(key))
	sum := h.Sum64()
	a, b := uint32(sum), uint32(sum>>32)|1
	for i := range bits {
		bits[i] = (a + uint32(i)*b) % (bloomBytes * 8)
	}
	return bits
}

// entryKeys are what an entry can be found by.
func entryKeys(e *Entry) []string {
	keys := []string{"outcome " + e.Outcome.String(), "action " + e.Action, "action *" + e.Action[strings.LastIndexByte(e.Action, '.'):]}
	for i := range len(e.Action) {
		if e.Action[i] == '.' {
			keys = append(keys, "action "+e.Action[:i+1]+"*")
		}
	}
	if e.Tenant != "" {
		keys = append(keys, "tenant "+e.Tenant)
	}
	if e.Actor.ID != "" {
		keys = append(keys, "actor "+e.Actor.ID)
	}
	for _, t := range e.Targets {
		keys = append(keys, "target "+t.Type, "target "+t.Type+"\x00"+t.ID)
	}
	return keys
}

// queryKeys are the keys an entry must have to be selected.
func queryKeys(q *Query) (keys []string) {
	add := func(prefix, value string) {
		if value != "" {
			keys = append(keys, prefix+value)
		}
	}
	add("tenant ", q.Tenant)
	add("actor ", q.Actor)
	if q.Outcome != outcomeUnknown {
		add("outcome ", q.Outcome.String())
	}
	switch a := q.Action; {
	case !strings.Contains(a, "*"), strings.HasSuffix(a, ".*"), strings.LastIndexByte(a, '.') == 1 && a[0] == '*':
		add("action ", a) // other patterns are not indexed
	}
	if q.Target.ID != "" {
		add("target ", q.Target.Type+"\x00"+q.Target.ID)
	} else {
		add("target ", q.Target.Type)
	}
	return keys
}

// candidates returns the parts of the log that may hold what is asked for.
func (x *index) candidates(l *Log, q *Query, size uint64) ([]span, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.update(l, size/indexSpan); err != nil {
		return nil, err
	}
	keys := queryKeys(q)
	var parts []span
	for n := l.eng.Pruned() / indexSpan; n < min(x.n, size/indexSpan); n++ {
		r, err := x.read(n)
		if err != nil {
			return nil, err
		}
		if mayHold(r, q, keys) {
			parts = append(parts, span{n * indexSpan, (n + 1) * indexSpan})
		}
	}
	return append(parts, span{size / indexSpan * indexSpan, size}), nil
}

func mayHold(r *indexRecord, q *Query, keys []string) bool {
	first, last := r.times()
	if !q.From.IsZero() && last < q.From.UnixNano() || !q.To.IsZero() && first >= q.To.UnixNano() {
		return false
	}
	for _, key := range keys {
		if !r.has(key) {
			return false
		}
	}
	return true
}

// update opens the index if need be and adds records up to a number.
func (x *index) update(l *Log, to uint64) error {
	if x.file == nil {
		if err := x.open(to); err != nil {
			return fmt.Errorf("auditlog: open the search index: %w", err)
		}
	}
	for ; x.n < to; x.n++ {
		var r indexRecord
		binary.LittleEndian.PutUint64(r[:], math.MaxInt64)
		binary.LittleEndian.PutUint64(r[8:], 1<<63) // math.MinInt64
		err := l.eng.Scan(max(x.n*indexSpan, l.eng.Pruned()), (x.n+1)*indexSpan, func(_ uint64, b []byte) error {
			e, err := ParseEntry(b)
			if err == nil {
				r.add(&e)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("auditlog: index entries from %d on: %w", x.n*indexSpan, err)
		}
		r.seal()
		if _, err := x.file.WriteAt(r[:], x.offset(x.n)); err != nil {
			return fmt.Errorf("auditlog: write the search index: %w", err)
		}
	}
	return nil
}

func (*index) offset(n uint64) int64 { return int64(len(indexMagic)) + int64(n)*recordBytes }

// open reads an index that is there as far as it is good. One that knows more
// than the log is another log's.
func (x *index) open(limit uint64) error {
	f, err := os.OpenFile(x.name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	x.file = f
	magic := make([]byte, len(indexMagic))
	if _, err := f.ReadAt(magic, 0); err != nil || string(magic) != indexMagic {
		_, err := f.WriteAt([]byte(indexMagic), 0)
		return errors.Join(f.Truncate(int64(len(indexMagic))), err)
	}
	for x.n < limit {
		if _, err := x.read(x.n); err != nil {
			break
		}
		x.n++
	}
	return f.Truncate(x.offset(x.n))
}

var errRecord = errors.New("auditlog: the search index is damaged: close the log, remove the file index, open it again")

func (x *index) read(n uint64) (*indexRecord, error) {
	var r indexRecord
	if _, err := x.file.ReadAt(r[:], x.offset(n)); err != nil {
		return nil, errors.Join(errRecord, err)
	}
	if !r.valid() {
		return nil, errRecord
	}
	return &r, nil
}

func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.file == nil {
		return nil
	}
	err := x.file.Close()
	x.file = nil
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}
