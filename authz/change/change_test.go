package change_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/change"
	"github.com/surety-go/surety/controls"
)

var key = bytes.Repeat([]byte{7}, change.KeySize)

const base = "p, clerk, *, payment, request, allow\np, approver, *, payment, approve, allow\np, admin, *, *, *, allow\np, oncall, *, server, read, allow\np, fixer, *, server, write, allow\ng, root, admin, acme\n"

type desk struct {
	*change.Keeper
	engine *authz.Engine
	rec    *auditlogtest.Recorder
}

func open(t testing.TB, s change.Store, o change.Options) desk {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	e, err := authz.New(authz.ModelTenants, base, rec, authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := change.Open(context.Background(), e, s, "platform", key, rec, o)
	if err != nil {
		t.Fatal(err)
	}
	return desk{k, e, rec}
}

func as(t testing.TB, id string) context.Context {
	return auditlog.WithActor(t.Context(), auditlog.Actor{ID: id, Tenant: "acme", Kind: auditlog.User})
}

func (d desk) can(who, object, act string) bool {
	return d.engine.Decide(authz.Request{Subject: who, Domain: "acme", Object: object, Action: act}).Allowed
}

func TestAGrantIsAttributedStoredAndInForce(t *testing.T) {
	s := change.NewMemory()
	d := open(t, s, change.Options{Ticket: true})
	g := change.Grant{Domain: "acme", Subject: "u-1", Role: "clerk", Ticket: "HR-1", Reason: "joins"}
	if err := d.Grant(as(t, "boss"), g); err != nil {
		t.Fatal(err)
	}
	if !d.can("u-1", "payment", "request") || d.Sequence() != 1 {
		t.Error("the grant is not in force")
	}
	ev := d.rec.Find("authz.policy.update")
	if len(ev) < 1 || ev[0].Outcome != auditlog.Success {
		t.Errorf("events %+v", ev)
	}
	var stored []change.Entry
	if _, err := s.Read(t.Context(), "platform", 0, func(e change.Entry) error { stored = append(stored, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(stored) != 1 || stored[0].By != "boss" || stored[0].Ticket != "HR-1" || stored[0].Reason != "joins" || stored[0].At.IsZero() {
		t.Errorf("%+v", stored)
	}
	again := open(t, s, change.Options{})
	if !again.can("u-1", "payment", "request") {
		t.Error("lost after a restart")
	}
	if err := d.Revoke(as(t, "boss"), "acme", "u-1", "clerk", "leaves"); err != nil || d.can("u-1", "payment", "request") {
		t.Errorf("the revocation: %v", err)
	}
	if changed, err := again.Sync(t.Context()); !changed || err != nil || again.can("u-1", "payment", "request") {
		t.Errorf("the other process: %t, %v", changed, err)
	}
	for name, bad := range map[string]error{
		"no ticket":  d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "clerk"}),
		"nobody":     d.Grant(t.Context(), g),
		"to himself": d.Grant(as(t, "u-1"), g),
		"no subject": d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Role: "clerk", Ticket: "x"}),
		"no domain":  d.Grant(as(t, "boss"), change.Grant{Subject: "u-1", Role: "clerk", Ticket: "x"}),
		"nothing":    d.Apply(as(t, "boss"), change.Proposal{}),
		"ended":      d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "clerk", Ticket: "x", Until: time.Now().Add(-time.Hour)}),
	} {
		if bad == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAChangeWithoutATraceIsNone(t *testing.T) {
	d, down := open(t, change.NewMemory(), change.Options{}), errors.New("disk full")
	d.rec.FailWith(down)
	if err := d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "clerk"}); !errors.Is(err, down) {
		t.Error(err)
	}
	d.rec.FailWith(nil)
	if _, err := d.Sync(t.Context()); err != nil || d.Sequence() != 0 || d.can("u-1", "payment", "request") {
		t.Errorf("written without a trace: %v, %d", err, d.Sequence())
	}
}

// forger is a store whose entries someone changes past the keeper.
type forger struct {
	*change.Memory
	forge func([]change.Entry, *change.Head) []change.Entry
}

