package authntest

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/session"
)

// TestSessions checks a store of sessions against the contract of
// [session.Store]. open returns a new, empty store.
func TestSessions(t *testing.T, open func(*testing.T) session.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, session.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps rows whole", sessionsWhole)
	run("inserts a key once", sessionsOnce)
	run("updates only what is there and unchanged", sessionsUpdate)
	run("never brings a row back", sessionsNeverBack)
	run("inserts nothing for a past epoch", sessionsEpoch)
	run("removes all but one", sessionsDeleteAll)
	run("keeps tenants apart", sessionsTenants)
	run("refuses an empty tenant", sessionsNoTenant)
	run("purges what has ended", sessionsPurge)
	run("lets one of many replace a row", sessionsReplaceRace)
	run("lets nothing survive the end of all", sessionsEndRace)
}

func row(tenant, account string, n byte) session.Row {
	r := session.Row{
		Tenant: tenant, Account: account, ID: "s-" + string('a'+rune(n)), Rev: 1,
		Expires: time.Date(2030, 1, 2, 3, 4, 5, 678000, time.UTC), Data: []byte{0, n, 255, '\'', ';'},
	}
	r.Key[0], r.Key[31] = n, 0xff
	return r
}

func insert(t *testing.T, s session.Store, r session.Row, epoch int64) {
	t.Helper()
	if ok, err := s.Insert(t.Context(), r, epoch); !ok || err != nil {
		t.Fatalf("Insert: %t, %v", ok, err)
	}
}

func wantRow(t *testing.T, s session.Store, want session.Row) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Tenant, want.Key)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if got.Tenant != want.Tenant || got.Account != want.Account || got.ID != want.ID || got.Rev != want.Rev ||
		got.Key != want.Key || !got.Expires.Equal(want.Expires) || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("Get: %+v, want %+v", got, want)
	}
}

func wantGone(t *testing.T, s session.Store, r session.Row) {
	t.Helper()
	if _, err := s.Get(t.Context(), r.Tenant, r.Key); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a removed row: %v, want ErrNotFound", err)
	}
	list, err := s.List(t.Context(), r.Tenant, r.Account)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		if l.Key == r.Key {
			t.Error("a removed row is still listed")
		}
	}
}

