// Package ratelimittest is the conformance suite of stores of
// [ratelimit.Store].
package ratelimittest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/ratelimit"
)

// rate is a cell of a rate that refills slowly enough for a test.
func rate(policy, key string, limit, cost int64) ratelimit.Cell {
	return ratelimit.Cell{Policy: policy, Key: key, Interval: time.Hour, Limit: limit, Cost: cost}
}

func quota(policy, key string, ends time.Time, limit, cost int64) ratelimit.Cell {
	return ratelimit.Cell{Policy: policy, Key: key, Until: ends, Limit: limit, Cost: cost}
}

// take asks about cells and returns their states.
func take(t *testing.T, s ratelimit.Store, cells ...ratelimit.Cell) []ratelimit.State {
	t.Helper()
	if err := s.Take(context.WithoutCancel(t.Context()), cells); err != nil {
		t.Fatalf("Take: %v", err)
	}
	states := make([]ratelimit.State, len(cells))
	for i := range cells {
		states[i] = cells[i].State
	}
	return states
}

// near allows for the time that the test itself takes.
func near(got, want time.Duration) bool { return got <= want && got > want-30*time.Second }

// Run tests what open returns: a store without allowances used up, each time.
func Run(t *testing.T, open func(*testing.T) ratelimit.Store) {
	for name, test := range map[string]func(*testing.T, ratelimit.Store){
		"a rate": aRate, "a quota": aQuota, "never": never, "nothing for nothing": nothing,
		"keys are apart": apart, "all or none": allOrNone, "exact when many ask": exact,
		"it refills": refills,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func aRate(t *testing.T, s ratelimit.Store) {
	for i := range int64(3) {
		st := take(t, s, rate("p", "k", 3, 1))[0]
		if st.Denied || st.Remaining != 2-i || !near(st.Reset, time.Duration(i+1)*time.Hour) {
			t.Errorf("request %d: %+v", i, st)
		}
	}
	if st := take(t, s, rate("p", "k", 3, 1))[0]; !st.Denied || st.Remaining != 0 || !near(st.RetryAfter, time.Hour) {
		t.Errorf("one too many: %+v", st)
	}
}

func aQuota(t *testing.T, s ratelimit.Store) {
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	if st := take(t, s, quota("q", "k", ends, 3, 2))[0]; st.Denied || st.Remaining != 1 || !near(st.Reset, time.Until(ends)+time.Second) {
		t.Errorf("first: %+v", st)
	}
	if st := take(t, s, quota("q", "k", ends, 3, 2))[0]; !st.Denied || st.Remaining != 1 || !near(st.RetryAfter, time.Until(ends)+time.Second) {
		t.Errorf("more than is left: %+v", st)
	}
	if st := take(t, s, quota("q", "k", ends.Add(time.Hour), 3, 3))[0]; st.Denied {
		t.Errorf("the next period: %+v", st)
	}
}

// never: what costs more than there ever is has no time at which to try again.
func never(t *testing.T, s ratelimit.Store) {
	for range 2 {
		for _, c := range []ratelimit.Cell{rate("p", "k", 3, 4), quota("q", "k", time.Now().Add(time.Hour), 3, 4)} {
			if st := take(t, s, c)[0]; !st.Denied || st.RetryAfter != 0 {
				t.Errorf("%s: %+v", c.Policy, st)
			}
		}
	}
}

func nothing(t *testing.T, s ratelimit.Store) {
	for range 3 {
		if st := take(t, s, rate("p", "k", 2, 0))[0]; st.Denied {
			t.Errorf("a cost of nothing: %+v", st)
		}
	}
	if st := take(t, s, rate("p", "k", 2, 2))[0]; st.Denied {
		t.Errorf("it used something up: %+v", st)
	}
	if st := take(t, s, rate("p", "k", 2, 0))[0]; st.Denied {
		t.Errorf("nothing, of an allowance that is used up: %+v", st)
	}
}

func apart(t *testing.T, s ratelimit.Store) {
	take(t, s, rate("p", "k", 1, 1))
	for _, c := range []ratelimit.Cell{rate("p", "l", 1, 1), rate("q", "k", 1, 1), rate("pk", "", 1, 1), rate("", "pk", 1, 1)} {
		if st := take(t, s, c)[0]; st.Denied {
			t.Errorf("%q of %q: %+v", c.Key, c.Policy, st)
		}
	}
}

func allOrNone(t *testing.T, s ratelimit.Store) {
	ends := time.Now().Add(time.Hour)
	cells := func() []ratelimit.Cell {
		return []ratelimit.Cell{rate("wide", "k", 1000, 1), rate("narrow", "k", 10, 1), quota("month", "k", ends, 1000, 1)}
	}
	for i := range 30 {
		st := take(t, s, cells()...)
		if denied := st[0].Denied || st[1].Denied || st[2].Denied; denied != (i >= 10) {
			t.Fatalf("request %d: %+v", i, st)
		}
		if i >= 10 && (st[0].Denied || !st[1].Denied || st[2].Denied) {
			t.Fatalf("request %d is denied by another than the narrow one: %+v", i, st)
		}
	}
	if st := take(t, s, rate("wide", "k", 1000, 0), quota("month", "k", ends, 1000, 0)); st[0].Remaining != 990 || st[1].Remaining != 990 {
		t.Errorf("after 10 admitted and 20 denied: %+v", st)
	}
}

func exact(t *testing.T, s ratelimit.Store) {
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				cells := []ratelimit.Cell{rate("p", "k", 100, 1)}
				if err := s.Take(context.WithoutCancel(t.Context()), cells); err != nil {
					t.Errorf("Take: %v", err)
					return
				}
				if !cells[0].Denied {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 100 {
		t.Errorf("%d of 800 requests at once were admitted, want 100", n)
	}
}

func refills(t *testing.T, s ratelimit.Store) {
	c := ratelimit.Cell{Policy: "p", Key: "k", Interval: 200 * time.Millisecond, Limit: 1, Cost: 1}
	if st := take(t, s, c)[0]; st.Denied {
		t.Fatalf("first: %+v", st)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		st := take(t, s, c)[0]
		if !st.Denied {
			return
		}
		if st.RetryAfter <= 0 || st.RetryAfter > c.Interval || time.Now().After(end) {
			t.Fatalf("denied: %+v", st)
		}
		time.Sleep(st.RetryAfter)
	}
}
