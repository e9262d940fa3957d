package authztest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/change"
)

// RunStore is the conformance suite of change.Store: open returns a new,
// empty store. A test that fails prints the rule that is broken.
func RunStore(t *testing.T, open func(t *testing.T) change.Store) {
	t.Helper()
	t.Run("order", func(t *testing.T) { storeOrder(t, open(t)) })
	t.Run("conflict", func(t *testing.T) { storeConflict(t, open(t)) })
	t.Run("tenants", func(t *testing.T) { storeTenants(t, open(t)) })
	t.Run("concurrency", func(t *testing.T) { storeConcurrency(t, open(t)) })
	t.Run("large", func(t *testing.T) { storeLarge(t, open(t)) })
	t.Run("faults", func(t *testing.T) { storeFaults(t, open(t)) })
}

func entry(n int64, subject string) change.Entry {
	e := change.Entry{
		Sequence: n, Op: change.Add, By: "boss", Approver: "auditor", Ticket: "T-1", Reason: "joins; 'quoted' \"ü\"",
		Rule: authz.Rule{Kind: "g", Fields: []string{subject, "clerk, senior", "acme"}, From: 5, Until: 1 << 40},
		At:   time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC),
	}
	e.MAC[0], e.MAC[31] = byte(n), 0xff
	return e
}

func head(n int64) (h change.Head) {
	h.Sequence, h.MAC[0] = n, byte(n)
	return h
}

func readAll(t *testing.T, s change.Store, tenant string, after int64) ([]change.Entry, change.Head) {
	t.Helper()
	var list []change.Entry
	h, err := s.Read(t.Context(), tenant, after, func(e change.Entry) error { list = append(list, e); return nil })
	if err != nil {
		t.Fatalf("Read returns no error when all is well: %v", err)
	}
	return list, h
}

func appendOne(t *testing.T, s change.Store, tenant string, n int64, subject string) {
	t.Helper()
	if done, err := s.Append(t.Context(), tenant, []change.Entry{entry(n, subject)}, head(n)); err != nil || !done {
		t.Fatalf("Append adds what follows the sequence: %t, %v", done, err)
	}
}

func storeOrder(t *testing.T, s change.Store) {
	if list, h := readAll(t, s, "acme", 0); len(list) != 0 || h != (change.Head{}) {
		t.Errorf("an empty store has no entries and the zero head: %v, %v", list, h)
	}
	for n := range int64(3) {
		appendOne(t, s, "acme", n+1, fmt.Sprint("u-", n))
	}
	list, h := readAll(t, s, "acme", 0)
	if len(list) != 3 || h != head(3) {
		t.Fatalf("Read returns all entries and their head: %d, %v", len(list), h)
	}
	for i, e := range list {
		if want := entry(int64(i+1), fmt.Sprint("u-", i)); !reflect.DeepEqual(e, want) {
			t.Errorf("an entry comes back as it was appended:\n%+v\n%+v", e, want)
		}
	}
	if list, _ := readAll(t, s, "acme", 2); len(list) != 1 || list[0].Sequence != 3 {
		t.Errorf("Read begins after the sequence: %v", list)
	}
	if n, err := s.Sequence(t.Context(), "acme"); err != nil || n != 3 {
		t.Errorf("Sequence is the last one: %d, %v", n, err)
	}
}

func storeConflict(t *testing.T, s change.Store) {
	appendOne(t, s, "acme", 1, "u-1")
	for _, n := range []int64{1, 3} {
		if done, err := s.Append(t.Context(), "acme", []change.Entry{entry(n, "mallory")}, head(n)); done || err != nil {
			t.Errorf("Append reports false for an entry that does not follow: %d, %t, %v", n, done, err)
		}
	}
	if list, h := readAll(t, s, "acme", 0); len(list) != 1 || list[0].Rule.Fields[0] != "u-1" || h != head(1) {
		t.Errorf("what was refused left no trace: %v, %v", list, h)
	}
}

