package detect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/detect/sigma"
	"github.com/surety-go/surety/controls/findings"
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
	_, err := auditlog.Stamp(ctx, ev)
	j.events = append(j.events, ev)
	return err
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
	list []findings.Report
	err  error
}

func (r *raised) Raise(_ context.Context, _ string, rep findings.Report) (findings.Finding, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, rep)
	return findings.Finding{}, r.err
}

func (r *raised) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list)
}

func rule(count int, window time.Duration) Rule {
	return Rule{
		ID: "login.account", Title: "Many failed logins", Severity: findings.High, Control: "authn.throttle",
		Match: []Match{{Action: "authn.login*", Outcome: auditlog.Denied}}, Group: []string{"tenant", "target.account"},
		Count: count, Window: catalogue.Period(window), Action: "lock",
	}
}

func failedLogin(tenant, account string) auditlog.Event {
	return auditlog.Event{
		Action: "authn.login", Outcome: auditlog.Denied, Tenant: tenant, Reason: "authn.password",
		Targets: []auditlog.Target{{Type: "account", ID: account}},
	}
}

type fixture struct {
	*Detector
	j     *journal
	r     *raised
	locks atomic.Int64
	last  atomic.Pointer[Alert]
	err   error
}

func detector(t testing.TB, opts Options, rules ...Rule) *fixture {
	t.Helper()
	f := &fixture{j: &journal{}, r: &raised{}}
	opts.Findings = f.r
	opts.Actions = map[string]Action{"lock": func(_ context.Context, a Alert) error {
		f.locks.Add(1)
		f.last.Store(&a)
		return f.err
	}}
	d, err := New(f.j, rules, opts)
	if err != nil {
		t.Fatal(err)
	}
	f.Detector = d
	return f
}

func (f *fixture) send(t testing.TB, ev auditlog.Event) {
	t.Helper()
	if err := f.Record(context.Background(), ev); err != nil {
		t.Fatal(err)
	}
}

// Ten failed logins on one account lock it once, and others are left alone.
func TestFailedLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := detector(t, Options{}, rule(10, 15*time.Minute))
		for i := range 9 {
			f.send(t, failedLogin("acme", "a-1"))
			f.send(t, failedLogin("other", "a-1"))
			f.send(t, failedLogin("acme", fmt.Sprint("b-", i)))
			ok := failedLogin("acme", "a-1")
			ok.Outcome = auditlog.Success
			f.send(t, ok)
			time.Sleep(time.Minute)
		}
		if f.locks.Load() != 0 {
			t.Fatal("nine are not ten, and tenants are counted apart")
		}
		f.send(t, failedLogin("acme", "a-1"))
		if f.locks.Load() != 1 || f.r.len() != 1 || f.j.count("controls.detect.alert") != 1 {
			t.Fatalf("%d locks, %d findings, %d alerts", f.locks.Load(), f.r.len(), f.j.count("controls.detect.alert"))
		}
		a := f.last.Load()
		if a.Tenant != "acme" || a.Group["target.account"] != "a-1" || a.Count != 10 || a.Last.Sub(a.First) != 9*time.Minute {
			t.Errorf("alert %+v", a)
		}
		rep := f.r.list[0]
		if rep.Control != "authn.throttle" || rep.Severity != findings.High || rep.Subject != "login.account tenant=acme target.account=a-1" {
			t.Errorf("report %+v", rep)
		}
		for range 50 { // quiet until the window has passed
			f.send(t, failedLogin("acme", "a-1"))
		}
		if f.locks.Load() != 1 {
			t.Error("one attack fired twice within its quiet time")
		}
		time.Sleep(16 * time.Minute)
		for range 10 {
			f.send(t, failedLogin("acme", "a-1"))
		}
		if f.locks.Load() != 2 {
			t.Error("the next attack did not fire")
		}
	})
}

// A fixed window would miss ten events astride its edge, and a counter would
// add up events of many hours.
func TestWindowSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := detector(t, Options{}, rule(3, time.Minute))
		for range 20 {
			f.send(t, failedLogin("t", "slow"))
			time.Sleep(31 * time.Second) // never three within a minute
		}
		if f.locks.Load() != 0 {
			t.Error("slow events fired")
		}
		time.Sleep(50 * time.Second)
		f.send(t, failedLogin("t", "x"))
		time.Sleep(30 * time.Second)
		f.send(t, failedLogin("t", "x"))
		time.Sleep(30 * time.Second)
		f.send(t, failedLogin("t", "x")) // exactly a minute after the first
		if f.locks.Load() != 1 {
			t.Error("three events within exactly the window did not fire")
		}
	})
}

