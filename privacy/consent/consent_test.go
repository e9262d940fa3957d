package consent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/privacy/consent/consenttest"
)

var key = bytes.Repeat([]byte{7}, consent.KeySize)

func choice(purpose privacy.Purpose) consent.Choice {
	return consent.Choice{Tenant: "acme", Subject: "u-1", Purpose: purpose, Notice: "2026-1", Method: "web form"}
}

func newLedger(t *testing.T, s consent.Store) *consent.Ledger {
	t.Helper()
	l, err := consent.New(s, key, &auditlogtest.Recorder{}, consent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func consented(t *testing.T, l *consent.Ledger, purpose privacy.Purpose) bool {
	t.Helper()
	ok, err := l.Consented(t.Context(), "acme", "u-1", purpose)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestMemoryConforms(t *testing.T) {
	consenttest.Run(t, func(*testing.T) consent.Store { return consent.NewMemory() })
}

func TestWithdrawingIsAsEasyAsGivingAndCountsAtOnce(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	if consented(t, l, "benefits") {
		t.Fatal("consent was assumed")
	}
	if _, err := l.Give(t.Context(), choice("benefits")); err != nil {
		t.Fatal(err)
	}
	if !consented(t, l, "benefits") || consented(t, l, "newsletter") {
		t.Error("giving for one purpose counts for another, or not at all")
	}
	if _, err := l.Withdraw(t.Context(), choice("benefits")); err != nil {
		t.Fatal(err)
	}
	if consented(t, l, "benefits") {
		t.Error("the withdrawal does not count")
	}
}

// rewriting is a store whose table someone else can write.
type rewriting struct {
	*consent.Memory
	change func([]consent.Entry) []consent.Entry
}

func (r *rewriting) Chain(ctx context.Context, tenant, subject string) ([]consent.Entry, error) {
	list, err := r.Memory.Chain(ctx, tenant, subject)
	if r.change != nil {
		list = r.change(list)
	}
	return list, err
}

func TestRewritingTheTableIsFound(t *testing.T) {
	s := &rewriting{Memory: consent.NewMemory()}
	l := newLedger(t, s)
	for _, give := range []bool{true, false, true} {
		f := l.Withdraw
		if give {
			f = l.Give
		}
		if _, err := f(t.Context(), choice("benefits")); err != nil {
			t.Fatal(err)
		}
	}
	attacks := map[string]func([]consent.Entry) []consent.Entry{
		"flip a withdrawal":  func(c []consent.Entry) []consent.Entry { c[1].Given = true; return c },
		"drop a withdrawal":  func(c []consent.Entry) []consent.Entry { return append(c[:1], c[2]) },
		"drop and renumber":  func(c []consent.Entry) []consent.Entry { c[2].Seq = 2; return append(c[:1], c[2]) },
		"change the purpose": func(c []consent.Entry) []consent.Entry { c[0].Purpose = "newsletter"; return c },
		"change the person":  func(c []consent.Entry) []consent.Entry { c[0].Subject = "u-2"; return c },
		"backdate":           func(c []consent.Entry) []consent.Entry { c[2].Time = c[2].Time.AddDate(-1, 0, 0); return c },
		"another notice":     func(c []consent.Entry) []consent.Entry { c[0].Notice = "2020-1"; return c },
		"another actor":      func(c []consent.Entry) []consent.Entry { c[0].Actor = "u-9"; return c },
		"swap":               func(c []consent.Entry) []consent.Entry { c[0], c[1] = c[1], c[0]; return c },
		"invent": func(c []consent.Entry) []consent.Entry {
			return append(c, consent.Entry{Seq: 4, Given: true, Choice: choice("newsletter")})
		},
		"move bytes between fields": func(c []consent.Entry) []consent.Entry {
			c[0].Notice, c[0].Method = c[0].Notice+"w", strings.TrimPrefix(c[0].Method, "w")
			return c
		},
	}
	for name, attack := range attacks {
		s.change = attack
		ok, err := l.Consented(t.Context(), "acme", "u-1", "benefits")
		if !errors.Is(err, consent.ErrTampered) || ok {
			t.Errorf("%s: %t, %v; want ErrTampered", name, ok, err)
		}
		if _, err := l.Give(t.Context(), choice("benefits")); !errors.Is(err, consent.ErrTampered) {
			t.Errorf("%s: the broken chain was continued: %v", name, err)
		}
	}
}

func TestChoiceThatCannotBeRecordedDoesNotHappen(t *testing.T) {
	down := errors.New("disk full")
	rec := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return down })
	s := consent.NewMemory()
	l, err := consent.New(s, key, rec, consent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Give(t.Context(), choice("benefits")); !errors.Is(err, down) {
		t.Errorf("Give = %v", err)
	}
	if list, _ := s.Chain(t.Context(), "acme", "u-1"); len(list) != 0 {
		t.Errorf("an unrecorded consent stands: %+v", list)
	}
}

func TestEventsCarryTheHead(t *testing.T) {
	var got auditlog.Event
	rec := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error { got = ev; return nil })
	l, err := consent.New(consent.NewMemory(), key, rec, consent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := auditlog.WithActor(t.Context(), auditlog.Actor{ID: "hr-1", Tenant: "acme", Kind: auditlog.User})
	e, err := l.Give(ctx, choice("benefits"))
	if err != nil || e.Actor != "hr-1" || e.Seq != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if got.Action != "privacy.consent.give" || got.Targets[0].ID != "u-1" || got.Attrs[4].Text() != fmt.Sprintf("%x", e.MAC) {
		t.Errorf("event %+v", got)
	}
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := l.Give(t.Context(), choice("benefits")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := l.Chain(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 8 {
		t.Errorf("%d entries, %v", len(list), err)
	}
}

func TestBadInput(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	for name, change := range map[string]func(*consent.Choice){
		"Tenant":  func(c *consent.Choice) { c.Tenant = "" },
		"Subject": func(c *consent.Choice) { c.Subject = "" },
		"Purpose": func(c *consent.Choice) { c.Purpose = "" },
		"Notice":  func(c *consent.Choice) { c.Notice = strings.Repeat("x", 300) },
		"Method":  func(c *consent.Choice) { c.Method = "" },
	} {
		c := choice("benefits")
		change(&c)
		if _, err := l.Give(t.Context(), c); !errors.Is(err, consent.ErrChoice) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want ErrChoice naming it", name, err)
		}
	}
	if _, err := l.Consented(t.Context(), "", "u-1", "benefits"); !errors.Is(err, consent.ErrChoice) {
		t.Errorf("no tenant: %v", err)
	}
	rec := &auditlogtest.Recorder{}
	if _, err := consent.New(nil, key, rec, consent.Options{}); err == nil {
		t.Error("a ledger without a store was made")
	}
	if _, err := consent.New(consent.NewMemory(), key[:16], rec, consent.Options{}); err == nil {
		t.Error("a short key was accepted")
	}
	if _, err := consent.New(consent.NewMemory(), key, nil, consent.Options{}); err == nil {
		t.Error("a ledger without a recorder was made")
	}
}

func TestProbe(t *testing.T) {
	c := newLedger(t, consent.NewMemory()).Controls()[0]
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v: %s", r.State, r.Observed)
	}
	broken := &rewriting{Memory: consent.NewMemory(), change: func([]consent.Entry) []consent.Entry {
		return []consent.Entry{{Seq: 1, Given: true}}
	}}
	if r := newLedger(t, broken).Controls()[0].Run(t.Context()); r.State == controls.Pass {
		t.Error("a table with a forged row passes the probe")
	}
}
