// Package ratelimit tests distributed limits on a real Redis, and scanners on
// real daemons.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/ratelimit"
	"github.com/surety-go/surety/ratelimit/ratelimitredis"
	"github.com/surety-go/surety/ratelimit/ratelimittest"
)

var secret = []byte("sixteen bytes or")

func through(client *redis.Client) ratelimitredis.Redis {
	return func(ctx context.Context, args ...any) (any, error) {
		v, err := client.Do(ctx, args...).Result()
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return v, err
	}
}

func open(t *testing.T, client *redis.Client, o ratelimitredis.Options) *ratelimitredis.Store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second // a slow machine is no failure here
	}
	s, err := ratelimitredis.New(through(client), secret, new(auditlogtest.Recorder), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rate(name, key string, interval time.Duration, limit, cost int64) ratelimit.Cell {
	return ratelimit.Cell{Policy: name, Key: key, Interval: interval, Limit: limit, Cost: cost}
}

func take(t *testing.T, s *ratelimitredis.Store, cells ...ratelimit.Cell) []ratelimit.State {
	t.Helper()
	if err := s.Take(t.Context(), cells); err != nil {
		t.Fatal(err)
	}
	states := make([]ratelimit.State, len(cells))
	for i := range cells {
		states[i] = cells[i].State
	}
	return states
}

func TestStoreConforms(t *testing.T) {
	for name, o := range map[string]ratelimitredis.Options{"each time": {}, "leases": {Lease: 20}} {
		t.Run(name, func(t *testing.T) {
			ratelimittest.Run(t, func(t *testing.T) ratelimit.Store { return open(t, servers.Redis(t), o) })
		})
	}
}

// TestNanoseconds: intervals that are no whole microseconds, and allowances
// that take longer to refill than 2^53 nanoseconds, which Lua's numbers can't
// hold, are kept exactly.
func TestNanoseconds(t *testing.T) {
	s := open(t, servers.Redis(t), ratelimitredis.Options{})
	if st := take(t, s, rate("p", "k", 333, 3_000_000, 2_999_999))[0]; st.Denied || st.Reset > 2_999_999*333 {
		t.Errorf("three million a second: %+v", st)
	}
	const year = 365 * 24 * time.Hour
	if st := take(t, s, rate("p", "y", year/10_000, 10_000, 9_999))[0]; st.Denied || st.Remaining != 1 {
		t.Errorf("a year's allowance: %+v", st)
	}
	if st := take(t, s, rate("p", "y", year/10_000, 10_000, 1))[0]; st.Denied || st.Remaining != 0 {
		t.Errorf("its last one: %+v", st)
	}
	if st := take(t, s, rate("p", "y", year/10_000, 10_000, 1))[0]; !st.Denied {
		t.Errorf("one more: %+v", st)
	}
}

// TestOneScript: three policies are one round trip.
func TestOneScript(t *testing.T) {
	client := servers.Redis(t)
	var commands atomic.Int64
	do := through(client)
	s, err := ratelimitredis.New(func(ctx context.Context, args ...any) (any, error) {
		commands.Add(1)
		return do(ctx, args...)
	}, secret, new(auditlogtest.Recorder), ratelimitredis.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cells := []ratelimit.Cell{rate("a", "k", time.Hour, 100, 1), rate("b", "k", time.Hour, 2, 1), {Policy: "c", Key: "k", Limit: 100, Until: time.Now().Add(time.Hour), Cost: 1}}
	for range 5 {
		take(t, s, cells...)
	}
	if n := commands.Load(); n > 6 { // the first may have to send the script
		t.Errorf("five decisions about three policies took %d commands", n)
	}
	if size, err := client.DBSize(t.Context()).Result(); err != nil || size != 3 {
		t.Errorf("%d keys, %v", size, err)
	}
}

// TestKeysExpire: nothing is kept of a key whose allowance is whole.
func TestKeysExpire(t *testing.T) {
	client := servers.Redis(t)
	s := open(t, client, ratelimitredis.Options{})
	take(t, s, rate("p", "k", 50*time.Millisecond, 3, 2), ratelimit.Cell{Policy: "q", Key: "k", Limit: 5, Until: time.Now().Add(time.Second), Cost: 1})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		keys, err := client.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%q are still there", keys)
		}
	}
}

