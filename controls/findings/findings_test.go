package findings

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// A journal keeps events and fails on demand.
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
	if _, err := auditlog.Stamp(ctx, ev); err != nil {
		return err
	}
	j.events = append(j.events, ev)
	return nil
}

func (j *journal) actions() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var s []string
	for _, e := range j.events {
		s = append(s, strings.TrimPrefix(e.Action, "controls.finding.")+":"+e.Outcome.String())
	}
	return strings.Join(s, " ")
}

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func tracker(t *testing.T) (*Tracker, *journal, *clock, *Memory) {
	t.Helper()
	j, c, m := &journal{}, &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, NewMemory()
	tr, err := New(m, j, func(id string) string {
		if id == "no.owner" {
			return ""
		}
		return "head of security"
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr.now = c.now
	return tr, j, c, m
}

func as(id string) context.Context {
	return auditlog.WithActor(context.Background(), auditlog.Actor{ID: id, Tenant: "t", Kind: auditlog.User})
}

func raise(t *testing.T, tr *Tracker) Finding {
	t.Helper()
	f, err := tr.Raise(as("probe"), "t", Report{Control: "authz.policy", Severity: High, Summary: "let in"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLife(t *testing.T) {
	tr, j, c, _ := tracker(t)
	f := raise(t, tr)
	if f.Owner != "head of security" || !f.Due.Equal(c.t.Add(30*24*time.Hour)) {
		t.Errorf("owner %q, due %v", f.Owner, f.Due)
	}
	do := func(f Finding, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(); err != nil {
			t.Error(err)
		}
		c.t = c.t.Add(time.Hour)
	}
	do(tr.Acknowledge(as("ann"), "t", f.ID, "on it"))
	do(tr.Remediate(as("ann"), "t", f.ID, "policy restored"))
	do(tr.Verify(as("bob"), "t", f.ID, always(true)))
	do(tr.Close(as("bob"), "t", f.ID, "run 12"))
	if got, want := j.actions(), "open:success acknowledge:success remediate:success verify:success close:success"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	again := raise(t, tr)
	if again.ID == f.ID {
		t.Error("a closed finding was reused: what happens again is a new one")
	}
}

func TestShortCutsAreRefused(t *testing.T) {
	tr, _, _, _ := tracker(t)
	ok := func(f Finding, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	no := func(want error) func(Finding, error) {
		return func(_ Finding, err error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
	f := raise(t, tr)
	no(ErrNotFound)(tr.Acknowledge(as("ann"), "other tenant", f.ID, ""))
	no(ErrTransition)(tr.Close(as("ann"), "t", f.ID, "evidence"))
	no(ErrTransition)(tr.Remediate(as("ann"), "t", f.ID, "done"))
	no(ErrTransition)(tr.Verify(as("ann"), "t", f.ID, always(true)))
	no(ErrIncomplete)(tr.Verify(as("ann"), "t", f.ID, nil))
	ok(tr.Acknowledge(as("ann"), "t", f.ID, ""))
	no(ErrTransition)(tr.Acknowledge(as("ann"), "t", f.ID, ""))
	no(ErrIncomplete)(tr.Remediate(as("ann"), "t", f.ID, "  "))
	ok(tr.Remediate(as("ann"), "t", f.ID, "done"))
	no(ErrDuties)(tr.Verify(as("ann"), "t", f.ID, always(true)))
	no(ErrNotVerified)(tr.Verify(as("bob"), "t", f.ID, always(false)))
	no(ErrNotVerified)(tr.Verify(as("bob"), "t", f.ID, broken{}))
	ok(tr.Verify(as("bob"), "t", f.ID, always(true)))
	no(ErrIncomplete)(tr.Close(as("bob"), "t", f.ID, ""))
	ok(tr.Close(as("bob"), "t", f.ID, "run 3"))
	no(ErrTransition)(tr.Reopen(as("bob"), "t", f.ID, "doubt"))
	no(ErrTransition)(tr.Assign(as("bob"), "t", f.ID, "someone"))
}

type broken struct{}

func (broken) PassedSince(context.Context, string, string, time.Time) (bool, error) {
	return true, errors.New("the history can't be read")
}

type since struct{ t time.Time }

func (s *since) PassedSince(_ context.Context, _, control string, t time.Time) (bool, error) {
	s.t = t
	return control == "authz.policy", nil
}

func TestVerifyAsksForAProbeAfterTheRemedy(t *testing.T) {
	tr, _, c, _ := tracker(t)
	f := raise(t, tr)
	_, _ = tr.Acknowledge(as("ann"), "t", f.ID, "")
	c.t = c.t.Add(time.Hour)
	_, _ = tr.Remediate(as("ann"), "t", f.ID, "done")
	remedied := c.t
	c.t = c.t.Add(time.Hour)
	var s since
	if _, err := tr.Verify(as("bob"), "t", f.ID, &s); err != nil || !s.t.Equal(remedied) {
		t.Errorf("asked for a probe since %v (%v), want %v", s.t, err, remedied)
	}
}

func TestRaisedAgain(t *testing.T) {
	tr, j, c, _ := tracker(t)
	f := raise(t, tr)
	c.t = c.t.Add(time.Hour)
	worse, err := tr.Raise(as("probe"), "t", Report{Control: "authz.policy", Severity: Critical, Summary: "worse"})
	if err != nil || worse.ID != f.ID || worse.Seen != 2 || worse.Severity != Critical || !worse.Due.Equal(c.t.Add(7*24*time.Hour)) {
		t.Errorf("raised again: %+v, %v", worse, err)
	}
	milder := raise(t, tr)
	if milder.Severity != Critical || !milder.Due.Equal(worse.Due) {
		t.Error("a milder report lowered the severity or moved the due date")
	}
	if got := j.actions(); got != "open:success" {
		t.Errorf("events %q: repeats are counted, not recorded one by one", got)
	}
	_, _ = tr.Acknowledge(as("ann"), "t", f.ID, "")
	_, _ = tr.Remediate(as("ann"), "t", f.ID, "done")
	back := raise(t, tr)
	if back.State != Open || back.Seen != 4 || back.Check() != nil {
		t.Errorf("the remedy did not hold, and the finding is %s, seen %d", back.State, back.Seen)
	}
	other, err := tr.Raise(as("probe"), "t", Report{Control: "authz.policy", Subject: "x", Severity: Low, Summary: "s"})
	if err != nil || other.ID == f.ID {
		t.Errorf("another subject shares the finding (%v)", err)
	}
}

func TestReportsAreChecked(t *testing.T) {
	tr, _, _, _ := tracker(t)
	good := Report{Control: "a.b/inst", Severity: Low, Summary: "s"}
	for name, change := range map[string]func(*Report){
		"control":  func(r *Report) { r.Control = "A" },
		"long":     func(r *Report) { r.Control = "a.b/" + strings.Repeat("x", maxName) },
		"subject":  func(r *Report) { r.Subject = strings.Repeat("x", maxName+1) },
		"severity": func(r *Report) { r.Severity = 0 },
		"unknown":  func(r *Report) { r.Severity = 9 },
		"summary":  func(r *Report) { r.Summary = " " },
		"no owner": func(r *Report) { r.Control = "no.owner" },
	} {
		r := good
		change(&r)
		if _, err := tr.Raise(as("x"), "t", r); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: %v, want ErrIncomplete", name, err)
		}
	}
	good.Summary = strings.Repeat("é", 1000)
	f, err := tr.Raise(as("x"), "t", good)
	if err != nil || len(f.Summary) > maxNote || !strings.HasSuffix(f.Summary, "é…") {
		t.Errorf("a long summary became %d bytes (%v)", len(f.Summary), err)
	}
	if _, err := tr.Raise(as("x"), "", good); !errors.Is(err, ErrTenant) {
		t.Errorf("no tenant: %v", err)
	}
}

// An attacker who chooses a part of the subject must not thereby keep the
// finding from being stored.
func TestHostileSubject(t *testing.T) {
	tr, _, _, _ := tracker(t)
	f, err := tr.Raise(as("x"), "t", Report{Control: "a.b", Subject: "a\x00b\xff\x1b[31m", Severity: Low, Summary: "s\x00"})
	if err != nil || f.Subject != "a\uFFFDb\uFFFD\uFFFD[31m" || f.Summary != "s\uFFFD" {
		t.Errorf("%q %q, %v", f.Subject, f.Summary, err)
	}
}

func TestAcceptance(t *testing.T) {
	tr, j, c, _ := tracker(t)
	f := raise(t, tr)
	until := c.t.Add(24 * time.Hour)
	for name, tc := range map[string]struct {
		by   string
		a    Acceptance
		want error
	}{
		"by the owner":     {"ann", Acceptance{" Head of Security ", "r", until}, ErrDuties},
		"asked by owner":   {"head of security", Acceptance{"ceo", "r", until}, ErrDuties},
		"without approver": {"ann", Acceptance{"", "r", until}, ErrIncomplete},
		"without reason":   {"ann", Acceptance{"ceo", "", until}, ErrIncomplete},
		"without end":      {"ann", Acceptance{"ceo", "r", time.Time{}}, ErrIncomplete},
		"in the past":      {"ann", Acceptance{"ceo", "r", c.t}, ErrIncomplete},
		"for ever":         {"ann", Acceptance{"ceo", "r", c.t.Add(91 * 24 * time.Hour)}, ErrIncomplete},
	} {
		if _, err := tr.Accept(as(tc.by), "t", f.ID, tc.a); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := tr.Accept(as("ann"), "t", f.ID, Acceptance{"ceo", "small", until}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Assign(as("ann"), "t", f.ID, "CEO"); !errors.Is(err, ErrDuties) {
		t.Errorf("the approver became the owner: %v", err)
	}
	if got := raise(t, tr); got.State != RiskAccepted || got.Seen != 2 {
		t.Errorf("an accepted finding raised again is %s", got.State)
	}
	c.t = until.Add(time.Second)
	changed, err := tr.Sweep(as("sweeper"), "t")
	if err != nil || len(changed) != 1 || changed[0].State != Open || changed[0].Acceptance != nil || changed[0].Check() != nil {
		t.Errorf("after the acceptance ended: %+v, %v", changed, err)
	}
	if !strings.HasSuffix(j.actions(), "accept:success reopen:success") {
		t.Errorf("events %q", j.actions())
	}
}

func TestOverdueIsEscalatedOnce(t *testing.T) {
	tr, j, c, _ := tracker(t)
	f := raise(t, tr)
	c.t = f.Due
	if got, _ := tr.Overdue(as("x"), "t"); len(got) != 0 {
		t.Error("overdue at the due time itself")
	}
	c.t = f.Due.Add(time.Nanosecond)
	for range 3 {
		if _, err := tr.Sweep(as("x"), "t"); err != nil {
			t.Fatal(err)
		}
	}
	if got := j.actions(); got != "open:success escalate:success" {
		t.Errorf("events %q, want one escalation", got)
	}
}

// A finding must not be lost because the log is down, and no later step may
// happen unrecorded.
func TestRecorderDown(t *testing.T) {
	tr, j, _, m := tracker(t)
	down := errors.New("disk full")
	j.err = down
	if _, err := tr.Raise(as("x"), "t", Report{Control: "a.b", Severity: Low, Summary: "s"}); !errors.Is(err, down) {
		t.Errorf("Raise with a broken log: %v", err)
	}
	list, _ := m.List(t.Context(), "t", "", 10)
	if len(list) != 1 {
		t.Fatalf("%d findings are stored, want the one that was raised", len(list))
	}
	if _, err := tr.Acknowledge(as("x"), "t", list[0].ID, ""); !errors.Is(err, down) {
		t.Errorf("Acknowledge with a broken log: %v", err)
	}
	if f, _ := m.Get(t.Context(), "t", list[0].ID); f.State != Open {
		t.Errorf("an unrecorded step happened: %s", f.State)
	}
}

// A failing store after the event was recorded leaves a second event that says
// so.
type failing struct{ Store }

func (failing) Update(context.Context, string, Finding) error { return errors.New("connection lost") }

func TestStoreDownAfterTheEvent(t *testing.T) {
	tr, j, _, m := tracker(t)
	f := raise(t, tr)
	tr.store = failing{m}
	if _, err := tr.Acknowledge(as("x"), "t", f.ID, ""); err == nil {
		t.Error("a step that was not stored succeeded")
	}
	if got := j.actions(); got != "open:success acknowledge:success acknowledge:failed" {
		t.Errorf("events %q", got)
	}
}

func TestConcurrentRaise(t *testing.T) {
	tr, j, _, m := tracker(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := tr.Raise(as("x"), "t", Report{Control: "a.b", Severity: Low, Summary: "s"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, _ := m.List(t.Context(), "t", "", 10)
	if len(list) != 1 || list[0].Seen != 40 || j.actions() != "open:success" {
		t.Errorf("%d findings, seen %d, events %q", len(list), list[0].Seen, j.actions())
	}
}

func TestClockSetBackKeepsStepsInOrder(t *testing.T) {
	tr, _, c, _ := tracker(t)
	f := raise(t, tr)
	c.t = c.t.Add(-time.Hour)
	f, err := tr.Acknowledge(as("x"), "t", f.ID, "")
	if err != nil || f.Check() != nil {
		t.Errorf("after the clock was set back: %v, %v", err, f.Check())
	}
}

func TestCheckFindsForgeries(t *testing.T) {
	tr, _, _, _ := tracker(t)
	f := raise(t, tr)
	_, _ = tr.Acknowledge(as("ann"), "t", f.ID, "")
	_, _ = tr.Remediate(as("ann"), "t", f.ID, "done")
	_, _ = tr.Verify(as("bob"), "t", f.ID, always(true))
	good, err := tr.Close(as("bob"), "t", f.ID, "run 3")
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(*Finding){
		"closed by editing the state": func(f *Finding) { f.Steps = f.Steps[:2] },
		"a step left out":             func(f *Finding) { f.Steps = append(f.Steps[:2], f.Steps[3:]...) },
		"the evidence removed":        func(f *Finding) { f.Evidence = "" },
		"no owner":                    func(f *Finding) { f.Owner = "" },
		"verified by who remedied":    func(f *Finding) { f.Steps[3].By = "ann" },
		"times out of order":          func(f *Finding) { f.Steps[3].At = f.Steps[0].At.Add(-1) },
		"step by nobody":              func(f *Finding) { f.Steps[1].By = "" },
		"accepted by the owner": func(f *Finding) {
			f.Steps = []Step{{At: f.Opened, By: "a", To: Open}, {At: f.Opened, By: "a", From: Open, To: RiskAccepted}}
			f.State, f.Acceptance = RiskAccepted, &Acceptance{Approver: f.Owner, Until: f.Due}
		},
	} {
		g := good.clone()
		forge(&g)
		if g.Check() == nil {
			t.Errorf("%s: the forgery passes", name)
		}
	}
}

func TestProbe(t *testing.T) {
	tr, j, c, m := tracker(t)
	probe := func() controls.Result { return tr.Controls()[0].Run(t.Context()) }
	if r := probe(); r.State != controls.Pass {
		t.Fatalf("%s: %s", r.State, r.Observed)
	}
	if len(j.actions()) != 0 {
		t.Error("the probe left events of its synthetic finding in the log")
	}
	f, err := tr.Raise(as("x"), "system", Report{Control: "a.b", Severity: Low, Summary: "s"})
	if err != nil {
		t.Fatal(err)
	}
	c.t = f.Due.Add(25 * time.Hour)
	if r := probe(); r.State != controls.Fail || !strings.Contains(r.Observed, "was not escalated") {
		t.Errorf("an overdue finding nobody escalated: %s %s", r.State, r.Observed)
	}
	if _, err := tr.Sweep(t.Context(), "system"); err != nil {
		t.Fatal(err)
	}
	if r := probe(); r.State != controls.Pass {
		t.Errorf("after the escalation: %s %s", r.State, r.Observed)
	}
	f, _ = m.Get(t.Context(), "system", f.ID)
	f.State, f.Version = Remediated, f.Version+1
	if err := m.Update(t.Context(), "system", f); err != nil {
		t.Fatal(err)
	}
	if r := probe(); r.State != controls.Fail {
		t.Errorf("a finding changed past the tracker: %s %s", r.State, r.Observed)
	}
	tr.store = down{}
	if r := probe(); r.State != controls.Error {
		t.Errorf("an unreachable store: %s, want error", r.State)
	}
}

type down struct{ Store }

func (down) List(context.Context, string, string, int, ...State) ([]Finding, error) {
	return nil, errors.New("unreachable")
}

func TestProbeFailedRaises(t *testing.T) {
	tr, _, _, m := tracker(t)
	c := controls.Control{ID: "authn.session", Instance: "web"}
	if err := tr.ProbeFailed(t.Context(), "t", c, controls.Failed("an expired session was let in")); err != nil {
		t.Fatal(err)
	}
	list, _ := m.List(t.Context(), "t", "", 1)
	if f := list[0]; f.Control != "authn.session/web" || f.Severity != High || f.Summary != "the probe failed: an expired session was let in" {
		t.Errorf("raised %+v", f)
	}
}

func TestNewRefuses(t *testing.T) {
	owner := func(string) string { return "o" }
	rec := &journal{}
	for name, call := range map[string]func() (*Tracker, error){
		"no store":    func() (*Tracker, error) { return New(nil, rec, owner, Options{}) },
		"no recorder": func() (*Tracker, error) { return New(NewMemory(), nil, owner, Options{}) },
		"no owners":   func() (*Tracker, error) { return New(NewMemory(), rec, nil, Options{}) },
		"due": func() (*Tracker, error) {
			return New(NewMemory(), rec, owner, Options{Due: map[Severity]time.Duration{High: -1}})
		},
		"acceptance": func() (*Tracker, error) { return New(NewMemory(), rec, owner, Options{MaxAcceptance: 2 * year}) },
		"severity":   func() (*Tracker, error) { return New(NewMemory(), rec, owner, Options{ProbeSeverity: 9}) },
	} {
		if _, err := call(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAllPages(t *testing.T) {
	tr, _, _, m := tracker(t)
	for i := range 1001 {
		f := Finding{ID: string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10)), Control: "a.b", Subject: time.Duration(i).String(), State: Open}
		if _, _, err := m.Create(t.Context(), "t", f); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := tr.All(t.Context(), "t"); err != nil || len(all) != 1001 {
		t.Errorf("All gave %d findings, %v", len(all), err)
	}
}

func TestSeverityText(t *testing.T) {
	for s := Low; s <= Critical; s++ {
		var back Severity
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("%s came back as %s", s, back)
		}
	}
	var s Severity
	if s.UnmarshalText([]byte("unknown")) == nil || s.UnmarshalText([]byte("dire")) == nil || Severity(99).String() != "unknown" {
		t.Error("an unknown severity was taken")
	}
}
