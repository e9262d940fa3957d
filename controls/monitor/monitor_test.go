package monitor

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
)

type journal struct {
	mu     sync.Mutex
	events []auditlog.Event
	err    error
}

func (j *journal) Record(ctx context.Context, ev auditlog.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return err
	}
	if _, err := e.AppendJSON(nil); err != nil {
		return err
	}
	j.events = append(j.events, ev)
	return nil
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

func (j *journal) count(action string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Action == action {
			n++
		}
	}
	return n
}

type raised struct {
	mu   sync.Mutex
	list []string
}

func (r *raised) ProbeFailed(_ context.Context, tenant string, c controls.Control, res controls.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, tenant+" "+c.Key()+" "+res.State.String())
	return nil
}

func (r *raised) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.list, ", ")
}

// A switchboard is a component whose controls can be changed.
type switchboard struct {
	mu   sync.Mutex
	list []controls.Control
}

func (s *switchboard) Controls() []controls.Control {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]controls.Control(nil), s.list...)
}

func (s *switchboard) set(list ...controls.Control) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func passing(id string) controls.Control {
	return controls.Control{ID: id, Probe: func(context.Context) controls.Result { return controls.Passed("ok") }}
}

func cat(t *testing.T, overlay string) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	if overlay != "" {
		if c, err = c.Overlay("test.yaml", []byte(overlay)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func start(t *testing.T, j *journal, opts Options, components ...controls.Component) *Monitor {
	t.Helper()
	m, err := New(cat(t, ""), j, opts, components...)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

// For two days every control is probed as often as promised, with heartbeats
// between, and not one gap.
func TestTwoDaysWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, r := &journal{}, &raised{}
		began := now()
		m := start(t, j, Options{Findings: r}, &switchboard{list: []controls.Control{passing("authz.policy"), passing("authn.password")}})
		time.Sleep(48 * time.Hour)
		h, err := m.History(t.Context(), began, now())
		if err != nil || len(h.Gaps) != 0 {
			t.Fatalf("gaps %v, %v", h.Gaps, err)
		}
		n := map[string]int{}
		for _, e := range h.Entries {
			n[string(e.Kind)+e.Control]++
		}
		// authz.policy is promised every 15 minutes, authn.password every day.
		if got := n["probedauthz.policy"]; got < 192 || got > 260 {
			t.Errorf("authz.policy was probed %d times in 48 hours", got)
		}
		if got := n["probedauthn.password"]; got < 2 || got > 3 {
			t.Errorf("authn.password was probed %d times in 48 hours", got)
		}
		if got := n["heartbeat"]; got < 570 || got > 576 {
			t.Errorf("%d heartbeats of 5 minutes in 48 hours", got)
		}
		if got := j.count("controls.probe.run"); got != n["probedauthz.policy"]+n["probedauthn.password"]+n["probedcontrols.monitor"] {
			t.Errorf("%d events for the runs", got)
		}
		if s := r.String(); s != "" {
			t.Errorf("findings were raised: %s", s)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := m.Start(); !errors.Is(err, ErrClosed) {
			t.Errorf("Start after Close: %v", err)
		}
	})
}

func TestFailuresRaiseFindings(t *testing.T) {
	s := &switchboard{}
	result := func(id string, r controls.Result) controls.Control {
		return controls.Control{ID: id, Probe: func(context.Context) controls.Result { return r }}
	}
	s.set(result("a.fail", controls.Failed("let in")), result("a.error", controls.Errored("down")), result("a.skip", controls.Skipped("none")),
		controls.Control{ID: "a.none"}, controls.Control{ID: "a.panic", Probe: func(context.Context) controls.Result { panic("boom") }}, passing("a.pass"))
	j, r := &journal{}, &raised{}
	m, err := New(cat(t, ""), j, Options{Findings: r, Parallel: 1}, s)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := m.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Control+":"+e.State.String())
	}
	want := "a.error:error a.fail:fail a.none:inconclusive a.panic:error a.pass:pass a.skip:not-applicable controls.monitor:fail"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("entries %s\nwant %s", s, want)
	}
	for _, key := range []string{"system a.fail fail", "system a.error error", "system a.none inconclusive", "system a.panic error", "system controls.monitor fail"} {
		if !strings.Contains(r.String(), key) {
			t.Errorf("no finding %q in %q", key, r)
		}
	}
	if strings.Contains(r.String(), "a.pass") || strings.Contains(r.String(), "a.skip") {
		t.Errorf("a control that stands has a finding: %s", r)
	}
	if j.count("controls.probe.run") != len(entries) {
		t.Error("a run has no event")
	}
}

