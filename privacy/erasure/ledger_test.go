package erasure_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/privacy/record"
)

var key = bytes.Repeat([]byte{7}, record.KeySize)

func newLedger(t *testing.T) (*erasure.Ledger, *record.Memory) {
	t.Helper()
	s := record.NewMemory()
	l, err := erasure.NewLedger(s, key)
	if err != nil {
		t.Fatal(err)
	}
	return l, s
}

func TestLedgerNamesNobody(t *testing.T) {
	var f fixture
	l, store := newLedger(t)
	if _, err := f.eraser(t, erasure.Options{Ledger: l}).Erase(t.Context(), "acme", "u-1", "request 1"); err != nil {
		t.Fatal(err)
	}
	list, err := store.List(t.Context(), "acme", "erasure", record.Filter{})
	if err != nil || len(list) != 1 || list[0].Open {
		t.Fatalf("%+v, %v", list, err)
	}
	if strings.Contains(list[0].ID+list[0].Subject+string(list[0].Data), "u-1") {
		t.Errorf("the ledger names the person: %+v", list[0])
	}
	if l.Pseudonym("acme", "u-1") == l.Pseudonym("acmeu", "-1") {
		t.Error("two people share a pseudonym")
	}
	if run, err := l.Run(t.Context(), "acme", "u-1"); err != nil || run.Completed.IsZero() || !slices.Equal(run.Done, []string{"files", "mail"}) {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestReplayAfterARestore(t *testing.T) {
	var f fixture
	l, _ := newLedger(t)
	e := f.eraser(t, erasure.Options{Ledger: l})
	if _, err := e.Erase(t.Context(), "acme", "u-1", "request 1"); err != nil {
		t.Fatal(err)
	}
	f.files.err = errors.New("down")
	if _, err := e.Erase(t.Context(), "acme", "u-2", "request 2"); !errors.Is(err, erasure.ErrIncomplete) {
		t.Fatal(err)
	}
	if n, err := l.Open(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("%d open, %v", n, err)
	}
	f.files.err, f.trail = nil, nil
	restored := []string{"u-0", "u-1", "u-2", "u-3"}
	page := func(_ context.Context, _, after string, limit int) ([]string, error) {
		i := slices.IndexFunc(restored, func(s string) bool { return s > after })
		if i < 0 {
			return nil, nil
		}
		return restored[i : i+1], nil
	}
	n, err := e.Replay(t.Context(), "acme", erasure.All(t.Context(), "acme", page))
	if err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	for _, s := range f.trail {
		if strings.HasSuffix(s, "u-0") || strings.HasSuffix(s, "u-3") {
			t.Errorf("someone was erased wrongly: %s", s)
		}
	}
	if n, _ := l.Open(t.Context(), "acme"); n != 0 {
		t.Errorf("%d still open", n)
	}
	if len(f.rec.Find("privacy.erasure.replay")) != 2 {
		t.Error("replays left no trace")
	}
}

// counted fails the call of a number, to crash between any two steps.
type counted struct {
	*record.Memory
	left int
}

var errCrash = errors.New("crash")

func (c *counted) Append(ctx context.Context, r record.Record) error {
	if c.left--; c.left < 0 {
		return errCrash
	}
	return c.Memory.Append(ctx, r)
}

func TestCrashBetweenAnyTwoSteps(t *testing.T) {
	for at := range 5 {
		var f fixture
		s := &counted{record.NewMemory(), at}
		l, err := erasure.NewLedger(s, key)
		if err != nil {
			t.Fatal(err)
		}
		e := f.eraser(t, erasure.Options{Ledger: l})
		_, err = e.Erase(t.Context(), "acme", "u-1", "request 1")
		if (err == nil) != (at >= 4) { // begin, two places, finish
			t.Errorf("crash at write %d: %v", at, err)
		}
		if err != nil && len(f.rec.Find("privacy.erasure.complete")) > 0 && f.rec.Find("privacy.erasure.complete")[0].Outcome == auditlog.Success {
			t.Errorf("crash at write %d: completion was recorded", at)
		}
		s.left = 100
		if _, err := e.Erase(t.Context(), "acme", "u-1", "request 1"); err != nil {
			t.Errorf("crash at write %d, resumed: %v", at, err)
		}
		if run, err := l.Run(t.Context(), "acme", "u-1"); err != nil || run.Completed.IsZero() {
			t.Errorf("crash at write %d: %+v, %v", at, run, err)
		}
	}
}

// parts is a place that needs three batches.
type parts struct {
	place
	left   int
	during func(left int)
}

func (p *parts) EraseBatch(_ context.Context, tenant, subject string) (bool, error) {
	if p.left > 0 {
		p.left--
	}
	p.during(p.left)
	return p.left == 0, nil
}

type switchable struct{ on bool }

func (s *switchable) Held(context.Context, string, string) (string, bool, error) {
	return "court order 7", s.on, nil
}

func TestAHoldPlacedMidwayStopsThere(t *testing.T) {
	var f fixture
	hold := &switchable{}
	p := &parts{place: place{name: "sql", trail: &f.trail}, left: 3}
	p.during = func(left int) { hold.on = left == 1 }
	f.keys.trail, f.mail.trail, f.mail.name = &f.trail, &f.trail, "mail"
	e, err := erasure.New(&f.keys, &f.rec, erasure.Options{Holds: hold}, p, &f.mail)
	if err != nil {
		t.Fatal(err)
	}
	report, err := e.Erase(t.Context(), "acme", "u-1", "request 1")
	if !errors.Is(err, erasure.ErrHeld) || p.left != 1 || !slices.Equal(report.Open(), []string{"sql", "mail"}) {
		t.Errorf("%+v, %v, %d left", report, err, p.left)
	}
	if len(f.trail) != 1 { // the key, before the hold
		t.Errorf("went on under a hold: %q", f.trail)
	}
	f.rec.Want(t, "privacy.erasure.complete", auditlog.Failed)
}

func TestVerify(t *testing.T) {
	var f fixture
	e := f.eraser(t, erasure.Options{})
	if _, err := e.Verify(t.Context(), "acme", "u-1"); err != nil {
		t.Error(err)
	}
	f.mail.remains = 1
	if r, err := e.Verify(t.Context(), "acme", "u-1"); !errors.Is(err, erasure.ErrIncomplete) || !slices.Equal(r.Open(), []string{"mail"}) {
		t.Errorf("%+v, %v", r, err)
	}
	if got := f.rec.Find("privacy.erasure.verify"); len(got) != 2 {
		t.Errorf("%d events", len(got))
	}
}

func TestErasingManyTakesTwo(t *testing.T) {
	var f fixture
	l, _ := newLedger(t)
	e := f.eraser(t, erasure.Options{Ledger: l})
	b, err := erasure.NewBulk(e, record.NewMemory(), key)
	if err != nil {
		t.Fatal(err)
	}
	as := func(id string, kind auditlog.Kind, behalf string) context.Context {
		return auditlog.WithActor(t.Context(), auditlog.Actor{ID: id, Tenant: "acme", Kind: kind, For: behalf})
	}
	people := []string{"u-1", "u-2"}
	p, err := b.Propose(as("a", auditlog.User, ""), "acme", people, "closed accounts")
	if err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{
		"the proposer": as("a", auditlog.User, ""), "a program": as("b", auditlog.System, ""), "someone acting for another": as("b", auditlog.User, "c"), "nobody": t.Context(),
	} {
		if _, err := b.Approve(ctx, "acme", p.ID); !errors.Is(err, erasure.ErrApproval) {
			t.Errorf("%s approved: %v", name, err)
		}
	}
	if _, err := b.Run(t.Context(), "acme", p.ID, people); !errors.Is(err, erasure.ErrApproval) || len(f.trail) != 0 {
		t.Errorf("ran without approval: %v", err)
	}
	if _, err := b.Approve(as("b", auditlog.User, ""), "acme", p.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context(), "acme", p.ID, []string{"u-1", "u-3"}); !errors.Is(err, erasure.ErrApproval) || len(f.trail) != 0 {
		t.Errorf("other people than approved: %v, %q", err, f.trail)
	}
	f.mail.err = errors.New("down")
	if n, err := b.Run(t.Context(), "acme", p.ID, people); n != 0 || !errors.Is(err, erasure.ErrIncomplete) {
		t.Errorf("%d, %v", n, err)
	}
	f.mail.err = nil
	if n, err := b.Run(t.Context(), "acme", p.ID, people); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"acme/u-1/a/b", "acme/u-2/a"} {
		if err := os.MkdirAll(filepath.Join(dir, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "acme/u-3")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f, err := erasure.NewFiles("files", root, func(tenant, subject string) string { return tenant + "/" + subject })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Remains(t.Context(), "acme", "u-1"); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for range 2 {
		if err := f.Erase(t.Context(), "acme", "u-1"); err != nil {
			t.Error(err)
		}
	}
	if n, err := f.Remains(t.Context(), "acme", "u-1"); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := f.Remains(t.Context(), "acme", "u-2"); n != 2 || err != nil {
		t.Errorf("someone else's: %d, %v", n, err)
	}
	for _, bad := range []string{"../u-2", "..", "", "a/../u-2"} {
		if err := f.Erase(t.Context(), "acme", bad); err == nil && bad != "" {
			t.Errorf("%q was erased", bad)
		}
	}
	if err := f.Erase(t.Context(), "acme", "u-3"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outside, "x")); err != nil {
		t.Errorf("a symbolic link led outside: %v", err)
	}
}
