package slo

import (
	"context"
	"errors"
	"fmt"
	"math"
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

var testKey = []byte(strings.Repeat("k", 32))

func available() []Objective {
	return []Objective{{Name: "files", Actions: []string{"files.*"}, Target: 0.999}}
}

func start(t *testing.T, store Store, objectives []Objective, o Options) (*Tracker, *auditlogtest.Recorder) {
	t.Helper()
	log := new(auditlogtest.Recorder)
	tr, err := New("operator", store, testKey, log, objectives, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr, log
}

// call runs one call through the tracker as a chain would.
func call(t *testing.T, tr *Tracker, action string, out guard.Outcome) {
	t.Helper()
	c := guard.Synthetic("GET /"+action, action, nil)
	if _, err := tr.Admit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Finish(t.Context(), out)
}

func actions(log *auditlogtest.Recorder) (list []string) {
	for _, e := range log.Entries() {
		list = append(list, e.Action)
	}
	return list
}

func attr(e auditlog.Entry, key string) string {
	v, _ := auditlogtest.Attr(e, key)
	return v
}

func TestWhatIsGood(t *testing.T) {
	fast := Objective{Name: "fast", Target: 0.9, Latency: time.Second}
	for name, tc := range map[string]struct {
		out          guard.Outcome
		counts, good bool
	}{
		"answered":             {guard.Outcome{Status: 200, Elapsed: time.Second}, true, true},
		"too slow":             {guard.Outcome{Status: 200, Elapsed: time.Second + 1}, true, false},
		"failed":               {guard.Outcome{Status: 500}, true, false},
		"shed":                 {guard.Outcome{Status: 503, Denial: &guard.Denial{}}, true, false},
		"refused by a control": {guard.Outcome{Status: 403, Denial: &guard.Denial{}}, true, true},
		"panicked":             {guard.Outcome{Status: 200, Panic: "x"}, true, false},
		"given up":             {guard.Outcome{Status: guard.StatusClientClosed, Code: guard.Canceled}, false, false},
	} {
		if counts, good := fast.judge(tc.out); counts != tc.counts || good != tc.good {
			t.Errorf("%s: counts %v good %v, want %v %v", name, counts, good, tc.counts, tc.good)
		}
	}
}

func TestWhichCalls(t *testing.T) {
	o := Objective{Actions: []string{"files.*", "login"}}
	for action, want := range map[string]bool{
		"files.read": true, "files.share.give": true, "filesystem.read": false, "files": false, "login": true, "login.x": false, "": false,
	} {
		if got := o.about(action); got != want {
			t.Errorf("about(%q) = %v, want %v", action, got, want)
		}
	}
}

// TestAlerts lets a service fail, come back and stay well: the fast alert is
// raised within three minutes and ends within six of the recovery, because the
// short window is calm, though the long one isn't yet.
func TestAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, log := start(t, NewMemory(), available(), Options{})
		minutes := func(n, good, bad int) {
			for range n {
				for range good {
					call(t, tr, "files.read", guard.Outcome{Status: 200})
				}
				for range bad {
					call(t, tr, "files.read", guard.Outcome{Status: 500})
				}
				time.Sleep(time.Minute)
				synctest.Wait()
			}
		}
		minutes(60, 10, 0)
		if slices.Contains(actions(log), "health.slo.burn") {
			t.Fatalf("an alert without a bad request: %v", actions(log))
		}
		minutes(3, 0, 10)
		if !slices.Contains(actions(log), "health.slo.burn") {
			t.Fatalf("no alert 3 minutes after the beginning: %v", actions(log))
		}
		if r := tr.Controls()[0].Run(t.Context()); r.State != controls.Fail {
			t.Errorf("the probe passes while the budget burns: %+v", r)
		}
		if slices.Contains(actions(log), "health.slo.recover") {
			t.Errorf("the alert ended while the trouble lasted: %v", actions(log))
		}
		minutes(6, 10, 0)
		if ended := log.Find("health.slo.recover"); len(ended) == 0 || attr(ended[0], "rule") != "fast" {
			t.Errorf("the fast alert did not end 6 minutes after the recovery: %v", actions(log))
		}
	})
}

// TestOneFailureIsNoRate: at night one request of three fails.
func TestOneFailureIsNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, log := start(t, NewMemory(), available(), Options{})
		for i := range 3 {
			call(t, tr, "files.read", guard.Outcome{Status: 200 + 300*(i%2)})
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if slices.Contains(actions(log), "health.slo.burn") {
			t.Errorf("an alert for one bad request: %v", actions(log))
		}
	})
}