// A program that stops mounting a control can't thereby stop failing it.
func TestVanishedControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, r, s := &journal{}, &raised{}, &switchboard{}
		s.set(passing("authz.policy"), passing("authn.session"))
		began := now()
		m := start(t, j, Options{Findings: r}, s)
		defer m.Close()
		time.Sleep(time.Hour)
		s.set(passing("authn.session"))
		time.Sleep(time.Hour)
		h, err := m.History(t.Context(), began, now())
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Gaps) != 1 || h.Gaps[0].Kind != Gone || h.Gaps[0].Control != "authz.policy" || !h.Gaps[0].To.Equal(h.To) {
			t.Errorf("gaps %v, want authz.policy gone until now", h.Gaps)
		}
		if !strings.HasPrefix(r.String(), "system authz.policy error") || strings.Count(r.String(), "authz.policy") != 1 {
			t.Errorf("findings %q, want one", r)
		}
		if got := j.count("controls.monitor.miss"); got != 1 {
			t.Errorf("%d events that the control is missing", got)
		}
		s.set(passing("authz.policy"), passing("authn.session"))
		time.Sleep(time.Hour)
		h, _ = m.History(t.Context(), began, now())
		if len(h.Gaps) != 1 || !h.Gaps[0].To.Before(h.To) {
			t.Errorf("after it came back: %v, want the same gap, ended", h.Gaps)
		}
	})
}

func TestOmittedControlMayGo(t *testing.T) {
	c := cat(t, "omitted:\n  - {id: authz.policy, reason: moved to the gateway}\n")
	r, s := &raised{}, &switchboard{}
	s.set(passing("authz.policy"))
	m, err := New(c, &journal{}, Options{Findings: r}, s)
	if err != nil {
		t.Fatal(err)
	}
	began := now()
	_, _ = m.Run(t.Context())
	s.set()
	_, _ = m.Run(t.Context())
	if strings.Contains(r.String(), "authz.policy") {
		t.Errorf("findings %q: the control was retired with a reason", r)
	}
	h, _ := m.History(t.Context(), began, now())
	if len(h.Gaps) != 1 || !strings.Contains(h.Gaps[0].Detail, "moved to the gateway") {
		t.Errorf("gaps %v, want one with the reason", h.Gaps)
	}
}

// A probe that ignores its context must neither stop the others nor pass.
func TestHangingProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var runs atomic.Int64
		hang := controls.Control{ID: "authz.policy", Probe: func(context.Context) controls.Result {
			runs.Add(1)
			<-release
			return controls.Passed("late")
		}}
		r := &raised{}
		m := start(t, &journal{}, Options{Findings: r, Parallel: 1}, &switchboard{list: []controls.Control{hang, passing("authn.session")}})
		time.Sleep(90 * time.Minute)
		if n := runs.Load(); n != 1 {
			t.Errorf("a hanging probe was started %d times", n)
		}
		if !strings.Contains(r.String(), "system authz.policy error") {
			t.Errorf("findings %q", r)
		}
		if ok, err := m.PassedSince(t.Context(), "t", "authn.session", now().Add(-90*time.Minute)); !ok || err != nil {
			t.Errorf("a hanging probe kept others from running (%v)", err)
		}
		err := m.Close()
		if !errors.Is(err, ErrStuck) || !strings.Contains(err.Error(), "authz.policy") {
			t.Errorf("Close = %v, want ErrStuck for authz.policy", err)
		}
		close(release) // synctest fails if the goroutine does not end now
	})
}

