package verify_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/internal/cosign"
	"github.com/surety-go/surety/auditlog/verify"
)

const origin = "example.org/audit"

// witness cosigns everything at a time of its choice.
type witness struct {
	*cosign.Signer
	at func() time.Time
}

func (w *witness) Cosign(_ context.Context, checkpoint []byte, _ func(uint64) ([][32]byte, error)) (auditlog.Cosignature, error) {
	text, _, _ := strings.Cut(string(checkpoint), "\n\n")
	at := w.at()
	line, err := w.Sign(text+"\n", at)
	return auditlog.Cosignature{Line: strings.TrimSuffix(line, "\n"), Time: at}, err
}

func newWitness(t testing.TB, at func() time.Time) *witness {
	return newNamedWitness(t, "witness.example", at)
}

func newNamedWitness(t testing.TB, name string, at func() time.Time) *witness {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed)
	s, err := cosign.NewSigner(name, seed)
	if err != nil {
		t.Fatal(err)
	}
	return &witness{s, at}
}

// A fixture is a closed log and what an auditor was told about it.
type fixture struct {
	dir    string
	signer note.Signer
	policy verify.Policy
	w      *witness
	older  []byte // a checkpoint from its life
	proved uint64
	entry  []byte
	proof  []byte
}

func newFixture(t testing.TB) *fixture { return fixtureWith(t, time.Now) }

func fixtureWith(t testing.TB, at func() time.Time) *fixture {
	t.Helper()
	f := newEmptyFixture(t)
	f.w.at = at
	f.write(t, f.dir)
	return f
}

func newEmptyFixture(t testing.TB) *fixture {
	t.Helper()
	signer, vkey, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{dir: filepath.Join(t.TempDir(), "log"), signer: signer, w: newWitness(t, time.Now)}
	f.policy = verify.Policy{Key: vkey, Witnesses: []string{f.w.String()}}
	return f
}

