package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/ratelimit"
)

var perSecond = ratelimit.Policy{Name: "test", Count: 10, Per: time.Second, Burst: 5}

func newLimiter(t testing.TB, p ratelimit.Policy, key ratelimit.Key, o ratelimit.Options) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(p, key, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBurstThenRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, perSecond, ratelimit.ByClient(), ratelimit.Options{})
		for i := range 5 {
			if d := l.Take("a"); !d.Allowed || d.Remaining != 4-i {
				t.Fatalf("request %d: %+v", i, d)
			}
		}
		d := l.Take("a")
		if d.Allowed || d.RetryAfter != 100*time.Millisecond || d.Reset != 500*time.Millisecond {
			t.Errorf("request 6: %+v", d)
		}
		if !l.Take("b").Allowed {
			t.Error("another key is denied")
		}
		time.Sleep(d.RetryAfter)
		if !l.Take("a").Allowed || l.Take("a").Allowed {
			t.Error("after the wait exactly one should pass")
		}
		time.Sleep(time.Hour)
		for i := range 5 {
			if !l.Take("a").Allowed {
				t.Errorf("after an hour, request %d is denied", i)
			}
		}
		if l.Take("a").Allowed {
			t.Error("an hour's rest allows more than a burst")
		}
	})
}

// golang/go#71360: x/time/rate admits everything when the clocks of two
// callers interleave. Here no caller brings a clock.
func TestExactUnderContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, each = 8, 2000
		l := newLimiter(t, ratelimit.Policy{Name: "test", Count: 1000, Per: time.Second, Burst: 100}, ratelimit.ByClient(), ratelimit.Options{})
		var admitted atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					if l.Take("hot").Allowed {
						admitted.Add(1)
					}
					time.Sleep(time.Duration(1+(i*7+w*3)%5) * 100 * time.Microsecond)
				}
			})
		}
		wg.Wait()
		elapsed := time.Since(start).Seconds()
		upper := 100 + 1000*elapsed
		if n := float64(admitted.Load()); n > upper || n < upper-101 {
			t.Errorf("admitted %v in %.3f s, want between %.0f and %.0f", n, elapsed, upper-101, upper)
		}
	})
}

func TestFloodOfKeysNeitherGrowsNorFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, perSecond, ratelimit.ByClient(), ratelimit.Options{Keys: 64})
		for l.Take("victim").Allowed { //nolint:revive // until it is over its limit
		}
		admitted := 0
		for i := range 100_000 {
			if l.Take(fmt.Sprint("invented ", i)).Allowed {
				admitted++
			}
		}
		// 64 places and 64 shared allowances of five each.
		if admitted > 64+64*5 {
			t.Errorf("%d invented keys were admitted at one moment", admitted)
		}
		if l.Take("victim").Allowed {
			t.Error("the flood freed a key that was over its limit")
		}
		time.Sleep(time.Minute)
		if !l.Take("newcomer").Allowed {
			t.Error("after the flood, a newcomer is denied")
		}
	})
}

func TestGuard(t *testing.T) {
	l := newLimiter(t, ratelimit.Policy{Name: "test", Count: 1, Per: time.Minute}, ratelimit.ByClient(), ratelimit.Options{})
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	get := func(remote string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := get("192.0.2.1:1")
	if w.Code != 200 || w.Header().Get("RateLimit-Policy") != `"test";q=1;w=60` || w.Header().Get("RateLimit") != `"test";r=0;t=60` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = get("192.0.2.1:2") // another port is the same client
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" || !strings.Contains(w.Body.String(), `"violated-policies":["test"]`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get("192.0.2.2:1"); w.Code != 200 {
		t.Errorf("another client: %d", w.Code)
	}
	if w := get("[2001:db8:1:2::1]:1"); w.Code != 200 {
		t.Errorf("an IPv6 client: %d", w.Code)
	}
	if w := get("[2001:db8:1:2:ffff::9]:1"); w.Code != 429 {
		t.Errorf("another address of one subscriber's /64: %d", w.Code)
	}
}

func TestKeys(t *testing.T) {
	call := guard.Synthetic("op", "a.read", nil)
	for name, tc := range map[string]struct {
		key     ratelimit.Key
		phase   guard.Phase
		limited bool
	}{
		"actor":  {ratelimit.ByActor(), guard.Limit, true},
		"tenant": {ratelimit.ByTenant(), guard.Limit, true},
		"own": {ratelimit.By("op", guard.Authorise, func(_ context.Context, c *guard.Call) (string, bool) {
			return c.Operation, true
		}), guard.Authorise, true},
	} {
		l := newLimiter(t, ratelimit.Policy{Name: "test", Count: 1, Per: time.Hour}, tc.key, ratelimit.Options{NoHeaders: true})
		if l.Phase() != tc.phase {
			t.Errorf("%s: phase %v", name, l.Phase())
		}
		call.Actor = auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}
		if _, err := l.Admit(t.Context(), call); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := l.Admit(t.Context(), call); (err != nil) != tc.limited {
			t.Errorf("%s: second call: %v", name, err)
		}
		call.Actor = auditlog.Actor{}
		if _, err := l.Admit(t.Context(), call); err != nil && name != "own" {
			t.Errorf("%s: an anonymous call: %v", name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ok := perSecond
	change := func(f func(*ratelimit.Policy)) ratelimit.Policy { p := ok; f(&p); return p }
	for says, p := range map[string]ratelimit.Policy{
		"Name":    change(func(p *ratelimit.Policy) { p.Name = "A b" }),
		"Count":   change(func(p *ratelimit.Policy) { p.Count = 0 }),
		"Per":     change(func(p *ratelimit.Policy) { p.Per = 0 }),
		"Burst":   change(func(p *ratelimit.Policy) { p.Burst = -1 }),
		"at most": change(func(p *ratelimit.Policy) { p.Count = 2_000_000_000 }),
		"refill":  change(func(p *ratelimit.Policy) { p.Count, p.Per, p.Burst = 1, 24*time.Hour, 1<<30 }),
	} {
		if _, err := ratelimit.New(p, ratelimit.ByClient(), ratelimit.Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := ratelimit.New(ok, ratelimit.Key{}, ratelimit.Options{}); err == nil {
		t.Error("a limiter without a key was made")
	}
	if _, err := ratelimit.New(ok, ratelimit.ByClient(), ratelimit.Options{Keys: 1}); err == nil {
		t.Error("a table of one key was made")
	}
}

func TestProbe(t *testing.T) {
	c := newLimiter(t, perSecond, ratelimit.ByClient(), ratelimit.Options{}).Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for range 2 { // a probe leaves nothing behind that would spoil the next
		if r := c.Run(t.Context()); r.State != controls.Pass || !strings.Contains(r.Observed, "denied") {
			t.Errorf("%v: %s", r.State, r.Observed)
		}
	}
}
