package ratelimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
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

// A limiter whose Take asks about one.
type limiter struct {
	*ratelimit.Limiter
	t testing.TB
}

func (l limiter) Take(key string) ratelimit.Decision {
	l.t.Helper()
	d, err := l.Limiter.Take(context.Background(), key, 1)
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

func newLimiter(t testing.TB, p ratelimit.Policy, key ratelimit.Key, o ratelimit.Options) limiter {
	t.Helper()
	p.Key = key
	l, err := ratelimit.New([]ratelimit.Policy{p}, o)
	if err != nil {
		t.Fatal(err)
	}
	return limiter{l, t}
}

func TestBurstThenRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, perSecond, ratelimit.ByClient(), ratelimit.Options{})
		for i := range 5 {
			if d := l.Take("a"); !d.Allowed || d.Remaining != int64(4-i) {
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
	change := func(f func(*ratelimit.Policy)) []ratelimit.Policy {
		p := perSecond
		p.Key = ratelimit.ByClient()
		f(&p)
		return []ratelimit.Policy{p}
	}
	calendar := func(p *ratelimit.Policy) { p.Per, p.Burst, p.Calendar = 0, 0, ratelimit.Day }
	for says, p := range map[string][]ratelimit.Policy{
		"Name":       change(func(p *ratelimit.Policy) { p.Name = "A b" }),
		"Key":        change(func(p *ratelimit.Policy) { p.Key = ratelimit.Key{} }),
		"Count":      change(func(p *ratelimit.Policy) { p.Count = 0 }),
		"Per 0s":     change(func(p *ratelimit.Policy) { p.Per = 0 }),
		"Burst":      change(func(p *ratelimit.Policy) { p.Burst = -1 }),
		"at most":    change(func(p *ratelimit.Policy) { p.Count = 2_000_000_000 }),
		"refill":     change(func(p *ratelimit.Policy) { p.Count, p.Per, p.Burst = 1, 24*time.Hour, 1<<30 }),
		"Zone":       change(func(p *ratelimit.Policy) { p.Zone = time.UTC }),
		"no meaning": change(func(p *ratelimit.Policy) { p.Calendar = ratelimit.Day }),
		"Calendar 9": change(func(p *ratelimit.Policy) { calendar(p); p.Calendar = 9 }),
		"0 policies": nil,
		"twice":      append(change(calendar), change(calendar)...),
		"9 policies": make([]ratelimit.Policy, 9),
	} {
		if _, err := ratelimit.New(p, ratelimit.Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for says, o := range map[string]ratelimit.Options{
		"Memory":                  {Memory: 1000},
		"OnFailure 9":             {OnFailure: 9},
		"meaning without a Store": {OnFailure: ratelimit.Local},
	} {
		if _, err := ratelimit.New(change(calendar), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for _, bits := range [][2]int{{7, 64}, {33, 64}, {32, 15}, {32, 65}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("ByPrefix%v was made", bits)
				}
			}()
			ratelimit.ByPrefix(bits[0], bits[1])
		}()
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

// several makes calls with a limiter of more than one policy.
func several(t *testing.T, o ratelimit.Options, policies ...ratelimit.Policy) func() *httptest.ResponseRecorder {
	t.Helper()
	l, err := ratelimit.New(policies, o)
	if err != nil {
		t.Fatal(err)
	}
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/x", nil)
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
}

func TestSeveralPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		get := several(t, ratelimit.Options{Legacy: true},
			ratelimit.Policy{Name: "burst", Key: ratelimit.ByClient(), Count: 60, Per: time.Minute, Burst: 2},
			ratelimit.Policy{Name: "day", Key: ratelimit.ByOperation(), Count: 3, Calendar: ratelimit.Day},
			ratelimit.Policy{Name: "tenant", Key: ratelimit.ByTenant(), Count: 1, Per: time.Hour})
		w := get()
		if w.Code != 200 || w.Header().Get("RateLimit-Policy") != `"burst";q=60;w=60, "day";q=3;w=86400` ||
			w.Header().Get("RateLimit") != `"burst";r=1;t=1, "day";r=2;t=86400` {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if w.Header().Get("X-RateLimit-Limit") != "60" || w.Header().Get("X-RateLimit-Remaining") != "1" || w.Header().Get("X-RateLimit-Reset") != "1" {
			t.Errorf("legacy fields: %v", w.Header())
		}
		get()
		if w := get(); w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"violated-policies":["burst"]`) {
			t.Errorf("the burst: %d %v %s", w.Code, w.Header(), w.Body)
		}
		time.Sleep(time.Minute)
		if w := get(); w.Code != 200 {
			t.Errorf("what the burst denied was taken from the day: %d %s", w.Code, w.Body)
		}
		if w := get(); w.Code != 429 || w.Header().Get("Retry-After") != "86340" {
			t.Errorf("the day: %d %v", w.Code, w.Header())
		}
	})
}

func TestCost(t *testing.T) {
	cost := 1
	get := several(t, ratelimit.Options{}, ratelimit.Policy{
		Name: "bytes", Key: ratelimit.ByClient(), Count: 100, Per: time.Hour,
		Cost: func(context.Context, *guard.Call) int { return cost },
	})
	for _, step := range []struct {
		cost, status int
		retry        string
	}{{60, 200, ""}, {60, 429, "720"}, {40, 200, ""}, {0, 200, ""}, {1, 429, "36"}, {101, 429, ""}, {-1, 503, ""}} {
		cost = step.cost
		if w := get(); w.Code != step.status || w.Header().Get("Retry-After") != step.retry {
			t.Errorf("cost %d: %d, Retry-After %q, want %d, %q", step.cost, w.Code, w.Header().Get("Retry-After"), step.status, step.retry)
		}
	}
}

func TestReload(t *testing.T) {
	p := ratelimit.Policy{Name: "client", Key: ratelimit.ByClient(), Count: 5, Per: time.Hour}
	l, err := ratelimit.New([]ratelimit.Policy{p}, ratelimit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if d, _ := l.Take(t.Context(), "a", 1); !d.Allowed {
			t.Fatal("denied")
		}
	}
	bad := p
	bad.Count = 0
	late := p
	late.Key = ratelimit.ByActor()
	for _, p := range []ratelimit.Policy{bad, late} {
		if err := l.Reload([]ratelimit.Policy{p}); err == nil {
			t.Errorf("%+v was loaded", p)
		}
	}
	if d, _ := l.Take(t.Context(), "a", 0); d.Remaining != 2 {
		t.Errorf("after refused reloads %d are left, want 2", d.Remaining)
	}
	p.Count, p.Burst = 5, 3
	if err := l.Reload([]ratelimit.Policy{p}); err != nil {
		t.Fatal(err)
	}
	if d, _ := l.Take(t.Context(), "a", 1); d.Allowed || d.Policy != "client" {
		t.Errorf("3 of now 3 are used: %+v", d)
	}
}

// stub is a store that answers or fails as it is told.
type stub struct {
	err   error
	state ratelimit.State
	cells []ratelimit.Cell
}

func (s *stub) Take(_ context.Context, cells []ratelimit.Cell) error {
	s.cells = append([]ratelimit.Cell(nil), cells...)
	for i := range cells {
		cells[i].State = s.state
	}
	return s.err
}

func TestStoreUnreachable(t *testing.T) {
	gone := errors.New("connection refused to 10.0.0.7")
	for mode, want := range map[ratelimit.Failure][]int{
		ratelimit.Deny: {503, 503}, ratelimit.Local: {200, 429}, ratelimit.Allow: {200, 200},
	} {
		get := several(t, ratelimit.Options{Store: &stub{err: gone}, OnFailure: mode},
			ratelimit.Policy{Name: "client", Key: ratelimit.ByClient(), Count: 1, Per: time.Hour})
		for i, status := range want {
			w := get()
			if w.Code != status {
				t.Errorf("%v, call %d: %d, want %d", mode, i, w.Code, status)
			}
			if got := w.Header().Get("RateLimit"); mode == ratelimit.Allow && got != `"client";r=1;t=0` {
				t.Errorf("nothing is limited, and clients are told %s", got)
			}
			if strings.Contains(w.Body.String(), "10.0.0.7") {
				t.Errorf("%v: the answer says where the store is: %s", mode, w.Body)
			}
			if w.Code == 503 && (w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "temporary-reduced-capacity")) {
				t.Errorf("%v %s", w.Header(), w.Body)
			}
		}
		l, err := ratelimit.New([]ratelimit.Policy{{Name: "client", Key: ratelimit.ByClient(), Count: 1, Per: time.Hour}},
			ratelimit.Options{Store: &stub{err: gone}, OnFailure: mode})
		if err != nil {
			t.Fatal(err)
		}
		if r := l.Controls()[0].Run(t.Context()); r.State != controls.Error {
			t.Errorf("%v: the probe says %v: %s", mode, r.State, r.Observed)
		}
	}
}

func TestStoreDecides(t *testing.T) {
	store := &stub{state: ratelimit.State{Denied: true, RetryAfter: 90 * time.Second, Reset: time.Hour}}
	get := several(t, ratelimit.Options{Store: store},
		ratelimit.Policy{Name: "client", Key: ratelimit.ByClient(), Count: 10, Per: time.Second, Burst: 20},
		ratelimit.Policy{Name: "day", Key: ratelimit.ByClient(), Count: 100, Calendar: ratelimit.Day})
	w := get()
	if w.Code != 429 || w.Header().Get("Retry-After") != "90" || w.Header().Get("RateLimit") != `"client";r=0;t=3600, "day";r=0;t=3600` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	a, b := store.cells[0], store.cells[1]
	if a.Policy != "client" || a.Key != "192.0.2.1/32" || a.Interval != 100*time.Millisecond || a.Limit != 20 || a.Cost != 1 || !a.Until.IsZero() {
		t.Errorf("the rate's cell: %+v", a)
	}
	if b.Interval != 0 || b.Limit != 100 || time.Until(b.Until) > 24*time.Hour || time.Until(b.Until) <= 0 {
		t.Errorf("the quota's cell: %+v", b)
	}
}

// A header of RFC 1123 in "UTC" (go-limiter) or a leftmost X-Forwarded-For
// (ulule) or "::" for every mapped address (tollbooth): none of these here.
func TestMistakesOfPeers(t *testing.T) {
	l := newLimiter(t, ratelimit.Policy{Name: "test", Count: 1, Per: time.Hour}, ratelimit.ByClient(), ratelimit.Options{})
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	get := func(remote, forwarded string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", forwarded)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := get("192.0.2.1:1", "203.0.113.1"); w.Code != 200 {
		t.Fatal(w.Code)
	}
	w := get("192.0.2.1:1", "203.0.113.2")
	if w.Code != 429 {
		t.Error("another X-Forwarded-For is another client")
	}
	if n, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || n != 3600 {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
	if w := get("[::ffff:192.0.2.1]:1", ""); w.Code != 429 {
		t.Error("an IPv4 address has a second allowance in its mapped form")
	}
	if w := get("[::ffff:192.0.2.9]:1", ""); w.Code != 200 {
		t.Error("all mapped addresses are one client")
	}
}

// throttled gives up after ten attempts on a hot key and answers with an
// error. Here every decision is one.
func TestHotKeyIsAlwaysDecided(t *testing.T) {
	l, err := ratelimit.New([]ratelimit.Policy{{Name: "hot", Key: ratelimit.ByClient(), Count: 1000, Per: time.Second, Burst: 1 << 20}}, ratelimit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10_000 {
				d, err := l.Take(t.Context(), "hot", 1)
				if err != nil {
					t.Error(err)
				}
				if d.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 160_000 {
		t.Errorf("%d of 160,000 within the burst were admitted", n)
	}
}

func TestNoAllocations(t *testing.T) {
	l, err := ratelimit.New([]ratelimit.Policy{
		{Name: "a", Key: ratelimit.ByClient(), Count: 1000, Per: time.Second},
		{Name: "b", Key: ratelimit.ByActor(), Count: 1000, Per: time.Second},
	}, ratelimit.Options{NoHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	call := guard.Synthetic("op", "a.read", nil)
	call.Client = netip.MustParseAddr("2001:db8::1")
	call.Actor = auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := l.Admit(t.Context(), call); err != nil && !strings.Contains(err.Error(), "Too many") {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
}
