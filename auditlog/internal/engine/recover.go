package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// Recovery says what Open found.
type Recovery struct {
	Size uint64 // entries
	Torn int64  // bytes of an unacknowledged batch that were cut off
	Kept string // file that holds those bytes, or empty
}

// clockSlack is how far the clock may be behind the last commit.
const clockSlack = 2 * time.Second

// Open opens the log in a directory or makes a new one.
func Open(dir string, cfg Config) (*Engine, error) {
	e, err := prepareOpen(dir, cfg)
	if err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		for _, s := range e.segments {
			_ = s.file.Close()
		}
		_ = e.lock.Close()
		return nil, err
	}
	e.done.Go(e.publishLoop)
	e.done.Go(e.prepareLoop)
	go e.commitLoop()
	return e, nil
}

func prepareOpen(dir string, cfg Config) (*Engine, error) {
	if cfg.Signer == nil {
		return nil, errors.New("auditlog: Open needs a signer")
	}
	if cfg.FS == nil {
		cfg.FS = OS{}
	}
	if cfg.SegmentSize == 0 {
		cfg.SegmentSize = DefaultSegment
	}
	if cfg.SegmentSize < MinSegment || cfg.SegmentSize%4096 != 0 {
		return nil, fmt.Errorf("auditlog: SegmentSize is %d bytes, want a multiple of 4096 from %d on", cfg.SegmentSize, MinSegment)
	}
	if cfg.Interval == 0 {
		cfg.Interval = time.Second
	}
	if cfg.syncAfter == 0 {
		cfg.syncAfter = 512
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{
		cfg: cfg, fs: cfg.FS, dir: dir, origin: cfg.Signer.Name(),
		cur: newBatch(), taken: make(chan struct{}), wake: make(chan struct{}, 1),
		prepare: make(chan struct{}, 1), prepared: make(chan prepared, 1),
		pubWait: make(chan struct{}), publish: make(chan struct{}, 1),
		stop: make(chan struct{}), quit: make(chan struct{}),
	}
	if err := e.fs.MkdirAll(e.segmentDir()); err != nil {
		return nil, fmt.Errorf("auditlog: make the log's directory: %w", err)
	}
	lock, err := e.fs.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	e.lock = lock
	return e, nil
}

// open recovers the directory, which the engine has locked.
func (e *Engine) open() error {
	last, err := e.lastCheckpoint()
	if err != nil {
		return err
	}
	if last.Size > 0 {
		e.published.Store(&last)
	}
	synced, err := e.readSynced()
	if err != nil {
		return err
	}
	if err := e.openSegments(); err != nil {
		return err
	}
	if err := e.resumePruning(); err != nil {
		return err
	}
	if len(e.segments) == 0 {
		if last.Size > 0 || synced > 0 {
			return damaged("%s has a checkpoint of %d entries and no segments", e.dir, max(last.Size, synced))
		}
		return e.create()
	}
	r := replay{e: e, last: time.Unix(0, 0).UTC(), roots: map[uint64]*merkle.Hash{last.Size: nil, synced: nil}}
	if err := r.run(min(last.Size, synced), synced); err != nil {
		return err
	}
	if err := e.rootBefore(&r, last.Size, synced); err != nil {
		return err
	}
	if err := e.checkReplay(&r, last, synced); err != nil {
		return err
	}
	return e.resume(&r, synced)
}

// rootBefore computes the root of the last checkpoint from the tiles when the
// segments no longer go back to it: in a long run tiles are synced and segments
// reused before the next checkpoint is signed. The tiles are held against the
// root that the segments have for the synced size.
func (e *Engine) rootBefore(r *replay, size, synced uint64) error {
	if size == 0 || r.roots[size] != nil || r.roots[synced] == nil || size > synced {
		return nil
	}
	tiles := tlog.TileHashReader(tlog.Tree{N: int64(synced), Hash: tlog.Hash(*r.roots[synced])}, tileFiles{e.fs, e.dir})
	roots, err := subtrees(tiles, 0, size)
	if err != nil {
		return damaged("the tiles below entry %d: %v", synced, err)
	}
	t, err := merkle.Restore(size, roots)
	if err != nil {
		return damaged("the tiles below entry %d: %v", synced, err)
	}
	root := t.Root()
	r.roots[size] = &root
	return nil
}

// create makes the first segment of a new log.
func (e *Engine) create() error {
	for _, dir := range []string{filepath.Dir(e.dir), e.dir} {
		if err := e.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("auditlog: make the log's directory: %w", err)
		}
	}
	s, err := createSegment(e.fs, e.segmentDir(), e.origin, 1, e.cfg.SegmentSize)
	if err != nil {
		return fmt.Errorf("auditlog: make the first segment: %w", err)
	}
	e.segments = []*segment{s}
	e.state.Store(&State{Root: e.tree.Root(), Time: time.Unix(0, 0).UTC()})
	e.tiles = e.newTiler()
	return nil
}

