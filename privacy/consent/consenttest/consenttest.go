// Package consenttest holds the conformance suite of consent stores.
package consenttest

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/privacy/consent"
)

// Run checks a store against the contract of [consent.Store]. open returns a
// new, empty store.
func Run(t *testing.T, open func(*testing.T) consent.Store) {
	t.Helper()
	t.Run("keeps entries in order and whole", func(t *testing.T) { keeps(t, open(t)) })
	t.Run("refuses a taken or skipped place", func(t *testing.T) { conflicts(t, open(t)) })
	t.Run("keeps tenants and subjects apart", func(t *testing.T) { apart(t, open(t)) })
	t.Run("lets one of many win each place", func(t *testing.T) { races(t, open(t)) })
}

func entry(tenant, subject string, seq int) consent.Entry {
	return consent.Entry{
		Seq: seq, Given: seq%2 == 1, Actor: "actor-'1'", Time: time.Date(2026, 3, 4, 5, 6, 7, 891011000, time.UTC),
		Choice: consent.Choice{Tenant: tenant, Subject: subject, Purpose: "benefits", Notice: "2026-1 ü", Method: "web; form", Explicit: seq%2 == 0, Guardian: "g-1"},
		MAC:    [32]byte{0, byte(seq), 255},
	}
}

func mustAppend(t *testing.T, s consent.Store, e consent.Entry) {
	t.Helper()
	if err := s.Append(t.Context(), e); err != nil {
		t.Fatalf("Append(%s/%s/%d): %v", e.Tenant, e.Subject, e.Seq, err)
	}
}

func chain(t *testing.T, s consent.Store, tenant, subject string) []consent.Entry {
	t.Helper()
	list, err := s.Chain(t.Context(), tenant, subject)
	if err != nil {
		t.Fatalf("Chain(%s/%s): %v", tenant, subject, err)
	}
	return list
}

func keeps(t *testing.T, s consent.Store) {
	if got := chain(t, s, "acme", "u-1"); len(got) != 0 {
		t.Fatalf("an empty store has %v", got)
	}
	want := []consent.Entry{entry("acme", "u-1", 1), entry("acme", "u-1", 2)}
	for _, e := range want {
		mustAppend(t, s, e)
	}
	got := chain(t, s, "acme", "u-1")
	for i := range got {
		got[i].Time = got[i].Time.UTC()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func conflicts(t *testing.T, s consent.Store) {
	mustAppend(t, s, entry("acme", "u-1", 1))
	for _, seq := range []int{1, 3} {
		if err := s.Append(t.Context(), entry("acme", "u-1", seq)); !errors.Is(err, consent.ErrConflict) {
			t.Errorf("Append at %d after 1: %v, want ErrConflict", seq, err)
		}
	}
	if got := chain(t, s, "acme", "u-1"); len(got) != 1 {
		t.Errorf("%d entries, want 1", len(got))
	}
}

func apart(t *testing.T, s consent.Store) {
	mustAppend(t, s, entry("acme", "u-1", 1))
	mustAppend(t, s, entry("globex", "u-1", 1))
	mustAppend(t, s, entry("acme", "u-2", 1))
	for _, k := range [][2]string{{"acme", "u-1"}, {"globex", "u-1"}, {"acme", "u-2"}} {
		got := chain(t, s, k[0], k[1])
		if len(got) != 1 || got[0].Tenant != k[0] || got[0].Subject != k[1] {
			t.Errorf("%v: %+v", k, got)
		}
	}
	if got := chain(t, s, "globex", "u-2"); len(got) != 0 {
		t.Errorf("another tenant's person is seen: %+v", got)
	}
}

func races(t *testing.T, s consent.Store) {
	const writers = 8
	var wg sync.WaitGroup
	results := make([]error, writers)
	for i := range writers {
		wg.Go(func() { results[i] = s.Append(t.Context(), entry("acme", "u-1", 1)) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, consent.ErrConflict):
			t.Errorf("a loser got %v, want ErrConflict", err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers took place 1", won)
	}
}
