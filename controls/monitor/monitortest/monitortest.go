// Package monitortest holds every implementation of [monitor.Store] to the
// same behaviour.
package monitortest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/monitor"
)

// Run tests a store. open returns an empty one each time it is called.
func Run(t *testing.T, open func(t *testing.T) monitor.Store) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*testing.T, monitor.Store)
	}{
		{"round trip", roundTrip},
		{"a range has no hole", ranges},
		{"the last entry of each control", last},
		{"tenants are apart", tenants},
		{"an empty tenant is refused", emptyTenant},
		{"concurrent entries get numbers without a hole", concurrent},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func entry(at time.Time, control string) monitor.Entry {
	return monitor.Entry{
		Kind: monitor.Probed, At: at, Control: control + "/i", ID: control, Instance: "i", State: controls.Pass,
		Observed: "as \"promised\" ✓", Took: 1234567, Every: time.Hour, Parameters: []controls.Parameter{controls.Int("n", 1)},
	}
}

func add(t *testing.T, s monitor.Store, tenant string, e monitor.Entry) monitor.Entry {
	t.Helper()
	stored, err := s.Append(t.Context(), tenant, e)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func all(t *testing.T, s monitor.Store, tenant string, from, to time.Time) (list []monitor.Entry) {
	t.Helper()
	if err := s.Range(t.Context(), tenant, from, to, func(e monitor.Entry) bool {
		list = append(list, e)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func roundTrip(t *testing.T, s monitor.Store) {
	want := entry(day.Add(123456*time.Microsecond), "a.b")
	beat := monitor.Entry{Kind: monitor.Heartbeat, At: day.Add(time.Second), Every: time.Minute}
	if got := add(t, s, "t1", want); got.Seq != 1 {
		t.Errorf("the first entry has number %d", got.Seq)
	}
	add(t, s, "t1", beat)
	want.Seq, beat.Seq = 1, 2
	if got := all(t, s, "t1", day, day.Add(time.Hour)); !reflect.DeepEqual(got, []monitor.Entry{want, beat}) {
		t.Errorf("got %+v", got)
	}
}

func ranges(t *testing.T, s monitor.Store) {
	for _, minute := range []int{0, 10, 5, 20, 30} {
		add(t, s, "t1", entry(day.Add(time.Duration(minute)*time.Minute), "a.b"))
	}
	seqs := func(from, to int) (list []uint64) {
		for _, e := range all(t, s, "t1", day.Add(time.Duration(from)*time.Minute), day.Add(time.Duration(to)*time.Minute)) {
			list = append(list, e.Seq)
		}
		return list
	}
	// Entry 3 is dated before the period and lies between two that are in it.
	if got := seqs(10, 30); !reflect.DeepEqual(got, []uint64{2, 3, 4}) {
		t.Errorf("entries of minutes 10 to 30: %v, want 2 3 4", got)
	}
	if got := seqs(40, 50); got != nil {
		t.Errorf("entries of an empty period: %v", got)
	}
	n := 0
	if err := s.Range(t.Context(), "t1", day, day.Add(time.Hour), func(monitor.Entry) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("a range that was stopped at 2 gave %d, %v", n, err)
	}
}

func last(t *testing.T, s monitor.Store) {
	add(t, s, "t1", entry(day, "a.b"))
	add(t, s, "t1", entry(day.Add(time.Hour), "a.c"))
	add(t, s, "t1", entry(day.Add(-time.Hour), "a.b"))
	add(t, s, "t1", monitor.Entry{Kind: monitor.Heartbeat, At: day})
	list, err := s.Last(t.Context(), "t1")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, e := range list {
		got[e.Control] = e.Seq
	}
	if want := map[string]uint64{"a.b/i": 3, "a.c/i": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("last entries %v, want %v: the sequence decides, not the date", got, want)
	}
}

func tenants(t *testing.T, s monitor.Store) {
	add(t, s, "t1", entry(day, "a.b"))
	if got := add(t, s, "t2", entry(day, "a.c")); got.Seq != 1 {
		t.Errorf("another tenant's first entry has number %d", got.Seq)
	}
	if got := all(t, s, "t1", day, day.Add(1)); len(got) != 1 || got[0].ID != "a.b" {
		t.Errorf("t1 sees %+v", got)
	}
	list, err := s.Last(t.Context(), "t1")
	if err != nil || len(list) != 1 || list[0].ID != "a.b" {
		t.Errorf("t1's last entries: %+v, %v", list, err)
	}
}

func emptyTenant(t *testing.T, s monitor.Store) {
	_, e1 := s.Append(t.Context(), "", entry(day, "a.b"))
	e2 := s.Range(t.Context(), "", day, day, func(monitor.Entry) bool { return true })
	_, e3 := s.Last(t.Context(), "")
	for i, err := range []error{e1, e2, e3} {
		if err == nil {
			t.Errorf("method %d took an empty tenant", i)
		}
	}
}

func concurrent(t *testing.T, s monitor.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := s.Append(context.WithoutCancel(t.Context()), "t1", entry(day, fmt.Sprintf("a.b%d", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list := all(t, s, "t1", day, day.Add(1))
	for i, e := range list {
		if e.Seq != uint64(i+1) {
			t.Fatalf("entry %d has number %d", i, e.Seq)
		}
	}
	if len(list) != 40 {
		t.Errorf("%d entries of 40", len(list))
	}
}
