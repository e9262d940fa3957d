package authntest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/authn/otp"
)

// TestOTP checks a store of codes out of band against the contract of
// [otp.Store].
func TestOTP(t *testing.T, open func(*testing.T) otp.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, otp.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps a record whole and tenants apart", otpWhole)
	run("lets one of many swap", otpRace)
	run("refuses an empty tenant", func(t *testing.T, s otp.Store) {
		if _, err := s.Get(t.Context(), "", "k"); err == nil {
			t.Error("Get without a tenant")
		}
		if _, err := s.Swap(t.Context(), "", "k", 0, otp.Record{}); err == nil {
			t.Error("Swap without a tenant")
		}
	})
}

func otpWhole(t *testing.T, s otp.Store) {
	ctx := t.Context()
	if r, err := s.Get(ctx, "acme", "k"); err != nil || r != (otp.Record{}) {
		t.Errorf("an unknown key: %+v, %v", r, err)
	}
	want := otp.Record{
		Rev: 1, Hash: otp.Hash{0, 255, 7}, Expires: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Window: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC),
		Sent: 2, Failures: 3, Row: 99,
	}
	for _, step := range []struct {
		tenant string
		rev    int64
		ok     bool
	}{{"acme", 0, true}, {"acme", 0, false}, {"acme", 2, false}, {"globex", 0, true}, {"acme", 1, true}} {
		if ok, err := s.Swap(ctx, step.tenant, "k", step.rev, want); ok != step.ok || err != nil {
			t.Errorf("Swap %+v: %t, %v", step, ok, err)
		}
	}
	for tenant, rev := range map[string]int64{"acme": 2, "globex": 1} {
		want.Rev = rev
		if r, err := s.Get(ctx, tenant, "k"); err != nil || r != want {
			t.Errorf("%s: %+v, %v: want %+v", tenant, r, err, want)
		}
	}
}

func otpRace(t *testing.T, s otp.Store) {
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.Swap(t.Context(), "acme", "k", 0, otp.Record{})
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
		t.Errorf("%d swaps of one revision", wins.Load())
	}
}

// TestAPIKeys checks a store of API keys against the contract of
// [apikey.Store].
func TestAPIKeys(t *testing.T, open func(*testing.T) apikey.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, apikey.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps a row whole and tenants apart", keysWhole)
	run("never brings a deleted row back", keysGone)
	run("refuses an empty tenant", keysNoTenant)
}

func apiRow(tenant, id, owner string) apikey.Row {
	return apikey.Row{Tenant: tenant, ID: id, Owner: owner, Expires: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: []byte{0, 255, ';'}}
}

func keysWhole(t *testing.T, s apikey.Store) {
	ctx := t.Context()
	for _, r := range []apikey.Row{apiRow("acme", "k1", "u-1"), apiRow("acme", "k2", "u-2"), apiRow("globex", "k1", "u-1")} {
		if err := s.Insert(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Insert(ctx, apiRow("acme", "k1", "u-3")); err == nil {
		t.Error("an id was taken twice")
	}
	at := time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	if err := s.Use(ctx, "acme", "k1", at); err != nil {
		t.Error(err)
	}
	change := apiRow("acme", "k1", "somebody else")
	change.Data, change.Expires = []byte("new"), at
	if ok, err := s.Update(ctx, change); !ok || err != nil {
		t.Errorf("Update: %t, %v", ok, err)
	}
	r, err := s.Get(ctx, "acme", "k1")
	if err != nil || r.Owner != "u-1" || string(r.Data) != "new" || !r.Expires.Equal(at) || !r.Used.Equal(at) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Get(ctx, "globex", "k1"); err != nil || !r.Used.IsZero() || len(r.Data) != 3 {
		t.Errorf("another tenant's: %+v, %v", r, err)
	}
	for owner, want := range map[string]int{"": 2, "u-1": 1, "nobody": 0} {
		if list, err := s.List(ctx, "acme", owner); err != nil || len(list) != want {
			t.Errorf("%q has %d, %v", owner, len(list), err)
		}
	}
}

func keysGone(t *testing.T, s apikey.Store) {
	ctx := t.Context()
	r := apiRow("acme", "k1", "u-1")
	if err := s.Insert(ctx, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if ok, err := s.Delete(ctx, "acme", "k1"); ok != want || err != nil {
			t.Errorf("Delete: %t, %v", ok, err)
		}
	}
	if ok, err := s.Update(ctx, r); ok || err != nil {
		t.Errorf("Update of a deleted row: %t, %v", ok, err)
	}
	if err := s.Use(ctx, "acme", "k1", time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(ctx, "acme", "k1"); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("it came back: %v", err)
	}
}

func keysNoTenant(t *testing.T, s apikey.Store) {
	ctx := t.Context()
	if err := s.Insert(ctx, apiRow("", "k", "u")); err == nil {
		t.Error("Insert without a tenant")
	}
	if _, err := s.Get(ctx, "", "k"); err == nil {
		t.Error("Get without a tenant")
	}
	if _, err := s.Update(ctx, apiRow("", "k", "u")); err == nil {
		t.Error("Update without a tenant")
	}
	if err := s.Use(ctx, "", "k", time.Now()); err == nil {
		t.Error("Use without a tenant")
	}
	if _, err := s.Delete(ctx, "", "k"); err == nil {
		t.Error("Delete without a tenant")
	}
	if _, err := s.List(ctx, "", ""); err == nil {
		t.Error("List without a tenant")
	}
}
