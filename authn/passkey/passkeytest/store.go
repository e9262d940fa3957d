package passkeytest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/passkey"
)

// TestStore checks a store against the contract of [passkey.Store].
func TestStore(t *testing.T, open func(*testing.T) passkey.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, passkey.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps rows whole, and accounts and tenants apart", storeRows)
	run("updates what nobody changed, and never inserts", storeUpdates)
	run("gives a ceremony to one of many", storeCeremonies)
	run("refuses an empty tenant", storeNoTenant)
}

func row(tenant, account, id string) passkey.Row {
	return passkey.Row{Tenant: tenant, Account: account, ID: id, Rev: 1, Data: []byte{0, 255, ';'}}
}

func storeRows(t *testing.T, s passkey.Store) {
	ctx := t.Context()
	for _, step := range []struct {
		r  passkey.Row
		ok bool
	}{
		{row("acme", "u-1", "k1"), true},
		{row("acme", "u-1", "k2"), true},
		{row("acme", "u-2", "k1"), false},
		{row("globex", "u-1", "k1"), true},
	} {
		if ok, err := s.Insert(ctx, step.r); ok != step.ok || err != nil {
			t.Errorf("Insert %+v: %t, %v", step.r, ok, err)
		}
	}
	list, err := s.List(ctx, "acme", "u-1")
	if err != nil || len(list) != 2 || string(list[0].Data) != "\x00\xff;" || list[0].Rev != 1 || list[0].Account != "u-1" || list[0].Tenant != "acme" {
		t.Errorf("%+v, %v", list, err)
	}
	for _, step := range []struct {
		tenant, account string
		ok              bool
	}{{"acme", "u-2", false}, {"initech", "u-1", false}, {"acme", "u-1", true}, {"acme", "u-1", false}} {
		if ok, err := s.Delete(ctx, step.tenant, step.account, "k1"); ok != step.ok || err != nil {
			t.Errorf("Delete %+v: %t, %v", step, ok, err)
		}
	}
	if list, err := s.List(ctx, "globex", "u-1"); err != nil || len(list) != 1 {
		t.Errorf("another tenant's: %+v, %v", list, err)
	}
}

func storeUpdates(t *testing.T, s passkey.Store) {
	ctx := t.Context()
	r := row("acme", "u-1", "k1")
	r.Rev = 2
	if ok, err := s.Update(ctx, r); ok || err != nil {
		t.Errorf("Update of nothing: %t, %v", ok, err)
	}
	if _, err := s.Insert(ctx, row("acme", "u-1", "k1")); err != nil {
		t.Fatal(err)
	}
	other := r
	other.Account = "u-2"
	if ok, err := s.Update(ctx, other); ok || err != nil {
		t.Errorf("Update of another account's: %t, %v", ok, err)
	}
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.Update(t.Context(), r)
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
		t.Errorf("%d updates of one revision", wins.Load())
	}
	if list, err := s.List(ctx, "acme", "u-1"); err != nil || len(list) != 1 || list[0].Rev != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

func storeCeremonies(t *testing.T, s passkey.Store) {
	ctx := t.Context()
	for _, tenant := range []string{"acme", "globex"} {
		if err := s.PutCeremony(ctx, tenant, "c1", []byte{0, 255}, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			data, err := s.TakeCeremony(t.Context(), "acme", "c1")
			if err != nil {
				t.Error(err)
			}
			if string(data) == "\x00\xff" {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("a ceremony was taken %d times", wins.Load())
	}
	if data, err := s.TakeCeremony(ctx, "globex", "c1"); err != nil || len(data) != 2 {
		t.Errorf("another tenant's: %v, %v", data, err)
	}
}

func storeNoTenant(t *testing.T, s passkey.Store) {
	ctx := t.Context()
	if _, err := s.Insert(ctx, row("", "u", "k")); err == nil {
		t.Error("Insert without a tenant")
	}
	if _, err := s.List(ctx, "", "u"); err == nil {
		t.Error("List without a tenant")
	}
	if _, err := s.Update(ctx, row("", "u", "k")); err == nil {
		t.Error("Update without a tenant")
	}
	if _, err := s.Delete(ctx, "", "u", "k"); err == nil {
		t.Error("Delete without a tenant")
	}
	if err := s.PutCeremony(ctx, "", "c", nil, time.Now()); err == nil {
		t.Error("PutCeremony without a tenant")
	}
	if _, err := s.TakeCeremony(ctx, "", "c"); err == nil {
		t.Error("TakeCeremony without a tenant")
	}
}
