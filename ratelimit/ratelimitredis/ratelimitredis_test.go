package ratelimitredis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/ratelimit"
)

var testSecret = []byte(strings.Repeat("s", 16))

// The engine itself is tried in internal/integration/ratelimit. Here Redis
// misbehaves.
func TestNewRefuses(t *testing.T) {
	do := func(context.Context, ...any) (any, error) { return nil, nil }
	rec := new(auditlogtest.Recorder)
	for says, make := range map[string]func() (*Store, error){
		"client":   func() (*Store, error) { return New(nil, testSecret, rec, Options{}) },
		"recorder": func() (*Store, error) { return New(do, testSecret, nil, Options{}) },
		"secret":   func() (*Store, error) { return New(do, testSecret[:15], rec, Options{}) },
		"Prefix":   func() (*Store, error) { return New(do, testSecret, rec, Options{Prefix: "a{b"}) },
		"Timeout":  func() (*Store, error) { return New(do, testSecret, rec, Options{Timeout: time.Minute}) },
		"Lease ":   func() (*Store, error) { return New(do, testSecret, rec, Options{Lease: 1}) },
		"LeaseFor": func() (*Store, error) { return New(do, testSecret, rec, Options{LeaseFor: time.Hour}) },
	} {
		if _, err := make(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func cell(cost int64) []ratelimit.Cell {
	return []ratelimit.Cell{{Policy: "p", Key: "k", Interval: time.Second, Limit: 100, Cost: cost}}
}

// TestDownAndUp: a dead Redis is asked once a second, the log hears of it
// twice, and no decision waits for longer than the timeout.
func TestDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, up := 0, false
		do := func(ctx context.Context, _ ...any) (any, error) {
			asked++
			if up {
				return []any{"1 99 0 1000000000"}, nil
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		log := new(auditlogtest.Recorder)
		s, err := New(do, testSecret, log, Options{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := s.Take(t.Context(), cell(1)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("the first call: %v after %v", err, time.Since(start))
		}
		for range 500 {
			if err := s.Take(t.Context(), cell(1)); !errors.Is(err, ErrUnavailable) {
				t.Fatalf("right after: %v", err)
			}
		}
		if asked != 1 {
			t.Errorf("a dead Redis was asked %d times", asked)
		}
		if r := s.Controls()[0].Run(t.Context()); r.State != controls.Error {
			t.Errorf("the probe says %v: %s", r.State, r.Observed)
		}
		up = true
		time.Sleep(retryAfter)
		if err := s.Take(t.Context(), cell(1)); err != nil {
			t.Errorf("after it came back: %v", err)
		}
		if n := len(log.Find("ratelimit.store.fail")); n != 1 {
			t.Errorf("%d events of the failure, want 1", n)
		}
		if n := len(log.Find("ratelimit.store.recover")); n != 1 {
			t.Errorf("%d events of the recovery, want 1", n)
		}
	})
}

// TestCallerGone: an impatient caller says nothing about Redis.
func TestCallerGone(t *testing.T) {
	do := func(ctx context.Context, _ ...any) (any, error) { <-ctx.Done(); return nil, context.Cause(ctx) }
	log := new(auditlogtest.Recorder)
	s, err := New(do, testSecret, log, Options{Timeout: 10 * time.Second, Lease: 10})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := s.Take(ctx, cell(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	log.WantNone(t, "ratelimit.store.fail")
}

func TestScriptIsSentOnce(t *testing.T) {
	var commands []string
	do := func(_ context.Context, args ...any) (any, error) {
		commands = append(commands, args[0].(string))
		if args[0] == "EVALSHA" && len(commands) == 1 {
			return nil, errors.New("NOSCRIPT No matching script")
		}
		return []any{[]byte("1 99 0 1000000000")}, nil
	}
	s, err := New(do, testSecret, new(auditlogtest.Recorder), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Take(t.Context(), cell(1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(commands, " "); got != "EVALSHA EVAL EVALSHA" {
		t.Errorf("commands %s", got)
	}
}

// TestKeysAreHidden: Redis sees neither addresses nor accounts, and keys of
// one store are in one slot.
func TestKeysAreHidden(t *testing.T) {
	var keys []string
	do := func(_ context.Context, args ...any) (any, error) {
		for _, k := range args[3 : 3+args[2].(int)] {
			keys = append(keys, k.(string))
		}
		return []any{"1 1 0 0", "1 1 0 0"}, nil
	}
	s, err := New(do, testSecret, new(auditlogtest.Recorder), Options{Prefix: "rl"})
	if err != nil {
		t.Fatal(err)
	}
	two := []ratelimit.Cell{
		{Policy: "a", Key: "b192.0.2.77/32", Interval: time.Second, Limit: 1, Cost: 1},
		{Policy: "ab", Key: "192.0.2.77/32", Interval: time.Second, Limit: 1, Cost: 1},
	}
	if err := s.Take(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if keys[0] == keys[1] {
		t.Error("two cells have one key")
	}
	for _, k := range keys {
		if !strings.HasPrefix(k, "rl{rl}") || strings.Contains(k, "192.0.2") {
			t.Errorf("key %q", k)
		}
	}
}

// TestRepliesThatAreNone: whatever answers in Redis' place, a decision is
// denied and not invented.
func TestRepliesThatAreNone(t *testing.T) {
	for _, reply := range []any{
		nil, "OK", int64(1),
		[]any{},
		[]any{"1 2 3"},
		[]any{"1 2 3 4 5"},
		[]any{"1 2 3 x"},
		[]any{"-2 0 0 0"},
		[]any{"1 -1 0 0"},
		[]any{nil},
		[]any{"1 2 3 99999999999999999999"},
		[]any{"1 1 1 1", "1 1 1 1"},
	} {
		do := func(context.Context, ...any) (any, error) { return reply, nil }
		for _, o := range []Options{{}, {Lease: 10}} {
			s, err := New(do, testSecret, new(auditlogtest.Recorder), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Take(t.Context(), cell(1)); err == nil {
				t.Errorf("%#v was taken for a decision", reply)
			}
		}
	}
}

// A denial that has no end is one with leases, too.
func TestNeverAdmitted(t *testing.T) {
	do := func(context.Context, ...any) (any, error) { return []any{"-1 100 0 0"}, nil }
	for _, o := range []Options{{}, {Lease: 10}} {
		s, err := New(do, testSecret, new(auditlogtest.Recorder), o)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			cells := cell(101)
			if err := s.Take(t.Context(), cells); err != nil || !cells[0].Denied {
				t.Errorf("lease %d: %+v, %v", o.Lease, cells[0].State, err)
			}
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("1 2 3 4")
	f.Add("-1 0 5 9223372036854775807")
	f.Add("1  2 3")
	f.Fuzz(func(t *testing.T, item string) {
		list, err := answers([]any{item}, 1)
		if err != nil {
			return
		}
		a := list[0]
		if a.granted < -1 || a.Remaining < 0 || a.RetryAfter < 0 || a.Reset < 0 || a.Denied != (a.granted == -1) {
			t.Fatalf("%q was read as %+v", item, a)
		}
	})
}