// A probe that computes for seconds after it was told to stop, as a password's
// hash does on a busy machine, is waited for.
func TestASlowProbeIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{}, 1)
		slow := controls.Control{ID: "authz.policy", Probe: func(context.Context) controls.Result {
			begun <- struct{}{}
			time.Sleep(8 * time.Second)
			return controls.Passed("late")
		}}
		m := start(t, &journal{}, Options{}, &switchboard{list: []controls.Control{slow}})
		<-begun
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// A probe that plays a stranger is run from a page that an administrator
// looks at.
func TestProbeHasNothingOfItsCaller(t *testing.T) {
	type key struct{}
	c := controls.Control{ID: "a.b", Probe: func(ctx context.Context) controls.Result {
		if v := ctx.Value(key{}); v != nil {
			return controls.Failed("the caller's value %v reached the probe", v)
		}
		return controls.Passed("as a stranger")
	}}
	m, err := New(cat(t, ""), &journal{}, Options{}, &switchboard{list: []controls.Control{c}})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := m.Run(context.WithValue(t.Context(), key{}, "administrator"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.ID == "a.b" && e.State != controls.Pass {
			t.Errorf("%v: %s", e.State, e.Observed)
		}
	}
}

func TestProbeGetsItsTimeoutAndActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controls.Control{ID: "a.b", Probe: func(ctx context.Context) controls.Result {
			if a := auditlog.ActorFrom(ctx); a.Kind != auditlog.Probe || a.Tenant != "ops" {
				return controls.Failed("actor %+v", a)
			}
			<-ctx.Done()
			return controls.Result{}
		}}
		m, err := New(cat(t, ""), &journal{}, Options{Timeout: 3 * time.Second, Tenant: "ops"}, &switchboard{list: []controls.Control{c}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		entries, err := m.Run(t.Context())
		if err != nil || entries[0].State != controls.Error || !strings.Contains(entries[0].Observed, "cut short") {
			t.Errorf("entry %+v, %v", entries[0], err)
		}
		if d := time.Since(began); d != 3*time.Second || entries[0].Took != d || !entries[0].Began().Equal(began) {
			t.Errorf("it took %v", d)
		}
	})
}

// Closing in the middle of a probe says nothing about the control.
func TestCloseDuringAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := controls.Control{ID: "a.b", Probe: func(ctx context.Context) controls.Result {
			<-ctx.Done()
			return controls.Errored("gone")
		}}
		r := &raised{}
		m := start(t, &journal{}, Options{Findings: r}, &switchboard{list: []controls.Control{slow}})
		time.Sleep(time.Second)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if s := r.String(); s != "" {
			t.Errorf("closing raised %s", s)
		}
	})
}

func TestCallerGoneDuringRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	slow := controls.Control{ID: "a.b", Probe: func(ctx context.Context) controls.Result {
		cancel()
		<-ctx.Done()
		return controls.Result{}
	}}
	r := &raised{}
	m, _ := New(cat(t, ""), &journal{}, Options{Findings: r}, &switchboard{list: []controls.Control{slow}})
	if _, err := m.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want canceled", err)
	}
	if strings.Contains(r.String(), "a.b") {
		t.Errorf("findings %q", r)
	}
}

// What can't be recorded makes the monitor's own control fail until it can.
func TestLogDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		m := start(t, j, Options{})
		defer m.Close()
		time.Sleep(time.Minute)
		own := m.Controls()[0]
		if r := own.Run(t.Context()); r.State != controls.Pass {
			t.Fatalf("before: %s %s", r.State, r.Observed)
		}
		j.fail(errors.New("disk full"))
		if _, err := m.Run(t.Context()); err == nil {
			t.Error("Run with a broken log succeeded")
		}
		if r := own.Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "disk full") {
			t.Errorf("with a broken log: %s %s", r.State, r.Observed)
		}
		j.fail(nil)
		time.Sleep(10 * time.Minute)
		if r := own.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("after: %s %s", r.State, r.Observed)
		}
	})
}

