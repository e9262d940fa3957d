// Package findingstest holds every implementation of [findings.Store] to the
// same behaviour.
package findingstest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/controls/findings"
)

// Run tests a store. open returns an empty one each time it is called.
func Run(t *testing.T, open func(t *testing.T) findings.Store) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*testing.T, findings.Store)
	}{
		{"round trip", roundTrip},
		{"one open finding per control and subject", dedupe},
		{"a stale update is refused", stale},
		{"pages", pages},
		{"tenants are apart", tenants},
		{"an empty tenant is refused", emptyTenant},
		{"concurrent creation", concurrentCreate},
		{"concurrent updates", concurrentUpdate},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

// Finding returns a well-formed finding for tests of stores.
func Finding(id, control, subject string) findings.Finding {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	return findings.Finding{
		ID: id, Control: control, Subject: subject, Summary: "it's \"wrong\" ✓", Severity: findings.High,
		Owner: "head of tests", State: findings.Open, Opened: at, Due: at.Add(time.Hour), LastSeen: at, Seen: 1,
		Steps: []findings.Step{{At: at, By: "system", To: findings.Open}}, Version: 1,
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s findings.Store, tenant string, f findings.Finding) {
	t.Helper()
	_, created, err := s.Create(t.Context(), tenant, f)
	must(t, err)
	if !created {
		t.Fatalf("%s was not created", f.ID)
	}
}

func roundTrip(t *testing.T, s findings.Store) {
	f := Finding("f-1", "a.b", "x")
	create(t, s, "t1", f)
	got, err := s.Get(t.Context(), "t1", "f-1")
	must(t, err)
	if !reflect.DeepEqual(got, f) {
		t.Errorf("stored %+v\ngot %+v", f, got)
	}
	f.Version, f.State, f.Escalated = 2, findings.RiskAccepted, f.Due
	f.Acceptance = &findings.Acceptance{Approver: "a", Reason: "r", Until: f.Due}
	must(t, s.Update(t.Context(), "t1", f))
	got, err = s.Get(t.Context(), "t1", "f-1")
	must(t, err)
	if !reflect.DeepEqual(got, f) {
		t.Errorf("updated to %+v\ngot %+v", f, got)
	}
	if _, err := s.Get(t.Context(), "t1", "f-2"); !errors.Is(err, findings.ErrNotFound) {
		t.Errorf("Get of nothing: %v, want ErrNotFound", err)
	}
	missing := Finding("f-2", "a.b", "x")
	if err := s.Update(t.Context(), "t1", missing); !errors.Is(err, findings.ErrNotFound) {
		t.Errorf("Update of nothing: %v, want ErrNotFound", err)
	}
}

func dedupe(t *testing.T, s findings.Store) {
	create(t, s, "t1", Finding("f-1", "a.b", "x"))
	create(t, s, "t1", Finding("f-2", "a.b", "y"))
	create(t, s, "t1", Finding("f-3", "a.c", "x"))
	got, created, err := s.Create(t.Context(), "t1", Finding("f-4", "a.b", "x"))
	must(t, err)
	if created || got.ID != "f-1" {
		t.Errorf("a second open finding about one thing: created %v, id %s", created, got.ID)
	}
	// The separator of a composite key must not be forgeable.
	create(t, s, "t1", Finding("f-5", "a.b/x", ""))
	create(t, s, "t1", Finding("f-6", "a.b", "/x"))
	f := Finding("f-1", "a.b", "x")
	f.State, f.Version = findings.Closed, 2
	must(t, s.Update(t.Context(), "t1", f))
	create(t, s, "t1", Finding("f-7", "a.b", "x"))
}

func stale(t *testing.T, s findings.Store) {
	f := Finding("f-1", "a.b", "x")
	create(t, s, "t1", f)
	f.Version = 2
	must(t, s.Update(t.Context(), "t1", f))
	if err := s.Update(t.Context(), "t1", f); !errors.Is(err, findings.ErrConflict) {
		t.Errorf("the same update twice: %v, want ErrConflict", err)
	}
	f.Version = 4
	if err := s.Update(t.Context(), "t1", f); !errors.Is(err, findings.ErrConflict) {
		t.Errorf("an update that skips a version: %v, want ErrConflict", err)
	}
}

func pages(t *testing.T, s findings.Store) {
	for i := range 7 {
		f := Finding(fmt.Sprintf("f-%d", i), "a.b", fmt.Sprint(i))
		if i%2 == 1 {
			f.State = findings.Closed
		}
		create(t, s, "t1", f)
	}
	var ids []string
	for after := ""; ; {
		list, err := s.List(t.Context(), "t1", after, 3)
		must(t, err)
		for _, f := range list {
			ids = append(ids, f.ID)
		}
		if len(list) < 3 {
			break
		}
		after = list[2].ID
	}
	if want := []string{"f-0", "f-1", "f-2", "f-3", "f-4", "f-5", "f-6"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("pages gave %v", ids)
	}
	list, err := s.List(t.Context(), "t1", "f-1", 10, findings.Closed, findings.Verified)
	must(t, err)
	if len(list) != 2 || list[0].ID != "f-3" || list[1].ID != "f-5" {
		t.Errorf("closed ones after f-1: %v", list)
	}
}

func tenants(t *testing.T, s findings.Store) {
	create(t, s, "t1", Finding("f-1", "a.b", "x"))
	create(t, s, "t2", Finding("f-1", "a.b", "x"))
	create(t, s, "t2", Finding("f-2", "a.c", ""))
	f := Finding("f-1", "a.b", "x")
	f.Version, f.Owner = 2, "someone else"
	must(t, s.Update(t.Context(), "t2", f))
	mine, err := s.Get(t.Context(), "t1", "f-1")
	must(t, err)
	if mine.Owner != "head of tests" {
		t.Error("an update of one tenant changed another's finding")
	}
	if _, err := s.Get(t.Context(), "t1", "f-2"); !errors.Is(err, findings.ErrNotFound) {
		t.Errorf("another tenant's finding was read: %v", err)
	}
	list, err := s.List(t.Context(), "t1", "", 10)
	must(t, err)
	if len(list) != 1 {
		t.Errorf("t1 sees %d findings, want 1", len(list))
	}
}

func emptyTenant(t *testing.T, s findings.Store) {
	ctx, f := t.Context(), Finding("f-1", "a.b", "x")
	_, _, e1 := s.Create(ctx, "", f)
	_, e2 := s.Get(ctx, "", "f-1")
	e3 := s.Update(ctx, "", f)
	_, e4 := s.List(ctx, "", "", 1)
	for i, err := range []error{e1, e2, e3, e4} {
		if err == nil || errors.Is(err, findings.ErrNotFound) {
			t.Errorf("method %d took an empty tenant: %v", i, err)
		}
	}
}

func concurrentCreate(t *testing.T, s findings.Store) {
	var wg sync.WaitGroup
	var created atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			_, ok, err := s.Create(context.WithoutCancel(t.Context()), "t1", Finding(fmt.Sprintf("f-%02d", i), "a.b", "x"))
			if err != nil {
				t.Error(err)
			}
			if ok {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if n := created.Load(); n != 1 {
		t.Errorf("%d findings about one thing were created", n)
	}
}

func concurrentUpdate(t *testing.T, s findings.Store) {
	f := Finding("f-1", "a.b", "x")
	create(t, s, "t1", f)
	f.Version = 2
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 16 {
		wg.Go(func() {
			switch err := s.Update(context.WithoutCancel(t.Context()), "t1", f); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, findings.ErrConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d updates of one version won", n)
	}
}
