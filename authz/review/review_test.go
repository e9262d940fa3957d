package review

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/controls"
)

const model = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act
`

const policy = `
p, admin, acme, file, delete
p, clerk, acme, file, read
g, u-1, admin, acme
g, u-7, admin, acme
g, u-7, clerk, acme
g, u-8, clerk, acme
g, u-9, clerk, globex
`

// A fixture is a desk with a clock of its own.
type fixture struct {
	*Desk
	store    *Memory
	engine   *authz.Engine
	log      *auditlogtest.Recorder
	clock    time.Time
	fails    error // of revocations
	reminded map[string]int
}

func (f *fixture) Revoke(ctx context.Context, domain, subject, role, _ string) error {
	if f.fails != nil {
		return f.fails
	}
	if _, has := f.engine.Holds(domain, subject, role); !has {
		return nil
	}
	return f.engine.Revoke(ctx, domain, subject, role)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{store: &Memory{}, log: &auditlogtest.Recorder{}, clock: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), reminded: map[string]int{}}
	var err error
	if f.engine, err = authz.New(model, policy, f.log, authz.Options{}); err != nil {
		t.Fatal(err)
	}
	f.Desk, err = New(f.store, bytes.Repeat([]byte{7}, KeySize), f.engine, f, f.log, Options{
		Facts: func(_ context.Context, _ string, g authz.Grant) (Facts, error) {
			return Facts{By: "boss of " + g.Role}, nil
		},
		Remind: func(_ context.Context, who string, _ Campaign, n int) error {
			f.reminded[who] += n
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.now = func() time.Time { return f.clock }
	return f
}

func (f *fixture) plan() Plan {
	return Plan{
		Name: "2026-Q4", Domain: "acme", Reviewers: map[string]string{"admin": "u-1", "": "u-2"}, Second: "u-3",
		Due: f.clock.AddDate(0, 0, 14), Revoke: true,
	}
}

func (f *fixture) start(t *testing.T, p Plan) Campaign {
	t.Helper()
	c, err := f.Start(as(t, "u-0"), "acme", p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func as(t *testing.T, who string) context.Context {
	return auditlog.WithActor(t.Context(), auditlog.Actor{ID: who, Tenant: "acme", Kind: auditlog.User})
}

// number finds an item.
func number(t *testing.T, c Campaign, subject, role string) int {
	t.Helper()
	for _, i := range c.Items {
		if i.Subject == subject && i.Role == role {
			return i.Number
		}
	}
	t.Fatalf("%s as %s is not in the campaign", subject, role)
	return 0
}

func (f *fixture) may(who, act string) bool {
	return f.engine.Decide(authz.Request{Subject: who, Domain: "acme", Object: "file", Action: act}).Allowed
}

func (f *fixture) probe(t *testing.T) controls.Result {
	return f.Controls("acme")[0].Run(t.Context())
}

func TestCampaign(t *testing.T) {
	f := newFixture(t)
	if r := f.probe(t); r.State != controls.Fail {
		t.Errorf("before any review: %v", r.State)
	}
	c := f.start(t, f.plan())
	if len(c.Items) != 4 {
		t.Fatalf("the population is %+v", c.Items)
	}
	for _, i := range c.Items {
		want := map[string]string{"u-1 admin": "u-3", "u-7 admin": "u-1", "u-7 clerk": "u-2", "u-8 clerk": "u-2"}[i.Subject+" "+i.Role]
		if i.Reviewer != want || i.By != "boss of "+i.Role {
			t.Errorf("%s as %s is for %q, want %q; %+v", i.Subject, i.Role, i.Reviewer, want, i.Facts)
		}
	}
	decide := func(who, subject, role string, v Verdict) {
		t.Helper()
		var err error
		if c, err = f.Decide(as(t, who), "acme", c.ID, number(t, c, subject, role), v, "because"); err != nil {
			t.Fatal(err)
		}
	}
	decide("u-3", "u-1", "admin", Keep)
	decide("u-1", "u-7", "admin", Revoke)
	if f.may("u-7", "delete") || !f.may("u-7", "read") {
		t.Error("after the revocation u-7 may otherwise than decided")
	}
	decide("u-2", "u-7", "clerk", Escalate)
	decide("u-3", "u-7", "clerk", Keep)
	decide("u-2", "u-8", "clerk", Keep)
	if err := f.Sweep(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	c, err := f.Get(t.Context(), "acme", c.ID)
	if err != nil || c.Closed.IsZero() || len(c.Undecided()) != 0 {
		t.Fatalf("%v %+v", err, c)
	}
	if r := f.probe(t); r.State != controls.Pass {
		t.Errorf("%v %s", r.State, r.Observed)
	}
	// The report is the one that the log vouches for.
	var b bytes.Buffer
	if err := f.Export(t.Context(), &b, "acme", c.ID); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	if !slices.ContainsFunc(f.log.Entries(), func(e auditlog.Entry) bool {
		return e.Action == "authz.review.close" && slices.ContainsFunc(e.Attrs, func(a auditlog.Attr) bool { return a.Key == "report" && a.Text() == hex.EncodeToString(sum[:]) })
	}) {
		t.Error("the report's hash stands in no event")
	}
	var back Campaign
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Items) != 4 || back.Items[0].Reason != "because" {
		t.Errorf("%v %+v", err, back)
	}
	f.clock = f.clock.AddDate(0, 0, 93)
	if r := f.probe(t); r.State != controls.Fail {
		t.Errorf("93 days later: %v", r.State)
	}
}

// Nobody reviews what they hold, and nobody decides for another reviewer.
func TestWhoDecides(t *testing.T) {
	f := newFixture(t)
	c := f.start(t, f.plan())
	n := number(t, c, "u-7", "admin")
	for _, who := range []string{"", "u-2", "u-3", "u-7", "u-0"} {
		if _, err := f.Decide(as(t, who), "acme", c.ID, n, Keep, "because"); !errors.Is(err, ErrReviewer) {
			t.Errorf("%q: %v", who, err)
		}
	}
	if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, number(t, c, "u-1", "admin"), Keep, "mine"); !errors.Is(err, ErrReviewer) {
		t.Errorf("one's own role: %v", err)
	}
	for name, d := range map[string]struct {
		v      Verdict
		reason string
		number int
		want   error
	}{
		"no verdict":     {"", "because", n, ErrDecision},
		"another word":   {"maybe", "because", n, ErrDecision},
		"no reason":      {Keep, "", n, ErrDecision},
		"a long reason":  {Keep, strings.Repeat("x", 1001), n, ErrDecision},
		"no such item":   {Keep, "because", 99, ErrUnknown},
		"no item at all": {Keep, "because", 0, ErrUnknown},
	} {
		if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, d.number, d.v, d.reason); !errors.Is(err, d.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Decide(as(t, "u-3"), "acme", c.ID, number(t, c, "u-1", "admin"), Escalate, "who else"); !errors.Is(err, ErrDecision) {
		t.Errorf("escalated to nobody: %v", err)
	}
	if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, n, Keep, "because"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, n, Revoke, "on second thought"); !errors.Is(err, ErrDecision) {
		t.Errorf("decided twice: %v", err)
	}
	if _, err := f.Decide(as(t, "u-1"), "globex", c.ID, n, Keep, "because"); !errors.Is(err, ErrUnknown) {
		t.Errorf("from another tenant: %v", err)
	}
}

func TestPlans(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*Plan){
		"no name": func(p *Plan) { p.Name = "" }, "no second": func(p *Plan) { p.Second = "" },
		"no deadline": func(p *Plan) { p.Due = time.Time{} }, "in two years": func(p *Plan) { p.Due = f.clock.AddDate(2, 0, 0) },
		"nobody for clerks":    func(p *Plan) { p.Reviewers = map[string]string{"admin": "u-1"} },
		"only who holds it":    func(p *Plan) { p.Second = "u-1" },
		"the second's, by all": func(p *Plan) { p.Reviewers, p.Second = map[string]string{"": "u-8"}, "u-8" },
	} {
		p := f.plan()
		change(&p)
		if _, err := f.Start(as(t, "u-0"), "acme", p); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := f.plan()
	p.Roles = []string{"clerk"}
	if c := f.start(t, p); len(c.Items) != 2 {
		t.Errorf("of clerks: %+v", c.Items)
	}
}

func TestDeadline(t *testing.T) {
	for _, revoke := range []bool{true, false} {
		f := newFixture(t)
		p := f.plan()
		p.Revoke = revoke
		c := f.start(t, p)
		f.clock = p.Due.Add(time.Minute)
		if r := f.probe(t); r.State != controls.Fail {
			t.Errorf("past the deadline: %v", r.State)
		}
		if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, number(t, c, "u-7", "admin"), Keep, "late"); !errors.Is(err, ErrDecision) {
			t.Errorf("decided after the deadline: %v", err)
		}
		if err := f.Sweep(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if f.may("u-8", "read") == revoke {
			t.Errorf("revoke=%v: u-8 may read: %v", revoke, f.may("u-8", "read"))
		}
		c, err := f.Get(t.Context(), "acme", c.ID)
		if err != nil || c.Closed.IsZero() {
			t.Errorf("%v %+v", err, c)
		}
		if r := f.probe(t); (r.State == controls.Pass) != revoke {
			t.Errorf("revoke=%v: %v %s", revoke, r.State, r.Observed)
		}
	}
}

// A revocation that can't be carried out is tried again, and shows meanwhile.
func TestRevocationFails(t *testing.T) {
	f := newFixture(t)
	c := f.start(t, f.plan())
	f.fails = errors.New("policy store is away")
	if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, number(t, c, "u-7", "admin"), Revoke, "left the team"); !errors.Is(err, f.fails) {
		t.Errorf("%v", err)
	}
	f.clock = c.Due.Add(time.Hour)
	if err := f.Sweep(t.Context(), "acme"); !errors.Is(err, f.fails) {
		t.Errorf("%v", err)
	}
	if r := f.probe(t); r.State != controls.Fail {
		t.Errorf("with a revocation undone: %v", r.State)
	}
	f.fails = nil
	if err := f.Sweep(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if f.may("u-7", "delete") {
		t.Error("u-7 still may")
	}
	if r := f.probe(t); r.State != controls.Pass {
		t.Errorf("%v %s", r.State, r.Observed)
	}
}

func TestReminders(t *testing.T) {
	f := newFixture(t)
	c := f.start(t, f.plan())
	sweep := func() {
		t.Helper()
		if err := f.Sweep(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	if len(f.reminded) != 0 {
		t.Errorf("two weeks before: %v", f.reminded)
	}
	f.clock = c.Due.AddDate(0, 0, -6)
	sweep()
	sweep() // once a day
	if f.reminded["u-1"] != 1 || f.reminded["u-2"] != 2 || f.reminded["u-3"] != 1 {
		t.Errorf("%v", f.reminded)
	}
	f.clock = f.clock.AddDate(0, 0, 1)
	sweep()
	if f.reminded["u-2"] != 4 {
		t.Errorf("the next day: %v", f.reminded)
	}
}

// Whoever can write the table can neither change, move, insert nor take out a
// step.
func TestForgedSteps(t *testing.T) {
	for name, forge := range map[string]func(list []Record) []Record{
		"changed": func(l []Record) []Record {
			l[1].Data = bytes.Replace(l[1].Data, []byte("keep"), []byte("none"), 1)
			return l
		},
		"taken out":  func(l []Record) []Record { l = slices.Delete(l, 1, 2); l[1].Sequence = 2; return l },
		"swapped":    func(l []Record) []Record { l[1].Data, l[2].Data = l[2].Data, l[1].Data; return l },
		"own MAC":    func(l []Record) []Record { l[1].MAC = [32]byte{}; return l },
		"numbered":   func(l []Record) []Record { l[1].Sequence = 9; return l },
		"headless":   func(l []Record) []Record { return l[1:] },
		"put before": func(l []Record) []Record { return slices.Insert(l, 0, l[0]) },
	} {
		f := newFixture(t)
		c := f.start(t, f.plan())
		for _, i := range []string{"u-7", "u-8"} {
			if _, err := f.Decide(as(t, "u-2"), "acme", c.ID, number(t, c, i, "clerk"), Keep, "on the team"); err != nil {
				t.Fatal(err)
			}
		}
		at := [2]string{"acme", c.ID}
		f.store.list[at] = forge(f.store.list[at])
		if _, err := f.Get(t.Context(), "acme", c.ID); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
		if r := f.probe(t); r.State != controls.Fail {
			t.Errorf("%s: the control is %v", name, r.State)
		}
		if !slices.ContainsFunc(f.log.Entries(), func(e auditlog.Entry) bool { return e.Action == "authz.review.read" && e.Outcome == auditlog.Failed }) {
			t.Errorf("%s: no event", name)
		}
	}
	// One campaign's steps are not another's.
	f := newFixture(t)
	a, b := f.start(t, f.plan()), f.start(t, f.plan())
	f.store.list[[2]string{"acme", b.ID}] = f.store.list[[2]string{"acme", a.ID}]
	if _, err := f.Get(t.Context(), "acme", b.ID); !errors.Is(err, ErrForged) {
		t.Errorf("moved: %v", err)
	}
}

// What can't be recorded does not happen.
func TestUnrecorded(t *testing.T) {
	f := newFixture(t)
	c := f.start(t, f.plan())
	full := errors.New("disk full")
	f.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return full })
	if _, err := f.Decide(as(t, "u-1"), "acme", c.ID, number(t, c, "u-7", "admin"), Revoke, "left"); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if _, err := f.Start(as(t, "u-0"), "acme", f.plan()); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if err := f.Export(t.Context(), &bytes.Buffer{}, "acme", c.ID); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	f.rec = f.log
	c, err := f.Get(t.Context(), "acme", c.ID)
	if err != nil || len(c.Undecided()) != 4 || !f.may("u-7", "delete") {
		t.Errorf("%v: %d wait", err, len(c.Undecided()))
	}
	if list, err := f.List(t.Context(), "acme"); err != nil || len(list) != 1 {
		t.Errorf("%d campaigns, %v", len(list), err)
	}
}

// Reviewers work side by side.
func TestConcurrentDecisions(t *testing.T) {
	f := newFixture(t)
	c := f.start(t, f.plan())
	var wg sync.WaitGroup
	for _, i := range c.Items {
		wg.Go(func() {
			if _, err := f.Decide(as(t, i.Reviewer), "acme", c.ID, i.Number, Keep, "because"); err != nil {
				t.Errorf("%s as %s: %v", i.Subject, i.Role, err)
			}
		})
	}
	wg.Wait()
	if c, err := f.Get(t.Context(), "acme", c.ID); err != nil || len(c.Undecided()) != 0 {
		t.Errorf("%v: %d wait", err, len(c.Undecided()))
	}
}

func TestNewRefuses(t *testing.T) {
	f := newFixture(t)
	key := make([]byte, KeySize)
	for name, err := range map[string]error{
		"short key":   second(New(f.store, key[1:], f.engine, f, f.log, Options{})),
		"no store":    second(New(nil, key, f.engine, f, f.log, Options{})),
		"no engine":   second(New(f.store, key, nil, f, f.log, Options{})),
		"no revoker":  second(New(f.store, key, f.engine, nil, f.log, Options{})),
		"no recorder": second(New(f.store, key, f.engine, f, nil, Options{})),
		"interval":    second(New(f.store, key, f.engine, f, f.log, Options{Interval: -1})),
	} {
		if !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ *Desk, err error) error { return err }
