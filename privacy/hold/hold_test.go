package hold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/privacy/hold"
	"github.com/surety-go/surety/privacy/record"
)

var _ erasure.Locker = (*hold.Register)(nil)

func tenants(context.Context) ([]string, error) { return []string{"acme"}, nil }

func newRegister(t *testing.T) (*hold.Register, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	r, err := hold.New(record.NewMemory(), bytes.Repeat([]byte{7}, record.KeySize), rec, tenants)
	if err != nil {
		t.Fatal(err)
	}
	return r, rec
}

func place(t *testing.T, r *hold.Register, subjects ...string) hold.Hold {
	t.Helper()
	h, err := r.Place(t.Context(), "acme", hold.Hold{Subjects: subjects, Reason: "case 17", Review: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHeld(t *testing.T) {
	r, rec := newRegister(t)
	h := place(t, r, "u-1")
	held := func(tenant, subject string, want bool) {
		t.Helper()
		reason, got, err := r.Held(t.Context(), tenant, subject)
		if err != nil || got != want || want && reason != "case 17" {
			t.Errorf("%s/%s: %q %t, %v", tenant, subject, reason, got, err)
		}
	}
	held("acme", "u-1", true)
	held("acme", "u-2", false)
	held("acme", "", false)
	held("globex", "u-1", false)
	all := place(t, r)
	held("acme", "u-2", true)
	held("acme", "", true) // confidential data of nobody too
	for _, x := range []hold.Hold{h, all} {
		if _, err := r.Release(t.Context(), "acme", x.ID, "settled"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Release(t.Context(), "acme", x.ID, "again"); !errors.Is(err, hold.ErrHold) {
			t.Errorf("released twice: %v", err)
		}
	}
	held("acme", "u-1", false)
	if len(rec.Find("privacy.hold.place")) != 2 || len(rec.Find("privacy.hold.release")) != 2 {
		t.Error("events are missing")
	}
}

func TestAHoldWaitsForTheStepUnderWay(t *testing.T) {
	r, _ := newRegister(t)
	running, done := make(chan struct{}), make(chan error, 1)
	var placed atomic.Bool
	go func() {
		done <- r.Unheld(t.Context(), "acme", "u-1", func() error {
			close(running)
			for range 100 { // let the other goroutine try
				runtime.Gosched()
				if placed.Load() {
					return errors.New("the hold was placed while the step ran")
				}
			}
			return nil
		})
	}()
	<-running
	place(t, r, "u-1")
	placed.Store(true)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := r.Unheld(t.Context(), "acme", "u-1", func() error { t.Error("ran under a hold"); return nil }); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("%v", err)
	}
}

type down struct{ record.Store }

func (down) List(context.Context, string, string, record.Filter) ([]record.Record, error) {
	return nil, errors.New("down")
}

// Destroying keys, a part of erasing, asks again while a hold waits for the
// erasure: neither waits for the other.
func TestAStepWithinAStepDoesNotWaitForAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegister(t)
		placed := make(chan error, 1)
		err := r.Unheld(t.Context(), "acme", "u-1", func() error {
			go func() {
				_, err := r.Place(context.WithoutCancel(t.Context()), "acme", hold.Hold{Subjects: []string{"u-1"}, Reason: "case 17", Review: time.Now().Add(time.Hour)})
				placed <- err
			}()
			synctest.Wait() // the hold waits
			unlock, err := r.LockHolds(t.Context(), "acme", "u-1")
			if err != nil {
				return err
			}
			defer unlock()
			defer unlock()
			if _, held, err := r.Held(t.Context(), "acme", "u-1"); held || err != nil {
				t.Errorf("a hold came in between: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := <-placed; err != nil {
			t.Error(err)
		}
		if _, held, err := r.Held(t.Context(), "acme", "u-1"); !held || err != nil {
			t.Errorf("the hold does not stand: %v", err)
		}
	})
}

func TestUnknownIsHeld(t *testing.T) {
	r, err := hold.New(down{}, make([]byte, record.KeySize), &auditlogtest.Recorder{}, tenants)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Unheld(t.Context(), "acme", "u-1", func() error { t.Error("ran"); return nil }); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("%v", err)
	}
}

func TestReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec := newRegister(t)
		h := place(t, r, "u-1")
		probe := r.Controls()[0]
		if got := probe.Run(t.Context()); got.State != controls.Pass {
			t.Errorf("%v %s", got.State, got.Observed)
		}
		time.Sleep(time.Hour)
		if got := probe.Run(t.Context()); got.State != controls.Fail {
			t.Errorf("not reviewed: %v", got.State)
		}
		if _, held, _ := r.Held(t.Context(), "acme", "u-1"); !held {
			t.Error("a hold ended by itself")
		}
		if _, err := r.Review(t.Context(), "acme", h.ID, "appeal", time.Now()); !errors.Is(err, hold.ErrHold) {
			t.Errorf("reviewed until now: %v", err)
		}
		if _, err := r.Review(t.Context(), "acme", h.ID, "appeal", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := probe.Run(t.Context()); got.State != controls.Pass {
			t.Errorf("%v %s", got.State, got.Observed)
		}
		rec.Want(t, "privacy.hold.review", auditlog.Success)
	})
}

func TestBadHolds(t *testing.T) {
	r, _ := newRegister(t)
	later := time.Now().Add(time.Hour)
	for i, h := range []hold.Hold{{Review: later}, {Reason: "x"}, {Reason: "x", Review: time.Now()}, {Reason: "x", Review: later, Subjects: []string{""}}} {
		if _, err := r.Place(t.Context(), "acme", h); !errors.Is(err, hold.ErrHold) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	holds, err := hold.New(record.NewMemory(), make([]byte, record.KeySize), log, tenants)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := holds.Place(ctx, "acme", hold.Hold{Subjects: []string{"u-1"}, Reason: "case 17", Review: time.Now().AddDate(0, 6, 0)}); err != nil {
		panic(err)
	}
	fmt.Println(holds.Held(ctx, "acme", "u-1"))
	// Output: case 17 true <nil>
}