// A wall clock that is set back or forth changes nothing: the times that are
// compared are monotonic.
func TestClockSteps(t *testing.T) {
	w := &window{}
	at := time.Now()
	if at.Round(0) == at {
		t.Fatal("time.Now has no monotonic reading here")
	}
	w.hit(at, 2, time.Minute)
	if _, full := w.hit(at.Add(2*time.Minute), 2, time.Minute); full {
		t.Error("two minutes apart by the monotonic clock")
	}
	if _, full := w.hit(at.Add(2*time.Minute+time.Second), 2, time.Minute); !full {
		t.Error("a second apart by the monotonic clock")
	}
}

func TestConcurrentEventsFireOnce(t *testing.T) {
	f := detector(t, Options{}, rule(100, time.Hour))
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 50 {
				_ = f.Record(context.Background(), failedLogin("t", "a"))
			}
		})
	}
	wg.Wait()
	if f.locks.Load() != 1 || f.r.len() != 1 {
		t.Errorf("%d locks, %d findings for one attack", f.locks.Load(), f.r.len())
	}
}

// An attacker who invents accounts can't make the detector grow, nor forget
// the account under attack; what was forgotten shows.
func TestMemoryIsBounded(t *testing.T) {
	f := detector(t, Options{MaxGroups: 100}, rule(10, time.Hour))
	for i := range 2000 {
		if i%250 == 0 {
			f.send(t, failedLogin("t", "victim"))
			f.send(t, failedLogin("t", "victim"))
		}
		f.send(t, failedLogin("t", fmt.Sprint("invented-", i)))
	}
	if n := len(f.groups[0].windows); n > 100 {
		t.Errorf("%d groups are remembered, limit 100", n)
	}
	if f.locks.Load() != 1 {
		t.Errorf("%d locks: the account under attack was forgotten", f.locks.Load())
	}
	if r := f.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "were forgotten") {
		t.Errorf("%s %s", r.State, r.Observed)
	}
}

func TestExpiredGroupsMakeRoomUnnoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := detector(t, Options{MaxGroups: 10}, rule(10, time.Minute))
		for i := range 100 {
			f.send(t, failedLogin("t", fmt.Sprint(i)))
			time.Sleep(10 * time.Second)
		}
		if r := f.Controls()[0].Run(t.Context()); r.State != controls.Pass || !strings.Contains(r.Observed, "0 alerts so far") {
			t.Errorf("%s %s", r.State, r.Observed)
		}
	})
}

func TestProbeEventsAreNoAttack(t *testing.T) {
	f := detector(t, Options{}, rule(1, time.Minute))
	ev := failedLogin("t", "a")
	ev.Actor = auditlog.Actor{ID: "monitor", Kind: auditlog.Probe}
	f.send(t, ev)
	ctx := auditlog.WithActor(context.Background(), ev.Actor)
	if err := f.Record(ctx, failedLogin("t", "a")); err != nil {
		t.Fatal(err)
	}
	if f.locks.Load() != 0 {
		t.Error("a probe locked an account")
	}
}

// Who breaks the log must not thereby evade detection.
func TestLogDown(t *testing.T) {
	f := detector(t, Options{}, rule(2, time.Minute))
	down := errors.New("disk full")
	f.j.err = down
	for range 2 {
		if err := f.Record(t.Context(), failedLogin("t", "a")); !errors.Is(err, down) {
			t.Errorf("Record = %v", err)
		}
	}
	if f.locks.Load() != 1 {
		t.Error("the lock was not set")
	}
	if r := f.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "disk full") {
		t.Errorf("%s %s", r.State, r.Observed)
	}
}

