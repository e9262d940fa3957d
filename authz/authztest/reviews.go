package authztest

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surety-go/surety/authz/review"
)

// RunReviews is the conformance suite of review.Store: open returns a new,
// empty store. A test that fails prints the rule that is broken.
func RunReviews(t *testing.T, open func(t *testing.T) review.Store) {
	t.Helper()
	t.Run("order", func(t *testing.T) { reviewOrder(t, open(t)) })
	t.Run("tenants", func(t *testing.T) { reviewTenants(t, open(t)) })
	t.Run("concurrency", func(t *testing.T) { reviewConcurrency(t, open(t)) })
}

func reviewRecord(n int64, data string) review.Record {
	r := review.Record{Sequence: n, Data: []byte(data)}
	r.MAC[0], r.MAC[31] = byte(n), 0xff
	return r
}

func reviewAppend(t *testing.T, s review.Store, tenant, campaign string, r review.Record, want bool) {
	t.Helper()
	if done, err := s.Append(t.Context(), tenant, campaign, r); err != nil || done != want {
		t.Errorf("Append of %d to %s: %t, %v; want %t: it adds what is next, and nothing else", r.Sequence, campaign, done, err, want)
	}
}

func reviewOrder(t *testing.T, s review.Store) {
	if list, err := s.Read(t.Context(), "acme", "c-1"); err != nil || len(list) != 0 {
		t.Errorf("a campaign that never was: %v, %v", list, err)
	}
	reviewAppend(t, s, "acme", "c-1", reviewRecord(2, "early"), false)
	reviewAppend(t, s, "acme", "c-1", reviewRecord(1, `{"a":"'ü'"}`), true)
	reviewAppend(t, s, "acme", "c-1", reviewRecord(1, "again"), false)
	reviewAppend(t, s, "acme", "c-1", reviewRecord(3, "later"), false)
	reviewAppend(t, s, "acme", "c-1", reviewRecord(2, "two"), true)
	reviewAppend(t, s, "acme", "c-0", reviewRecord(1, "other"), true)
	list, err := s.Read(t.Context(), "acme", "c-1")
	if err != nil || len(list) != 2 || string(list[0].Data) != `{"a":"'ü'"}` || list[1].Sequence != 2 || list[1].MAC != reviewRecord(2, "").MAC {
		t.Errorf("records come back as they were, in order: %+v, %v", list, err)
	}
	if ids, err := s.Campaigns(t.Context(), "acme"); err != nil || !slices.Equal(ids, []string{"c-0", "c-1"}) {
		t.Errorf("campaigns: %v, %v", ids, err)
	}
}

func reviewTenants(t *testing.T, s review.Store) {
	reviewAppend(t, s, "acme", "c-1", reviewRecord(1, "acme's"), true)
	reviewAppend(t, s, "globex", "c-1", reviewRecord(1, "globex's"), true)
	if list, err := s.Read(t.Context(), "globex", "c-1"); err != nil || len(list) != 1 || string(list[0].Data) != "globex's" {
		t.Errorf("a tenant sees its own: %v, %v", list, err)
	}
	if ids, err := s.Campaigns(t.Context(), "initech"); err != nil || len(ids) != 0 {
		t.Errorf("a tenant without campaigns: %v, %v", ids, err)
	}
	if _, err := s.Append(t.Context(), "", "c-1", reviewRecord(1, "x")); err == nil {
		t.Error("an empty tenant may append")
	}
	if _, err := s.Read(t.Context(), "", "c-1"); err == nil {
		t.Error("an empty tenant may read")
	}
	if _, err := s.Campaigns(t.Context(), ""); err == nil {
		t.Error("an empty tenant has campaigns")
	}
}

func reviewConcurrency(t *testing.T, s review.Store) {
	var wg sync.WaitGroup
	var added atomic.Int32
	for range 8 {
		wg.Go(func() {
			done, err := s.Append(t.Context(), "acme", "c-1", reviewRecord(1, "mine"))
			if err != nil {
				t.Errorf("a second writer is no error: %v", err)
			}
			if done {
				added.Add(1)
			}
		})
	}
	wg.Wait()
	if n := added.Load(); n != 1 {
		t.Errorf("%d of 8 writers were first", n)
	}
}
