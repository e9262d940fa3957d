package health_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/health"
)

func newProbes(t *testing.T, o health.Options, checks ...health.Check) *health.Probes {
	t.Helper()
	p, err := health.New(checks, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

// A dependency that can be told to fail.
type dependency struct{ err atomic.Pointer[error] }

func (d *dependency) run(context.Context) error {
	if e := d.err.Load(); e != nil {
		return *e
	}
	return nil
}

func (d *dependency) set(err error) {
	if err == nil {
		d.err.Store(nil)
		return
	}
	d.err.Store(&err)
}

func TestCriticality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db, mail, info dependency
		p := newProbes(t, health.Options{},
			health.Check{Name: "db", Run: db.run},
			health.Check{Name: "mail", Run: mail.run, Criticality: health.Degrading},
			health.Check{Name: "info", Run: info.run, Criticality: health.Informational})
		defer p.Close()
		if s := p.Readiness(); s.Status == "pass" && s.Checks["db"] == "unknown" {
			t.Error("ready before a critical check has answered")
		}
		status := func(want string) {
			t.Helper()
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if s := p.Readiness(); s.Status != want {
				t.Errorf("status %s, want %s: %v", s.Status, want, s.Checks)
			}
		}
		status("pass")
		info.set(errors.New("x"))
		status("pass")
		mail.set(errors.New("x"))
		status("warn")
		db.set(errors.New("x"))
		status("fail")
		if s := p.Liveness(); s.Status != "pass" {
			t.Errorf("a failing database makes the service restart: %+v", s)
		}
		db.set(nil)
		mail.set(nil)
		status("pass")
	})
}

func TestFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db dependency
		p := newProbes(t, health.Options{}, health.Check{Name: "db", Run: db.run, Failures: 3, Every: time.Second})
		defer p.Close()
		synctest.Wait()
		db.set(errors.New("x"))
		time.Sleep(1500 * time.Millisecond) // one run failed
		synctest.Wait()
		if s := p.Readiness(); s.Status != "pass" {
			t.Errorf("one failure of three counts: %+v", s)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := p.Readiness(); s.Status != "fail" {
			t.Errorf("after several failures: %+v", s)
		}
	})
}

// Peers start another goroutine per probe while a check hangs, or hold a
// mutex over all checks.
func TestHangingCheckLeaksOneAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var started atomic.Int32
		p := newProbes(t, health.Options{},
			health.Check{Name: "stuck", Timeout: time.Second, Every: time.Second, Run: func(context.Context) error {
				started.Add(1)
				<-release // ignores its context
				return nil
			}},
			health.Check{Name: "db", Run: new(dependency).run})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := started.Load(); n != 1 {
			t.Errorf("the hanging check was started %d times", n)
		}
		s := p.Readiness()
		if s.Checks["stuck"] != "fail" || s.Checks["db"] != "pass" {
			t.Errorf("%v", s.Checks)
		}
		if r := p.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "stuck") {
			t.Errorf("%v: %s", r.State, r.Observed)
		}
		close(release)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := p.Readiness(); s.Status != "pass" {
			t.Errorf("after it came back: %v", s.Checks)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPanickingCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbes(t, health.Options{}, health.Check{Name: "db", Run: func(context.Context) error { panic("x") }})
		defer p.Close()
		synctest.Wait()
		if s := p.Readiness(); s.Status != "fail" {
			t.Errorf("%+v", s)
		}
	})
}

func TestStartup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db dependency
		db.set(errors.New("starting"))
		p := newProbes(t, health.Options{StartupTimeout: 30 * time.Second}, health.Check{Name: "db", Run: db.run})
		defer p.Close()
		synctest.Wait()
		if p.Startup().Status != "fail" || p.Liveness().Status != "pass" {
			t.Error("while starting: not started, and alive")
		}
		time.Sleep(31 * time.Second)
		if p.Liveness().Status != "fail" {
			t.Error("a service that never starts is never restarted")
		}
		db.set(nil)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if p.Startup().Status != "pass" || p.Liveness().Status != "pass" {
			t.Error("after it became ready")
		}
		db.set(errors.New("down"))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if p.Startup().Status != "pass" || p.Liveness().Status != "pass" || p.Readiness().Status != "fail" {
			t.Error("a later failure is one of readiness only")
		}
	})
}

// The network is down: the database and what needs it are not asked, fail, and
// name the cause. When it is back they are asked again.
func TestOneCauseIsNotToldAsMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network, db dependency
		asked := 0
		rec := &auditlogtest.Recorder{}
		p := newProbes(t, health.Options{Recorder: rec},
			health.Check{Name: "network", Run: network.run, Every: time.Second},
			health.Check{Name: "database", Run: db.run, Every: time.Second, After: []string{"network"}},
			health.Check{Name: "reports", Run: func(context.Context) error { asked++; return nil }, Every: time.Second, After: []string{"database"}, Criticality: health.Degrading})
		defer p.Close()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := p.Readiness(); s.Status != "pass" {
			t.Fatalf("%+v", s)
		}
		network.set(errors.New("unreachable"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		before := asked
		time.Sleep(5 * time.Second)
		synctest.Wait()
		s := p.Readiness()
		if s.Status != "fail" || s.Checks["network"] != "fail" || s.Checks["database"] != "fail: network" || s.Checks["reports"] != "fail: network" || asked != before {
			t.Errorf("%+v, asked %d times since", s, asked-before)
		}
		e := rec.Find("health.fail")
		if len(e) != 3 {
			t.Errorf("%d checks failed on record: %s", len(e), rec.JSON())
		}
		network.set(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := p.Readiness(); s.Status != "pass" || len(rec.Find("health.recover")) != 3 {
			t.Errorf("%+v: %s", s, rec.JSON())
		}
	})
}