// An action that fails or panics is recorded, and the finding is raised all
// the same.
func TestActionFails(t *testing.T) {
	f := detector(t, Options{}, rule(1, time.Minute))
	f.err = errors.New("accounts are unreachable")
	f.send(t, failedLogin("t", "a"))
	if f.r.len() != 1 {
		t.Error("no finding was raised")
	}
	last := f.j.events[len(f.j.events)-1]
	if last.Action != "controls.detect.alert" || last.Outcome != auditlog.Failed {
		t.Errorf("event %+v", last)
	}
	if r := f.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "accounts are unreachable") {
		t.Errorf("%s %s", r.State, r.Observed)
	}
	d, err := New(f.j, []Rule{rule(1, time.Minute)}, Options{Actions: map[string]Action{"lock": func(context.Context, Alert) error { panic("boom") }}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Record(t.Context(), failedLogin("t", "a")); err != nil {
		t.Error(err)
	}
	if r := d.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "panicked") {
		t.Errorf("%s %s", r.State, r.Observed)
	}
}

func TestEventsWithoutTheFieldAreNotCounted(t *testing.T) {
	f := detector(t, Options{}, rule(1, time.Minute))
	ev := failedLogin("t", "a")
	ev.Targets = nil
	f.send(t, ev)
	ev = failedLogin("", "a") // no tenant
	f.send(t, ev)
	if f.locks.Load() != 0 {
		t.Error("events of nobody were counted together")
	}
}

func TestGroupsCantBeConfused(t *testing.T) {
	r := rule(2, time.Minute)
	f := detector(t, Options{}, r)
	f.send(t, failedLogin("a", "1:b"))
	f.send(t, failedLogin("a1:", "b"))
	if f.locks.Load() != 0 {
		t.Error("two groups have one key")
	}
}

