package engine

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// A replay reads the segments again.
type replay struct {
	e     *Engine
	tree  merkle.Tree // after the last commit
	last  time.Time
	prev  int64                   // where the last committed batch begins
	roots map[uint64]*merkle.Hash // wanted sizes, and their roots when found
	used  int                     // segments in use
}

// run replays from the last segment that begins at or before size from, or, if
// segments were reused since, at or before what is synced in tiles.
func (r *replay) run(from, synced uint64) error {
	segs := r.e.segments
	for i, s := range segs {
		start, ok, err := readStart(s)
		if err != nil {
			return err
		}
		if !ok { // prepared and not used, or torn in its first batch
			if i != len(segs)-1 {
				return damaged("segment %s has no valid beginning", s.path)
			}
			break
		}
		if s.first = start.index; i > 0 {
			segs[i-1].next = s.first
		}
		r.used = i + 1
	}
	if r.used == 0 {
		if len(segs) > 1 || segs[0].epoch != 1 || from > 0 {
			return damaged("segment %s has no valid beginning", segs[0].path)
		}
		return r.checkTail(segs[0])
	}
	if segs[0].first > from {
		from = synced
	}
	at := 0
	for i, s := range segs[:r.used] {
		if s.first <= from {
			at = i
		}
	}
	if segs[at].first > from {
		return damaged("the segments begin at entry %d and the tiles end at %d", segs[at].first, from)
	}
	return r.segments(at)
}

func (r *replay) segments(at int) error {
	segs := r.e.segments
	for i := at; i < r.used; i++ {
		if i > at && r.tree.Size() != segs[i].first {
			return damaged("segment %s ends at entry %d and the next begins at %d", segs[i-1].path, r.tree.Size(), segs[i].first)
		}
		if err := r.segment(segs[i], i == at); err != nil {
			return err
		}
	}
	for i := range at { // not replayed: entries are in tiles, or verified offline
		if err := indexSegment(segs[i]); err != nil {
			return err
		}
	}
	if err := r.checkTail(segs[r.used-1]); err != nil {
		return err
	}
	if r.used < len(segs) {
		return r.checkTail(segs[r.used])
	}
	return nil
}

// note keeps the root if its size is wanted.
func (r *replay) note() {
	if _, ok := r.roots[r.tree.Size()]; ok {
		root := r.tree.Root()
		r.roots[r.tree.Size()] = &root
	}
}

func readStart(s *segment) (frame, bool, error) {
	buf := make([]byte, 4096)
	n, err := s.file.ReadAt(buf, segmentHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return frame{}, false, err
	}
	f, _, ok := parseFrame(buf[:n], s.seed)
	return f, ok && f.kind == kindStart, nil
}

// segment replays one segment up to its last valid commit.
func (r *replay) segment(s *segment, first bool) error {
	next := clone(&r.tree) // with entries that have no commit frame yet
	begin := int64(segmentHeader)
	s.next, r.prev = s.first, begin
	return eachFrame(s, segmentHeader, func(f frame, end int64) error {
		switch f.kind {
		case kindStart:
			tree, last, ok := parseStart(f)
			if !ok || end-int64(frameSize(len(f.body))) != segmentHeader {
				return errStop
			}
			if !first && (tree.Root() != r.tree.Root() || !last.Equal(r.last)) {
				return damaged("segment %s does not continue the one before it", s.path)
			}
			r.tree, next, r.last = tree, clone(&tree), last
			r.note()
		case kindEntry:
			if f.index != next.Size() {
				return errStop
			}
			next.Append(merkle.Leaf(f.body))
		case kindCommit:
			c, ok := parseCommit(f.body)
			if !ok || c.from != r.tree.Size() || f.index != next.Size() {
				return errStop
			}
			if c.root != next.Root() || c.time.Before(r.last) {
				return damaged("segment %s: the commit of size %d does not fit the entries before it", s.path, f.index)
			}
			r.tree.CopyFrom(&next)
			r.last, r.prev = c.time, begin
			s.commitTo(f.index, end)
			r.note()
			begin = end
		}
		return nil
	})
}

func clone(t *merkle.Tree) (c merkle.Tree) {
	c.CopyFrom(t)
	return c
}

var errStop = errors.New("stop")

// eachFrame calls fn with the valid frames from an offset on, until one is
// not valid or fn stops.
func eachFrame(s *segment, offset int64, fn func(f frame, end int64) error) error {
	buf := make([]byte, min(1<<20, s.size))
	for {
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), s.size-offset)], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("auditlog: read %s: %w", s.path, err)
		}
		b := buf[:n]
		for {
			f, size, ok := parseFrame(b, s.seed)
			if !ok {
				break
			}
			if err := fn(f, offset+int64(n-len(b)+size)); err != nil {
				if errors.Is(err, errStop) {
					return nil
				}
				return err
			}
			b = b[size:]
		}
		if len(b) == n { // no progress: the end, or damage
			return nil
		}
		offset += int64(n - len(b))
	}
}

// indexSegment finds where batches lie in a segment that is not replayed.
func indexSegment(s *segment) error {
	next := s.next
	s.next = s.first
	err := eachFrame(s, segmentHeader, func(f frame, end int64) error {
		if f.kind == kindCommit {
			s.commitTo(f.index, end)
		}
		return nil
	})
	if err == nil && s.next != next {
		return damaged("segment %s ends at entry %d and the next begins at %d", s.path, s.next, next)
	}
	return err
}

// checkTail looks behind the last valid commit for proof that something there
// was acknowledged: the commit frame of a later batch than the next one.
func (r *replay) checkTail(s *segment) error {
	tail, err := readTail(s)
	if err != nil {
		return err
	}
	for at := 0; at+frameHeader <= len(tail); at += frameAlign {
		f, _, ok := r.plausible(tail[at:], s.seed)
		if !ok || f.kind != kindCommit {
			continue
		}
		if c, ok := parseCommit(f.body); ok && c.from > r.tree.Size() {
			return damaged("segment %s is damaged at byte %d: entry %d and those after it can't be read", s.path, s.end, r.tree.Size())
		}
	}
	return nil
}

// plausible parses a frame after cheap checks: most positions hold none.
func (r *replay) plausible(b []byte, seed uint32) (frame, int, bool) {
	if k := frameKind(b[7]); k < kindEntry || k > kindStart {
		return frame{}, 0, false
	}
	return parseFrame(b, seed)
}

// readTail reads what may hold the batch after the last commit and the one
// after that.
func readTail(s *segment) ([]byte, error) {
	tail := make([]byte, min(s.size-s.end, 2*(maxBatch+8192)))
	n, err := s.file.ReadAt(tail, s.end)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("auditlog: read %s: %w", s.path, err)
	}
	return tail[:n], nil
}