// open opens the fixture's log, with its witness unless others are given.
func (f *fixture) open(t testing.TB, opts auditlog.Options) *auditlog.Log {
	t.Helper()
	opts.SegmentSize, opts.Reserve = 256<<10, 1<<20
	if opts.Witnesses == nil {
		opts.Witnesses = []auditlog.Witness{f.w}
	}
	l, err := auditlog.Open(f.dir, f.signer, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stamped returns an entry that was stamped now.
func (f *fixture) stamped(t testing.TB, i int) auditlog.Entry {
	t.Helper()
	e, err := auditlog.Stamp(t.Context(), auditlog.Event{
		Action: "records.update", Outcome: auditlog.Success,
		Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User},
		Attrs: []auditlog.Attr{auditlog.Int("i", i)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// anchored waits until a checkpoint that covers the log so far is cosigned and
// logged.
func (f *fixture) anchored(t testing.TB, l *auditlog.Log) {
	t.Helper()
	if _, err := l.Append(t.Context(), auditlog.Event{Action: "records.update", Outcome: auditlog.Success}, auditlog.Witnessed); err != nil {
		t.Fatal(err)
	}
}

// cosignedCheckpoint is the last cosigned checkpoint in the log.
func (f *fixture) cosignedCheckpoint(t testing.TB) []byte {
	t.Helper()
	l := f.open(t, auditlog.Options{CheckpointEvery: time.Hour})
	defer l.Close()
	var last []byte
	for e, err := range l.Search(t.Context(), auditlog.Query{Action: "auditlog.checkpoint.cosign", Outcome: auditlog.Success}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range e.Attrs {
			if a.Key == "checkpoint" {
				last = []byte(a.Text())
			}
		}
	}
	return last
}

// write makes a log of a few bundles.
func (f *fixture) write(t testing.TB, dir string) {
	t.Helper()
	l, err := auditlog.Open(dir, f.signer, auditlog.Options{
		SegmentSize: 256 << 10, Reserve: 1 << 20, CheckpointEvery: time.Hour, Witnesses: []auditlog.Witness{f.w},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	ctx := auditlog.WithActor(t.Context(), auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User})
	for i := range 700 {
		ack := auditlog.Async
		if i == 100 || i == 650 {
			ack = auditlog.Witnessed
		}
		r, err := l.Append(ctx, auditlog.Event{Action: "records.update", Outcome: auditlog.Success, Attrs: []auditlog.Attr{auditlog.Int("i", i)}}, ack)
		if err != nil {
			t.Fatal(err)
		}
		if i == 100 {
			f.older, f.proved = l.Checkpoint(), r.Index
		}
	}
	if f.proof, err = l.Proof(ctx, f.proved); err != nil {
		t.Fatal(err)
	}
	e, err := l.At(f.proved)
	if err != nil {
		t.Fatal(err)
	}
	if f.entry, err = e.AppendJSON(nil); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) verify(t testing.TB) verify.Report {
	t.Helper()
	r, err := verify.Dir(t.Context(), f.dir, f.policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *fixture) edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	name := filepath.Join(f.dir, filepath.FromSlash(path))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnHonestLogVerifies(t *testing.T) {
	f := newFixture(t)
	f.policy.Older = f.older
	var last, total uint64
	r, err := verify.Dir(t.Context(), f.dir, f.policy, func(d, n uint64) { last, total = d, n })
	if err != nil || !r.OK() {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	if r.Entries < 700 || last != total || total != r.Entries || r.Anchors < 2 || r.At.IsZero() || r.Pending != 0 {
		t.Errorf("report %+v, progress %d of %d", r, last, total)
	}
	if v := r.Verdict(); !strings.Contains(v, "witnessed") || strings.Contains(v, "NOT") {
		t.Errorf("verdict %q", v)
	}
	f.policy.Witnesses = nil
	if r := f.verify(t); !r.OK() || !strings.Contains(r.Verdict(), "proves nothing against the operator") {
		t.Errorf("without witnesses: %s", r.Verdict())
	}
}

// entryAt returns where an entry of the first bundle begins and its length.
func entryAt(bundle []byte, i int) (at, n int) {
	for range i {
		at += 2 + int(binary.BigEndian.Uint16(bundle[at:]))
	}
	return at + 2, int(binary.BigEndian.Uint16(bundle[at:]))
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 1; return b }
}

// Each of these is something an operator or an intruder might do to a log.
func TestTamperedLogsAreRejected(t *testing.T) {
	for name, tc := range map[string]struct {
		tamper func(*testing.T, *fixture)
		first  uint64 // first bad entry, or NoIndex
	}{
		"an entry is changed": {func(t *testing.T, f *fixture) {
			f.edit(t, "tile/entries/000", func(b []byte) []byte {
				at, n := entryAt(b, 37)
				copy(b[at:at+n], bytes.Replace(b[at:at+n], []byte("u-1"), []byte("u-2"), 1))
				return b
			})
		}, 37},
		"an entry is removed": {func(t *testing.T, f *fixture) {
			f.edit(t, "tile/entries/001", func(b []byte) []byte {
				at, n := entryAt(b, 5)
				return append(b[:at-2], b[at+n:]...)
			})
		}, 256 + 5},
		"two entries change places": {func(t *testing.T, f *fixture) {
			f.edit(t, "tile/entries/000", func(b []byte) []byte {
				i, n := entryAt(b, 20)
				j, m := entryAt(b, 21)
				swapped := append(append([]byte{}, b[j-2:j+m]...), b[i-2:i+n]...)
				copy(b[i-2:], swapped)
				return b
			})
		}, 20},
		"an entry and its hash are changed": {func(t *testing.T, f *fixture) {
			f.edit(t, "tile/entries/000", func(b []byte) []byte {
				at, n := entryAt(b, 37)
				copy(b[at:at+n], bytes.Replace(b[at:at+n], []byte("u-1"), []byte("u-2"), 1))
				h := leaf(b[at : at+n])
				f.edit(t, "tile/0/000", func(tile []byte) []byte { copy(tile[37*32:], h[:]); return tile })
				return b
			})
		}, 0}, // the tile agrees: the tree tells that something is wrong, the commit frames where
		"a bundle is missing": {func(t *testing.T, f *fixture) { remove(t, f, "tile/entries/001") }, 256},
		"a bundle is cut short": {func(t *testing.T, f *fixture) {
			f.edit(t, "tile/entries/001", func(b []byte) []byte { return b[:100] })
		}, 256},
		"a leaf tile is changed": {func(t *testing.T, f *fixture) {
			f.edit(t, "tile/0/001", flip(40))
		}, 257},
		"a leaf tile is missing":   {func(t *testing.T, f *fixture) { remove(t, f, "tile/0/000") }, verify.NoIndex},
		"an upper tile is changed": {func(t *testing.T, f *fixture) { f.edit(t, "tile/1/000.p/2", flip(3)) }, verify.NoIndex},
		"a checkpoint is changed": {func(t *testing.T, f *fixture) {
			f.edit(t, "checkpoint", func(b []byte) []byte { return bytes.Replace(b, []byte("\n7"), []byte("\n6"), 1) })
		}, verify.NoIndex},
		"a frame is changed":           {func(t *testing.T, f *fixture) { f.edit(t, "segments/0000000000000001.seg", flip(5000)) }, 0},
		"a segment's header":           {func(t *testing.T, f *fixture) { f.edit(t, "segments/0000000000000001.seg", flip(3)) }, verify.NoIndex},
		"another key signs":            {otherKey, verify.NoIndex},
		"the operator rewrites it all": {rewrite, verify.NoIndex},
		"the end is cut off and signed again": {func(t *testing.T, f *fixture) {
			f.policy.Older = f.older
			if err := os.WriteFile(filepath.Join(f.dir, "checkpoint"), resign(t, f, 50), 0o600); err != nil {
				t.Fatal(err)
			}
		}, verify.NoIndex},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			tc.tamper(t, f)
			r := f.verify(t)
			if r.OK() || !strings.Contains(r.Verdict(), "NOT VERIFIED") {
				t.Fatalf("it verifies: %s", r.Verdict())
			}
			first, ok := r.FirstBad()
			if tc.first != 0 && ok && first != tc.first {
				t.Errorf("first bad entry %d, want %d: %v", first, tc.first, r.Findings)
			}
			for _, finding := range r.Findings {
				if finding.String() == "" || strings.Contains(finding.String(), "\n") {
					t.Errorf("finding %q", finding)
				}
			}
		})
	}
}

func leaf(data []byte) [32]byte { return sha(append([]byte{0}, data...)) }

func remove(t *testing.T, f *fixture, path string) {
	t.Helper()
	if err := os.Remove(filepath.Join(f.dir, filepath.FromSlash(path))); err != nil {
		t.Fatal(err)
	}
}

func otherKey(t *testing.T, f *fixture) {
	f.edit(t, "checkpoint", func(b []byte) []byte {
		text, _, _ := strings.Cut(string(b), "\n\n")
		skey, _, err := note.GenerateKey(rand.Reader, origin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := note.NewSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := note.Sign(&note.Note{Text: text + "\n"}, s)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	})
}

// rewrite is the operator, who has the key, writing another history. All
// proofs inside it hold; only the older checkpoint tells.
func rewrite(t *testing.T, f *fixture) {
	f.policy.Older = f.older
	f.dir = filepath.Join(t.TempDir(), "forged")
	f.write(t, f.dir)
}

// resign signs another root for a size, with the log's own key.
func resign(t *testing.T, f *fixture, size int) []byte {
	t.Helper()
	root := strings.Repeat("A", 43) + "="
	msg, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)}, f.signer)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// The operator rewrites history and has his own witness cosign it: the
// auditor's policy knows another one.
func TestOnlyThePolicysWitnessesCount(t *testing.T) {
	f := newFixture(t)
	f.policy.Witnesses = []string{newWitness(t, time.Now).String()}
	r := f.verify(t)
	if r.OK() || r.Findings[0].Kind != verify.Unwitnessed {
		t.Errorf("%v", r.Findings)
	}
	f.policy.Witnesses = append(f.policy.Witnesses, f.w.String())
	if r := f.verify(t); r.OK() {
		t.Error("one of two witnesses was enough for a quorum of all")
	}
	f.policy.Quorum = 1
	if r := f.verify(t); !r.OK() {
		t.Errorf("one of two with a quorum of 1: %v", r.Findings)
	}
}

// A clock that was set back an hour contradicts the witnesses' times.
func TestTimesOutsideTheirBracketsShow(t *testing.T) {
	for _, offset := range []time.Duration{time.Hour, -time.Hour} {
		f := fixtureWith(t, func() time.Time { return time.Now().Add(offset) })
		r := f.verify(t)
		found := false
		for _, x := range r.Findings {
			found = found || x.Kind == verify.Time
		}
		if !found {
			t.Errorf("clock off by %v: %v", offset, r.Findings)
		}
	}
}

func TestMissingWitnessesShowAsAGap(t *testing.T) {
	f := newFixture(t)
	f.policy.MaxGap = time.Nanosecond
	if r := f.verify(t); r.OK() || r.Findings[0].Kind != verify.Unwitnessed {
		t.Errorf("%v", r.Findings)
	}
}

func TestProof(t *testing.T) {
	f := newFixture(t)
	f.policy.Witnesses = nil
	index, err := verify.Proof(f.entry, f.proof, f.policy)
	if err != nil || index != f.proved {
		t.Fatalf("%d, %v", index, err)
	}
	other := bytes.Replace(f.entry, []byte("u-1"), []byte("u-2"), 1)
	for name, try := range map[string]struct{ entry, proof []byte }{
		"another entry": {other, f.proof},
		"another index": {f.entry, bytes.Replace(f.proof, []byte("index "), []byte("index 1"), 1)},
		"no proof":      {f.entry, nil},
		"half a proof":  {f.entry, f.proof[:len(f.proof)/3]},
		"no signature":  {f.entry, f.proof[:bytes.Index(f.proof, []byte("—"))]},
	} {
		if _, err := verify.Proof(try.entry, try.proof, f.policy); !errors.Is(err, verify.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.policy.Witnesses = []string{f.w.String()}
	if got, err := verify.Proof(f.entry, f.proof, f.policy); err != nil || got != f.proved {
		t.Errorf("a witnessed proof: %d, %v", got, err)
	}
	unwitnessed := f.proof[:bytes.LastIndex(f.proof, []byte("—"))]
	if _, err := verify.Proof(f.entry, unwitnessed, f.policy); !errors.Is(err, verify.ErrProof) {
		t.Errorf("an unwitnessed proof under a policy with witnesses: %v", err)
	}
	f.policy.Witnesses = []string{newWitness(t, time.Now).String()}
	if _, err := verify.Proof(f.entry, f.proof, f.policy); !errors.Is(err, verify.ErrProof) {
		t.Errorf("a proof with another witness's word: %v", err)
	}
}

func TestBadPolicies(t *testing.T) {
	f := newFixture(t)
	for name, p := range map[string]verify.Policy{
		"no key":         {},
		"witness":        {Key: f.policy.Key, Witnesses: []string{"x"}},
		"repeated":       {Key: f.policy.Key, Witnesses: []string{f.w.String(), f.w.String()}},
		"quorum":         {Key: f.policy.Key, Quorum: 1},
		"older unsigned": {Key: f.policy.Key, Older: []byte("x")},
	} {
		if _, err := verify.Dir(t.Context(), f.dir, p, nil); !errors.Is(err, verify.ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := verify.Dir(t.Context(), t.TempDir(), f.policy, nil); err == nil || errors.Is(err, verify.ErrPolicy) {
		t.Errorf("an empty directory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Dir(ctx, f.dir, f.policy, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzProof(f *testing.F) {
	x := newFixture(f)
	f.Add(x.proof)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\nx\n0\n\n"))
	x.policy.Witnesses = nil
	f.Fuzz(func(t *testing.T, proof []byte) {
		if index, err := verify.Proof(x.entry, proof, x.policy); err == nil && index != x.proved {
			t.Fatalf("the entry of index %d was proved at %d", x.proved, index)
		}
	})
}