func TestFields(t *testing.T) {
	ev := auditlog.Event{
		Tenant: "t", Actor: auditlog.Actor{ID: "u"}, Targets: []auditlog.Target{{Type: "account", ID: "a"}, {Type: "account", ID: "b"}},
		Attrs: []auditlog.Attr{auditlog.String("network", "192.0.2.0/24"), auditlog.Int("n", 7), auditlog.Personal("u", "mail", "u@example.org")},
	}
	for name, want := range map[string]string{
		"tenant": "t", "actor": "u", "target.account": "a", "target.x": "", "attr.network": "192.0.2.0/24", "attr.n": "7", "attr.mail": "", "attr.x": "",
	} {
		if got := field(&ev, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRulesAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Rule){
		"id":            func(r *Rule) { r.ID = "Login" },
		"control":       func(r *Rule) { r.Control = "x" },
		"severity":      func(r *Rule) { r.Severity = 0 },
		"no match":      func(r *Rule) { r.Match = nil },
		"empty match":   func(r *Rule) { r.Match = []Match{{}} },
		"two stars":     func(r *Rule) { r.Match = []Match{{Action: "*login*"}} },
		"star inside":   func(r *Rule) { r.Match = []Match{{Action: "authn.*.x"}} },
		"no group":      func(r *Rule) { r.Group = nil },
		"unknown group": func(r *Rule) { r.Group = []string{"email"} },
		"empty target":  func(r *Rule) { r.Group = []string{"target."} },
		"count":         func(r *Rule) { r.Count = 0 },
		"large count":   func(r *Rule) { r.Count = MaxCount + 1 },
		"window":        func(r *Rule) { r.Window = 0 },
		"long window":   func(r *Rule) { r.Window = catalogue.Period(MaxWindow + 1) },
		"quiet":         func(r *Rule) { r.Quiet = -1 },
		"action":        func(r *Rule) { r.Action = "unknown" },
	} {
		r := rule(1, time.Minute)
		change(&r)
		if _, err := New(&journal{}, []Rule{r}, Options{Actions: map[string]Action{"lock": nil}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := rule(1, time.Minute)
	r.Action = ""
	if _, err := New(&journal{}, []Rule{r, r}, Options{}); err == nil {
		t.Error("a rule listed twice was accepted")
	}
	if _, err := New(nil, nil, Options{}); err == nil {
		t.Error("no recorder: accepted")
	}
	for _, o := range []Options{{MaxGroups: -1}, {MaxGroups: 2_000_000}, {ActionTimeout: time.Hour}} {
		if _, err := New(&journal{}, nil, o); err == nil {
			t.Errorf("%+v: accepted", o)
		}
	}
}

func TestDefaultRulesFireInTheProbe(t *testing.T) {
	f := detector(t, Options{}, DefaultRules()...)
	c := f.Controls()[0]
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%s %s", r.State, r.Observed)
	}
	if f.locks.Load() != 0 || f.r.len() != 0 || f.j.count("controls.detect.alert") != 0 {
		t.Error("the probe acted")
	}
	cat, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.AssessStated([]controls.Control{c}).Err(); err != nil {
		t.Error(err)
	}
	for _, r := range DefaultRules() {
		if !cat.Known(r.Control) {
			t.Errorf("rule %s names an unknown control", r.ID)
		}
	}
	empty := detector(t, Options{})
	if cat.AssessStated(empty.Controls()).Err() == nil {
		t.Error("a detector without rules is within its bounds")
	}
}

const sigmaRules = `
title: Failed login
name: failed
detection: {s: {action: authn.login, outcome: denied}, condition: s}
---
title: Spraying over accounts
name: spray
level: critical
tags: [surety.authn.throttle, surety-action.lock]
correlation: {type: value_count, rules: [failed], group-by: [tenant], timespan: 5m, condition: {gte: 3, field: target.account}}
`

// A Sigma rule raises findings and acts like any other.
func TestSigma(t *testing.T) {
	set, err := sigma.Load(map[string][]byte{"r.yaml": []byte(sigmaRules)}, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := detector(t, Options{Sigma: set})
	for i := range 3 {
		f.send(t, failedLogin("acme", fmt.Sprint("a-", i)))
	}
	if f.locks.Load() != 1 || f.r.len() != 1 || f.j.count("controls.detect.alert") != 1 {
		t.Fatalf("%d locks, %d findings, %d alerts", f.locks.Load(), f.r.len(), f.j.count("controls.detect.alert"))
	}
	if rep := f.r.list[0]; rep.Control != "authn.throttle" || rep.Severity != findings.Critical || rep.Subject != "sigma.spray tenant=acme" {
		t.Errorf("report %+v", rep)
	}
	c := f.Controls()[0]
	if r := c.Run(t.Context()); r.State != controls.Pass || c.Parameters[0].Value != "2" {
		t.Errorf("%s %s, %v", r.State, r.Observed, c.Parameters)
	}
	if _, err := New(f.j, nil, Options{Sigma: set}); err == nil {
		t.Error("a Sigma rule names an action that is not there, and nobody complains")
	}
}

const rulesFile = `rules:
  - id: export.mass
    title: Many exports by one person
    severity: critical
    control: privacy.egress
    match:
      - {action: "*.export", outcome: success}
      - {action: records.download}
    group: [tenant, actor]
    count: 20
    window: 1h
    quiet: 1d
`

func TestLoadRules(t *testing.T) {
	rules, err := LoadRules("rules.yaml", []byte(rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	r := rules[0]
	if r.Severity != findings.Critical || r.Match[0].Outcome != auditlog.Success || r.quiet() != 24*time.Hour || r.Window.Duration() != time.Hour {
		t.Errorf("rule %+v", r)
	}
	if err := tryRule(&r); err != nil {
		t.Error(err)
	}
	for old, want := range map[string]string{
		"count: 20":          "rules.yaml:2: rules[0]: detect: rule \"export.mass\": Count",
		"severity: critical": "rules[0].severity: low, medium, high or critical is wanted",
		"outcome: success":   "unknown outcome",
		"window: 1h":         "a period such as 15m",
	} {
		key, _, _ := strings.Cut(old, ":")
		_, err := LoadRules("rules.yaml", []byte(strings.Replace(rulesFile, old, key+": 0", 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", old, err, want)
		}
	}
	if _, err := LoadRules("rules.yaml", []byte("rules: []")); err == nil {
		t.Error("a file without rules loads")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("authn.login", "t", "a", "network", "x")
	f.Add("", "", "", "", "")
	d := detector(f, Options{MaxGroups: 50}, DefaultRules()...)
	f.Fuzz(func(t *testing.T, action, tenant, account, key, value string) {
		ev := auditlog.Event{
			Action: action, Outcome: auditlog.Denied, Tenant: tenant, Targets: []auditlog.Target{{Type: "account", ID: account}},
			Attrs: []auditlog.Attr{auditlog.String(key, value)},
		}
		_ = d.Record(t.Context(), ev)
		for i := range d.groups {
			if len(d.groups[i].windows) > 50 {
				t.Fatal("memory grows")
			}
		}
	})
}
