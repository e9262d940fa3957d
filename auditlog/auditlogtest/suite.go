package auditlogtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
)

// A Store is a recorder under test and the way to read back what it stored.
type Store struct {
	auditlog.Recorder
	// Entries reads everything that was stored, in the log's order.
	Entries func(context.Context) ([]auditlog.Entry, error)
}

// TestRecorder checks that a recorder that stores events keeps the rules every
// package relies on. Each failure names the rule. open is called once per rule
// and returns an empty store; entries the store itself writes have actions
// that begin with "auditlog." and are passed over.
func TestRecorder(t *testing.T, open func(*testing.T) Store) {
	for _, rule := range []struct {
		name  string
		check func(*testing.T, Store)
	}{
		{"what was recorded is stored once and in order", checkOrder},
		{"the context's actor and tenant are stored", checkContext},
		{"an invalid event is refused and leaves nothing", checkInvalid},
		{"an unsealed personal attribute is refused and leaves nothing", checkUnsealed},
		{"an entry over the limit is refused and leaves nothing", checkTooLarge},
		{"concurrent callers lose nothing and duplicate nothing", checkConcurrent},
		{"a context that has ended records nothing", checkEnded},
	} {
		t.Run(strings.ReplaceAll(rule.name, " ", "-"), func(t *testing.T) { rule.check(t, open(t)) })
	}
}

func event(action string) auditlog.Event {
	return auditlog.Event{Action: action, Outcome: auditlog.Success, Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}}
}

func read(t *testing.T, s Store) []auditlog.Entry {
	t.Helper()
	all, err := s.Entries(t.Context())
	if err != nil {
		t.Fatalf("read back: %v", err)
	}
	var own []auditlog.Entry
	for _, e := range all {
		if !strings.HasPrefix(e.Action, "auditlog.") {
			own = append(own, e)
		}
	}
	return own
}

func checkOrder(t *testing.T, s Store) {
	for i := range 20 {
		if err := s.Record(t.Context(), event(fmt.Sprintf("suite.step-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	got := read(t, s)
	if len(got) != 20 {
		t.Fatalf("20 events were recorded, %d are stored", len(got))
	}
	for i, e := range got {
		if want := fmt.Sprintf("suite.step-%d", i); e.Action != want {
			t.Errorf("entry %d is %s, want %s", i, e.Action, want)
		}
	}
}

func checkContext(t *testing.T, s Store) {
	actor := auditlog.Actor{ID: "u-9", Tenant: "globex", Kind: auditlog.Service}
	ev := event("suite.context")
	ev.Actor = auditlog.Actor{}
	if err := s.Record(auditlog.WithActor(t.Context(), actor), ev); err != nil {
		t.Fatal(err)
	}
	got := read(t, s)
	if len(got) != 1 || got[0].Actor != actor || got[0].Tenant != "globex" {
		t.Errorf("stored is %+v", got)
	}
}

func checkInvalid(t *testing.T, s Store) {
	refused(t, s, auditlog.Event{Action: "x"}, auditlog.ErrInvalid)
}

func checkUnsealed(t *testing.T, s Store) {
	ev := event("suite.unsealed")
	ev.Attrs = []auditlog.Attr{auditlog.Personal("u-1", "mail", "alice@example.org")}
	refused(t, s, ev, auditlog.ErrUnsealed)
}

func checkTooLarge(t *testing.T, s Store) {
	ev := event("suite.large")
	ev.Attrs = []auditlog.Attr{auditlog.String("text", strings.Repeat("x", auditlog.MaxEntry))}
	refused(t, s, ev, auditlog.ErrTooLarge)
}

func refused(t *testing.T, s Store, ev auditlog.Event, want error) {
	t.Helper()
	if err := s.Record(t.Context(), ev); !errors.Is(err, want) {
		t.Errorf("Record: %v, want %v", err, want)
	}
	if got := read(t, s); len(got) != 0 {
		t.Errorf("the refused event is stored: %+v", got)
	}
}

func checkConcurrent(t *testing.T, s Store) {
	const callers, each = 8, 25
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				ev := event("suite.concurrent")
				ev.Attrs = []auditlog.Attr{auditlog.String("n", fmt.Sprint(c, "-", i))}
				if err := s.Record(t.Context(), ev); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]int)
	ids := make(map[auditlog.ID]bool)
	for _, e := range read(t, s) {
		n, _ := Attr(e, "n")
		seen[n]++
		ids[e.ID] = true
	}
	if len(seen) != callers*each || len(ids) != callers*each {
		t.Errorf("%d of %d events are stored, under %d ids", len(seen), callers*each, len(ids))
	}
	for n, times := range seen {
		if times != 1 {
			t.Errorf("event %s is stored %d times", n, times)
		}
	}
}

func checkEnded(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Record(ctx, event("suite.ended")); !errors.Is(err, context.Canceled) {
		t.Errorf("Record: %v, want %v", err, context.Canceled)
	}
	if got := read(t, s); len(got) != 0 {
		t.Errorf("the event is stored: %+v", got)
	}
}