// TestDeadProcess stops everything for an hour in the middle of a period. A
// process that is dead serves no bad request, and yet the objective is missed.
func TestDeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
		began := time.Now()
		serve := func() {
			tr, err := New("operator", store, testKey, new(auditlogtest.Recorder), available(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			for range 60 {
				call(t, tr, "files.read", guard.Outcome{Status: 200})
				time.Sleep(time.Minute)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
		}
		serve()
		time.Sleep(time.Hour)
		serve()
		tr, _ := start(t, store, available(), Options{})
		r, err := tr.Report(t.Context(), "files", began, began.Add(3*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		want := []Interval{{began.Add(time.Hour).UTC(), began.Add(2 * time.Hour).UTC()}}
		if r.Met || r.Availability != 1 || math.Abs(r.Uptime-2.0/3) > 1e-9 || !slices.Equal(r.Unmeasured, want) {
			t.Errorf("an hour in which nobody measured: %+v", r)
		}
		if r.Good != 120 {
			t.Errorf("a restart changed the counts: %d good, want 120", r.Good)
		}
	})
}

// TestWatcherSeesItDie: the watcher's bad minutes are downtime though the
// service itself counted nothing.
func TestWatcherSeesItDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		var mu sync.Mutex
		dead := false
		w, err := Watch("operator", store, testKey, "files", func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if dead {
				return errors.New("connection refused")
			}
			return nil
		}, WatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now().Truncate(time.Minute)
		time.Sleep(10*time.Minute + time.Second)
		mu.Lock()
		dead = true
		mu.Unlock()
		time.Sleep(5 * time.Minute)
		mu.Lock()
		dead = false
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		tr, _ := start(t, store, available(), Options{})
		r, err := tr.Report(t.Context(), "files", began, began.Add(24*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Down) != 1 || r.Down[0].From.Sub(began) != 10*time.Minute || r.Down[0].To.Sub(began) != 15*time.Minute || r.Met {
			t.Errorf("five minutes of failing probes: %+v", r)
		}
		if r.OutsideBad != 30 || r.Good+r.Bad != 0 {
			t.Errorf("counts: %+v", r)
		}
	})
}

func TestProbeNeedsSomebodyOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		tr, _ := start(t, store, available(), Options{})
		if r := tr.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "outside") {
			t.Errorf("without a watcher: %+v", r)
		}
		w, err := Watch("operator", store, testKey, "files", func(context.Context) error { return nil }, WatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if r := tr.Controls()[0].Run(t.Context()); r.State != controls.Pass {
			t.Errorf("with a watcher: %+v", r)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if r := tr.Controls()[0].Run(t.Context()); r.State != controls.Fail {
			t.Errorf("ten minutes after the watcher stopped: %+v", r)
		}
	})
}

// failingStore fails while told to.
type failingStore struct {
	*Memory
	mu  sync.Mutex
	err error
}

func (f *failingStore) set(err error) { f.mu.Lock(); f.err = err; f.mu.Unlock() }

func (f *failingStore) Put(ctx context.Context, tenant string, c []Count) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	return f.Memory.Put(ctx, tenant, c)
}

func TestStoreUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Memory: NewMemory()}
		tr, log := start(t, store, available(), Options{})
		began := time.Now().Truncate(time.Minute)
		store.set(errors.New("no route"))
		for range 30 {
			call(t, tr, "files.read", guard.Outcome{Status: 200})
			time.Sleep(time.Minute)
		}
		store.set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		r, err := tr.Report(t.Context(), "files", began, time.Now())
		if err != nil || r.Good != 30 {
			t.Errorf("%d good requests are in the store after it came back, want 30 (%v)", r.Good, err)
		}
		got := actions(log)
		if n := len(slices.DeleteFunc(got, func(a string) bool { return a != "health.slo.store" })); n != 2 {
			t.Errorf("%d events about the store, want one when it failed and one when it came back: %v", n, got)
		}
	})
}

func TestPendingIsBounded(t *testing.T) {
	c := newCounter("files", false)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range maxPending + 10 {
		c.add(at.Add(time.Duration(i)*time.Minute), true)
	}
	counts, next := c.waiting(at.Add(100 * time.Hour))
	if len(counts) != maxPending {
		t.Fatalf("%d minutes wait, want %d", len(counts), maxPending)
	}
	if lost := c.stored(next); lost != 10 {
		t.Errorf("%d minutes were given up, want 10", lost)
	}
	if counts, _ := c.waiting(at.Add(200 * time.Hour)); len(counts) != 0 {
		t.Errorf("%d minutes wait after all were stored", len(counts))
	}
}