// lastCheckpoint reads the checkpoint on disk or, if later, the stored one,
// and checks whose it is.
func (e *Engine) lastCheckpoint() (Checkpoint, error) {
	msg, err := readFile(e.fs, filepath.Join(e.dir, "checkpoint"), 1<<20)
	if err != nil && !missing(err) {
		return Checkpoint{}, err
	}
	last, err := e.ownCheckpoint(msg, "checkpoint in "+e.dir)
	if err != nil || e.cfg.Store == nil {
		return last, err
	}
	msg, err = e.cfg.Store.Load()
	if err != nil {
		return Checkpoint{}, fmt.Errorf("auditlog: load the last checkpoint: %w", err)
	}
	stored, err := e.ownCheckpoint(msg, "stored checkpoint")
	if err != nil {
		return Checkpoint{}, err
	}
	if len(msg) == 0 && last.Size > 0 { // the store is new to this log
		return last, e.cfg.Store.Swap(nil, last.Note)
	}
	if stored.Size < last.Size {
		return Checkpoint{}, damaged("the checkpoint store ends at %d entries and %s at %d", stored.Size, e.dir, last.Size)
	}
	return stored, nil
}

func (e *Engine) ownCheckpoint(msg []byte, what string) (Checkpoint, error) {
	if len(msg) == 0 {
		return Checkpoint{}, nil
	}
	origin, c, err := ParseCheckpoint(msg)
	if err != nil {
		return Checkpoint{}, damaged("%s: %v", what, err)
	}
	if origin != e.origin || !signedBy(msg, e.cfg.Signer.Name(), e.cfg.Signer.KeyHash()) {
		return Checkpoint{}, fmt.Errorf("%w: the %s is of %q: give the key the log was made with", ErrKey, what, origin)
	}
	return c, nil
}

func (e *Engine) readSynced() (uint64, error) {
	b, err := readFile(e.fs, filepath.Join(e.segmentDir(), "synced"), 32)
	if missing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(b), "\n"), 10, 63)
	if err != nil {
		return 0, damaged("segments/synced holds no number")
	}
	return n, nil
}

// openSegments opens all segments in order and removes unfinished ones.
func (e *Engine) openSegments() error {
	names, err := e.fs.List(e.segmentDir())
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		epoch, ok := epochOf(name)
		if !ok {
			if strings.HasSuffix(name, ".tmp") {
				if err := e.fs.Remove(filepath.Join(e.segmentDir(), name)); err != nil {
					return err
				}
			}
			continue
		}
		if n := len(e.segments); n > 0 && e.segments[n-1].epoch+1 != epoch {
			return damaged("segment %s is missing", segmentName(e.segments[n-1].epoch+1))
		}
		s, err := openSegment(e.fs, e.segmentDir(), e.origin, epoch)
		if err != nil {
			return err
		}
		e.segments = append(e.segments, s)
	}
	return nil
}

// checkReplay compares what was replayed with what was promised.
func (e *Engine) checkReplay(r *replay, last Checkpoint, synced uint64) error {
	size := r.tree.Size()
	if size < last.Size || size < synced {
		return damaged("%s ends at entry %d, and %d were published", e.dir, size, max(last.Size, synced))
	}
	if root := r.roots[last.Size]; last.Size > 0 && (root == nil || *root != last.Root) {
		return damaged("the tree of size %d in %s is not the one that was signed", last.Size, e.dir)
	}
	if now := e.cfg.Now(); now.Add(clockSlack).Before(r.last) {
		return fmt.Errorf("%w: it is %s, the last entry was written at %s: set the clock", ErrClock,
			now.UTC().Format(time.RFC3339), r.last.Format(time.RFC3339))
	}
	return nil
}

// resume cuts off a torn batch, makes sure of the last good one and loads the
// tiles. From here on the directory is written to.
func (e *Engine) resume(r *replay, synced uint64) error {
	e.tree = r.tree
	e.state.Store(&State{Size: r.tree.Size(), Root: r.tree.Root(), Time: r.last})
	e.Recovered.Size = r.tree.Size()
	for _, s := range e.segments[max(r.used-1, 0):] {
		if err := e.clearTail(s); err != nil {
			return fmt.Errorf("auditlog: cut off a torn batch of %s: %w", s.path, err)
		}
	}
	if r.used > 0 {
		if err := rewrite(e.segments[r.used-1], r.prev); err != nil {
			return fmt.Errorf("auditlog: write the last batch of %s again: %w", e.segments[r.used-1].path, err)
		}
	}
	if r.used < len(e.segments) && r.used > 0 { // prepared: hand it to the committer
		n := len(e.segments) - 1
		e.prepared <- prepared{seg: e.segments[n]}
		e.segments, e.asked = e.segments[:n], true
	}
	if err := e.resumeTiles(r, synced); err != nil {
		return err
	}
	return e.completeTiles(r)
}

