package verify_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/internal/cosign"
	"github.com/surety-go/surety/auditlog/verify"
)

// kinds returns the findings of a report by kind and index.
func kinds(r verify.Report) map[verify.Kind][]uint64 {
	m := make(map[verify.Kind][]uint64)
	for _, f := range r.Findings {
		m[f.Kind] = append(m[f.Kind], f.Index)
	}
	return m
}

// An operator who writes entries of yesterday into today's log has the key,
// and the tree covers them: only the times around them tell. Each entry is
// compared, not one in some.
func TestOneBackdatedEntryIsFlagged(t *testing.T) {
	for name, off := range map[string]time.Duration{"backdated": -time.Hour, "postdated": time.Hour} {
		t.Run(name, func(t *testing.T) {
			f := newEmptyFixture(t)
			l := f.open(t, auditlog.Options{CheckpointEvery: time.Hour})
			var bad uint64
			for i := range 700 {
				e := f.stamped(t, i)
				if i == 333 {
					e.Time = e.Time.Add(off)
				}
				r, err := l.AppendEntries(t.Context(), []auditlog.Entry{e})
				if err != nil {
					t.Fatal(err)
				}
				if i == 333 {
					bad = r[0].Index
				}
				if i == 200 || i == 500 {
					f.anchored(t, l)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if got := kinds(f.verify(t))[verify.Time]; len(got) != 1 || got[0] != bad {
				t.Errorf("entries %v are flagged, want %d alone", got, bad)
			}
		})
	}
}

// Where an anchor lies within a bundle, what is right before it is wrong behind
// it, and the other way round.
func TestTimesAreComparedOnBothSidesOfAnAnchor(t *testing.T) {
	f := newEmptyFixture(t)
	now := time.Now()
	f.w.at = func() time.Time { return now }
	l := f.open(t, auditlog.Options{CheckpointEvery: time.Hour})
	appendAt := func(at time.Time) uint64 {
		e := f.stamped(t, 0)
		e.Time = at.UTC()
		r, err := l.AppendEntries(t.Context(), []auditlog.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		return r[0].Index
	}
	appendAt(now.Add(-time.Hour)) // before the first anchor it may be as old as it says
	late := appendAt(now.Add(10 * time.Minute))
	f.anchored(t, l)
	early := appendAt(now.Add(-10 * time.Minute))
	appendAt(now.Add(10 * time.Minute)) // no witness has seen it yet
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The closing is cosigned no more, so that nothing bounds what comes last.
	if got := kinds(f.verify(t))[verify.Time]; len(got) != 2 || got[0] != late || got[1] != early {
		t.Errorf("entries %v are flagged, want %d and %d", got, late, early)
	}
}

// The same event, copied to stand twice, moves all that follow: the tree of
// the checkpoint is another.
func TestADuplicatedEntryIsRejected(t *testing.T) {
	f := newFixture(t)
	f.edit(t, "tile/entries/000", func(b []byte) []byte {
		at, n := entryAt(b, 9)
		twice := append(append([]byte{}, b[:at+n]...), b[at-2:at+n]...)
		return append(twice, b[at+n:]...)
	})
	r := f.verify(t)
	if first, ok := r.FirstBad(); !ok || first != 10 {
		t.Errorf("first bad entry %d, %v: %v", first, ok, r.Findings)
	}
}

// A checkpoint of another log, signed by its own key, does not verify this
// one, and neither does one that names another log under this key.
func TestAnotherOriginIsRejected(t *testing.T) {
	f := newFixture(t)
	f.edit(t, "checkpoint", func(b []byte) []byte {
		text, _, _ := strings.Cut(string(b), "\n\n")
		_, rest, _ := strings.Cut(text, "\n")
		msg, err := note.Sign(&note.Note{Text: "example.org/other\n" + rest + "\n"}, f.signer)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	})
	if r := f.verify(t); r.OK() || !strings.Contains(r.Findings[0].String(), "not of this log") {
		t.Errorf("%v", r.Findings)
	}
}

// The operator publishes an old checkpoint again, which witnesses did cosign,
// to hide what came since. What the auditor kept tells.
func TestABackdatedCheckpointIsRejected(t *testing.T) {
	f := newFixture(t)
	kept, err := os.ReadFile(filepath.Join(f.dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	f.policy.Older = kept
	f.edit(t, "checkpoint", func([]byte) []byte { return f.older })
	if r := f.verify(t); r.OK() || r.Findings[0].Kind != verify.Tampered {
		t.Errorf("%v", r.Findings)
	}
}

// CVE-2023-31439: who could write journald's files could change sealed entries
// and have them verify. Here the intruder changes an entry, makes all hashes,
// tiles and segments' frames anew and even has the key: the witnesses' word
// about the tree stands in the way.
func TestResealedEntriesAreRejected(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Join(t.TempDir(), "forged")
	f.reseal(t, dir, 37)
	f.dir, f.policy.Older = dir, f.older
	if r := f.verify(t); r.OK() {
		t.Fatal("it verifies")
	}
	f.policy.Older = nil // nobody kept a checkpoint; the cosigned ones in the log stand for it
	if r := f.verify(t); r.OK() {
		t.Fatal("it verifies without what the auditor kept")
	}
}

// Two histories of one log, each consistent in itself and signed by its key: a
// witness has cosigned one, and the auditor who is shown the other sees that
// it is not that one.
func TestASplitViewIsRejected(t *testing.T) {
	f := newFixture(t)
	other := *f
	other.dir = filepath.Join(t.TempDir(), "other")
	other.w = newWitness(t, time.Now) // the operator's own
	other.write(t, other.dir)
	other.policy.Witnesses = f.policy.Witnesses
	if r := other.verify(t); r.OK() || kinds(r)[verify.Unwitnessed] == nil {
		t.Errorf("%v", r.Findings)
	}
	// The other view with the true witness's cosignature pasted in.
	cosigned := f.cosignedCheckpoint(t)
	if err := os.WriteFile(filepath.Join(other.dir, "checkpoint"), cosigned, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := other.verify(t); r.OK() || kinds(r)[verify.Tampered] == nil {
		t.Errorf("with a cosignature of the other history: %v", r.Findings)
	}
}

// One bit, anywhere, in each kind of file that a checkpoint covers.
func TestAFlippedBitInAnyFileIsRejected(t *testing.T) {
	f := newFixture(t)
	if r := f.verify(t); !r.OK() {
		t.Fatal(r.Findings)
	}
	for _, path := range []string{"checkpoint", "tile/0/000", "tile/0/001", "tile/1/000.p/2", "tile/entries/000", "tile/entries/001"} {
		name := filepath.Join(f.dir, filepath.FromSlash(path))
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 64 {
			at := i * (len(good) - 1) / 63
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (i % 8)
			if err := os.WriteFile(name, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := f.verify(t); r.OK() {
				t.Errorf("%s: bit %d of byte %d is flipped, and it verifies", path, i%8, at)
			}
		}
		if err := os.WriteFile(name, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := f.verify(t); !r.OK() {
		t.Error(r.Findings)
	}
}

// One witness under two names is one witness.
func TestAWitnessUnderTwoNamesCountsOnce(t *testing.T) {
	f := newFixture(t)
	seed := bytes.Repeat([]byte{7}, 32)
	for i, name := range []string{"a.example", "b.example"} {
		s, err := cosign.NewSigner(name, seed)
		if err != nil {
			t.Fatal(err)
		}
		f.policy.Witnesses = append(f.policy.Witnesses[:i], s.String())
	}
	if _, err := verify.Dir(t.Context(), f.dir, f.policy, nil); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("%v", err)
	}
}

// The time of a checkpoint is the quorum's: one witness of three whose clock
// is wrong moves nothing.
func TestOneWrongClockAmongWitnessesMovesNothing(t *testing.T) {
	for _, off := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		f := newEmptyFixture(t)
		f.policy.Quorum = 2
		opts := auditlog.Options{CheckpointEvery: time.Hour, Quorum: 2}
		f.policy.Witnesses = nil
		for i, o := range []time.Duration{0, off, 0} {
			w := newNamedWitness(t, fmt.Sprintf("w%d.example", i), func() time.Time { return time.Now().Add(o) })
			f.policy.Witnesses = append(f.policy.Witnesses, w.String())
			opts.Witnesses = append(opts.Witnesses, w)
		}
		l := f.open(t, opts)
		for i := range 20 {
			if _, err := l.AppendEntries(t.Context(), []auditlog.Entry{f.stamped(t, i)}); err != nil {
				t.Fatal(err)
			}
			if i%5 == 4 {
				f.anchored(t, l)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := f.verify(t); !r.OK() {
			t.Errorf("off by %s: %v", off, r.Findings)
		} else if d := time.Since(r.At).Abs(); d > time.Minute {
			t.Errorf("off by %s: witnessed %s from now", off, d)
		}
	}
}

// reseal copies the log with one entry changed and everything else made to
// fit, as far as the log's own key reaches.
func (f *fixture) reseal(t *testing.T, dir string, index int) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(f.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "segments")); err != nil {
		t.Fatal(err)
	}
	honest := f.dir
	f.dir = dir
	defer func() { f.dir = honest }()
	f.editEntries(t, func(b []byte) []byte {
		at, n := entryAt(b, index)
		copy(b[at:at+n], bytes.Replace(b[at:at+n], []byte("u-1"), []byte("u-2"), 1))
		return b
	})
	// All hashes again, by x/mod's tree.
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	size := int64(0)
	for n := 0; ; n++ {
		b, err := os.ReadFile(bundleName(dir, n))
		if err != nil {
			break
		}
		for len(b) > 0 {
			at, m := entryAt(b, 0)
			hashes, err := tlog.StoredHashes(size, b[at:at+m], read)
			if err != nil {
				t.Fatal(err)
			}
			stored, size, b = append(stored, hashes...), size+1, b[at+m:]
		}
	}
	for _, tile := range tlog.NewTiles(8, 0, size) {
		b, err := tlog.ReadTileData(tile, read)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(tile.Path(), "tile/8/")
		name := filepath.Join(dir, "tile", filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tlog.TreeHash(size, read)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)}, f.signer)
	if err != nil {
		t.Fatal(err)
	}
	f.edit(t, "checkpoint", func([]byte) []byte { return msg })
}

// bundleName is the file of a bundle, full or not.
func bundleName(dir string, n int) string {
	name := filepath.Join(dir, "tile", "entries", fmt.Sprintf("%03d", n))
	if _, err := os.Stat(name); err != nil {
		if list := partials(name); len(list) > 0 {
			return list[len(list)-1]
		}
	}
	return name
}

// partials are the incomplete tiles of a name, the widest last.
func partials(name string) []string {
	list, _ := filepath.Glob(name + ".p/*") // the pattern is well formed
	return partialsLast(list)
}

// partialsLast sorts tiles by their width.
func partialsLast(list []string) []string {
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return list
}