func storeTenants(t *testing.T, s change.Store) {
	appendOne(t, s, "acme", 1, "u-1")
	appendOne(t, s, "globex", 1, "u-2")
	appendOne(t, s, "globex", 2, "u-3")
	if list, h := readAll(t, s, "acme", 0); len(list) != 1 || list[0].Rule.Fields[0] != "u-1" || h != head(1) {
		t.Errorf("a tenant has its own entries and sequence: %v, %v", list, h)
	}
	if list, _ := readAll(t, s, "initech", 0); len(list) != 0 {
		t.Errorf("a tenant without entries sees none of others: %v", list)
	}
	if n, err := s.Sequence(t.Context(), "globex"); n != 2 || err != nil {
		t.Errorf("a tenant's sequence is its own: %d, %v", n, err)
	}
	_, err1 := s.Append(t.Context(), "", []change.Entry{entry(1, "x")}, head(1))
	_, err2 := s.Read(t.Context(), "", 0, func(change.Entry) error { return nil })
	_, err3 := s.Sequence(t.Context(), "")
	if err1 == nil || err2 == nil || err3 == nil {
		t.Errorf("without a tenant there is an error: %v, %v, %v", err1, err2, err3)
	}
}

func storeConcurrency(t *testing.T, s change.Store) {
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				n, err := s.Sequence(t.Context(), "acme")
				if err != nil {
					t.Errorf("Sequence works beside writers: %v", err)
					return
				}
				done, err := s.Append(t.Context(), "acme", []change.Entry{entry(n+1, fmt.Sprint("u-", i)), entry(n+2, fmt.Sprint("u-", i))}, head(n+2))
				if err != nil {
					t.Errorf("Append reports a lost race as false, not as an error: %v", err)
				}
				if done {
					won.Add(2)
				}
				// A reader sees whole changes only.
				if list, h := readAll(t, s, "acme", 0); int64(len(list)) != h.Sequence || len(list)%2 != 0 {
					t.Errorf("Read sees whole changes: %d entries, head %d", len(list), h.Sequence)
				}
			}
		})
	}
	wg.Wait()
	list, h := readAll(t, s, "acme", 0)
	if int64(len(list)) != won.Load() || h.Sequence != won.Load() {
		t.Errorf("what was acknowledged is there, once: %d of %d", len(list), won.Load())
	}
	for i, e := range list {
		if e.Sequence != int64(i+1) {
			t.Fatalf("sequences have no gaps: %d at %d", e.Sequence, i)
		}
	}
}

func storeLarge(t *testing.T, s change.Store) {
	var list []change.Entry
	for n := range int64(333) {
		list = append(list, entry(n+1, fmt.Sprint("u-", n)))
	}
	if done, err := s.Append(t.Context(), "acme", list, head(333)); err != nil || !done {
		t.Fatalf("Append takes a large change: %t, %v", done, err)
	}
	if got, h := readAll(t, s, "acme", 0); !reflect.DeepEqual(got, list) || h != head(333) {
		t.Errorf("a large change comes back as it was: %d", len(got))
	}
}

func storeFaults(t *testing.T, s change.Store) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if done, err := s.Append(ended, "acme", []change.Entry{entry(1, "u-1")}, head(1)); done && err != nil {
		t.Errorf("Append does not report both done and an error: %v", err)
	} else if list, _ := readAll(t, s, "acme", 0); done != (len(list) == 1) {
		t.Errorf("an Append that failed left no trace: %d", len(list))
	}
	if n, err := s.Sequence(t.Context(), "globex"); err != nil || n != 0 {
		t.Errorf("a fault of one call is none of the next: %d, %v", n, err)
	}
	appendOne(t, s, "globex", 1, "u-1")
	stop := errors.New("stop")
	if _, err := s.Read(t.Context(), "globex", 0, func(change.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Read returns the error of the function: %v", err)
	}
}