// A dependency that comes and goes is back only when it stays.
func TestThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db dependency
		p := newProbes(t, health.Options{}, health.Check{Name: "db", Run: db.run, Every: 10 * time.Second, Failures: 3, Successes: 2})
		defer p.Close()
		step := func(err error, want string) {
			t.Helper()
			db.set(err)
			time.Sleep(10*time.Second + 500*time.Millisecond) // once, give or take
			synctest.Wait()
			if got := p.Readiness().Checks["db"]; got != want {
				t.Errorf("%v: %s, want %s", err, got, want)
			}
		}
		synctest.Wait()
		down := errors.New("down")
		for range 4 {
			step(nil, "pass")
		}
		for db.set(down); p.Readiness().Checks["db"] == "pass"; {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for range 3 {
			step(down, "fail")
		}
		// One success is not enough.
		db.set(nil)
		passed := 0
		for p.Readiness().Checks["db"] == "fail" {
			time.Sleep(time.Second)
			synctest.Wait()
			if passed++; passed > 60 {
				t.Fatal("it never recovers")
			}
		}
		if passed < 10 {
			t.Errorf("it recovered after %d s, with runs every 10 s and two wanted", passed)
		}
	})
}

func TestExcludedChecksDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db dependency
		db.set(errors.New("down"))
		p := newProbes(t, health.Options{}, health.Check{Name: "db", Run: db.run}, health.Check{Name: "disk", Run: (&dependency{}).run})
		defer p.Close()
		synctest.Wait()
		for target, want := range map[string]int{"/readyz": 503, "/readyz?exclude=disk": 503, "/readyz?exclude=db": 200, "/readyz?exclude=disk&exclude=db": 200, "/readyz?exclude=": 503} {
			if w := ask(p.Ready(), target); w.Code != want {
				t.Errorf("%s: %d, want %d", target, w.Code, want)
			}
		}
		if p.Startup().Status != "fail" {
			t.Error("leaving a check out of an answer made the service count as started")
		}
	})
}

func TestAnswersDoNotLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var db dependency
		db.set(errors.New("dial postgres://admin:hunter2@10.0.0.1: refused"))
		staff := health.Options{Details: func(r *http.Request) bool { return r.URL.Query().Get("as") == "staff" }}
		p := newProbes(t, staff, health.Check{Name: "db", Run: db.run})
		defer p.Close()
		synctest.Wait()
		for _, target := range []string{"/readyz", "/readyz?verbose", "/readyz?as=staff", "/readyz?verbose&as=staff"} {
			w := ask(p.Ready(), target)
			if w.Code != 503 || strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "10.0.0.1") {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
			if strings.Contains(w.Body.String(), "db") != strings.Contains(target, "verbose&as=staff") {
				t.Errorf("%s: %s", target, w.Body)
			}
		}
		nobody := newProbes(t, health.Options{}, health.Check{Name: "db", Run: db.run})
		defer nobody.Close()
		if w := ask(nobody.Ready(), "/readyz?verbose&as=staff"); strings.Contains(w.Body.String(), "db") {
			t.Errorf("nobody decides, and details are told: %s", w.Body)
		}
		if w := ask(p.Live(), "/livez"); w.Code != 200 || w.Header().Get("Content-Type") != "application/health+json" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

func TestServeDrains(t *testing.T) {
	p := newProbes(t, health.Options{})
	defer p.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/readyz", p.Ready())
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- health.Serve(ctx, p, l, &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}, health.ServeOptions{Deregister: 50 * time.Millisecond})
	}()
	base := "http://" + l.Addr().String()
	slow := make(chan string, 1)
	go func() {
		resp, err := http.Get(base + "/slow") //nolint:noctx // ends with the server
		if err != nil {
			slow <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		slow <- string(b)
	}()
	<-entered
	cancel()
	for p.Readiness().Status != "fail" { //nolint:revive // until the drain has begun
	}
	close(release)
	if got := <-slow; got != "finished" {
		t.Errorf("a request that was being served: %q", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if _, err := http.Get(base + "/readyz"); err == nil { //nolint:noctx,bodyclose // must fail
		t.Error("the server still accepts")
	}
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	p := newProbes(t, health.Options{})
	defer p.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- health.Serve(ctx, p, l, &http.Server{Handler: h, ReadHeaderTimeout: time.Second}, health.ServeOptions{Finish: 20 * time.Millisecond})
	}()
	go http.Get("http://" + l.Addr().String()) //nolint:errcheck,noctx,bodyclose // is cut off
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, health.ErrForced) {
		t.Errorf("Serve = %v, want ErrForced", err)
	}
}

func TestNewRefuses(t *testing.T) {
	run := new(dependency).run
	for name, checks := range map[string][]health.Check{
		"name":        {{Name: "A b", Run: run}},
		"no run":      {{Name: "a"}},
		"twice":       {{Name: "a", Run: run}, {Name: "a", Run: run}},
		"after none":  {{Name: "a", Run: run, After: []string{"b"}}},
		"after later": {{Name: "a", Run: run, After: []string{"b"}}, {Name: "b", Run: run}},
		"after self":  {{Name: "a", Run: run, After: []string{"a"}}},
		"successes":   {{Name: "a", Run: run, Successes: -1}},
		"criticality": {{Name: "a", Run: run, Criticality: 9}},
		"every":       {{Name: "a", Run: run, Every: time.Nanosecond}},
	} {
		if _, err := health.New(checks, health.Options{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := health.New(nil, health.Options{StartupTimeout: -1}); err == nil {
		t.Error("a negative startup time was accepted")
	}
}
