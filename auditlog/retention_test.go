package auditlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/auditlog/verify"
)

// aged is a log large enough that its first segments were reused.
func aged(t *testing.T) (l *auditlog.Log, dir, vkey string, reopen func() *auditlog.Log) {
	t.Helper()
	signer, vkey := key(t, origin)
	dir = filepath.Join(t.TempDir(), "log")
	pad := auditlog.String("pad", strings.Repeat("x", 900))
	for range 4 { // closing syncs the tiles
		l = open(t, dir, signer, small)
		for i := range 450 {
			ev := event("records.update")
			ev.Attrs = []auditlog.Attr{pad, auditlog.Int("i", i)}
			ack := auditlog.Async
			if i%20 == 0 {
				ack = auditlog.Durable
			}
			if _, err := l.Append(t.Context(), ev, ack); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reopen = func() *auditlog.Log { return open(t, dir, signer, small) }
	return reopen(), dir, vkey, reopen
}

func TestPruning(t *testing.T) {
	l, dir, vkey, reopen := aged(t)
	before := time.Now()
	ctx := auditlog.WithActor(t.Context(), auditlog.Actor{ID: "owner-1", Tenant: "acme", Kind: auditlog.User})
	if _, err := l.Prune(ctx, before); !errors.Is(err, auditlog.ErrUnreported) {
		t.Errorf("before the period was reported: %v", err)
	}
	if err := l.Reported(ctx, time.Now().Add(time.Hour)); !errors.Is(err, auditlog.ErrInvalid) {
		t.Errorf("a report of the future: %v", err)
	}
	if err := l.Reported(ctx, before); err != nil {
		t.Fatal(err)
	}
	if err := l.Hold(ctx, "case-7", "litigation"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prune(ctx, before); !errors.Is(err, auditlog.ErrHeld) || !strings.Contains(err.Error(), "case-7") {
		t.Errorf("under a hold: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopen()
	if _, err := l.Prune(ctx, before); !errors.Is(err, auditlog.ErrHeld) {
		t.Errorf("under a hold, opened anew: %v", err)
	}
	if err := l.Release(ctx, "case-8", "typing error"); err == nil {
		t.Error("a hold that is not there was released")
	}
	if err := l.Release(ctx, "case-7", "settled"); err != nil {
		t.Fatal(err)
	}
	old, err := l.At(300)
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Prune(ctx, before)
	if err != nil || n == 0 || n%256 != 0 {
		t.Fatalf("pruned %d: %v", n, err)
	}
	if n <= 300 {
		t.Fatalf("only %d entries were prunable: the test needs more", n)
	}
	if _, err := l.At(300); !errors.Is(err, auditlog.ErrPruned) {
		t.Errorf("a pruned entry: %v", err)
	}
	for path, b := range snapshot(t, filepath.Join(dir, "tile")) {
		if strings.Contains(b, old.ID.String()) {
			t.Errorf("%s holds a pruned entry", path)
		}
	}
	afterPruning(t, l, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := verify.Dir(t.Context(), dir, verify.Policy{Key: vkey}, nil)
	if err != nil || !r.OK() || r.Pruned != n {
		t.Fatalf("%s: %v, %v", r.Verdict(), r.Findings, err)
	}
	if err := os.Remove(filepath.Join(dir, "index")); err != nil {
		t.Fatal(err)
	}
	l = reopen()
	if l.First() != n {
		t.Errorf("opened anew it begins at %d, want %d", l.First(), n)
	}
	afterPruning(t, l, n)
	spoilPruned(t, l, dir, vkey, n)
}

// afterPruning checks that what is left is read, found and proved as before.
func afterPruning(t *testing.T, l *auditlog.Log, n uint64) {
	t.Helper()
	if list := all(t, l); list[0].Index != n {
		t.Errorf("the first entry is %d, want %d", list[0].Index, n)
	}
	if got := collect(t, l, auditlog.Query{Action: "auditlog.log.prune"}); len(got) != 1 || got[0].Actor.ID != "owner-1" {
		t.Errorf("the pruning's event: %+v", got)
	} else if to, _ := auditlogtest.Attr(got[0].Entry, "to"); to != fmt.Sprint(n) {
		t.Errorf("the event says %s, want %d", to, n)
	}
	if _, err := l.Proof(t.Context(), n+3); err != nil {
		t.Errorf("a proof of an entry that is left: %v", err)
	}
	var out bytes.Buffer
	if _, err := l.Export(t.Context(), &out, auditlog.Query{Action: "records.*"}, auditlog.JSONLines()); err != nil {
		t.Errorf("an export of what is left: %v", err)
	}
}

// spoilPruned removes more than the log says.
func spoilPruned(t *testing.T, l *auditlog.Log, dir, vkey string, n uint64) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(dir, "tile", "entries", fmt.Sprintf("%03d", n/256)))
	r, err := verify.Dir(t.Context(), dir, verify.Policy{Key: vkey}, nil)
	if err != nil || r.OK() {
		t.Errorf("a bundle more is gone: %s, %v", r.Verdict(), err)
	}
}

func TestUnrecordedPruningIsTampering(t *testing.T) {
	l, dir, vkey, _ := aged(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(dir, "tile", "entries", "000"))
	r, err := verify.Dir(t.Context(), dir, verify.Policy{Key: vkey}, nil)
	if err != nil || r.OK() {
		t.Errorf("%s, %v", r.Verdict(), err)
	}
}
