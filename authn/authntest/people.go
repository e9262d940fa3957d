package authntest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/lifecycle"
)

// TestPeople checks a store of people against the contract of
// [lifecycle.Store].
func TestPeople(t *testing.T, open func(*testing.T) lifecycle.Store) {
	t.Helper()
	run := func(rule string, f func(*testing.T, lifecycle.Store)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("keeps a person whole and tenants apart", peopleWhole)
	run("has ids, names and external ids once", peopleOnce)
	run("updates what nobody changed, and never inserts", peopleRace)
	run("refuses an empty tenant", peopleNoTenant)
}

func person(tenant, id, name, external string) lifecycle.Person {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return lifecycle.Person{
		Tenant: tenant, ID: id, Name: name, External: external, State: lifecycle.Requested, Roles: []string{"reader", "ü'"}, By: "lead", Since: at, Rev: 1,
	}
}

func peopleWhole(t *testing.T, s lifecycle.Store) {
	ctx := t.Context()
	want := person("acme", "u-1", "ada", "x-1")
	for _, p := range []lifecycle.Person{want, person("globex", "u-1", "ada", "x-1"), person("acme", "u-2", "Bob", "")} {
		if ok, err := s.Insert(ctx, p); !ok || err != nil {
			t.Fatalf("%t, %v", ok, err)
		}
	}
	same := func(a, b lifecycle.Person) bool {
		roles := slices.Equal(a.Roles, b.Roles)
		since, seen := a.Since.Equal(b.Since), a.Seen.Equal(b.Seen)
		return roles && since && seen && a.ID == b.ID && a.Name == b.Name && a.External == b.External && a.State == b.State && a.By == b.By && a.Rev == b.Rev && a.Tenant == b.Tenant
	}
	if p, err := s.Get(ctx, "acme", "u-1"); err != nil || !same(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
	want.State, want.Seen, want.Roles, want.Rev = lifecycle.Active, want.Since.Add(time.Hour), []string{"editor"}, 2
	if ok, err := s.Update(ctx, want); !ok || err != nil {
		t.Errorf("Update: %t, %v", ok, err)
	}
	if p, err := s.Get(ctx, "acme", "u-1"); err != nil || !same(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := s.Get(ctx, "globex", "u-1"); err != nil || p.State != lifecycle.Requested {
		t.Errorf("another tenant's: %+v, %v", p, err)
	}
	if _, err := s.Get(ctx, "acme", "u-9"); !errors.Is(err, lifecycle.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	if list, err := s.List(ctx, "acme"); err != nil || len(list) != 2 || len(list[0].Roles) == 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func peopleOnce(t *testing.T, s lifecycle.Store) {
	if ok, err := s.Insert(t.Context(), person("acme", "u-1", "ada", "x-1")); !ok || err != nil {
		t.Fatalf("%t, %v", ok, err)
	}
	for what, p := range map[string]lifecycle.Person{
		"id": person("acme", "u-1", "b", "x-2"), "name": person("acme", "u-2", "ada", "x-2"), "external id": person("acme", "u-2", "b", "x-1"),
	} {
		if ok, err := s.Insert(t.Context(), p); ok || err != nil {
			t.Errorf("the same %s: %t, %v", what, ok, err)
		}
	}
}

func peopleRace(t *testing.T, s lifecycle.Store) {
	p := person("acme", "u-1", "ada", "")
	p.Rev = 2
	if ok, err := s.Update(t.Context(), p); ok || err != nil {
		t.Errorf("Update of nobody: %t, %v", ok, err)
	}
	if _, err := s.Insert(t.Context(), person("acme", "u-1", "ada", "")); err != nil {
		t.Fatal(err)
	}
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.Update(t.Context(), p)
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
}

func peopleNoTenant(t *testing.T, s lifecycle.Store) {
	if _, err := s.Insert(t.Context(), person("", "u", "n", "")); err == nil {
		t.Error("Insert without a tenant")
	}
	if _, err := s.Get(t.Context(), "", "u"); err == nil {
		t.Error("Get without a tenant")
	}
	if _, err := s.Update(t.Context(), person("", "u", "n", "")); err == nil {
		t.Error("Update without a tenant")
	}
	if _, err := s.List(t.Context(), ""); err == nil {
		t.Error("List without a tenant")
	}
}