func (f *forger) Read(ctx context.Context, tenant string, after int64, each func(change.Entry) error) (change.Head, error) {
	var list []change.Entry
	head, err := f.Memory.Read(ctx, tenant, 0, func(e change.Entry) error { list = append(list, e); return nil })
	if err != nil {
		return head, err
	}
	if f.forge != nil {
		list = f.forge(list, &head)
	}
	for _, e := range list {
		if e.Sequence > after {
			if err := each(e); err != nil {
				return head, err
			}
		}
	}
	return head, nil
}

// A SQL writer makes himself an admin, undoes a revocation, cuts the end off.
func TestWhatNoKeeperWroteIsRefused(t *testing.T) {
	admin := func(list []change.Entry) change.Entry {
		e := list[len(list)-1]
		e.Sequence++
		e.Rule = authz.Rule{Kind: "g", Fields: []string{"mallory", "admin", "acme"}}
		return e
	}
	for name, forge := range map[string]func([]change.Entry, *change.Head) []change.Entry{
		"appended": func(l []change.Entry, h *change.Head) []change.Entry {
			h.Sequence++
			return append(l, admin(l))
		},
		"changed": func(l []change.Entry, _ *change.Head) []change.Entry {
			l = slices.Clone(l)
			l[0].Rule.Fields = []string{"mallory", "admin", "acme"}
			return l
		},
		"fields moved": func(l []change.Entry, _ *change.Head) []change.Entry {
			l = slices.Clone(l)
			l[0].Rule.Fields = []string{"u-", "1clerk", "acme"}
			return l
		},
		"removed": func(l []change.Entry, _ *change.Head) []change.Entry { return append(slices.Clone(l[:1]), l[2:]...) },
		"swapped": func(l []change.Entry, _ *change.Head) []change.Entry {
			l = slices.Clone(l)
			l[0], l[1] = l[1], l[0]
			l[0].Sequence, l[1].Sequence = 1, 2
			return l
		},
		"cut off":  func(l []change.Entry, _ *change.Head) []change.Entry { return l[:len(l)-1] },
		"cut head": func(l []change.Entry, h *change.Head) []change.Entry { h.Sequence--; return l[:len(l)-1] },
		"no head": func(_ []change.Entry, h *change.Head) []change.Entry {
			*h = change.Head{Sequence: 0, MAC: h.MAC}
			return nil
		},
		"longer": func(l []change.Entry, _ *change.Head) []change.Entry {
			l = slices.Clone(l)
			l[0].Rule.Until = 1 << 40
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &forger{Memory: change.NewMemory()}
			d := open(t, s, change.Options{})
			for _, who := range []string{"u-1", "u-2", "u-3"} {
				if err := d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: who, Role: "clerk"}); err != nil {
					t.Fatal(err)
				}
			}
			s.forge = forge
			rec := &auditlogtest.Recorder{}
			e, err := authz.New(authz.ModelTenants, base, rec, authz.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := change.Open(t.Context(), e, s, "platform", key, rec, change.Options{}); !errors.Is(err, change.ErrForged) {
				t.Errorf("opened: %v", err)
			}
			rec.Want(t, "authz.policy.load", auditlog.Failed)
			if e.Decide(authz.Request{Subject: "mallory", Domain: "acme", Object: "server", Action: "write"}).Allowed {
				t.Error("mallory is an admin")
			}
		})
	}
}

// policyOf is what the policy's control says.
func policyOf(t *testing.T, k *change.Keeper) controls.State {
	t.Helper()
	for _, c := range k.Controls() {
		if c.ID == "authz.policy" {
			return c.Run(t.Context()).State
		}
	}
	t.Fatal("the keeper does not describe the policy")
	return controls.Error
}