// TestDroppedWhileStoring: the oldest minutes are given up between waiting and
// stored. What came in meanwhile must not be forgotten.
func TestDroppedWhileStoring(t *testing.T) {
	c := newCounter("files", false)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range maxPending {
		c.add(at.Add(time.Duration(i)*time.Minute), true)
	}
	_, next := c.waiting(at.Add(maxPending * time.Minute))
	for i := range 5 {
		c.add(at.Add(time.Duration(maxPending+i)*time.Minute), false)
	}
	c.stored(next)
	counts, _ := c.waiting(at.Add(200 * time.Hour))
	if len(counts) != 5 || counts[0].Bad != 1 {
		t.Errorf("%d minutes wait, want the 5 that came in", len(counts))
	}
}

func TestClockSetBack(t *testing.T) {
	c := newCounter("files", false)
	at := time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)
	c.add(at, true)
	c.add(at.Add(-5*time.Minute), false)
	counts, _ := c.waiting(at.Add(time.Minute))
	if len(counts) != 1 || counts[0].Good != 1 || counts[0].Bad != 1 {
		t.Errorf("counts %+v, want one minute with both", counts)
	}
}

// TestForgedCounts: a writer of the store invents good requests, and moves
// good ones to another minute, objective or tenant.
func TestForgedCounts(t *testing.T) {
	good := Count{Objective: "files", Source: "s", Minute: time.Unix(600, 0).UTC(), Good: 7}
	good.seal(testKey, "operator")
	if err := good.check(testKey, "operator"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Count){
		"more good":          func(c *Count) { c.Good++ },
		"less bad":           func(c *Count) { c.Bad-- },
		"another minute":     func(c *Count) { c.Minute = c.Minute.Add(time.Minute) },
		"another objective":  func(c *Count) { c.Objective = "fileS" },
		"another source":     func(c *Count) { c.Source = "t" },
		"as if from outside": func(c *Count) { c.Outside = true },
		"boundary moved":     func(c *Count) { c.Objective, c.Source = "file", "ss" },
	} {
		c := good
		change(&c)
		if err := c.check(testKey, "operator"); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", name, err)
		}
	}
	if err := good.check(testKey, "other"); !errors.Is(err, ErrTampered) {
		t.Errorf("another tenant: %v", err)
	}
	store := NewMemory()
	forged := good
	forged.Good, forged.Minute = 1e6, time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)
	if err := store.Put(t.Context(), "operator", []Count{forged}); err != nil {
		t.Fatal(err)
	}
	if _, err := New("operator", store, testKey, new(auditlogtest.Recorder), available(), Options{}); !errors.Is(err, ErrTampered) {
		t.Errorf("New over forged counts: %v, want ErrTampered", err)
	}
}

func TestHourlyTotalsAreAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, log := start(t, NewMemory(), available(), Options{})
		for range 90 {
			call(t, tr, "files.read", guard.Outcome{Status: 200})
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if told := log.Find("health.slo.measure"); len(told) == 0 || attr(told[0], "good") == "0" {
			t.Errorf("no totals in the log: %v", actions(log))
		}
	})
}

