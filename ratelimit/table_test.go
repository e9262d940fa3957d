package ratelimit

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/guard"
)

func rate(name string, count int, per time.Duration, burst int) *policy {
	p := Policy{Name: name, Key: ByTenant(), Count: count, Per: per, Burst: burst}
	if err := p.validate(); err != nil {
		panic(err)
	}
	return p.compile(maphash.String(testSeed, name))
}

var testSeed = maphash.MakeSeed()

// takings asks policies about a key.
func takings(key string, cost int64, policies ...*policy) []taking {
	list := make([]taking, len(policies))
	for i, p := range policies {
		who := subject{text: key}
		list[i] = taking{policy: p, index: i, who: who, hash: who.hash(testSeed, p.salt, 0), cost: cost}
	}
	return list
}

// A model is the limit as its definition has it: a key is admitted when no
// window that ends now holds more than burst + window ÷ interval.
type model struct {
	admitted map[string][]int64
}

func (m *model) admits(p *policy, key string, now int64) bool {
	list := m.admitted[key]
	for i := range list {
		// From the i-th admission on, with this one.
		n := int64(len(list)-i) + 1
		if (n-p.limit)*p.interval > now-list[i] {
			return false
		}
	}
	return p.limit >= 1
}

// TestAgainstTheDefinition runs random schedules, whose clock stands still,
// creeps and leaps, through the table and through the definition.
func TestAgainstTheDefinition(t *testing.T) {
	loose := rate("loose", 1, time.Millisecond, 10_000)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := rate("p", 1+r.IntN(50), time.Duration(1+r.IntN(1000))*time.Millisecond, 1+r.IntN(8))
		tb, m, now := newTable(64<<10, testSeed), &model{admitted: map[string][]int64{}}, int64(0)
		for range 300 {
			switch r.IntN(4) {
			case 0:
				now += r.Int64N(p.interval + 2)
			case 1:
				now += r.Int64N(3)
			case 2:
				now += r.Int64N(p.limit*p.interval*2 + 1)
			}
			key := fmt.Sprint(r.IntN(3))
			list := takings(key, 1, p)
			if seed%2 == 1 { // the way of several policies
				list = takings(key, 1, p, loose)
			}
			got, want := tb.take(list, now, time.Time{}), m.admits(p, key, now)
			if got != want {
				t.Fatalf("seed %d, at %d, key %s: admitted %v, want %v", seed, now, key, got, want)
			}
			if want {
				m.admitted[key] = append(m.admitted[key], now)
			}
		}
	}
}

// TestClocksInterleave: callers' clocks arrive out of order (golang/go#71360,
// where x/time/rate admits everything).
func TestClocksInterleave(t *testing.T) {
	p, tb := rate("p", 1, time.Second, 5), newTable(64<<10, testSeed)
	admitted := 0
	for i := range 1_000_000 {
		now := int64(time.Hour)
		if i%2 == 1 {
			now -= int64(10 * time.Millisecond)
		}
		if tb.take(takings("hot", 1, p), now, time.Time{}) {
			admitted++
		}
	}
	if admitted != 5 {
		t.Errorf("%d of a million were admitted at one moment, want 5", admitted)
	}
}