func sessionsWhole(t *testing.T, s session.Store) {
	a, b := row("acme", "u-1", 1), row("acme", "u-1", 2)
	wantGone(t, s, a)
	insert(t, s, a, 0)
	insert(t, s, b, 0)
	wantRow(t, s, a)
	wantRow(t, s, b)
	list, err := s.List(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 2 {
		t.Fatalf("List: %d rows, %v", len(list), err)
	}
	if ok, err := s.Delete(t.Context(), "acme", a.Key); !ok || err != nil {
		t.Errorf("Delete: %t, %v", ok, err)
	}
	wantGone(t, s, a)
	wantRow(t, s, b)
	if ok, err := s.Delete(t.Context(), "acme", a.Key); ok || err != nil {
		t.Errorf("Delete again: %t, %v", ok, err)
	}
}

func sessionsOnce(t *testing.T, s session.Store) {
	a := row("acme", "u-1", 1)
	insert(t, s, a, 0)
	other := a
	other.Account, other.Data = "u-2", []byte("another")
	if ok, err := s.Insert(t.Context(), other, 0); ok || err != nil {
		t.Errorf("a taken key: %t, %v", ok, err)
	}
	wantRow(t, s, a)
}

func sessionsUpdate(t *testing.T, s session.Store) {
	a := row("acme", "u-1", 1)
	next := a
	next.Rev, next.Data, next.Expires = 2, []byte("next"), a.Expires.Add(time.Hour)
	if ok, err := s.Update(t.Context(), next); ok || err != nil {
		t.Errorf("updated nothing: %t, %v", ok, err)
	}
	wantGone(t, s, a)
	insert(t, s, a, 0)
	if ok, err := s.Update(t.Context(), next); !ok || err != nil {
		t.Errorf("Update: %t, %v", ok, err)
	}
	wantRow(t, s, next)
	stale := next
	stale.Data = []byte("stale")
	if ok, err := s.Update(t.Context(), stale); ok || err != nil {
		t.Errorf("an update from a past revision: %t, %v", ok, err)
	}
	wantRow(t, s, next)
}

// sessionsNeverBack is the resurrection of alexedwards/scs: a request that
// loaded a session before it was destroyed or renewed writes it back after.
func sessionsNeverBack(t *testing.T, s session.Store) {
	a, b := row("acme", "u-1", 1), row("acme", "u-1", 2)
	insert(t, s, a, 0)
	b.ID = a.ID
	if ok, err := s.Replace(t.Context(), a.Key, b); !ok || err != nil {
		t.Fatalf("Replace: %t, %v", ok, err)
	}
	late := a
	late.Rev++
	if ok, err := s.Update(t.Context(), late); ok || err != nil {
		t.Errorf("a late update after a rotation: %t, %v", ok, err)
	}
	wantGone(t, s, a)
	wantRow(t, s, b)
	if ok, err := s.Delete(t.Context(), "acme", b.Key); !ok || err != nil {
		t.Fatal(ok, err)
	}
	late = b
	late.Rev++
	if ok, err := s.Update(t.Context(), late); ok || err != nil {
		t.Errorf("a late update after the end: %t, %v", ok, err)
	}
	if ok, err := s.Replace(t.Context(), b.Key, row("acme", "u-1", 3)); ok || err != nil {
		t.Errorf("a late rotation after the end: %t, %v", ok, err)
	}
	if list, err := s.List(t.Context(), "acme", "u-1"); len(list) != 0 || err != nil {
		t.Errorf("%d rows came back, %v", len(list), err)
	}
}

func sessionsEpoch(t *testing.T, s session.Store) {
	if e, err := s.Epoch(t.Context(), "acme", "u-1"); e != 0 || err != nil {
		t.Fatalf("the first epoch: %d, %v", e, err)
	}
	insert(t, s, row("acme", "u-1", 1), 0)
	if n, err := s.DeleteAll(t.Context(), "acme", "u-1", session.Key{}); n != 1 || err != nil {
		t.Fatalf("DeleteAll: %d, %v", n, err)
	}
	if e, err := s.Epoch(t.Context(), "acme", "u-1"); e != 1 || err != nil {
		t.Errorf("the epoch after DeleteAll: %d, %v", e, err)
	}
	if ok, err := s.Insert(t.Context(), row("acme", "u-1", 2), 0); ok || err != nil {
		t.Errorf("a login overtaken by DeleteAll: %t, %v", ok, err)
	}
	if list, err := s.List(t.Context(), "acme", "u-1"); len(list) != 0 || err != nil {
		t.Errorf("%d rows, %v", len(list), err)
	}
	insert(t, s, row("acme", "u-1", 2), 1)
	insert(t, s, row("acme", "u-2", 3), 0) // another account has its own
}

func sessionsDeleteAll(t *testing.T, s session.Store) {
	a, b, c := row("acme", "u-1", 1), row("acme", "u-1", 2), row("acme", "u-2", 3)
	insert(t, s, a, 0)
	insert(t, s, b, 0)
	insert(t, s, c, 0)
	if n, err := s.DeleteAll(t.Context(), "acme", "u-1", b.Key); n != 1 || err != nil {
		t.Errorf("DeleteAll: %d, %v", n, err)
	}
	wantGone(t, s, a)
	wantRow(t, s, b)
	wantRow(t, s, c)
}

func sessionsTenants(t *testing.T, s session.Store) {
	a, b := row("acme", "u-1", 1), row("globex", "u-1", 1)
	b.Data = []byte("globex")
	insert(t, s, a, 0)
	insert(t, s, b, 0)
	wantRow(t, s, a)
	wantRow(t, s, b)
	next := a
	next.Tenant, next.Rev, next.Data = "initech", 2, []byte("x")
	if ok, err := s.Update(t.Context(), next); ok || err != nil {
		t.Errorf("an update from a third tenant: %t, %v", ok, err)
	}
	if n, err := s.DeleteAll(t.Context(), "acme", "u-1", session.Key{}); n != 1 || err != nil {
		t.Errorf("DeleteAll: %d, %v", n, err)
	}
	wantGone(t, s, a)
	wantRow(t, s, b)
	if e, err := s.Epoch(t.Context(), "globex", "u-1"); e != 0 || err != nil {
		t.Errorf("the other tenant's epoch: %d, %v", e, err)
	}
	if _, err := s.Purge(t.Context(), "acme", b.Expires.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	wantRow(t, s, b)
}

func sessionsNoTenant(t *testing.T, s session.Store) {
	ctx, r := t.Context(), row("", "u-1", 1)
	calls := map[string]func() error{
		"Insert":    func() error { _, err := s.Insert(ctx, r, 0); return err },
		"Get":       func() error { _, err := s.Get(ctx, "", r.Key); return err },
		"Update":    func() error { _, err := s.Update(ctx, r); return err },
		"Replace":   func() error { _, err := s.Replace(ctx, r.Key, r); return err },
		"Delete":    func() error { _, err := s.Delete(ctx, "", r.Key); return err },
		"List":      func() error { _, err := s.List(ctx, "", "u-1"); return err },
		"DeleteAll": func() error { _, err := s.DeleteAll(ctx, "", "u-1", r.Key); return err },
		"Epoch":     func() error { _, err := s.Epoch(ctx, "", "u-1"); return err },
		"Purge":     func() error { _, err := s.Purge(ctx, "", r.Expires); return err },
	}
	for name, call := range calls {
		if err := call(); err == nil || errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s without a tenant: %v", name, err)
		}
	}
}

func sessionsPurge(t *testing.T, s session.Store) {
	a, b := row("acme", "u-1", 1), row("acme", "u-1", 2)
	b.Expires = a.Expires.Add(time.Hour)
	insert(t, s, a, 0)
	insert(t, s, b, 0)
	if _, err := s.Purge(t.Context(), "acme", a.Expires.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	wantGone(t, s, a)
	wantRow(t, s, b)
}

func sessionsReplaceRace(t *testing.T, s session.Store) {
	a := row("acme", "u-1", 1)
	insert(t, s, a, 0)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for n := byte(10); n < 18; n++ {
		wg.Go(func() {
			next := row("acme", "u-1", n)
			next.ID = a.ID
			ok, err := s.Replace(t.Context(), a.Key, next)
			if err != nil {
				t.Error(err)
			}
			if ok {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	list, err := s.List(t.Context(), "acme", "u-1")
	if wins.Load() != 1 || len(list) != 1 || err != nil {
		t.Errorf("%d rotations of one session won, %d rows, %v", wins.Load(), len(list), err)
	}
}

// sessionsEndRace ends all sessions while logins and rotations are under way:
// what was not there after the end of all stays away.
func sessionsEndRace(t *testing.T, s session.Store) {
	const rounds = 5
	for round := range rounds {
		epoch := int64(round)
		first := row("acme", "u-1", 1)
		insert(t, s, first, epoch)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Replace(t.Context(), first.Key, row("acme", "u-1", 2)); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := s.Insert(t.Context(), row("acme", "u-1", 3), epoch); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			late := first
			late.Rev++
			if _, err := s.Update(t.Context(), late); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := s.DeleteAll(t.Context(), "acme", "u-1", session.Key{}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if list, err := s.List(t.Context(), "acme", "u-1"); len(list) != 0 || err != nil {
			t.Fatalf("round %d: %d sessions survived the end of all, %v", round, len(list), err)
		}
	}
}
