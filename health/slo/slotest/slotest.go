// Package slotest is the conformance suite of stores of [slo.Store].
package slotest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/health/slo"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// count is a count of the nth minute.
func count(objective, source string, n int, good, bad int64) slo.Count {
	c := slo.Count{Objective: objective, Source: source, Minute: at.Add(time.Duration(n) * time.Minute), Good: good, Bad: bad}
	for i := range c.MAC {
		c.MAC[i] = byte(n + i)
	}
	return c
}

func put(t *testing.T, s slo.Store, tenant string, counts ...slo.Count) {
	t.Helper()
	if err := s.Put(t.Context(), tenant, counts); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func read(t *testing.T, s slo.Store, tenant, objective string, from, to int) (list []slo.Count) {
	t.Helper()
	err := s.Counts(t.Context(), tenant, objective, at.Add(time.Duration(from)*time.Minute), at.Add(time.Duration(to)*time.Minute),
		func(c slo.Count) error { list = append(list, c); return nil })
	if err != nil {
		t.Fatalf("Counts: %v", err)
	}
	return list
}

// Run tests what open returns: an empty store each time.
func Run(t *testing.T, open func(*testing.T) slo.Store) {
	t.Run("keeps what it gets", func(t *testing.T) {
		s := open(t)
		c := count("files", "a", 0, 5, 2)
		c.Outside = true
		put(t, s, "t1", c)
		if got := read(t, s, "t1", "files", 0, 1); len(got) != 1 || got[0] != c {
			t.Errorf("got %+v, want %+v", got, c)
		}
	})
	t.Run("range is half open and in order", func(t *testing.T) {
		s := open(t)
		put(t, s, "t1", count("files", "a", 3, 3, 0), count("files", "a", 1, 1, 0), count("files", "b", 2, 2, 0), count("files", "a", 4, 4, 0))
		got := read(t, s, "t1", "files", 1, 4)
		for i, c := range got {
			if c.Good != int64(i+1) {
				t.Errorf("place %d has minute %d", i, c.Good)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d counts, want 3: the minute of to is not in the range", len(got))
		}
	})
	t.Run("stored counts are final", func(t *testing.T) {
		s := open(t)
		put(t, s, "t1", count("files", "a", 0, 5, 2))
		put(t, s, "t1", count("files", "a", 0, 99, 0), count("files", "a", 1, 1, 0))
		if got := read(t, s, "t1", "files", 0, 2); len(got) != 2 || got[0].Good != 5 || got[1].Good != 1 {
			t.Errorf("got %+v: want the first count unchanged and the second added", got)
		}
	})
	t.Run("tenants and objectives are apart", func(t *testing.T) {
		s := open(t)
		put(t, s, "t1", count("files", "a", 0, 1, 0))
		put(t, s, "t2", count("files", "a", 0, 2, 0), count("login", "a", 0, 3, 0))
		if got := read(t, s, "t1", "files", 0, 9); len(got) != 1 || got[0].Good != 1 {
			t.Errorf("t1 sees %+v", got)
		}
		if got := read(t, s, "t2", "login", 0, 9); len(got) != 1 || got[0].Good != 3 {
			t.Errorf("t2 sees %+v", got)
		}
	})
	t.Run("no tenant is an error", func(t *testing.T) {
		s := open(t)
		if err := s.Put(t.Context(), "", []slo.Count{count("files", "a", 0, 1, 0)}); err == nil {
			t.Error("Put took an empty tenant")
		}
		if err := s.Counts(t.Context(), "", "files", at, at.Add(time.Hour), func(slo.Count) error { return nil }); err == nil {
			t.Error("Counts took an empty tenant")
		}
	})
	t.Run("the reader's error ends it", func(t *testing.T) {
		s, stop, calls := open(t), errors.New("enough"), 0
		put(t, s, "t1", count("files", "a", 0, 1, 0), count("files", "a", 1, 1, 0))
		err := s.Counts(t.Context(), "t1", "files", at, at.Add(time.Hour), func(slo.Count) error { calls++; return stop })
		if !errors.Is(err, stop) || calls != 1 {
			t.Errorf("%d calls and %v, want one and the reader's error", calls, err)
		}
	})
	t.Run("several at once", func(t *testing.T) {
		s := open(t)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for n := range 25 {
					if err := s.Put(context.WithoutCancel(t.Context()), "t1", []slo.Count{count("files", fmt.Sprint(w), n, 1, 0)}); err != nil {
						t.Errorf("Put: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if got := read(t, s, "t1", "files", 0, 25); len(got) != 100 {
			t.Errorf("%d counts, want 100", len(got))
		}
	})
}