// admitted counts what several instances admit of one key in some time.
func admitted(t *testing.T, client *redis.Client, o ratelimitredis.Options, instances int, interval time.Duration, limit int64, during time.Duration) (n int64, elapsed time.Duration) {
	t.Helper()
	var count atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range instances {
		s := open(t, client, o)
		for range 4 {
			wg.Go(func() {
				for time.Since(start) < during {
					cells := []ratelimit.Cell{rate("hot", "k", interval, limit, 1)}
					if err := s.Take(context.WithoutCancel(t.Context()), cells); err != nil {
						t.Error(err)
						return
					}
					if !cells[0].Denied {
						count.Add(1)
					}
					time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
				}
			})
		}
	}
	wg.Wait()
	return count.Load(), time.Since(start)
}

// TestExactAcrossInstances: four instances together admit what one limit
// allows, no more, and no less when they ask all the time.
func TestExactAcrossInstances(t *testing.T) {
	const interval, limit = 5 * time.Millisecond, 50
	n, elapsed := admitted(t, servers.Redis(t), ratelimitredis.Options{}, 4, interval, limit, 2*time.Second)
	most := limit + int64(elapsed/interval)
	if n > most {
		t.Errorf("%d admitted in %v, at most %d are allowed", n, elapsed, most)
	}
	if least := limit + int64(2*time.Second/interval) - 20; n < least {
		t.Errorf("%d admitted in 2 s of asking, at least %d are due", n, least)
	}
}

// TestLeases: the stated bound, one lease more for each instance.
func TestLeases(t *testing.T) {
	const interval, limit, lease, instances = time.Millisecond, 400, 40, 4
	n, elapsed := admitted(t, servers.Redis(t), ratelimitredis.Options{Lease: lease}, instances, interval, limit, 2*time.Second)
	most := limit + int64(elapsed/interval) + instances*lease
	least := limit + int64(2*time.Second/interval) - 2*instances*lease
	if n > most || n < least {
		t.Errorf("%d admitted in %v, want %d to %d", n, elapsed, least, most)
	}
}

// TestRedisStops: while Redis is paused each mode does what it says, and the
// store is back by itself.
func TestRedisStops(t *testing.T) {
	server := servers.StartRedis(t)
	client := server.Client(t)
	log := new(auditlogtest.Recorder)
	store, err := ratelimitredis.New(through(client), secret, log, ratelimitredis.Options{Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	limiters := map[ratelimit.Failure]*ratelimit.Limiter{}
	for _, mode := range []ratelimit.Failure{ratelimit.Deny, ratelimit.Local, ratelimit.Allow} {
		limiters[mode], err = ratelimit.New([]ratelimit.Policy{
			{Name: fmt.Sprint("p-", mode), Key: ratelimit.ByTenant(), Count: 2, Per: time.Hour},
		}, ratelimit.Options{Store: store, OnFailure: mode})
		if err != nil {
			t.Fatal(err)
		}
	}
	admits := func(mode ratelimit.Failure) (n int, failed bool) {
		for range 4 {
			d, err := limiters[mode].Take(t.Context(), "acme", 1)
			failed = failed || err != nil
			if err == nil && d.Allowed {
				n++
			}
		}
		return n, failed
	}
	if n, failed := admits(ratelimit.Deny); n != 2 || failed {
		t.Fatalf("with Redis: %d, %v", n, failed)
	}
	server.Pause()
	for mode, want := range map[ratelimit.Failure]int{ratelimit.Deny: 0, ratelimit.Local: 2, ratelimit.Allow: 4} {
		if n, failed := admits(mode); n != want || failed != (mode == ratelimit.Deny) {
			t.Errorf("%v without Redis: %d admitted, want %d; failed %v", mode, n, want, failed)
		}
	}
	log.Want(t, "ratelimit.store.fail", auditlog.Failed)
	server.Resume()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if r := store.Controls()[0].Run(t.Context()); r.State == controls.Pass {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the store does not come back")
		}
	}
	log.Want(t, "ratelimit.store.recover", auditlog.Success)
	if n, failed := admits(ratelimit.Deny); n != 0 || failed {
		t.Errorf("the allowance was used up before the pause, and %d were admitted after it", n)
	}
}
