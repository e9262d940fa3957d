package concurrency

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

func limiter(t *testing.T, o Options) (*Limiter, *auditlogtest.Recorder) {
	t.Helper()
	log := new(auditlogtest.Recorder)
	l, err := New(log, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, log
}

// fixed is a limiter whose limit stays as it is.
func fixed(t *testing.T, limit int, o Options) (*Limiter, *auditlogtest.Recorder) {
	t.Helper()
	o.Min, o.Max = limit, limit
	return limiter(t, o)
}

func fill(t *testing.T, l *Limiter, n int, p Priority) (places []*Place) {
	t.Helper()
	for range n {
		place, err := l.Acquire(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, place)
	}
	return places
}

func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := fixed(t, 10, Options{})
		fill(t, l, 6, Background)
		if _, err := l.Acquire(t.Context(), Background); !errors.Is(err, ErrOverload) {
			t.Errorf("background work beyond 60 %%: %v", err)
		}
		fill(t, l, 3, Normal)
		if _, err := l.Acquire(t.Context(), Normal); !errors.Is(err, ErrOverload) {
			t.Errorf("normal work beyond 90 %%: %v", err)
		}
		fill(t, l, 1, Critical)
		if _, err := l.Acquire(t.Context(), Critical); !errors.Is(err, ErrOverload) {
			t.Errorf("beyond the limit: %v", err)
		}
	})
}

// TestEvenOneIsServed: no priority is shut out by rounding.
func TestEvenOneIsServed(t *testing.T) {
	for _, p := range order {
		l, _ := fixed(t, 1, Options{})
		fill(t, l, 1, p)[0].Done()
	}
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := fixed(t, 1, Options{Wait: time.Second})
		first := fill(t, l, 1, Critical)[0]
		var mu sync.Mutex
		var served []Priority
		var wg sync.WaitGroup
		for _, p := range []Priority{Background, Normal, Critical, Normal} {
			wg.Go(func() {
				place, err := l.Acquire(t.Context(), p)
				if err != nil {
					t.Errorf("%v: %v", p, err)
					return
				}
				mu.Lock()
				served = append(served, p)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				place.Done()
			})
			synctest.Wait()
		}
		time.Sleep(900 * time.Millisecond)
		first.Done()
		wg.Wait()
		if want := []Priority{Critical, Normal, Normal, Background}; !slices.Equal(served, want) {
			t.Errorf("served %v, want %v", served, want)
		}
		if s := l.State(); s.Serving != 0 || s.Waiting != 0 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := fixed(t, 1, Options{Wait: 200 * time.Millisecond})
		place := fill(t, l, 1, Normal)[0]
		start := time.Now()
		if _, err := l.Acquire(t.Context(), Normal); !errors.Is(err, ErrOverload) || time.Since(start) != 200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start = time.Now()
		if _, err := l.Acquire(ctx, Normal); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 50*time.Millisecond {
			t.Errorf("a caller that gives up: %v after %v", err, time.Since(start))
		}
		if s := l.State(); s.Waiting != 0 {
			t.Errorf("%d still wait", s.Waiting)
		}
		log.Want(t, "ratelimit.concurrency.overload", auditlog.Failed)
		log.WantNone(t, "ratelimit.concurrency.relax")
		time.Sleep(calm)
		place.Done()
		log.Want(t, "ratelimit.concurrency.relax", auditlog.Success)
		if n := len(log.Find("ratelimit.concurrency.overload")); n != 1 {
			t.Errorf("%d events of one overload", n)
		}
	})
}

