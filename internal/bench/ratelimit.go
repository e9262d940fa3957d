package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"golang.org/x/time/rate"

	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/ratelimit"
)

// limits asks what one decision of a limiter in memory costs.
func limits() Group {
	hot := func(makeTaker func() taker) func(*testing.B) {
		return func(b *testing.B) {
			take := makeTaker()
			for b.Loop() {
				take("192.0.2.1")
			}
		}
	}
	many := func(makeTaker func() taker) func(*testing.B) {
		return func(b *testing.B) {
			take, keys := makeTaker(), millionKeys()
			for _, k := range keys { // every key is known before the clock runs
				take(k)
			}
			i := 0
			for b.Loop() {
				i = (i*1664525 + 1013904223) & (len(keys) - 1)
				take(keys[i])
			}
		}
	}
	spread := func(makeTaker func() taker) func(*testing.B) {
		return func(b *testing.B) {
			take := makeTaker()
			var each [2][]string // keys of each of the two cores
			for i := range each {
				each[i] = someKeys()
				for _, k := range each[i] {
					take(k)
				}
			}
			var n atomic.Int32
			b.SetParallelism(1)
			b.ResetTimer() // b.Loop, which the other cases have, does so itself
			b.RunParallel(func(pb *testing.PB) {
				keys := each[int(n.Add(1))%len(each)]
				for i := 0; pb.Next(); i++ {
					take(keys[i%len(keys)])
				}
			})
		}
	}
	rows := func(how func(func() taker) func(*testing.B)) []Row {
		return []Row{
			{Floor, "64 maps with a mutex each, no limit", how(mapTaker)},
			{Peer, "golang.org/x/time/rate in a sync.Map", how(xTimeTaker)},
			{Peer, "sethvargo/go-limiter", how(goLimiterTaker)},
			{Peer, "throttled/throttled, memstore", how(throttledTaker)},
			{Ours, "ratelimit.Limiter.Take", how(ourTaker)},
		}
	}
	return Group{
		Name:  "ratelimit",
		Title: "One decision of a rate limiter",
		Note: "A key is a string; the limit is ten million a second, so that decisions admit. " +
			"The floor hashes the key, locks a shard and adds one in its map, and decides nothing.",
		Cases: []Case{
			{Name: "hot key", Rows: rows(hot)},
			{Name: "1,000,000 keys", Rows: rows(many)},
			{Name: "spread keys, two cores", Rows: rows(spread)},
			{Name: "spread keys, one core", Rows: rows(func(m func() taker) func(*testing.B) {
				return func(b *testing.B) { spreadOne(b, m()) }
			})},
			{Name: "as a guard, by client address", Rows: []Row{
				{Floor, "64 maps with a mutex each, no limit", hot(mapTaker)},
				{Ours, "ratelimit.Limiter.Admit", admit},
			}},
		},
	}
}

// A taker decides about a request of a key.
type taker func(key string)

func millionKeys() []string {
	keys := make([]string, 1<<20)
	for i := range keys {
		keys[i] = fmt.Sprintf("client %d", i)
	}
	return keys
}

func someKeys() []string {
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprint(rand.Uint64())
	}
	return keys
}

func spreadOne(b *testing.B, take taker) {
	keys := someKeys()
	i := 0
	for b.Loop() {
		take(keys[i%len(keys)])
		i++
	}
}

func mapTaker() taker {
	type shard struct {
		mu sync.Mutex
		m  map[string]int64
		_  [40]byte
	}
	var shards [64]shard
	for i := range shards {
		shards[i].m = make(map[string]int64)
	}
	seed, start := maphash.MakeSeed(), time.Now()
	return func(key string) {
		s := &shards[maphash.String(seed, key)%64]
		now := int64(time.Since(start))
		s.mu.Lock()
		s.m[key] = max(s.m[key], now) + 1
		s.mu.Unlock()
	}
}

const benchRate = 10_000_000 // a second

func xTimeTaker() taker {
	var m sync.Map
	return func(key string) {
		l, ok := m.Load(key)
		if !ok {
			l, _ = m.LoadOrStore(key, rate.NewLimiter(benchRate, benchRate))
		}
		l.(*rate.Limiter).Allow()
	}
}

func goLimiterTaker() taker {
	s, err := memorystore.New(&memorystore.Config{Tokens: benchRate, Interval: time.Second})
	check(err)
	return func(key string) {
		_, _, _, _, err := s.Take(context.Background(), key)
		check(err)
	}
}

func throttledTaker() taker {
	store, err := memstore.NewCtx(0)
	check(err)
	l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerSec(benchRate), MaxBurst: benchRate})
	check(err)
	return func(key string) {
		_, _, err := l.RateLimitCtx(context.Background(), key, 1)
		check(err)
	}
}

func ourPolicy() []ratelimit.Policy {
	return []ratelimit.Policy{{Name: "client", Key: ratelimit.ByClient(), Count: benchRate, Per: time.Second}}
}

func ourTaker() taker {
	l, err := ratelimit.New(ourPolicy(), ratelimit.Options{Memory: 32 << 20})
	check(err)
	return func(key string) {
		_, err := l.Take(context.Background(), key, 1)
		check(err)
	}
}

func admit(b *testing.B) {
	l, err := ratelimit.New(ourPolicy(), ratelimit.Options{NoHeaders: true})
	check(err)
	call := guard.Synthetic("GET /", "a.read", nil)
	call.Client = netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		_, err := l.Admit(context.Background(), call)
		check(err)
	}
}
