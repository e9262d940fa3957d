package authntest

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
)

// TestTOTP checks a store of enrolments against the contract of [totp.Store].
func TestTOTP(t *testing.T, open func(*testing.T) totp.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, totp.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps a pending enrolment whole", totpPending)
	run("activates the pending one it is told", totpActivate)
	run("only moves the step on", totpAdvance)
	run("lets one of many use a step", totpRace)
	run("keeps tenants and accounts apart", totpTenants)
	run("refuses an empty tenant", totpNoTenant)
}

func credential(tenant, account, id string) totp.Credential {
	return totp.Credential{Tenant: tenant, Account: account, ID: id, Seed: []byte{0, 1, 255, ';'}, Created: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
}

func put(t *testing.T, s totp.Store, c totp.Credential) {
	t.Helper()
	if err := s.Put(t.Context(), c); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func activate(t *testing.T, s totp.Store, c totp.Credential, step int64) {
	t.Helper()
	put(t, s, c)
	if ok, err := s.Activate(t.Context(), c.Tenant, c.Account, c.ID, step); !ok || err != nil {
		t.Fatalf("Activate: %t, %v", ok, err)
	}
}

func wantStep(t *testing.T, s totp.Store, c totp.Credential, step int64) {
	t.Helper()
	got, err := s.Get(t.Context(), c.Tenant, c.Account, true)
	if err != nil || got.ID != c.ID || got.Step != step || !got.Active || !bytes.Equal(got.Seed, c.Seed) {
		t.Errorf("active: %+v, %v: want %s at step %d", got, err, c.ID, step)
	}
}

func totpPending(t *testing.T, s totp.Store) {
	if _, err := s.Get(t.Context(), "acme", "u-1", false); !errors.Is(err, totp.ErrNotFound) {
		t.Errorf("an empty store: %v", err)
	}
	put(t, s, credential("acme", "u-1", "old"))
	want := credential("acme", "u-1", "new")
	put(t, s, want)
	got, err := s.Get(t.Context(), "acme", "u-1", false)
	if err != nil || got.ID != "new" || got.Active || !bytes.Equal(got.Seed, want.Seed) || !got.Created.Equal(want.Created) {
		t.Errorf("pending: %+v, %v", got, err)
	}
	if _, err := s.Get(t.Context(), "acme", "u-1", true); !errors.Is(err, totp.ErrNotFound) {
		t.Errorf("a pending enrolment counts as active: %v", err)
	}
}

func totpActivate(t *testing.T, s totp.Store) {
	first := credential("acme", "u-1", "first")
	activate(t, s, first, 7)
	wantStep(t, s, first, 7)
	second := credential("acme", "u-1", "second")
	put(t, s, second)
	wantStep(t, s, first, 7) // until the second is confirmed
	if ok, err := s.Activate(t.Context(), "acme", "u-1", "other", 9); ok || err != nil {
		t.Errorf("another id: %t, %v", ok, err)
	}
	if ok, err := s.Activate(t.Context(), "acme", "u-1", "second", 9); !ok || err != nil {
		t.Errorf("Activate: %t, %v", ok, err)
	}
	wantStep(t, s, second, 9)
	if ok, err := s.Activate(t.Context(), "acme", "u-1", "second", 10); ok || err != nil {
		t.Errorf("activated twice: %t, %v", ok, err)
	}
	if had, err := s.Delete(t.Context(), "acme", "u-1"); !had || err != nil {
		t.Errorf("Delete: %t, %v", had, err)
	}
	if had, err := s.Delete(t.Context(), "acme", "u-1"); had || err != nil {
		t.Errorf("Delete again: %t, %v", had, err)
	}
}

func totpAdvance(t *testing.T, s totp.Store) {
	c := credential("acme", "u-1", "c")
	if ok, err := s.Advance(t.Context(), "acme", "u-1", "c", 1); ok || err != nil {
		t.Errorf("nothing advanced: %t, %v", ok, err)
	}
	activate(t, s, c, 100)
	for _, try := range []struct {
		id   string
		step int64
		want bool
	}{{"c", 100, false}, {"c", 99, false}, {"other", 101, false}, {"c", 101, true}, {"c", 101, false}, {"c", 150, true}, {"c", 102, false}} {
		if ok, err := s.Advance(t.Context(), "acme", "u-1", try.id, try.step); ok != try.want || err != nil {
			t.Errorf("Advance(%s, %d): %t, %v", try.id, try.step, ok, err)
		}
	}
	wantStep(t, s, c, 150)
}

func totpRace(t *testing.T, s totp.Store) {
	activate(t, s, credential("acme", "u-1", "c"), 0)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.Advance(t.Context(), "acme", "u-1", "c", 1)
			if err != nil {
				t.Error(err)
			}
			if ok {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("one step was used %d times", wins.Load())
	}
}

func totpTenants(t *testing.T, s totp.Store) {
	a, b, c := credential("acme", "u-1", "c"), credential("globex", "u-1", "c"), credential("acme", "u-2", "c")
	for _, x := range []totp.Credential{a, b, c} {
		activate(t, s, x, 1)
	}
	if ok, err := s.Advance(t.Context(), "acme", "u-1", "c", 5); !ok || err != nil {
		t.Fatal(ok, err)
	}
	wantStep(t, s, b, 1)
	wantStep(t, s, c, 1)
	if _, err := s.Delete(t.Context(), "acme", "u-1"); err != nil {
		t.Fatal(err)
	}
	wantStep(t, s, b, 1)
	wantStep(t, s, c, 1)
}

func totpNoTenant(t *testing.T, s totp.Store) {
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Put":      func() error { return s.Put(ctx, credential("", "u-1", "c")) },
		"Get":      func() error { _, err := s.Get(ctx, "", "u-1", true); return err },
		"Activate": func() error { _, err := s.Activate(ctx, "", "u-1", "c", 1); return err },
		"Advance":  func() error { _, err := s.Advance(ctx, "", "u-1", "c", 1); return err },
		"Delete":   func() error { _, err := s.Delete(ctx, "", "u-1"); return err },
	} {
		if err := call(); err == nil || errors.Is(err, totp.ErrNotFound) {
			t.Errorf("%s without a tenant: %v", name, err)
		}
	}
}

// TestThrottle checks a store of attempts against the contract of
// [throttle.Store].
func TestThrottle(t *testing.T, open func(*testing.T) throttle.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, throttle.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps states whole", throttleWhole)
	run("swaps only an unchanged state", throttleSwap)
	run("lets one of many swap", throttleRace)
	run("forgets only what may be forgotten", throttlePurge)
	run("keeps tenants apart, and refuses none", throttleTenants)
}

func swap(t *testing.T, s throttle.Store, tenant, key string, rev int64, next throttle.State, want bool) {
	t.Helper()
	if ok, err := s.Swap(t.Context(), tenant, key, rev, next); ok != want || err != nil {
		t.Fatalf("Swap at revision %d: %t, %v: want %t", rev, ok, err, want)
	}
}

func state(t *testing.T, s throttle.Store, tenant, key string) throttle.State {
	t.Helper()
	st, err := s.Get(t.Context(), tenant, key)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func throttleWhole(t *testing.T, s throttle.Store) {
	if got := state(t, s, "acme", "k"); got != (throttle.State{}) {
		t.Errorf("an unknown key: %+v", got)
	}
	want := throttle.State{
		Failures: 7, Last: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Until: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		Reason: "detect", Disabled: true, Keep: true,
	}
	swap(t, s, "acme", "k", 0, want, true)
	want.Rev = 1
	got := state(t, s, "acme", "k")
	if !got.Last.Equal(want.Last) || !got.Until.Equal(want.Until) {
		t.Errorf("times: %+v", got)
	}
	got.Last, got.Until = want.Last, want.Until
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	swap(t, s, "acme", "k", 1, throttle.State{}, true)
	if got := state(t, s, "acme", "k"); got.Rev != 2 || !got.Last.IsZero() || !got.Until.IsZero() {
		t.Errorf("cleared: %+v", got)
	}
}

func throttleSwap(t *testing.T, s throttle.Store) {
	swap(t, s, "acme", "k", 1, throttle.State{Failures: 1}, false)
	swap(t, s, "acme", "k", 0, throttle.State{Failures: 1}, true)
	swap(t, s, "acme", "k", 0, throttle.State{Failures: 9}, false)
	swap(t, s, "acme", "k", 1, throttle.State{Failures: 2}, true)
	swap(t, s, "acme", "k", 1, throttle.State{Failures: 9}, false)
	if got := state(t, s, "acme", "k"); got.Failures != 2 || got.Rev != 2 {
		t.Errorf("%+v", got)
	}
}

func throttleRace(t *testing.T, s throttle.Store) {
	for rev := range int64(3) {
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ok, err := s.Swap(t.Context(), "acme", "k", rev, throttle.State{Failures: 1})
				if err != nil {
					t.Error(err)
				}
				if ok {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("revision %d was swapped %d times", rev, wins.Load())
		}
	}
}

func throttlePurge(t *testing.T, s throttle.Store) {
	old, recent := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	swap(t, s, "acme", "old", 0, throttle.State{Failures: 1, Last: old}, true)
	swap(t, s, "acme", "recent", 0, throttle.State{Failures: 1, Last: recent}, true)
	swap(t, s, "acme", "locked", 0, throttle.State{Failures: 1, Last: old, Until: recent}, true)
	swap(t, s, "acme", "disabled", 0, throttle.State{Failures: 1, Last: old, Disabled: true}, true)
	swap(t, s, "acme", "keep", 0, throttle.State{Failures: 1, Last: old, Keep: true}, true)
	if _, err := s.Purge(t.Context(), "acme", old.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"old": 0, "recent": 1, "locked": 1, "disabled": 1, "keep": 1} {
		if got := state(t, s, "acme", key).Failures; got != want {
			t.Errorf("%s: %d failures after the purge, want %d", key, got, want)
		}
	}
}

func throttleTenants(t *testing.T, s throttle.Store) {
	swap(t, s, "acme", "k", 0, throttle.State{Failures: 1}, true)
	swap(t, s, "globex", "k", 0, throttle.State{Failures: 5}, true)
	if got := state(t, s, "acme", "k"); got.Failures != 1 {
		t.Errorf("%+v", got)
	}
	if _, err := s.Get(t.Context(), "", "k"); err == nil {
		t.Error("Get without a tenant")
	}
	if _, err := s.Swap(t.Context(), "", "k", 0, throttle.State{}); err == nil {
		t.Error("Swap without a tenant")
	}
	if _, err := s.Purge(t.Context(), "", time.Now()); err == nil {
		t.Error("Purge without a tenant")
	}
}

// TestRecovery checks a store of recovery codes against the contract of
// [recoverycode.Store].
func TestRecovery(t *testing.T, open func(*testing.T) recoverycode.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, recoverycode.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("replaces all and keeps accounts and tenants apart", recoveryReplace)
	run("lets one of many use a code", recoveryRace)
	run("refuses an empty tenant", recoveryNoTenant)
}

func wantCodes(t *testing.T, s recoverycode.Store, tenant, account string, want int) {
	t.Helper()
	if n, err := s.Count(t.Context(), tenant, account); n != want || err != nil {
		t.Errorf("%s/%s has %d codes, %v: want %d", tenant, account, n, err, want)
	}
}

func recoveryReplace(t *testing.T, s recoverycode.Store) {
	ctx := t.Context()
	wantCodes(t, s, "acme", "u-1", 0)
	for _, who := range [][2]string{{"acme", "u-1"}, {"acme", "u-2"}, {"globex", "u-1"}} {
		if err := s.Replace(ctx, who[0], who[1], []recoverycode.Hash{{1}, {2}, {0, 255}}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := s.Use(ctx, "acme", "u-1", recoverycode.Hash{2}); !ok || err != nil {
		t.Errorf("Use: %t, %v", ok, err)
	}
	if ok, err := s.Use(ctx, "acme", "u-1", recoverycode.Hash{2}); ok || err != nil {
		t.Errorf("Use again: %t, %v", ok, err)
	}
	wantCodes(t, s, "acme", "u-1", 2)
	if err := s.Replace(ctx, "acme", "u-1", []recoverycode.Hash{{7}}); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Use(ctx, "acme", "u-1", recoverycode.Hash{1}); ok || err != nil {
		t.Errorf("a replaced code: %t, %v", ok, err)
	}
	wantCodes(t, s, "acme", "u-1", 1)
	wantCodes(t, s, "acme", "u-2", 3)
	wantCodes(t, s, "globex", "u-1", 3)
}

func recoveryRace(t *testing.T, s recoverycode.Store) {
	if err := s.Replace(t.Context(), "acme", "u-1", []recoverycode.Hash{{1}}); err != nil {
		t.Fatal(err)
	}
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.Use(t.Context(), "acme", "u-1", recoverycode.Hash{1})
			if err != nil {
				t.Error(err)
			}
			if ok {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("one code was used %d times", wins.Load())
	}
}

func recoveryNoTenant(t *testing.T, s recoverycode.Store) {
	if err := s.Replace(t.Context(), "", "u-1", nil); err == nil {
		t.Error("Replace without a tenant")
	}
	if _, err := s.Use(t.Context(), "", "u-1", recoverycode.Hash{}); err == nil {
		t.Error("Use without a tenant")
	}
	if _, err := s.Count(t.Context(), "", "u-1"); err == nil {
		t.Error("Count without a tenant")
	}
}
