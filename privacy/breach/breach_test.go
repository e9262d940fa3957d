package breach_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/breach"
	"github.com/surety-go/surety/privacy/record"
)

func tenants(context.Context) ([]string, error) { return []string{"acme"}, nil }

func newRegister(t *testing.T) (*breach.Register, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	r, err := breach.New(record.NewMemory(), make([]byte, record.KeySize), rec, tenants, breach.Options{Controller: "Acme", Contact: "dpo@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	return r, rec
}

func open(t *testing.T, r *breach.Register) breach.Breach {
	t.Helper()
	b, err := r.Open(t.Context(), "acme", breach.Breach{Title: "laptop lost", Aware: time.Now(), Categories: []string{"user.contact"}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSeventyTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rec := newRegister(t)
		b := open(t, r)
		state := func(want controls.State) {
			t.Helper()
			if got := r.Controls()[0].Run(t.Context()); got.State != want {
				t.Errorf("%v: %s", got.State, got.Observed)
			}
		}
		time.Sleep(72*time.Hour - time.Second) // over a weekend: hours are hours
		state(controls.Pass)
		time.Sleep(time.Second)
		state(controls.Fail)
		for range 2 {
			if late, err := r.Sweep(t.Context()); err != nil || len(late) != 1 {
				t.Errorf("%v, %v", late, err)
			}
		}
		rec.Want(t, "privacy.breach.lapse", auditlog.Success)
		n := breach.Notice{To: breach.Regulator, Proof: "receipt 1", At: time.Now().Add(time.Second)}
		if _, err := r.Notified(t.Context(), "acme", b.ID, n); !errors.Is(err, breach.ErrBreach) {
			t.Errorf("late without a reason: %v", err)
		}
		n.Late = "found on a Friday"
		if _, err := r.Notified(t.Context(), "acme", b.ID, n); err != nil {
			t.Fatal(err)
		}
		state(controls.Pass)
	})
}

func TestHighRiskTellsEveryone(t *testing.T) {
	r, _ := newRegister(t)
	b := open(t, r)
	ctx := t.Context()
	if _, err := r.Close(ctx, "acme", b.ID, "x"); !errors.Is(err, breach.ErrBreach) {
		t.Errorf("closed unassessed: %v", err)
	}
	if _, err := r.Assess(ctx, "acme", b.ID, breach.High, "not encrypted", []string{"u-1", "u-2", "u-1", ""}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Notified(ctx, "acme", b.ID, breach.Notice{To: breach.Regulator, Proof: "r"}); err != nil {
		t.Fatal(err)
	}
	for i, subject := range []string{"u-1", "u-2"} {
		if _, err := r.Close(ctx, "acme", b.ID, "disks are encrypted"); !errors.Is(err, breach.ErrBreach) {
			t.Errorf("closed with %d people untold: %v", 2-i, err)
		}
		if _, err := r.Notified(ctx, "acme", b.ID, breach.Notice{To: breach.Person, Subject: subject, Proof: "mail"}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := r.Close(ctx, "acme", b.ID, "disks are encrypted")
	if err != nil || b.Closed.IsZero() || len(b.People) != 2 {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := r.Assess(ctx, "acme", b.ID, breach.Unlikely, "x", nil); !errors.Is(err, breach.ErrBreach) {
		t.Errorf("a closed breach was changed: %v", err)
	}
	if list, err := r.List(ctx, "acme", false); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
}

func TestNoRiskNeedsNoNoticeButAReason(t *testing.T) {
	r, _ := newRegister(t)
	b := open(t, r)
	if _, err := r.Assess(t.Context(), "acme", b.ID, breach.Unlikely, "", nil); !errors.Is(err, breach.ErrBreach) {
		t.Errorf("no reason: %v", err)
	}
	if _, err := r.Assess(t.Context(), "acme", b.ID, breach.Unlikely, "encrypted, key safe", nil); err != nil {
		t.Fatal(err)
	}
	if b, err := r.Close(t.Context(), "acme", b.ID, "found again"); err != nil || b.Late(time.Now().AddDate(1, 0, 0)) {
		t.Errorf("%v", err)
	}
}

func TestLetters(t *testing.T) {
	r, _ := newRegister(t)
	b := open(t, r)
	if _, err := r.Assess(t.Context(), "acme", b.ID, breach.High, "not encrypted", []string{"u-1"}); err != nil {
		t.Fatal(err)
	}
	regulator, err := r.RegulatorLetter(t.Context(), "acme", b.ID)
	if err != nil || !strings.Contains(regulator, "user.contact") || !strings.Contains(regulator, "Likely consequences: to follow") || !strings.Contains(regulator, "about: 1") {
		t.Errorf("%v\n%s", err, regulator)
	}
	person, err := r.PersonLetter(t.Context(), "acme", b.ID)
	if err != nil || !strings.Contains(person, "dpo@acme.example") || strings.Contains(person, "u-1") {
		t.Errorf("%v\n%s", err, person)
	}
}

func TestBadInput(t *testing.T) {
	r, rec := newRegister(t)
	for i, b := range []breach.Breach{{Aware: time.Now()}, {Title: "x"}, {Title: "x", Aware: time.Now().Add(time.Hour)}} {
		if _, err := r.Open(t.Context(), "acme", b); !errors.Is(err, breach.ErrBreach) {
			t.Errorf("%d: %v", i, err)
		}
	}
	b := open(t, r)
	for i, n := range []breach.Notice{{To: breach.Regulator}, {To: "press", Proof: "x"}, {To: breach.Person, Proof: "x"}, {To: breach.Regulator, Subject: "u", Proof: "x"}} {
		if _, err := r.Notified(t.Context(), "acme", b.ID, n); !errors.Is(err, breach.ErrBreach) {
			t.Errorf("%d: %v", i, err)
		}
	}
	full := errors.New("disk full")
	rec.FailWith(full)
	if _, err := r.Assess(t.Context(), "acme", b.ID, breach.High, "x", nil); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

func Example() {
	b := breach.Breach{Aware: time.Date(2026, 3, 6, 18, 0, 0, 0, time.UTC)} // a Friday evening
	fmt.Println(b.RegulatorBy().Format(time.DateTime))
	// Output: 2026-03-09 18:00:00
}