func TestStartFailsWithoutALog(t *testing.T) {
	j := &journal{err: errors.New("read-only")}
	m, err := New(cat(t, ""), j, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Fatalf("Start = %v", err)
	}
	j.fail(nil)
	if err := m.Start(); err != nil {
		t.Errorf("a second try: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

type brokenStore struct{ Store }

func (brokenStore) Append(context.Context, string, Entry) (Entry, error) {
	return Entry{}, errors.New("no room")
}

func (brokenStore) Last(context.Context, string) ([]Entry, error) {
	return nil, errors.New("no answer")
}

func (brokenStore) Range(context.Context, string, time.Time, time.Time, func(Entry) bool) error {
	return errors.New("no answer")
}

func TestStoreDown(t *testing.T) {
	r := &raised{}
	bad := controls.Control{ID: "a.b", Probe: func(context.Context) controls.Result { return controls.Failed("x") }}
	m, _ := New(cat(t, ""), &journal{}, Options{Store: brokenStore{}, Findings: r}, &switchboard{list: []controls.Control{bad}})
	if err := m.Start(); err == nil {
		t.Error("Start succeeded without a store")
	}
	entries, err := m.Run(t.Context())
	if err == nil || entries[0].State != controls.Fail || !strings.Contains(r.String(), "a.b") {
		t.Errorf("Run = %v, %v; findings %q: the result must not be lost", entries, err, r)
	}
	if _, err := m.PassedSince(t.Context(), "t", "a.b", time.Time{}); err == nil {
		t.Error("PassedSince answered without a store")
	}
	if _, err := m.History(t.Context(), time.Time{}, now()); err == nil {
		t.Error("History answered without a store")
	}
}

// A program that was killed and started again shows the hole.
func TestHoleBetweenTwoLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, began := NewMemory(), &switchboard{list: []controls.Control{passing("authn.session")}}, now()
		one := start(t, &journal{}, Options{Store: store}, s)
		time.Sleep(2 * time.Hour)
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		stopped := now()
		time.Sleep(3 * time.Hour)
		two := start(t, &journal{}, Options{Store: store}, s)
		defer two.Close()
		time.Sleep(time.Hour)
		h, err := two.History(t.Context(), began, now())
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[GapKind]int{}
		for _, g := range h.Gaps {
			kinds[g.Kind]++
			if g.Kind == Silent && (!g.From.Equal(stopped) || g.To.Sub(g.From) != 3*time.Hour) {
				t.Errorf("silent from %v to %v", g.From, g.To)
			}
		}
		if kinds[Silent] != 1 || len(h.Gaps) != 1 {
			t.Errorf("gaps %v, want one silence", h.Gaps)
		}
		if r := two.Controls()[0].Run(t.Context()); r.State != controls.Pass {
			t.Errorf("since the second start: %s %s", r.State, r.Observed)
		}
	})
}

