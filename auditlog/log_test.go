package auditlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
)

const origin = "example.org/audit"

// small are the options of a log that costs a test little.
var small = auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20, CheckpointEvery: 20 * time.Millisecond}

func key(t testing.TB, name string) (note.Signer, string) {
	t.Helper()
	signer, verifier, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "key"), name)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func open(t testing.TB, dir string, signer note.Signer, opts auditlog.Options) *auditlog.Log {
	t.Helper()
	l, err := auditlog.Open(dir, signer, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func newLog(t testing.TB, opts auditlog.Options) *auditlog.Log {
	t.Helper()
	signer, _ := key(t, origin)
	return open(t, filepath.Join(t.TempDir(), "log"), signer, opts)
}

func event(action string) auditlog.Event {
	return auditlog.Event{Action: action, Outcome: auditlog.Success, Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}}
}

func all(t testing.TB, l *auditlog.Log) (list []auditlog.Indexed) {
	t.Helper()
	for e, err := range l.Entries(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func find(t testing.TB, l *auditlog.Log, action string) []auditlog.Indexed {
	t.Helper()
	return slices.DeleteFunc(all(t, l), func(e auditlog.Indexed) bool { return e.Action != action })
}

func TestConformance(t *testing.T) {
	auditlogtest.TestRecorder(t, func(t *testing.T) auditlogtest.Store {
		l := newLog(t, small)
		return auditlogtest.Store{Recorder: l, Entries: func(context.Context) (list []auditlog.Entry, err error) {
			for _, e := range all(t, l) {
				list = append(list, e.Entry)
			}
			return list, nil
		}}
	})
}

func TestReceiptNamesThePlace(t *testing.T) {
	l := newLog(t, small)
	r, err := l.Append(t.Context(), event("a.b"), auditlog.Durable)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.At(r.Index)
	if err != nil || got.ID != r.ID || r.Ack != auditlog.Durable || r.Committed.IsZero() {
		t.Errorf("receipt %+v, entry %+v, %v", r, got, err)
	}
	p, err := l.Append(t.Context(), event("a.c"), auditlog.Published)
	if err != nil || p.Ack != auditlog.Published || p.Committed.Before(r.Committed) {
		t.Errorf("receipt %+v, %v", p, err)
	}
	if _, err := l.At(l.Size()); err == nil {
		t.Error("an entry that is not there was read")
	}
}

// Verifying takes some entries for the log's own word: with a made-up number an
// application could hide that events were lost, and with a made-up opening make
// an honest log fail.
func TestOnlyTheLogSpeaksForItself(t *testing.T) {
	l := newLog(t, small)
	numbered := event("records.update")
	numbered.Attrs = []auditlog.Attr{auditlog.Int(auditlog.SeqKey, 1<<40)}
	for name, ev := range map[string]auditlog.Event{
		"opening": event("auditlog.log.open"), "cosignature": event("auditlog.checkpoint.cosign"),
		"pruning": event("auditlog.log.prune"), "hold": event("auditlog.hold.release"), "number": numbered,
	} {
		size := l.Size()
		for _, ack := range []auditlog.Ack{auditlog.Async, auditlog.Durable, auditlog.Aggregated} {
			if _, err := l.Append(t.Context(), ev, ack); !errors.Is(err, auditlog.ErrInvalid) {
				t.Errorf("%s, %s: %v", name, ack, err)
			}
		}
		e, err := auditlog.Stamp(t.Context(), event("records.update"))
		if err != nil {
			t.Fatal(err)
		}
		e.Event = ev
		if _, err := l.AppendEntries(t.Context(), []auditlog.Entry{e}); !errors.Is(err, auditlog.ErrInvalid) {
			t.Errorf("%s, stamped elsewhere: %v", name, err)
		}
		if l.Size() != size {
			t.Errorf("%s: it is in the log", name)
		}
	}
	if _, err := l.Append(t.Context(), event("auditlog.outbox.heartbeat"), auditlog.Durable); err != nil {
		t.Errorf("an event of another package of the log: %v", err)
	}
}

// What an auditor keeps of one event checks with x/mod alone.
func TestProofChecksWithoutUs(t *testing.T) {
	signer, vkey := key(t, origin)
	l := open(t, filepath.Join(t.TempDir(), "log"), signer, small)
	for i := range 300 {
		if _, err := l.Append(t.Context(), event(fmt.Sprintf("a.b%d", i)), auditlog.Async); err != nil {
			t.Fatal(err)
		}
	}
	r, err := l.Append(t.Context(), event("a.proved"), auditlog.Durable)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := l.Proof(t.Context(), r.Index)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := l.At(r.Index)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := entry.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	head, checkpoint, _ := strings.Cut(string(proof), "\n\n")
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", r.Index) {
		t.Fatalf("proof begins %q", lines[:2])
	}
	var hashes tlog.RecordProof
	for _, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(checkpoint), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(n.Text, "\n")
	var size int64
	if _, err := fmt.Sscan(parts[1], &size); err != nil {
		t.Fatal(err)
	}
	root, err := tlog.ParseHash(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	if parts[0] != origin {
		t.Errorf("origin %q", parts[0])
	}
	if err := tlog.CheckRecord(hashes, size, root, int64(r.Index), tlog.RecordHash(leaf)); err != nil {
		t.Errorf("the proof does not check: %v", err)
	}
	if err := tlog.CheckRecord(hashes, size, root, int64(r.Index), tlog.RecordHash(append(leaf, ' '))); err == nil {
		t.Error("the proof checks for another entry")
	}
}

func TestConsistencyChecksWithoutUs(t *testing.T) {
	l := newLog(t, small)
	old, err := l.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := l.Record(t.Context(), event("a.b")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	oldSize, oldRoot := tree(t, old)
	now, hashes, err := l.Consistency(uint64(oldSize))
	if err != nil {
		t.Fatal(err)
	}
	size, root := tree(t, now)
	var proof tlog.TreeProof
	for _, h := range hashes {
		proof = append(proof, tlog.Hash(h))
	}
	if err := tlog.CheckTree(proof, size, root, oldSize, oldRoot); err != nil {
		t.Error(err)
	}
	if _, _, err := l.Consistency(uint64(size) + 1); err == nil {
		t.Error("a proof from the future")
	}
}

func tree(t testing.TB, checkpoint []byte) (size int64, root tlog.Hash) {
	t.Helper()
	parts := strings.Split(string(checkpoint), "\n")
	if _, err := fmt.Sscan(parts[1], &size); err != nil {
		t.Fatal(err)
	}
	root, err := tlog.ParseHash(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	return size, root
}

func TestAFloodOfDenialsIsOneEntry(t *testing.T) {
	opts := small
	opts.AggregateEvery = time.Hour // until Close
	opts.AggregateKinds = 10
	signer, _ := key(t, origin)
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, signer, opts)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				ev := auditlog.Event{Action: "records.read", Outcome: auditlog.Denied, Reason: "ratelimit.client", Attrs: []auditlog.Attr{auditlog.Int("i", i)}}
				if err := l.Record(context.Background(), ev); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 5000 { // an attacker who invents tenants
		ev := auditlog.Event{Action: "records.read", Outcome: auditlog.Denied, Reason: "ratelimit.client", Tenant: fmt.Sprint("t", i)}
		if err := l.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Size(); n != 1 {
		t.Errorf("%d entries before the interval's end, want only the opening", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, signer, opts)
	if n := l.Size(); n > 20 {
		t.Errorf("13,000 denials made %d entries", n)
	}
	var total int
	for _, e := range all(t, l) {
		if e.Action == "records.read" || e.Action == "auditlog.aggregate.rest" {
			n, _ := auditlogtest.Attr(e.Entry, "count")
			var count int
			if _, err := fmt.Sscan(n, &count); err != nil {
				t.Fatal(err)
			}
			total += count
			if e.Outcome != auditlog.Denied {
				t.Errorf("aggregate %+v", e)
			}
		}
	}
	if total != 13000 {
		t.Errorf("the counts add up to %d, want 13000", total)
	}
}

func TestAnAggregatedEventIsCheckedToo(t *testing.T) {
	l := newLog(t, small)
	ev := event("a.b")
	ev.Attrs = []auditlog.Attr{auditlog.Personal("u-1", "mail", "alice@example.org")}
	if _, err := l.Append(t.Context(), ev, auditlog.Aggregated); !errors.Is(err, auditlog.ErrUnsealed) {
		t.Errorf("unsealed: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), event("a.b"), auditlog.Aggregated); !errors.Is(err, auditlog.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestAsyncEventsAreNumbered(t *testing.T) {
	signer, _ := key(t, origin)
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, signer, small)
	for range 500 {
		if err := l.Record(t.Context(), event("records.read")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, signer, small)
	for i, e := range find(t, l, "records.read") {
		if n, _ := auditlogtest.Attr(e.Entry, auditlog.SeqKey); n != fmt.Sprint(i+1) {
			t.Fatalf("event %d has number %q", i, n)
		}
	}
	if n := len(find(t, l, "records.read")); n != 500 {
		t.Errorf("%d of 500 events", n)
	}
}

func TestOpeningsAndClosingsAreRecorded(t *testing.T) {
	signer, _ := key(t, origin)
	dir := filepath.Join(t.TempDir(), "log")
	for range 3 {
		l := open(t, dir, signer, small)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
		if err := l.Record(t.Context(), event("a.b")); !errors.Is(err, auditlog.ErrClosed) {
			t.Errorf("record after close: %v", err)
		}
	}
	l := open(t, dir, signer, small)
	opens := find(t, l, "auditlog.log.open")
	if len(opens) != 4 || len(find(t, l, "auditlog.log.close")) != 3 {
		t.Errorf("%d openings", len(opens))
	}
	for _, e := range opens {
		if clean, _ := auditlogtest.Attr(e.Entry, "clean"); clean != "true" || e.Actor.Kind != auditlog.System {
			t.Errorf("opening %+v", e)
		}
	}
}

func TestReadingLeavesATrace(t *testing.T) {
	l := newLog(t, small)
	ctx := auditlog.WithActor(t.Context(), auditlog.Actor{ID: "auditor-1", Tenant: "acme", Kind: auditlog.User})
	for _, err := range l.Entries(ctx, 0) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for _, err := range l.Tail(ctx, 0) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for _, action := range []string{"auditlog.log.read", "auditlog.log.tail"} {
		got := find(t, l, action)
		if len(got) == 0 || got[0].Actor.ID != "auditor-1" {
			t.Errorf("%s: %+v", action, got)
		}
	}
}

func TestTailFollows(t *testing.T) {
	l := newLog(t, small)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for i := range 30 {
			if err := l.Record(context.Background(), event(fmt.Sprintf("tail.step-%d", i))); err != nil {
				t.Error(err)
			}
		}
	}()
	next := 0
	for e, err := range l.Tail(ctx, 0) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		if e.Action == fmt.Sprintf("tail.step-%d", next) {
			if next++; next == 30 {
				cancel()
			}
		}
	}
	if next != 30 {
		t.Errorf("%d of 30 entries were seen", next)
	}
}

func TestReservedSpaceIsNeverTaken(t *testing.T) {
	opts := small
	opts.Reserve = 1 << 60
	signer, _ := key(t, origin)
	l, err := auditlog.Open(filepath.Join(t.TempDir(), "log"), signer, opts)
	if err != nil {
		t.Fatalf("a log's first segment: %v", err)
	}
	defer l.Close()
	if err := l.Ready(t.Context()); !errors.Is(err, auditlog.ErrFull) {
		t.Errorf("Ready with no space: %v", err)
	}
	ev := event("a.b")
	ev.Attrs = []auditlog.Attr{auditlog.String("text", strings.Repeat("x", 50<<10))}
	for range 20 {
		if err = l.Record(t.Context(), ev); err != nil {
			break
		}
	}
	if !errors.Is(err, auditlog.ErrFull) {
		t.Errorf("beyond the prepared segment: %v", err)
	}
	if errors.Is(err, auditlog.ErrPoisoned) {
		t.Error("a full disk poisoned the log")
	}
}

// The alarm is an event, once, before the log can take no more.
func TestDiskAlarm(t *testing.T) {
	opts := small
	opts.Reserve, opts.AggregateEvery = 1<<60, 10*time.Millisecond
	l := newLog(t, opts)
	deadline := time.Now().Add(10 * time.Second)
	for l.Size() < 2 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(5 * opts.AggregateEvery) // for a second one, which must not come
	if got := find(t, l, "auditlog.disk.alarm"); len(got) != 1 || got[0].Outcome != auditlog.Failed {
		t.Errorf("alarms: %+v", got)
	}
}

func TestControls(t *testing.T) {
	l := newLog(t, small)
	list := l.Controls()
	for _, c := range list {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if r := c.Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "no witness") {
			t.Errorf("%s without witness: %v, %s", c.ID, r.State, r.Observed)
		}
	}
	var table string
	for _, p := range list[0].Parameters {
		if p.Name == "acknowledgement" {
			table = p.Value
		}
	}
	if !strings.Contains(table, "* authn.required denied anonymous: aggregated") || !strings.HasSuffix(table, "otherwise durable") {
		t.Errorf("the table in evidence is %q", table)
	}
}

func TestBadOptions(t *testing.T) {
	signer, _ := key(t, origin)
	dir := t.TempDir()
	for name, opts := range map[string]auditlog.Options{
		"CheckpointEvery": {CheckpointEvery: time.Microsecond},
		"WitnessEvery":    {WitnessEvery: time.Millisecond},
		"WitnessGap":      {WitnessGap: time.Second},
		"AggregateEvery":  {AggregateEvery: -1},
		"AggregateKinds":  {AggregateKinds: -1},
		"Quorum":          {Quorum: 1},
		"Reserve":         {Reserve: -1},
		"Witnesses":       {Witnesses: []auditlog.Witness{nil}},
		"SegmentSize":     {SegmentSize: 1000},
	} {
		if _, err := auditlog.Open(dir, signer, opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := auditlog.Open(dir, nil, auditlog.Options{}); err == nil {
		t.Error("a log without a key was opened")
	}
}

// snapshot is every file below a directory with its contents.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestBadDirectoriesAreRefusedAndLeftAlone(t *testing.T) {
	seg := func(dir string) string { return filepath.Join(dir, "segments", "0000000000000001.seg") }
	overwrite := func(path string, at int64, b []byte) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	zeroFrom := func(path string, at int64) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(path, at, make([]byte, info.Size()-at))
	}
	for name, tc := range map[string]struct {
		spoil func(dir string)
		want  error
		says  string
	}{
		"damage in the middle":     {func(dir string) { overwrite(seg(dir), 3000, []byte("XXXX")) }, auditlog.ErrDamaged, "segment"},
		"damage at the beginning":  {func(dir string) { overwrite(seg(dir), 70, []byte("XXXX")) }, auditlog.ErrDamaged, "segment"},
		"damaged header":           {func(dir string) { overwrite(seg(dir), 20, []byte("XXXX")) }, auditlog.ErrDamaged, "header"},
		"a segment is missing":     {func(dir string) { remove(t, seg(dir)) }, auditlog.ErrDamaged, "no segments"},
		"truncated file":           {func(dir string) { truncate(t, seg(dir), 2000) }, auditlog.ErrDamaged, "bytes"},
		"published entries gone":   {func(dir string) { zeroFrom(seg(dir), 5000) }, auditlog.ErrDamaged, "published"},
		"checkpoint is no note":    {func(dir string) { overwrite(filepath.Join(dir, "checkpoint"), 0, []byte("\n\n\n\n")) }, auditlog.ErrDamaged, "checkpoint"},
		"checkpoint of other tree": {func(dir string) { otherRoot(t, filepath.Join(dir, "checkpoint")) }, auditlog.ErrDamaged, "signed"},
	} {
		t.Run(name, func(t *testing.T) {
			signer, _ := key(t, origin)
			dir := filepath.Join(t.TempDir(), "log")
			l := open(t, dir, signer, small)
			for i := range 50 {
				if err := l.Record(t.Context(), event(fmt.Sprintf("a.b%d", i))); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			tc.spoil(dir)
			before := snapshot(t, dir)
			_, err := auditlog.Open(dir, signer, small)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open: %v", err)
			}
			after := snapshot(t, dir)
			for path, b := range before {
				if after[path] != b {
					t.Errorf("%s was changed", path)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%d files became %d", len(before), len(after))
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, n int64) {
	t.Helper()
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
}

func otherRoot(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitN(b, []byte("\n"), 4)
	lines[2] = []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	if err := os.WriteFile(path, bytes.Join(lines, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryBelowAFile(t *testing.T) {
	signer, _ := key(t, origin)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := auditlog.Open(filepath.Join(file, "log"), signer, small)
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	signer, _ := key(t, origin)
	dir := filepath.Join(t.TempDir(), "log")
	if err := open(t, dir, signer, small).Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{origin, "example.org/other"} {
		other, _ := key(t, name)
		if _, err := auditlog.Open(dir, other, small); !errors.Is(err, auditlog.ErrKey) {
			t.Errorf("key of %s: %v", name, err)
		}
	}
	open(t, dir, signer, small)
	if _, err := auditlog.Open(dir, signer, small); !errors.Is(err, auditlog.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log", "key")
	if _, _, err := auditlog.KeyFile(path, origin); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing key: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	signer, vkey, err := auditlog.NewKeyFile(path, origin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.NewVerifier(vkey); err != nil {
		t.Error(err)
	}
	if _, _, err := auditlog.NewKeyFile(path, origin); err == nil {
		t.Error("a key was overwritten")
	}
	if _, _, err := auditlog.NewKeyFile(filepath.Join(dir, "k2"), "a b"); err == nil {
		t.Error("an origin with a space was taken")
	}
	if _, err := auditlog.Open(filepath.Dir(path), signer, small); err == nil || !strings.Contains(err.Error(), "inside") {
		t.Errorf("key inside the log: %v", err)
	}
	if _, _, err := auditlog.KeyFile(path, "example.org/other"); !errors.Is(err, auditlog.ErrKey) {
		t.Errorf("another origin: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := auditlog.KeyFile(path, origin); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("open key: %v", err)
	}
}

// A copy of the directory from yesterday is a second history in the making.
func TestAnOldCopyIsRefused(t *testing.T) {
	signer, _ := key(t, origin)
	root := t.TempDir()
	opts := small
	opts.Store = auditlog.FileStore(filepath.Join(root, "last"))
	dir, old := filepath.Join(root, "log"), filepath.Join(root, "old")
	if err := open(t, dir, signer, opts).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, signer, opts)
	if _, err := l.Append(t.Context(), event("a.b"), auditlog.Published); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.Open(old, signer, opts); !errors.Is(err, auditlog.ErrDamaged) {
		t.Errorf("the old copy: %v", err)
	}
	open(t, dir, signer, opts)
	if err := opts.Store.Swap([]byte("x"), []byte("y")); err == nil {
		t.Error("a checkpoint was swapped for one that was not there")
	}
}

// fakeWitness cosigns without looking, with times of its own.
type fakeWitness struct {
	at  func() time.Time
	err error
}

func (fakeWitness) Name() string { return "witness.example" }

func (w fakeWitness) Cosign(_ context.Context, _ []byte, prove func(uint64) ([][32]byte, error)) (auditlog.Cosignature, error) {
	if _, err := prove(1); err != nil {
		return auditlog.Cosignature{}, err
	}
	return auditlog.Cosignature{Line: "— witness.example AAAAAAAAAAAAAAAA", Time: w.at()}, w.err
}

func TestWitnessing(t *testing.T) {
	opts := small
	opts.Witnesses = []auditlog.Witness{fakeWitness{at: time.Now}}
	l := newLog(t, opts)
	r, err := l.Append(t.Context(), event("a.b"), auditlog.Witnessed)
	if err != nil || r.Ack != auditlog.Witnessed {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, c := range l.Controls() {
		if res := c.Run(t.Context()); res.State != controls.Pass {
			t.Errorf("%s: %v, %s", c.ID, res.State, res.Observed)
		}
	}
	got := find(t, l, "auditlog.checkpoint.cosign")
	if len(got) == 0 {
		t.Fatal("the cosigned checkpoint is not logged")
	}
	text, _ := auditlogtest.Attr(got[0].Entry, "checkpoint")
	if !strings.HasPrefix(text, origin+"\n") || !strings.Contains(text, "— witness.example ") {
		t.Errorf("checkpoint %q", text)
	}
}

func TestWitnessFailuresShow(t *testing.T) {
	for name, w := range map[string]fakeWitness{
		"unreachable": {time.Now, errors.New("connection refused")},
		"no time":     {func() time.Time { return time.Time{} }, nil},
		"old time":    {func() time.Time { return time.Now().Add(-time.Hour) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			opts := small
			opts.Witnesses = []auditlog.Witness{w}
			l := newLog(t, opts)
			_, err := l.Append(t.Context(), event("a.b"), auditlog.Witnessed)
			if (err != nil) != (w.err != nil) {
				t.Errorf("Append: %v", err)
			}
			for _, c := range l.Controls() {
				if res := c.Run(t.Context()); res.State != controls.Fail {
					t.Errorf("%s: %v, %s", c.ID, res.State, res.Observed)
				}
			}
		})
	}
	l := newLog(t, small)
	if _, err := l.Append(t.Context(), event("a.b"), auditlog.Witnessed); err == nil {
		t.Error("witnessed by nobody")
	}
}
