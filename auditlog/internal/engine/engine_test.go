package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

func newKey(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

type world struct {
	t        testing.TB
	fs       *memFS
	signer   note.Signer
	verifier note.Verifier
	cfg      Config
	made     int // payloads so far: no two are alike
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, fs: newMemFS()}
	w.signer, w.verifier = newKey(t, "log.example/test")
	w.cfg = Config{Signer: w.signer, SegmentSize: MinSegment, Interval: time.Hour}
	return w
}

func (w *world) open() (*Engine, error) {
	cfg := w.cfg
	cfg.FS = w.fs
	return Open("/log", cfg)
}

func (w *world) mustOpen() *Engine {
	w.t.Helper()
	e, err := w.open()
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func payload(i int) []byte {
	rng := mathrand.New(mathrand.NewPCG(1, uint64(i)))
	b := make([]byte, 1+rng.IntN(9000))
	for j := range b {
		b[j] = byte(rng.Uint32())
	}
	return append(b, fmt.Sprintf("entry %d", i)...)
}

// acked is what callers were promised, by index.
type acked map[uint64][]byte

// check opens the log and compares it with the promises, with tlog as the
// judge of the tree and the tiles as other people's readers see them.
func (w *world) check(promised acked) {
	w.t.Helper()
	e := w.mustOpen()
	defer func() {
		if err := e.Close(); err != nil {
			w.t.Error(err)
		}
	}()
	size := e.State().Size
	var leaves []tlog.Hash
	seen := make(map[string]uint64)
	err := e.Scan(0, size, func(i uint64, b []byte) error {
		if i != uint64(len(leaves)) {
			return fmt.Errorf("entry %d comes %d.", i, len(leaves))
		}
		if want, ok := promised[i]; ok && !bytes.Equal(want, b) {
			return fmt.Errorf("entry %d is not the one that was acknowledged", i)
		}
		if j, twice := seen[string(b)]; twice {
			return fmt.Errorf("entry %d is entry %d again", i, j)
		}
		seen[string(b)] = i
		leaves = append(leaves, tlog.RecordHash(b))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range promised {
		if i >= size {
			w.t.Fatalf("acknowledged entry %d of %d is lost: the log has %d", i, len(promised), size)
		}
	}
	if size == 0 {
		return
	}
	c, err := e.WaitPublished(context.Background(), size)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkTiles(c, leaves)
}

func (w *world) checkTiles(c Checkpoint, leaves []tlog.Hash) {
	w.t.Helper()
	if _, err := note.Open(c.Note, note.VerifierList(w.verifier)); err != nil {
		w.t.Fatalf("checkpoint: %v", err)
	}
	r := tlog.TileHashReader(tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Root)}, tileReader{w.fs, "/log"})
	indexes := make([]int64, len(leaves))
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	got, err := r.ReadHashes(indexes)
	if err != nil {
		w.t.Fatalf("tiles: %v", err)
	}
	for i := range got {
		if got[i] != leaves[i] {
			w.t.Fatalf("tiles: leaf %d differs", i)
		}
	}
}

// tileReader reads tiles the way x/mod does, from the layout of tlog-tiles.
type tileReader struct {
	fs  *memFS
	dir string
}

func (r tileReader) Height() int                     { return 8 }
func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tileReader) ReadTiles(ts []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range ts {
		b, err := readFile(r.fs, filepath.Join(r.dir, merkle.TilePath(t.L, uint64(t.N), t.W)), 1<<20)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func TestAppendAndReopen(t *testing.T) {
	w := newWorld(t)
	promised := make(acked)
	for range 3 {
		e := w.mustOpen()
		for range 150 {
			b := payload(len(promised))
			i, err := e.Append(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			promised[i] = b
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Append(t.Context(), payload(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("append after close: %v", err)
		}
		w.check(promised)
	}
	if len(promised) != 450 {
		t.Errorf("450 entries have %d indexes", len(promised))
	}
}

func TestConcurrentCallersShareBatches(t *testing.T) {
	w := newWorld(t)
	w.cfg.SegmentSize = 1 << 20
	var syncs atomic.Int64
	e := w.mustOpen()
	w.fs.mu.Lock()
	w.fs.fault = func(op, _ string) (error, bool) {
		if op == "sync" {
			syncs.Add(1)
			time.Sleep(200 * time.Microsecond) // as a disk would: others gather meanwhile
		}
		return nil, true
	}
	w.fs.mu.Unlock()
	var mu sync.Mutex
	promised := make(acked)
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i := range 20 {
				b := fmt.Appendf(nil, "%d/%d", c, i)
				index, err := e.Append(t.Context(), b)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				promised[index] = b
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n := syncs.Load(); n > 640 {
		t.Errorf("%d syncs for 1280 entries: callers do not share them", n)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if len(promised) != 64*20 {
		t.Errorf("%d indexes for %d entries", len(promised), 64*20)
	}
	w.check(promised)
}

// run is a small life of a log under faults. It stops at the first failure,
// as its callers would.
func (w *world) run(promised acked) error {
	for range 2 {
		e, err := w.open()
		if err != nil {
			return err
		}
		for i := range 70 {
			w.made++
			b := payload(w.made)
			index, err := e.Append(context.Background(), b)
			if err != nil {
				_ = e.Close()
				return err
			}
			if old, twice := promised[index]; twice && !bytes.Equal(old, b) {
				w.t.Fatalf("index %d was given twice", index)
			}
			promised[index] = b
			if i%25 == 24 {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				_, err := e.WaitPublished(ctx, index+1)
				cancel()
				if err != nil {
					_ = e.Close()
					return err
				}
			}
		}
		if err := e.Close(); err != nil {
			return err
		}
	}
	return nil
}

var everyCall = flag.Bool("every-call", false, "fail at every call instead of a slice of them (90 s)")

// Every write, sync, rename and create fails, once and twice, with and
// without effect; then the power fails. Nothing that was acknowledged may be
// missing, and the log must open.
func TestFaultAtEveryCall(t *testing.T) {
	total := 0
	w := newWorld(t)
	w.fs.fault = func(string, string) (error, bool) { total++; return nil, true }
	if err := w.run(make(acked)); err != nil {
		t.Fatal(err)
	}
	step := 8 // a slice that ends in 10 s; its beginning is drawn anew each time
	if raceEnabled {
		step = 40
	}
	if *everyCall {
		step = 1
	}
	first := 1 + mathrand.IntN(step)
	t.Logf("calls %d to %d in steps of %d", first, total, step)
	for at := first; at <= total; at += step {
		for _, times := range []int{1, 2} {
			for _, effect := range []bool{false, true} {
				faultAt(t, at, times, effect)
			}
		}
	}
}

func faultAt(t *testing.T, at, times int, effect bool) {
	t.Helper()
	w := newWorld(t)
	n := 0
	w.fs.fault = func(string, string) (error, bool) {
		if n++; n >= at && n < at+times {
			return errInjected, effect
		}
		return nil, true
	}
	promised := make(acked)
	err := w.run(promised)
	if err != nil && !errors.Is(err, errInjected) {
		t.Fatalf("call %d: %v", at, err)
	}
	rng := mathrand.New(mathrand.NewPCG(uint64(at), uint64(times)))
	w.fs.fault = nil
	if effect { // the process goes on: what is in memory counts
		w.check(promised)
	}
	w.fs = w.fs.crash(rng)
	w.check(promised)
	if err := w.run(promised); err != nil {
		t.Fatalf("call %d: a second life: %v", at, err)
	}
	w.check(promised)
	if t.Failed() {
		t.Fatalf("at call %d, %d times, effect %v", at, times, effect)
	}
}

// The power fails at a random moment of a run with many callers.
func TestCrashAnywhere(t *testing.T) {
	seeds := uint64(40)
	if raceEnabled {
		seeds = 8
	}
	for seed := range seeds {
		w := newWorld(t)
		promised := make(acked)
		for life := range 3 {
			rng := mathrand.New(mathrand.NewPCG(seed, uint64(life)))
			w.crashOnce(promised, rng, life)
		}
		w.check(promised)
	}
}

func (w *world) crashOnce(promised acked, rng *mathrand.Rand, life int) {
	w.t.Helper()
	e := w.mustOpen()
	var after atomic.Pointer[memFS]
	at, n := 20+rng.IntN(400), 0
	w.fs.mu.Lock()
	w.fs.fault = func(string, string) (error, bool) {
		n++
		if n >= at {
			return errInjected, false
		}
		return nil, true
	}
	w.fs.mu.Unlock()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 60 {
				b := fmt.Appendf(payload(i), "life %d caller %d %d", life, c, i)
				index, err := e.Append(context.Background(), b)
				if err != nil {
					return
				}
				mu.Lock()
				promised[index] = b
				mu.Unlock()
				if i%20 == 0 {
					signal(e.publish)
				}
			}
		})
	}
	wg.Wait()
	_ = e.Close()
	after.Store(w.fs.crash(rng))
	w.fs = after.Load()
}

// Above the leaves an incomplete tile has the same name at many sizes of the
// tree. Whoever reads it for a checkpoint that is published must not find it
// empty because the next one is being made.
func TestPublishedTilesAreNotOpenedForWriting(t *testing.T) {
	w := newWorld(t)
	for life := range 2 {
		e := w.mustOpen()
		for i := range 3*merkle.TileWidth + 20 {
			b := fmt.Appendf(nil, "life %d entry %d", life, i)
			if _, err := e.Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if i < 3*merkle.TileWidth {
				continue
			}
			w.fs.mu.Lock()
			published := maps.Clone(w.fs.names)
			w.fs.fault = func(op, name string) (error, bool) {
				if op == "create" && published[name] != nil && strings.Contains(name, "/tile/") && !strings.HasSuffix(name, ".tmp") {
					t.Errorf("%s is written over", name)
				}
				return nil, true
			}
			w.fs.mu.Unlock()
			if _, err := e.WaitPublished(t.Context(), e.State().Size); err != nil {
				t.Fatal(err)
			}
			w.fs.mu.Lock()
			w.fs.fault = nil
			w.fs.mu.Unlock()
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFailedSyncPoisons(t *testing.T) {
	w := newWorld(t)
	e := w.mustOpen()
	if _, err := e.Append(t.Context(), []byte("good")); err != nil {
		t.Fatal(err)
	}
	w.fs.mu.Lock()
	failed := false
	w.fs.fault = func(op, _ string) (error, bool) {
		if op == "sync" && !failed {
			failed = true
			return errInjected, false
		}
		return nil, true
	}
	w.fs.mu.Unlock()
	if _, err := e.Append(t.Context(), []byte("lost")); !errors.Is(err, ErrPoisoned) || !errors.Is(err, errInjected) {
		t.Errorf("append with a failing sync: %v", err)
	}
	// The disk works again; the log must not pretend that nothing happened.
	if _, err := e.Append(t.Context(), []byte("later")); !errors.Is(err, ErrPoisoned) {
		t.Errorf("append after it: %v", err)
	}
	if err := e.Err(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("Err: %v", err)
	}
	if err := e.Close(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("Close: %v", err)
	}
	// The failed batch is still in memory, as the kernel would show it. After
	// opening, it counts, so it must be on the disk for good.
	e = w.mustOpen()
	size := e.State().Size
	if _, err := e.Append(t.Context(), []byte("after")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.fs = w.fs.crash(mathrand.New(mathrand.NewPCG(1, 1)))
	w.check(acked{0: []byte("good"), size: []byte("after")})
}

func TestSecondProcessIsRefused(t *testing.T) {
	w := newWorld(t)
	e := w.mustOpen()
	if _, err := w.open(); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.check(nil)
}

// Segments are reused once their entries are in tiles, and a frame of an
// earlier life of a segment is never taken for a new one.
func TestReusedSegmentsAfterACrash(t *testing.T) {
	for seed := range uint64(8) {
		w := newWorld(t)
		e := w.mustOpen()
		promised := make(acked)
		for i := range 400 {
			b := payload(i)
			index, err := e.Append(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			promised[index] = b
			if i%50 == 49 {
				if _, err := e.WaitPublished(t.Context(), index+1); err != nil {
					t.Fatal(err)
				}
				forceSync(t, e)
			}
		}
		e.segMu.RLock()
		first, n := e.segments[0].epoch, len(e.segments)
		e.segMu.RUnlock()
		if first == 1 || n > 6 {
			t.Fatalf("no segment was reused: the first is %d of %d", first, n)
		}
		w.fs.mu.Lock()
		at := 0
		w.fs.fault = func(string, string) (error, bool) {
			at++
			return errInjected, at < int(seed)/4
		}
		w.fs.mu.Unlock()
		_, _ = e.Append(t.Context(), payload(1000))
		_ = e.Close()
		w.fs = w.fs.crash(mathrand.New(mathrand.NewPCG(seed, 7)))
		w.check(promised)
	}
}

// Checkpoints can't be signed for a while, or take long to be reached, and
// events go on: tiles are synced, and segments reused beyond the last
// checkpoint. After a crash the log opens, and has what it promised.
func TestSegmentsReusedBeyondTheLastCheckpoint(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(t)
		w.cfg.syncAfter = 1
		e := w.mustOpen()
		promised := make(acked)
		add := func() uint64 {
			b := payload(len(promised))
			index, err := e.Append(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			promised[index] = b
			return index
		}
		for range 300 {
			add()
		}
		c, err := e.WaitPublished(t.Context(), 300)
		if err != nil {
			t.Fatal(err)
		}
		w.fs.mu.Lock()
		w.fs.fault = func(op, name string) (error, bool) {
			if strings.HasPrefix(name, "/log/checkpoint") {
				return errInjected, false
			}
			return nil, true
		}
		w.fs.mu.Unlock()
		for {
			index := add()
			signal(e.publish)
			e.segMu.RLock()
			first := e.segments[0].first
			e.segMu.RUnlock()
			if first > c.Size && index > 1500 {
				break
			}
			if index > 20_000 {
				t.Fatalf("no segment was reused beyond the checkpoint: the first begins at %d", first)
			}
		}
		_ = e.Close() // it can't publish
		w.fs.mu.Lock()
		w.fs.fault = nil
		w.fs.mu.Unlock()
		w.fs = w.fs.crash(mathrand.New(mathrand.NewPCG(seed, 9)))
		w.check(promised)
	}
}

// forceSync has the publisher sync its tiles.
func forceSync(t *testing.T, e *Engine) {
	t.Helper()
	e.syncSoon.Store(true)
	signal(e.publish)
	for e.synced.Load() < e.Published().Size {
		if err := e.PublishError(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}