// TestFullLine: the important take the places of those who are not, who leave
// at once.
func TestFullLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := fixed(t, 1, Options{Queue: 1, Wait: time.Second})
		place := fill(t, l, 1, Normal)[0]
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			if _, err := l.Acquire(t.Context(), Background); !errors.Is(err, ErrOverload) || time.Since(start) != 0 {
				t.Errorf("background work whose place was taken: %v after %v", err, time.Since(start))
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if p, err := l.Acquire(t.Context(), Critical); err != nil {
				t.Errorf("critical work at a full line: %v", err)
			} else {
				p.Done()
			}
		})
		synctest.Wait()
		for _, p := range []Priority{Background, Normal, Critical} {
			if _, err := l.Acquire(t.Context(), p); !errors.Is(err, ErrOverload) {
				t.Errorf("%v at a line of those as important: %v", p, err)
			}
		}
		place.Done()
		wg.Wait()
	})
}

// TestGrantedAndGone: a caller that gives up in the moment it is let in does
// not keep the place.
func TestGrantedAndGone(t *testing.T) {
	for range 200 {
		l, _ := fixed(t, 1, Options{Wait: time.Minute})
		place := fill(t, l, 1, Normal)[0]
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if p, err := l.Acquire(ctx, Normal); err == nil {
				p.Done()
			}
		})
		wg.Go(place.Done)
		wg.Go(cancel)
		wg.Wait()
		if s := l.State(); s.Serving != 0 || s.Waiting != 0 {
			t.Fatalf("a place was lost: %+v", s)
		}
	}
}

func TestPlaceIsGivenBackOnce(t *testing.T) {
	l, _ := fixed(t, 2, Options{})
	places := fill(t, l, 1, Critical)
	for range 3 {
		places[0].Done()
		places[0].Cancel()
	}
	if s := l.State(); s.Serving != 0 {
		t.Errorf("%d are served after one place was given back several times", s.Serving)
	}
}

// server is a service of so many workers: who finds none waits inside.
type server struct {
	workers chan struct{}
	takes   time.Duration
}

func (s *server) serve() {
	s.workers <- struct{}{}
	time.Sleep(s.takes)
	<-s.workers
}

// TestFindsTheCapacity: 60 impatient clients at a service of 5 workers, for
// three minutes with three measurements. What is admitted stays near what the
// workers can do, they are kept busy, and a served request never takes long.
func TestFindsTheCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := limiter(t, Options{Max: 500})
		s := &server{make(chan struct{}, 5), 10 * time.Millisecond}
		var mu sync.Mutex
		served, worst, highest := 0, time.Duration(0), 0
		start := time.Now()
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				for time.Since(start) < 3*time.Minute {
					place, err := l.Acquire(t.Context(), Normal)
					if err != nil {
						continue
					}
					began := time.Now()
					s.serve()
					place.Done()
					if time.Since(start) > 10*time.Second { // it has learnt
						mu.Lock()
						served++
						worst = max(worst, time.Since(began))
						highest = max(highest, l.State().Limit)
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		if highest > 3*5 {
			t.Errorf("the limit went up to %d for 5 workers", highest)
		}
		if worst > 5*s.takes {
			t.Errorf("a request of %v took %v", s.takes, worst)
		}
		if possible := int(170 * time.Second / s.takes * 5); served < possible*85/100 {
			t.Errorf("%d of %d possible requests were served", served, possible)
		}
	})
}

// TestNoDrift: the latency is that of an overloaded service for ten hours. A
// baseline that learns from it would call it normal after a while.
func TestNoDrift(t *testing.T) {
	const capacity, idle = 20, 10 * time.Millisecond
	now := time.Unix(0, 0)
	g := newGradient(4, 10_000, now)
	for now.Before(time.Unix(36_000, 0)) {
		n := int(g.limit)
		latency := max(idle, idle*time.Duration(n)/capacity)
		for i := range min(n, windowMin) {
			g.sample(latency, g.began(n-i), now)
		}
		now = now.Add(20 * time.Millisecond)
		if g.limit > 2*capacity && now.After(time.Unix(5, 0)) {
			t.Fatalf("after %v the limit is %.0f for a capacity of %d", now.Sub(time.Unix(0, 0)), g.limit, capacity)
		}
	}
	if g.idle != idle {
		t.Errorf("the idle latency is taken to be %v, and is %v", g.idle, idle)
	}
}