// completeTiles writes the tiles of the last checkpoint again if the crash may
// have taken them: whoever has the checkpoint will ask for them.
func (e *Engine) completeTiles(r *replay) error {
	last := e.Published()
	if e.tiles.size >= last.Size {
		return nil
	}
	return e.buildTiles(State{Size: last.Size, Root: *r.roots[last.Size]})
}

// resumeTiles continues the tiles from the last synced size, or rebuilds them
// when they are not as they were.
func (e *Engine) resumeTiles(r *replay, synced uint64) error {
	e.tiles = e.newTiler()
	e.synced.Store(synced)
	e.bundled.Store(synced)
	err := e.tiles.load(synced)
	if err == nil && synced > 0 && (r.roots[synced] == nil || e.tiles.root() != *r.roots[synced]) {
		err = errors.New("another root")
	}
	if err == nil {
		return nil
	}
	return e.rebuildTiles(synced)
}

// rebuildTiles writes all tiles anew, from the segments as far as they go
// back and from bundles before that.
func (e *Engine) rebuildTiles(size uint64) error {
	const w = merkle.TileWidth
	e.bundled.Store(min(size, (e.segments[0].first+w-1)/w*w))
	e.tiles = e.newTiler()
	e.tiles.full, e.tiles.careful = func(uint64) {}, true
	if err := e.tiles.load(e.Pruned()); err != nil {
		return damaged("the tiles can't be rebuilt: %v", err)
	}
	if err := e.Scan(e.Pruned(), size, func(_ uint64, b []byte) error { return e.tiles.add(b, merkle.Leaf(b)) }); err != nil {
		return damaged("the tiles can't be rebuilt: %v", err)
	}
	if err := e.tiles.writePartial(); err != nil {
		return err
	}
	e.tiles.full, e.tiles.careful = e.bundled.Store, false
	e.bundled.Store(size)
	return nil
}

// rewrite writes the last accepted batch once more: after a failed sync, what
// was read may never have reached the disk.
func rewrite(s *segment, from int64) error {
	b := make([]byte, s.end-from)
	if _, err := s.file.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := s.file.WriteAt(b, from); err != nil {
		return err
	}
	return s.file.Sync()
}

// clearTail overwrites what lies behind the last commit, so that no frame of a
// torn batch is ever taken for a part of a later one. What holds frames is
// kept in a file first.
func (e *Engine) clearTail(s *segment) error {
	tail, err := readTail(s)
	if err != nil {
		return err
	}
	used := len(bytes.TrimRight(tail, "\x00"))
	if used == 0 {
		return nil
	}
	if end := lastFrame(tail, s.seed); end > 0 {
		e.Recovered.Torn += int64(end)
		e.Recovered.Kept = filepath.Join(e.segmentDir(), fmt.Sprintf("torn-%x-%x.bin", s.epoch, s.end))
		if err := replaceFile(e.fs, e.Recovered.Kept, tail[:end], true); err != nil {
			return err
		}
	}
	clear(tail[:used])
	if _, err := s.file.WriteAt(tail[:used], s.end); err != nil {
		return err
	}
	return s.file.Sync()
}

// lastFrame returns where the last valid frame in a tail ends, or 0.
func lastFrame(tail []byte, seed uint32) (end int) {
	r := replay{}
	for at := 0; at+frameHeader <= len(tail); at += frameAlign {
		if _, size, ok := r.plausible(tail[at:], seed); ok {
			end = max(end, at+size)
		}
	}
	return end
}

// signedBy reports whether a note has a signature line of a key. The line is
// not verified: this tells a mistaken key, it proves nothing.
func signedBy(msg []byte, name string, hash uint32) bool {
	return slices.ContainsFunc(signatures(msg), func(s signatureLine) bool { return s.name == name && s.hash == hash })
}

// Append is Enqueue and Wait, for tests and tools.
func (e *Engine) Append(ctx context.Context, payload []byte) (uint64, error) {
	t, err := e.Enqueue(ctx, payload, merkle.Leaf(payload))
	if err != nil {
		return 0, err
	}
	index, _, err := t.Wait()
	return index, err
}
