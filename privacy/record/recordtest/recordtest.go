// Package recordtest holds the conformance suite of stores of records.
package recordtest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/surety-go/surety/privacy/record"
)

// Run checks a store against the contract of [record.Store]. open returns a
// new, empty store.
func Run(t *testing.T, open func(*testing.T) record.Store) {
	t.Helper()
	t.Run("keeps the latest version whole", func(t *testing.T) { keeps(t, open(t)) })
	t.Run("refuses a taken or skipped version", func(t *testing.T) { conflicts(t, open(t)) })
	t.Run("keeps tenants and kinds apart", func(t *testing.T) { apart(t, open(t)) })
	t.Run("lists by id, filtered and in pages", func(t *testing.T) { lists(t, open(t)) })
	t.Run("lets one of many win", func(t *testing.T) { races(t, open(t)) })
}

func version(tenant, kind, id string, n int) record.Record {
	return record.Record{
		Tenant: tenant, Kind: kind, ID: id, Version: n, Subject: "u-1", Open: true,
		Data: []byte(`{"x":"ü'"}`), MAC: []byte{0, byte(n), 255},
	}
}

func put(t *testing.T, s record.Store, r record.Record) {
	t.Helper()
	if err := s.Append(t.Context(), r); err != nil {
		t.Fatalf("Append(%s/%s/%s/%d): %v", r.Tenant, r.Kind, r.ID, r.Version, err)
	}
}

func keeps(t *testing.T, s record.Store) {
	if _, err := s.Get(t.Context(), "acme", "hold", "r-1"); !errors.Is(err, record.ErrNotFound) {
		t.Fatalf("Get on an empty store: %v, want ErrNotFound", err)
	}
	put(t, s, version("acme", "hold", "r-1", 1))
	want := version("acme", "hold", "r-1", 2)
	want.Open, want.Subject = false, ""
	put(t, s, want)
	if got, err := s.Get(t.Context(), "acme", "hold", "r-1"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func conflicts(t *testing.T, s record.Store) {
	put(t, s, version("acme", "hold", "r-1", 1))
	for _, v := range []int{1, 3} {
		if err := s.Append(t.Context(), version("acme", "hold", "r-1", v)); !errors.Is(err, record.ErrConflict) {
			t.Errorf("version %d after 1: %v, want ErrConflict", v, err)
		}
	}
	if err := s.Append(t.Context(), version("acme", "hold", "r-2", 2)); !errors.Is(err, record.ErrConflict) {
		t.Errorf("version 2 of nothing: %v, want ErrConflict", err)
	}
}

func apart(t *testing.T, s record.Store) {
	put(t, s, version("acme", "hold", "r-1", 1))
	for _, k := range [][2]string{{"globex", "hold"}, {"acme", "breach"}} {
		if _, err := s.Get(t.Context(), k[0], k[1], "r-1"); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%v sees another's record: %v", k, err)
		}
		if list, err := s.List(t.Context(), k[0], k[1], record.Filter{}); err != nil || len(list) != 0 {
			t.Errorf("%v lists another's records: %v, %v", k, list, err)
		}
		put(t, s, version(k[0], k[1], "r-1", 1))
	}
}

func lists(t *testing.T, s record.Store) {
	for i := range 5 {
		r := version("acme", "hold", fmt.Sprintf("r-%d", i), 1)
		r.Open = i != 2
		if i == 3 {
			r.Subject = "u-2"
		}
		put(t, s, r)
	}
	closed := version("acme", "hold", "r-4", 2) // the latest version counts
	closed.Open = false
	put(t, s, closed)
	for _, tc := range []struct {
		f    record.Filter
		want string
	}{
		{record.Filter{}, "[r-0 r-1 r-2 r-3 r-4]"},
		{record.Filter{OpenOnly: true}, "[r-0 r-1 r-3]"},
		{record.Filter{Subject: "u-2"}, "[r-3]"},
		{record.Filter{After: "r-1", Limit: 2}, "[r-2 r-3]"},
		{record.Filter{Subject: "u-1", OpenOnly: true, Limit: 1}, "[r-0]"},
	} {
		list, err := s.List(t.Context(), "acme", "hold", tc.f)
		ids := []string{}
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		if got := fmt.Sprint(ids); err != nil || got != tc.want {
			t.Errorf("List(%+v) = %s, %v; want %s", tc.f, got, err, tc.want)
		}
	}
}

func races(t *testing.T, s record.Store) {
	put(t, s, version("acme", "hold", "r-1", 1))
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() { results[i] = s.Append(t.Context(), version("acme", "hold", "r-1", 2)) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, record.ErrConflict) {
			t.Errorf("a loser got %v, want ErrConflict", err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won", won)
	}
}