// TestAllOrNothing: what one policy denies costs nothing at the others, under
// contention too.
func TestAllOrNothing(t *testing.T) {
	tb := newTable(64<<10, testSeed)
	wide, narrow := rate("wide", 1, time.Hour, 1000), rate("narrow", 1, time.Hour, 10)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				list := takings("k", 1, wide, narrow)
				if w%2 == 1 {
					slices.Reverse(list) // the order of policies must not matter for locks
				}
				if tb.take(list, int64(1+i), time.Time{}) {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 10 {
		t.Errorf("%d were admitted, want the narrow policy's 10", n)
	}
	list := takings("k", 0, wide)
	if tb.take(list, 1, time.Time{}); list[0].Remaining != 990 {
		t.Errorf("the wide policy has %d left, want 990: denied calls took from it", list[0].Remaining)
	}
}

// TestTwoNewKeysOnePlace: both policies of a call are new and fall into one
// bucket with one free place.
func TestTwoNewKeysOnePlace(t *testing.T) {
	tb := newTable(64<<10, testSeed)
	a, b := rate("a", 1, time.Hour, 3), rate("b", 1, time.Hour, 5)
	list := takings("k", 1, a, b)
	list[1].hash = list[0].hash ^ 1<<60 // the same shard and buckets, another key
	s := &tb.shards[tb.shard(list[0].hash)]
	for i := range s.places {
		s.places[i] = place{hash: uint64(i)<<8 | 3, value: int64(time.Hour)}
	}
	s.find(list[0].hash, int64(time.Hour)).value = 0
	if !tb.take(list, 1, time.Time{}) {
		t.Fatal("denied")
	}
	if list[0].place == list[1].place {
		t.Error("two keys share a place")
	}
}

func callFrom(addr string) *guard.Call {
	call := guard.Synthetic("op", "a.read", nil)
	call.Client = netip.MustParseAddr(addr)
	return call
}

func address(t testing.TB, p *policy, text string) []taking {
	t.Helper()
	who, ok := ByClient().of(t.Context(), callFrom(text))
	if !ok {
		t.Fatalf("%s has no key", text)
	}
	return []taking{{policy: p, who: who, hash: who.hash(testSeed, p.salt, 0), cost: 1}}
}

// TestFloodFromOneNetwork fills the table from one /48 of IPv6. A client that
// is known keeps its allowance, one that is blocked stays blocked, and a
// newcomer from elsewhere has an allowance that the flood can't touch.
func TestFloodFromOneNetwork(t *testing.T) {
	p, tb, now := rate("p", 1, time.Minute, 3), newTable(64<<10, testSeed), int64(time.Second)
	take := func(addr string) bool { return tb.take(address(t, p, addr), now, time.Time{}) }
	for range 3 {
		take("192.0.2.1")
	}
	take("198.51.100.7")
	flooded := 0
	for i := range 1 << 16 {
		if take(fmt.Sprintf("2001:db8:1:%x::1", i)) {
			flooded++
		}
	}
	if places := 64 << 10 / 16; flooded > places+3*2 {
		t.Errorf("%d of the flood's addresses were admitted, and there are only %d places", flooded, places)
	}
	if take("192.0.2.1") {
		t.Error("the flood unblocked a client")
	}
	if !take("198.51.100.7") {
		t.Error("the flood took a known client's allowance")
	}
	if !take("203.0.113.9") || !take("2001:db8:2::1") {
		t.Error("newcomers from other networks are denied")
	}
	if take("2001:db8:1:ffff::2") {
		t.Error("a newcomer from the flood's /48 has an allowance of its own")
	}
	now += int64(time.Hour)
	if !take("2001:db8:1:ffff::2") {
		t.Error("after the flood its network is still denied")
	}
}

// TestSharingAdmitsNobodyMore follows single keys through a table that fills
// and empties: with its neighbours or alone, none gets more than its limit.
func TestSharingAdmitsNobodyMore(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	p, tb, now := rate("p", 1, time.Second, 2), newTable(64<<10, testSeed), int64(time.Second)
	m := &model{admitted: map[string][]int64{}}
	for range 100_000 {
		if r.IntN(100) == 0 {
			now += r.Int64N(int64(100 * time.Millisecond))
		}
		addr := fmt.Sprintf("10.%d.%d.%d", r.IntN(2), r.IntN(40), r.IntN(250))
		if tb.take(address(t, p, addr), now, time.Time{}) {
			if !m.admits(p, addr, now) {
				t.Fatalf("%s was admitted at %d beyond its limit: %v", addr, now, m.admitted[addr])
			}
			m.admitted[addr] = append(m.admitted[addr], now)
		}
	}
	if tb.wideUntil.Load() == 0 {
		t.Error("the table was never full: the test shows nothing")
	}
}

// TestMemoryIsFlat: a hundred thousand keys at each of many moments leave the
// table as it was.
func TestMemoryIsFlat(t *testing.T) {
	p, tb := rate("p", 1000, time.Second, 1), newTable(1<<20, testSeed)
	size := func() (n int) {
		for i := range tb.shards {
			n += len(tb.shards[i].places)
		}
		return n + len(tb.wide.shard.places)
	}
	before := size()
	if bytes := before * 16; bytes > 1<<20+1<<16 {
		t.Errorf("a table of 1 MiB has %d bytes", bytes)
	}
	list := takings("", 1, p)
	allocs := testing.AllocsPerRun(100_000, func() {
		list[0].hash = mix(list[0].hash, 1)
		tb.take(list, int64(time.Second), time.Time{})
	})
	if allocs != 0 || size() != before {
		t.Errorf("%v allocations a key, and %d places instead of %d", allocs, size(), before)
	}
}

// TestHowFullItGets: the documentation says to count on 24 bytes a key.
func TestHowFullItGets(t *testing.T) {
	p, tb := rate("p", 1, time.Hour, 1), newTable(1<<20, testSeed)
	keys := 0
	for tb.wideUntil.Load() == 0 {
		tb.take(takings(fmt.Sprint(keys), 1, p), 1, time.Time{})
		keys++
	}
	if per := (1 << 20) / keys; per > 24 {
		t.Errorf("the first key without a place came after %d, so a key takes %d bytes", keys, per)
	}
}

func TestInsert(t *testing.T) {
	for range 1000 {
		var got, want []int
		for range rand.IntN(8) {
			n := rand.IntN(6)
			got, want = insert(got, n), append(want, n)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

// TestLimitLowered: a key that has used more than a reload left it, and asks
// for more than there ever is, has nothing left, and not less: RateLimit's r
// is no negative number.
func TestLimitLowered(t *testing.T) {
	p := rate("p", 1, time.Second, 2)
	if _, st := p.decide(int64(10*time.Second), 0, 3, time.Time{}); !st.Denied || st.Remaining != 0 {
		t.Errorf("%+v", st)
	}
}

// FuzzDecide: whatever a place holds and whatever is asked, nothing is negative
// or beyond the limit, and what is denied takes nothing.
func FuzzDecide(f *testing.F) {
	f.Add(int64(0), int64(5), int64(1), 10, int64(time.Second), 3, false)
	f.Add(quota(100, 7), int64(time.Second), int64(4), 10, int64(time.Second), 3, true)
	f.Add(int64(10*time.Second), int64(0), int64(3), 1, int64(time.Second), 2, false)
	f.Add(int64(1)<<61, int64(5), int64(1)<<40, 1, int64(time.Hour), 1, false)
	f.Fuzz(func(t *testing.T, value, now, cost int64, count int, per int64, burst int, calendar bool) {
		p := Policy{Name: "p", Key: ByTenant(), Count: count, Per: time.Duration(per), Burst: burst}
		if calendar {
			p.Per, p.Burst, p.Calendar = 0, 0, Hour
		}
		if p.validate() != nil || cost < 0 || now < 0 || now > 1<<60 || value < 0 {
			t.Skip()
		}
		if !isQuota(value) && value-now > 1<<60 {
			t.Skip() // no table holds that
		}
		c := p.compile(1)
		next, st := c.decide(value, now, cost, time.Unix(1e9, 0))
		if st.Remaining < 0 || st.Remaining > c.limit || st.RetryAfter < 0 || st.Reset < 0 {
			t.Fatalf("%+v", st)
		}
		if st.Denied && next != value {
			t.Fatalf("denied, and the value went from %d to %d", value, next)
		}
		if !st.Denied && !calendar && cost > 0 && next < now {
			t.Fatalf("admitted, and the value %d is whole at %d", next, now)
		}
	})
}
