package oidctest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/federation/oidc"
)

// TestLinks checks a store of links against the contract of [oidc.Links].
// Each failure names the rule.
func TestLinks(t *testing.T, open func(*testing.T) oidc.Links) {
	t.Helper()
	run := func(rule string, f func(*testing.T, oidc.Links)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps links whole", linksWhole)
	run("never moves an identity to another account", linksRace)
	run("removes a link of its own account only", linksRemove)
	run("keeps tenants apart, and refuses none", linksTenants)
}

func link(tenant, subject, account string) oidc.Link {
	return oidc.Link{
		Tenant: tenant, Issuer: "https://idp.example/ü'", Subject: subject, Account: account,
		Created: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}
}

func add(t *testing.T, s oidc.Links, l oidc.Link, want bool) {
	t.Helper()
	if ok, err := s.Add(t.Context(), l); ok != want || err != nil {
		t.Fatalf("Add: %t, %v: want %t", ok, err, want)
	}
}

func linksWhole(t *testing.T, s oidc.Links) {
	want := link("acme", "s-1", "u-1")
	if _, err := s.Find(t.Context(), "acme", want.Issuer, "s-1"); !errors.Is(err, oidc.ErrNotLinked) {
		t.Errorf("an empty store: %v", err)
	}
	add(t, s, want, true)
	got, err := s.Find(t.Context(), "acme", want.Issuer, "s-1")
	if err != nil || !got.Created.Equal(want.Created) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Created = want.Created; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, p := range [][2]string{{want.Issuer, "s-2"}, {want.Issuer, "S-1"}, {"https://idp.example", "s-1"}} {
		if _, err := s.Find(t.Context(), "acme", p[0], p[1]); !errors.Is(err, oidc.ErrNotLinked) {
			t.Errorf("%q: %v", p, err)
		}
	}
	second := link("acme", "s-0", "u-1")
	second.Created = second.Created.Add(time.Microsecond)
	add(t, s, second, true)
	list, err := s.List(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 2 || list[0].Subject != "s-1" || list[1].Subject != "s-0" {
		t.Errorf("%+v, %v", list, err)
	}
}

func linksRace(t *testing.T, s oidc.Links) {
	var wins atomic.Int32
	var wg sync.WaitGroup
	for _, account := range []string{"u-1", "u-2", "u-3", "u-4"} {
		wg.Go(func() {
			ok, err := s.Add(t.Context(), link("acme", "s-1", account))
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
		t.Errorf("one identity was linked %d times", wins.Load())
	}
}

func linksRemove(t *testing.T, s oidc.Links) {
	l := link("acme", "s-1", "u-1")
	add(t, s, l, true)
	if ok, err := s.Remove(t.Context(), "acme", l.Issuer, "s-1", "u-2"); ok || err != nil {
		t.Errorf("another account's: %t, %v", ok, err)
	}
	if ok, err := s.Remove(t.Context(), "acme", l.Issuer, "s-1", "u-1"); !ok || err != nil {
		t.Errorf("its own: %t, %v", ok, err)
	}
	if ok, err := s.Remove(t.Context(), "acme", l.Issuer, "s-1", "u-1"); ok || err != nil {
		t.Errorf("again: %t, %v", ok, err)
	}
	add(t, s, link("acme", "s-1", "u-2"), true)
}

func linksTenants(t *testing.T, s oidc.Links) {
	ctx, l := t.Context(), link("acme", "s-1", "u-1")
	add(t, s, l, true)
	add(t, s, link("globex", "s-1", "u-9"), true)
	if got, err := s.Find(ctx, "globex", l.Issuer, "s-1"); err != nil || got.Account != "u-9" {
		t.Errorf("%+v, %v", got, err)
	}
	if list, err := s.List(ctx, "globex", "u-1"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	for name, call := range map[string]func() error{
		"Find":   func() error { _, err := s.Find(ctx, "", l.Issuer, "s-1"); return err },
		"Add":    func() error { _, err := s.Add(ctx, link("", "s-1", "u-1")); return err },
		"List":   func() error { _, err := s.List(ctx, "", "u-1"); return err },
		"Remove": func() error { _, err := s.Remove(ctx, "", l.Issuer, "s-1", "u-1"); return err },
	} {
		if err := call(); err == nil || errors.Is(err, oidc.ErrNotLinked) {
			t.Errorf("%s without a tenant: %v", name, err)
		}
	}
}