func TestReportText(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := Report{Objective: "files", Target: 0.999, Latency: time.Second, From: at, To: at.Add(4 * time.Minute)}
	r.sum([]minute{{inside: ratio{9, 1}}, {inside: ratio{1, 9}}, {}, {outside: ratio{6, 0}}})
	var b strings.Builder
	if n, err := r.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatal(n, err)
	}
	const want = `files: missed
  period        2026-03-01T00:00:00Z to 2026-03-01T00:04:00Z
  target        99.900 % within 1s
  availability  50.000 % (10 of 20 requests)
  uptime        50.000 % of the minutes
  budget used   50000.000 %
  from outside  6 of 6 requests good
  down          2026-03-01T00:01:00Z to 2026-03-01T00:02:00Z (1m0s)
  not measured  2026-03-01T00:02:00Z to 2026-03-01T00:03:00Z (1m0s)
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestReportPeriods(t *testing.T) {
	tr, _ := start(t, NewMemory(), available(), Options{})
	now := time.Now()
	for name, p := range map[string][2]time.Time{
		"backwards": {now.Add(-time.Hour), now.Add(-2 * time.Hour)},
		"too long":  {now.Add(-93 * 24 * time.Hour), now},
		"to come":   {now.Add(time.Hour), now.Add(2 * time.Hour)},
	} {
		if _, err := tr.Report(t.Context(), "files", p[0], p[1]); err == nil || !strings.Contains(err.Error(), "period") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tr.Report(t.Context(), "nothing", now.Add(-time.Hour), now); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown objective: %v", err)
	}
}

func TestBadInput(t *testing.T) {
	ok := available()[0]
	for name, change := range map[string]func(*Objective, *Options){
		"Name":     func(o *Objective, _ *Options) { o.Name = "Files" },
		"Target":   func(o *Objective, _ *Options) { o.Target = 1 },
		"is NaN":   func(o *Objective, _ *Options) { o.Target = math.NaN() },
		"Latency":  func(o *Objective, _ *Options) { o.Latency = -1 },
		"action":   func(o *Objective, _ *Options) { o.Actions = []string{"*.read"} },
		"Window":   func(_ *Objective, o *Options) { o.Window = time.Hour },
		"MinBad":   func(_ *Objective, o *Options) { o.MinBad = -1 },
		"too long": func(_ *Objective, o *Options) { o.Window = 93 * 24 * time.Hour },
	} {
		obj, opts := ok, Options{}
		change(&obj, &opts)
		if _, err := New("operator", NewMemory(), testKey, new(auditlogtest.Recorder), []Objective{obj}, opts); err == nil {
			t.Errorf("%s: constructed", name)
		}
	}
	rec := new(auditlogtest.Recorder)
	for name, construct := range map[string]func() error{
		"tenant":   func() error { _, err := New("", NewMemory(), testKey, rec, available(), Options{}); return err },
		"store":    func() error { _, err := New("o", nil, testKey, rec, available(), Options{}); return err },
		"recorder": func() error { _, err := New("o", NewMemory(), testKey, nil, available(), Options{}); return err },
		"key":      func() error { _, err := New("o", NewMemory(), testKey[:31], rec, available(), Options{}); return err },
		"twice": func() error {
			_, err := New("o", NewMemory(), testKey, rec, append(available(), available()...), Options{})
			return err
		},
		"objectives": func() error { _, err := New("o", NewMemory(), testKey, rec, nil, Options{}); return err },
		"probe":      func() error { _, err := Watch("o", NewMemory(), testKey, "files", nil, WatchOptions{}); return err },
		"Every": func() error {
			_, err := Watch("o", NewMemory(), testKey, "files", func(context.Context) error { return nil }, WatchOptions{Every: time.Hour})
			return err
		},
		"URL": func() error { _, err := Get(http.DefaultClient, "/livez"); return err },
	} {
		if err := construct(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGet(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/down":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half")
		}
	}))
	defer srv.Close()
	for path, good := range map[string]bool{"/ok": true, "/moved": false, "/down": false, "/cut": false} {
		probe, err := Get(srv.Client(), srv.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		if err := probe(t.Context()); (err == nil) != good {
			t.Errorf("%s: %v, want good %v", path, err, good)
		}
	}
}

func TestMiddlewareAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := start(t, NewMemory(), available(), Options{})
		h := tr.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		r, err := tr.Report(t.Context(), "files", time.Now().Add(-time.Hour), time.Now())
		if err != nil || r.Bad != 1 {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// TestTwoInstances share a store: each sees the other's requests.
func TestTwoInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		a, _ := start(t, store, available(), Options{})
		b, log := start(t, store, available(), Options{})
		for range 10 {
			for range 5 {
				call(t, a, "files.read", guard.Outcome{Status: 500})
			}
			call(t, b, "files.read", guard.Outcome{Status: 200})
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if !slices.Contains(actions(log), "health.slo.burn") {
			t.Errorf("the instance that works says nothing of the one that fails: %v", actions(log))
		}
	})
}

func TestCountsRaces(t *testing.T) {
	tr, _ := start(t, NewMemory(), available(), Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				call(t, tr, "files.read", guard.Outcome{Status: 200})
			}
		})
	}
	wg.Wait()
	tr.step(t.Context(), time.Now().Add(time.Minute))
	r, err := tr.Report(t.Context(), "files", time.Now().Add(-time.Hour), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	counts := int64(0)
	if err := tr.store.Counts(t.Context(), "operator", "files", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func(c Count) error {
		counts += c.Good
		return nil
	}); err != nil || counts != 4000 {
		t.Errorf("%d of 4000 calls are counted (%v, %+v)", counts, err, r)
	}
}
