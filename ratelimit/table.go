package ratelimit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// A place holds one key's allowance: what it has used of it, in a form that
// says when it is whole again. A place whose allowance is whole is free.
type place struct {
	hash  uint64
	value int64
}

// Values are either the theoretical arrival time of a rate, in nanoseconds
// since the limiter's start, or a quota: a mark, the second since the start in
// which its period ends, and what was used of it.
const (
	quotaMark = int64(1) << 62
	usedBits  = 31
	usedMask  = int64(1)<<usedBits - 1
)

func quota(end, used int64) int64 { return quotaMark | end<<usedBits | used }

func isQuota(v int64) bool { return v&quotaMark != 0 }

func quotaEnd(v int64) int64 { return (v &^ quotaMark) >> usedBits }

// whole reports whether the allowance is whole, so that the place is free.
func whole(v, now int64) bool {
	if isQuota(v) {
		return quotaEnd(v)*int64(time.Second) <= now
	}
	return v <= now
}

// ways is how many places a bucket has: two cache lines of them.
const ways = 8

// A shard is a part of the table with a lock of its own. A key has a place in
// one of two buckets.
type shard struct {
	mu     sync.Mutex
	places []place
	_      [96]byte // shards are used side by side
}

// near is how many buckets a page of memory holds: a key's two buckets are
// within one, so that a table larger than the caches costs one miss of the
// address translation and not two.
const near = 32

// buckets are where a hash may be.
func (s *shard) buckets(hash uint64) (a, b []place) {
	mask := uint64(len(s.places)/ways) - 1
	i := hash >> 8 & mask
	j := i ^ (1+hash>>40%(near-1))&mask
	return s.places[i*ways : i*ways+ways], s.places[j*ways : j*ways+ways]
}

// find returns the key's place, or else a free one, or else nil. Of the two
// buckets the emptier one takes newcomers, which lets both fill up evenly.
func (s *shard) find(hash uint64, now int64) *place {
	a, b := s.buckets(hash)
	if p := lookup(a, hash); p != nil {
		return p
	}
	if p := lookup(b, hash); p != nil {
		return p
	}
	pa, na := room(a, now)
	pb, nb := room(b, now)
	if nb > na {
		return pb
	}
	return pa
}

func lookup(bucket []place, hash uint64) *place {
	for i := range bucket {
		if bucket[i].hash == hash {
			return &bucket[i]
		}
	}
	return nil
}

// room returns a free place of a bucket, and how many there are.
func room(bucket []place, now int64) (free *place, n int) {
	for i := range bucket {
		if whole(bucket[i].value, now) {
			free = &bucket[i]
			n++
		}
	}
	return free, n
}

// A table holds the allowances of a limiter. Its size never changes.
type table struct {
	seed   maphash.Seed
	shards []shard // a power of two of them

	// Who found no place. Its own lock comes after those of the shards.
	wide struct {
		mu    sync.Mutex
		shard shard // under mu, not its own
		rest  [maxPolicies]place
	}
	wideUntil atomic.Int64 // all allowances in wide are whole from then on
}

// maxPolicies is how many policies a limiter has at most.
const maxPolicies = 8

// newTable makes a table of at most so many bytes. A sixteenth is for those
// who find no place.
func newTable(bytes int64, seed maphash.Seed) *table {
	const size = 16 // of a place
	shards, places := int64(64), int64(ways)
	for 2*shards*places*size <= bytes {
		places *= 2
	}
	for shards*places*size > bytes && shards > 1 {
		shards /= 2
	}
	t := &table{seed: seed, shards: make([]shard, shards)}
	all := make([]place, shards*places)
	for i := range t.shards {
		t.shards[i].places, all = all[:places:places], all[places:]
	}
	t.wide.shard.places = make([]place, max(shards*places/16, 2*ways))
	return t
}

// shard is where a hash belongs.
func (t *table) shard(hash uint64) int { return int(hash >> 1 & uint64(len(t.shards)-1)) }

// A taking is one policy's part of a decision.
type taking struct {
	policy *policy
	index  int // of the policy
	who    subject
	hash   uint64 // of who
	cost   int64
	place  *place
	was    place // before the decision
	State
}