// TestUnusedLimitDoesNotGrow: a quiet service does not forget what it can do.
func TestUnusedLimitDoesNotGrow(t *testing.T) {
	now := time.Unix(0, 0)
	g := newGradient(4, 10_000, now)
	for range 5000 {
		g.sample(time.Millisecond, g.began(1), now)
		now = now.Add(10 * time.Millisecond)
	}
	if g.limit > 16 {
		t.Errorf("one request at a time raised the limit to %.0f", g.limit)
	}
}

// TestFailuresAreNoLatency: errors that are answered fast don't make the
// service look idle.
func TestFailuresAreNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := limiter(t, Options{})
		h := l.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fail" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}))
		for range measureCount {
			for _, path := range []string{"/fail", "/work"} {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			}
		}
		if s := l.State(); s.Idle != 20*time.Millisecond {
			t.Errorf("the idle latency is taken to be %v", s.Idle)
		}
	})
}

func TestGuard(t *testing.T) {
	l, _ := fixed(t, 1, Options{Wait: time.Millisecond})
	place := fill(t, l, 1, Normal)[0]
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		return w
	}
	if w := get(); w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "temporary-reduced-capacity") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	place.Done()
	if w := get(); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	if s := l.State(); s.Serving != 0 {
		t.Errorf("%d are served", s.Serving)
	}
	stream := guard.Synthetic("op", "files.watch", nil)
	stream.Stream = true
	fill(t, l, 1, Normal)
	if _, err := l.Admit(t.Context(), stream); err != nil {
		t.Errorf("a stream is counted: %v", err)
	}
	if l.Phase() != guard.Limit {
		t.Errorf("phase %v", l.Phase())
	}
	if early, _ := limiter(t, Options{Early: true}); early.Phase() != guard.Network {
		t.Errorf("phase %v", early.Phase())
	}
}

// A panic gives the place back.
func TestPanic(t *testing.T) {
	l, _ := fixed(t, 1, Options{})
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	}()
	if s := l.State(); s.Serving != 0 {
		t.Errorf("%d are served after a panic", s.Serving)
	}
}

func TestPriorityIsNotTheClients(t *testing.T) {
	l, _ := fixed(t, 10, Options{Wait: time.Millisecond, Priority: func(_ context.Context, call *guard.Call) Priority {
		if call.Action == "reports.build" {
			return Background
		}
		return Normal
	}})
	fill(t, l, 6, Normal)
	report := guard.Synthetic("op", "reports.build", http.Header{"Priority": {"u=0"}, "X-Priority": {"critical"}})
	if _, err := l.Admit(t.Context(), report); !errors.Is(err, ErrOverload) {
		t.Errorf("a report that calls itself critical: %v", err)
	}
	if _, err := l.Admit(t.Context(), guard.Synthetic("op", "files.read", nil)); err != nil {
		t.Errorf("normal work: %v", err)
	}
}

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := fixed(t, 1, Options{})
		probe := func() controls.Result { return l.Controls()[0].Run(t.Context()) }
		if r := probe(); r.State != controls.Pass {
			t.Errorf("idle: %v: %s", r.State, r.Observed)
		}
		fill(t, l, 1, Critical)
		for range 700 { // 70 seconds of callers that are turned away
			_, _ = l.Acquire(t.Context(), Normal)
		}
		if r := probe(); r.State != controls.Fail || !strings.Contains(r.Observed, "turned away") {
			t.Errorf("overloaded: %v: %s", r.State, r.Observed)
		}
	})
}

func TestBadInput(t *testing.T) {
	for says, o := range map[string]Options{
		"Min":   {Min: 10, Max: 5},
		"Max":   {Max: 2_000_000},
		"Queue": {Queue: -1},
		"Wait":  {Wait: time.Hour},
	} {
		if _, err := New(new(auditlogtest.Recorder), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("a limiter without a recorder was made")
	}
	l, _ := fixed(t, 1, Options{})
	if _, err := l.Acquire(t.Context(), 9); err == nil {
		t.Error("priority 9 was taken")
	}
}