func TestAStoreThatWentBackIsRefused(t *testing.T) {
	s := &forger{Memory: change.NewMemory()}
	d := open(t, s, change.Options{})
	if err := d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "clerk"}); err != nil {
		t.Fatal(err)
	}
	var before change.Head
	if _, err := s.Read(t.Context(), "platform", 0, func(change.Entry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s.forge = func(l []change.Entry, h *change.Head) []change.Entry { before = *h; return l }
	_, _ = d.Sync(t.Context())
	s.forge = nil
	if err := d.Revoke(as(t, "boss"), "acme", "u-1", "clerk", "leaves"); err != nil {
		t.Fatal(err)
	}
	s.forge = func(l []change.Entry, h *change.Head) []change.Entry { *h = before; return l[:1] }
	if _, err := d.Sync(t.Context()); !errors.Is(err, change.ErrWentBack) || d.Ready() == nil || policyOf(t, d.Keeper) != controls.Fail || d.can("u-1", "payment", "request") {
		t.Errorf("%v", err)
	}
	s.forge = nil
	if _, err := d.Sync(t.Context()); err != nil || d.Ready() != nil || policyOf(t, d.Keeper) != controls.Pass {
		t.Errorf("after it was mended: %v", err)
	}
}

func TestConflictsAreRefusedBeforeTheWrite(t *testing.T) {
	d := open(t, change.NewMemory(), change.Options{Conflicts: []change.Conflict{{Name: "payments", Roles: []string{"clerk", "approver"}}}})
	give := func(subject, role string) error {
		return d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: subject, Role: role})
	}
	for _, g := range [][2]string{{"u-1", "clerk"}, {"team", "clerk"}, {"u-2", "team"}, {"u-3", "lead"}, {"u-3", "approver"}} {
		if err := give(g[0], g[1]); err != nil {
			t.Fatal(g, err)
		}
	}
	for _, g := range [][2]string{{"u-1", "approver"}, {"u-2", "approver"}, {"lead", "clerk"}, {"clerk", "approver"}} {
		if err := give(g[0], g[1]); !errors.Is(err, change.ErrConflict) {
			t.Errorf("%v: %v", g, err)
		}
	}
	if d.Sequence() != 5 {
		t.Errorf("%d entries", d.Sequence())
	}
	if _, err := d.Propose(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "approver"}); !errors.Is(err, change.ErrConflict) {
		t.Errorf("a proposal that nobody could approve: %v", err)
	}
	if c := d.Controls()[0]; c.ID != "authz.sod" || c.Run(t.Context()).State != controls.Pass {
		t.Error("the probe fails")
	}
	// Past the keeper, the probe finds it.
	if err := d.engine.Grant(t.Context(), "acme", "u-1", "approver"); err != nil || d.Controls()[0].Run(t.Context()).State != controls.Fail {
		t.Error("the probe passes")
	}
}

func TestApprovalByAnother(t *testing.T) {
	d := open(t, change.NewMemory(), change.Options{Approval: []string{"admin"}})
	g := change.Grant{Domain: "acme", Subject: "u-1", Role: "admin", Reason: "on call"}
	if err := d.Grant(as(t, "boss"), g); !errors.Is(err, change.ErrApproval) {
		t.Fatal(err)
	}
	if err := d.Apply(as(t, "boss"), change.Proposal{Change: authz.Change{Add: []authz.Rule{{Kind: "p", Fields: []string{"clerk", "*", "*", "*", "allow"}}}}}); !errors.Is(err, change.ErrApproval) {
		t.Errorf("a rule gives a role everything: %v", err)
	}
	id, err := d.Propose(as(t, "boss"), g)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"boss", "u-1", ""} {
		if err := d.Approve(as(t, who), id); !errors.Is(err, change.ErrApprover) {
			t.Errorf("%q approves: %v", who, err)
		}
	}
	if d.can("u-1", "server", "write") {
		t.Error("in force without approval")
	}
	if err := d.Approve(as(t, "auditor"), id); err != nil || !d.can("u-1", "server", "write") {
		t.Errorf("approved: %v", err)
	}
	if err := d.Approve(as(t, "auditor"), id); !errors.Is(err, change.ErrUnknown) {
		t.Errorf("twice: %v", err)
	}
	id, _ = d.Propose(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-2", Role: "admin"})
	if err := d.Reject(as(t, "auditor"), id); err != nil || d.Approve(as(t, "auditor"), id) == nil {
		t.Error("a rejected proposal was made")
	}
}

func TestElevationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, change.NewMemory(), change.Options{Elevations: []change.Elevation{{Role: "fixer", From: []string{"oncall"}, Longest: time.Hour}}})
		if err := d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "oncall"}); err != nil {
			t.Fatal(err)
		}
		in := func(h time.Duration) time.Time { return time.Now().Add(h) }
		for name, err := range map[string]error{
			"not on call": d.Elevate(as(t, "u-2"), "acme", "fixer", "broken disk", "", in(time.Hour)),
			"too long":    d.Elevate(as(t, "u-1"), "acme", "fixer", "broken disk", "", in(2*time.Hour)),
			"no reason":   d.Elevate(as(t, "u-1"), "acme", "fixer", "", "", in(time.Hour)),
			"other role":  d.Elevate(as(t, "u-1"), "acme", "admin", "broken disk", "", in(time.Hour)),
			"no end":      d.Elevate(as(t, "u-1"), "acme", "fixer", "broken disk", "", time.Time{}),
		} {
			if !errors.Is(err, change.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 2 { // an elevation that ended does not stand in the way of the next
			if err := d.Elevate(as(t, "u-1"), "acme", "fixer", "broken disk", "", in(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if !d.can("u-1", "server", "write") {
				t.Error("not elevated")
			}
			time.Sleep(time.Hour + time.Second)
			if d.can("u-1", "server", "write") {
				t.Error("the elevation did not end")
			}
		}
		if n := len(d.rec.Find("authz.session.elevate")); n != 2 {
			t.Errorf("%d elevations are recorded", n)
		}
	})
}

func TestBreakGlass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var alerts []change.Use
		deaf := errors.New("pager down")
		var broken error
		s := change.NewMemory()
		o := change.Options{BreakGlass: change.BreakGlass{Roles: []string{"admin"}, Alert: func(_ context.Context, u change.Use) error {
			alerts = append(alerts, u)
			return broken
		}}}
		d := open(t, s, o)
		for _, reason := range []string{"", "x"} {
			if _, err := d.BreakGlass(as(t, "u-1"), "acme", "admin", reason); !errors.Is(err, change.ErrInvalid) {
				t.Errorf("reason %q: %v", reason, err)
			}
		}
		if _, err := d.BreakGlass(as(t, "u-1"), "acme", "clerk", "the building is on fire"); err == nil {
			t.Error("a role that is not for emergencies")
		}
		broken = deaf
		if _, err := d.BreakGlass(as(t, "u-1"), "acme", "admin", "the building is on fire"); !errors.Is(err, deaf) || d.can("u-1", "server", "write") {
			t.Errorf("without an alert: %v", err)
		}
		broken = nil
		u, err := d.BreakGlass(as(t, "u-1"), "acme", "admin", "the building is on fire")
		if err != nil || u.Sequence == 0 || !d.can("u-1", "server", "write") || len(alerts) != 2 {
			t.Fatalf("%+v, %v", u, err)
		}
		time.Sleep(15*time.Minute + time.Second)
		if d.can("u-1", "server", "write") {
			t.Error("it does not end")
		}
		probe := func(k desk) controls.State { return k.Controls()[1].Run(t.Context()).State }
		if probe(d) != controls.Pass {
			t.Error("fails before the review is due")
		}
		time.Sleep(73 * time.Hour)
		if probe(d) != controls.Fail {
			t.Error("nobody reviewed, and the probe passes")
		}
		if err := d.Review(as(t, "u-1"), u.Sequence, "justified"); !errors.Is(err, change.ErrApprover) {
			t.Errorf("his own review: %v", err)
		}
		if err := d.Review(as(t, "boss"), 99, "justified"); !errors.Is(err, change.ErrUnknown) {
			t.Error(err)
		}
		if err := d.Review(as(t, "boss"), u.Sequence, "justified"); err != nil {
			t.Fatal(err)
		}
		again := open(t, s, o)
		if list := again.Uses(); len(list) != 1 || list[0].Verdict != "justified" || list[0].Reviewer != "boss" || probe(again) != controls.Pass {
			t.Errorf("%+v", list)
		}
	})
}