// take takes from all, or from none, and fills in their states. now is in
// nanoseconds since the limiter's start; wall is only for quotas.
func (t *table) take(list []taking, now int64, wall time.Time) bool {
	if len(list) == 1 {
		if ok, done := t.takeKnown(&list[0], now, wall); done {
			return ok
		}
	}
	var buf [maxPolicies]int
	locked := buf[:0]
	for i := range list {
		locked = insert(locked, t.shard(list[i].hash))
	}
	for _, n := range locked { // in one order, so that no two calls wait for each other
		t.shards[n].mu.Lock()
	}
	wide, ok := false, true
	for i := range list {
		l := &list[i]
		var hash uint64
		l.place, hash = t.place(l, now, &wide)
		l.was = *l.place
		value := l.was.value
		if l.was.hash != hash {
			value = 0 // somebody else's, and whole
		}
		value, l.State = l.policy.decide(value, now, l.cost, wall)
		if l.Denied {
			ok = false
		} else {
			*l.place = place{hash, value} // at once: the next one must not take this place, too
		}
	}
	if ok && wide {
		t.noteWide(list)
	}
	if !ok {
		undo(list, now)
	}
	if wide {
		t.wide.mu.Unlock()
	}
	for _, n := range locked {
		t.shards[n].mu.Unlock()
	}
	return ok
}

// takeKnown takes from one key that has a place, which is nearly every
// decision of a limiter with one policy. If it has none, nothing is done.
func (t *table) takeKnown(l *taking, now int64, wall time.Time) (ok, done bool) {
	s := &t.shards[t.shard(l.hash)]
	s.mu.Lock()
	defer s.mu.Unlock()
	a, b := s.buckets(l.hash)
	p := lookup(a, l.hash)
	if p == nil {
		p = lookup(b, l.hash)
	}
	if p == nil || whole(p.value, now) && now < t.wideUntil.Load() {
		return false, false
	}
	var value int64
	if value, l.State = l.policy.decide(p.value, now, l.cost, wall); !l.Denied {
		p.value = value
	}
	return !l.Denied, true
}

// place is where a key's allowance is, or is to be, and under which hash. The
// caller holds the key's shard, and that of the wide ones when wide says so.
func (t *table) place(l *taking, now int64, wide *bool) (*place, uint64) {
	hash := l.hash
	own := t.shards[t.shard(hash)].find(hash, now)
	if own != nil && (own.hash == hash && !whole(own.value, now) || now >= t.wideUntil.Load()) {
		return own, hash
	}
	if !*wide {
		t.wide.mu.Lock()
		*wide = true
	}
	var room *place
	var roomHash uint64
	for level := 1; level < levels; level++ {
		h := l.who.hash(t.seed, l.policy.salt, level)
		if h == 0 {
			break
		}
		p := t.wide.shard.find(h, now)
		if p == nil {
			continue
		}
		if p.hash == h && !whole(p.value, now) {
			return p, h // it shares this one already, until that is whole
		}
		if room == nil {
			room, roomHash = p, h
		}
	}
	switch {
	case own != nil:
		return own, hash
	case room != nil:
		return room, roomHash
	default:
		return &t.wide.rest[l.index], 1
	}
}

// noteWide notes until when somebody shares an allowance. The caller holds
// the lock of the wide ones.
func (t *table) noteWide(list []taking) {
	until := t.wideUntil.Load()
	for i := range list {
		v := list[i].place.value
		if isQuota(v) {
			v = quotaEnd(v) * int64(time.Second)
		}
		until = max(until, v)
	}
	t.wideUntil.Store(until)
}

// undo gives back what was taken before one policy denied, and says where the
// others stand without it.
func undo(list []taking, now int64) {
	for i := len(list) - 1; i >= 0; i-- {
		l := &list[i]
		*l.place = l.was
		if !l.Denied {
			_, l.State = l.policy.decide(l.place.value, now, 0, time.Time{})
		}
	}
}

// insert adds a number to an ascending list without repeating it.
func insert(list []int, n int) []int {
	i := len(list)
	for i > 0 && list[i-1] > n {
		i--
	}
	if i > 0 && list[i-1] == n {
		return list
	}
	list = append(list, 0)
	copy(list[i+1:], list[i:])
	list[i] = n
	return list
}