func TestPassedSince(t *testing.T) {
	state := controls.Pass
	s := &switchboard{}
	probe := func(context.Context) controls.Result { return controls.Result{State: state, Observed: "x"} }
	s.set(controls.Control{ID: "a.b", Instance: "x", Probe: probe}, controls.Control{ID: "a.b", Instance: "y", Probe: passing("a.b").Probe})
	m, _ := New(cat(t, ""), &journal{}, Options{}, s)
	before := now().Add(-time.Hour)
	ask := func(key string, since time.Time) bool {
		ok, err := m.PassedSince(t.Context(), "any", key, since)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if ask("a.b/x", before) {
		t.Error("a control that was never probed passed")
	}
	_, _ = m.Run(t.Context())
	if !ask("a.b/x", before) || !ask("a.b", before) || ask("a.b/x", now()) || ask("a.c", before) {
		t.Error("a pass is not seen, or one from before is")
	}
	state = controls.Fail
	_, _ = m.Run(t.Context())
	if ask("a.b/x", before) || ask("a.b", before) || !ask("a.b/y", before) {
		t.Error("the latest probe failed and the control passes")
	}
}

type explosive struct{}

func (explosive) Controls() []controls.Control { panic("boom") }

// Two objects under one key are both probed: the failing one must not hide
// behind the other.
func TestSameKeyTwice(t *testing.T) {
	for _, failing := range []int{0, 1, 2} {
		list := []controls.Control{passing("a.b"), passing("a.b"), passing("a.b")}
		list[failing].Probe = func(context.Context) controls.Result { return controls.Failed("let in") }
		m, _ := New(cat(t, ""), &journal{}, Options{}, &switchboard{list: list})
		entries, err := m.Run(t.Context())
		if err != nil || len(entries) != 2 || entries[0].State != controls.Fail {
			t.Errorf("failing %d: %+v, %v", failing, entries, err)
		}
	}
}

func TestComponentThatPanics(t *testing.T) {
	m, _ := New(cat(t, ""), &journal{}, Options{}, explosive{}, &switchboard{list: []controls.Control{passing("a.b")}})
	if entries, err := m.Run(t.Context()); err != nil || len(entries) != 2 {
		t.Errorf("entries %v, %v", entries, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, opts := range map[string]Options{
		"heartbeat": {Heartbeat: 2 * time.Hour}, "timeout": {Timeout: time.Hour}, "parallel": {Parallel: 65}, "negative": {Parallel: -1},
	} {
		if _, err := New(cat(t, ""), &journal{}, opts); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(nil, &journal{}, Options{}); err == nil {
		t.Error("no catalogue: accepted")
	}
	if _, err := New(cat(t, ""), nil, Options{}); err == nil {
		t.Error("no recorder: accepted")
	}
	if _, err := New(cat(t, ""), &journal{}, Options{}, nil); err == nil {
		t.Error("nil component: accepted")
	}
}

func TestLongObservationIsClipped(t *testing.T) {
	long := controls.Control{ID: "a.b", Probe: func(context.Context) controls.Result { return controls.Failed("%s", strings.Repeat("é", 9000)) }}
	m, _ := New(cat(t, ""), &journal{}, Options{}, &switchboard{list: []controls.Control{long}})
	entries, err := m.Run(t.Context())
	if err != nil || len(entries[0].Observed) > maxObserved {
		t.Errorf("%d bytes observed, %v", len(entries[0].Observed), err)
	}
}

// TestRunSome runs one control of two, and refuses an ID that is not mounted
// without probing anything.
func TestRunSome(t *testing.T) {
	var ran [2]atomic.Int64
	counting := func(id string, n *atomic.Int64) controls.Control {
		return controls.Control{ID: id, Probe: func(context.Context) controls.Result { n.Add(1); return controls.Passed("yes") }}
	}
	s := &switchboard{}
	s.set(counting("test.first", &ran[0]), counting("test.second", &ran[1]))
	m, err := New(cat(t, ""), &journal{}, Options{}, s)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := m.Run(t.Context(), "test.second")
	if err != nil || len(entries) != 1 || entries[0].ID != "test.second" || ran[0].Load() != 0 || ran[1].Load() != 1 {
		t.Errorf("Run of one = %+v, %v; %d and %d ran", entries, err, ran[0].Load(), ran[1].Load())
	}
	if _, err := m.Run(t.Context(), "test.first", "test.third"); !errors.Is(err, ErrUnknown) || ran[0].Load() != 0 {
		t.Errorf("Run of an unknown control: %v, and %d ran", err, ran[0].Load())
	}
}