func TestDutiesAreSeparatedByWhatWasDone(t *testing.T) {
	d := open(t, change.NewMemory(), change.Options{})
	for _, who := range []string{"u-1", "u-2"} {
		for _, role := range []string{"clerk", "approver"} {
			if err := d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: who, Role: role}); err != nil {
				t.Fatal(err)
			}
		}
	}
	du, err := change.NewDuties(d.engine, &change.MemoryHistory{}, d.rec, change.Duty{Name: "pay", Actions: []string{"request", "approve"}})
	if err != nil {
		t.Fatal(err)
	}
	try := func(who, act string) bool {
		out, err := du.Authorize(t.Context(), authz.Request{Subject: who, Domain: "acme", Object: "payment", Action: act})
		return err == nil && out.Allowed
	}
	if !try("u-1", "request") || try("u-1", "approve") || !try("u-2", "approve") || try("u-2", "request") || !try("u-1", "request") || try("u-3", "approve") {
		t.Error("duties are not separated")
	}
	if _, err := change.NewDuties(d.engine, nil, d.rec); err == nil {
		t.Error("without a history")
	}
}

func TestConcurrentKeepersAgree(t *testing.T) {
	s := change.NewMemory()
	a, b := open(t, s, change.Options{}), open(t, s, change.Options{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i, d := range []desk{a, b} {
		wg.Go(func() {
			for j := range 20 {
				name := strings.Repeat("x", i+1) + strings.Repeat("y", j+1)
				if d.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: name, Role: "clerk"}) == nil {
					mu.Lock()
					made++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for _, d := range []desk{a, b} {
		if _, err := d.Sync(t.Context()); err != nil || d.Sequence() != int64(made) || len(d.engine.Grants("acme")) != made+1 {
			t.Errorf("%v: %d of %d", err, d.Sequence(), made)
		}
	}
}

func TestWatchTakesInWhatOthersDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := change.NewMemory()
		a, b := open(t, s, change.Options{}), open(t, s, change.Options{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.Watch(ctx, deafWatcher{}); close(done) }()
		if err := a.Grant(as(t, "boss"), change.Grant{Domain: "acme", Subject: "u-1", Role: "clerk"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond)
		if !b.can("u-1", "payment", "request") {
			t.Error("not taken in within a second, although notifications are lost")
		}
		stop()
		<-done
		ctx, stop = context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer stop()
		if err := a.Revoke(as(t, "boss"), "acme", "u-1", "clerk", "leaves"); err != nil {
			t.Fatal(err)
		}
		b.Watch(ctx, change.Poll(0))
		if b.can("u-1", "payment", "request") {
			t.Error("the revocation was not taken in")
		}
	})
}

// deafWatcher fails at once, as one whose connection is lost.
type deafWatcher struct{}

func (deafWatcher) Wait(context.Context, string) error { return errors.New("no connection") }

func TestPreviewShowsDifferences(t *testing.T) {
	d := open(t, change.NewMemory(), change.Options{})
	next, err := d.engine.Preview(authz.Change{Add: []authz.Rule{{Kind: "g", Fields: []string{"u-1", "clerk", "acme"}}}})
	if err != nil {
		t.Fatal(err)
	}
	diff, err := authz.Differences(t.Context(), d.engine, next, d.engine.Ask([]string{"u-1", "root"}, "acme"))
	if err != nil || len(diff) != 1 || diff[0].Old.Allowed || !diff[0].New.Allowed || diff[0].Request.Action != "request" {
		t.Errorf("%+v, %v", diff, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	e, _ := authz.New(authz.ModelTenants, base, rec, authz.Options{})
	glass := change.BreakGlass{Roles: []string{"admin"}}
	for name, f := range map[string]func() (*change.Keeper, error){
		"no engine": func() (*change.Keeper, error) {
			return change.Open(t.Context(), nil, change.NewMemory(), "p", key, rec, change.Options{})
		},
		"no store": func() (*change.Keeper, error) {
			return change.Open(t.Context(), e, nil, "p", key, rec, change.Options{})
		},
		"no tenant": func() (*change.Keeper, error) {
			return change.Open(t.Context(), e, change.NewMemory(), "", key, rec, change.Options{})
		},
		"short key": func() (*change.Keeper, error) {
			return change.Open(t.Context(), e, change.NewMemory(), "p", key[1:], rec, change.Options{})
		},
		"deaf glass": func() (*change.Keeper, error) {
			return change.Open(t.Context(), e, change.NewMemory(), "p", key, rec, change.Options{BreakGlass: glass})
		},
		"one role": func() (*change.Keeper, error) {
			return change.Open(t.Context(), e, change.NewMemory(), "p", key, rec, change.Options{Conflicts: []change.Conflict{{Name: "x", Roles: []string{"a"}}}})
		},
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
