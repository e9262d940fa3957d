package engine

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// commitLoop is the only writer of segments.
func (e *Engine) commitLoop() {
	defer close(e.quit)
	for {
		<-e.wake
		// Whoever was woken by the last batch gets its turn to fill this one.
		runtime.Gosched()
		b, closed := e.take()
		if len(b.leaves) > 0 {
			e.commit(b)
		}
		if closed {
			return
		}
	}
}

// take swaps the batch that fills for an empty one.
func (e *Engine) take() (*batch, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.cur
	if len(b.leaves) > 0 {
		next := e.spare
		if next == nil {
			next = newBatch()
		}
		e.cur, e.spare = next, nil
		close(e.taken)
		e.taken = make(chan struct{})
	}
	return b, e.closed
}

// commit makes a batch durable and wakes its callers.
func (e *Engine) commit(b *batch) {
	if err := e.poisoned(); err != nil {
		e.finish(b, err)
		return
	}
	seg, err := e.segmentFor(len(b.buf))
	if err != nil {
		e.finish(b, err)
		return
	}
	now := e.cfg.Now().UTC().Round(0)
	if last := e.state.Load().Time; now.Before(last) {
		now = last // commit times never decrease
	}
	e.after.CopyFrom(&e.tree)
	b.first, b.time = e.tree.Size(), now
	out, offset := e.encode(seg, b)
	if _, err = seg.file.WriteAt(out, offset); err == nil {
		err = seg.file.Sync()
	}
	if err != nil {
		e.finish(b, e.poisonWith(err))
		return
	}
	e.leaves.add(b.first, b.leaves)
	e.committed(seg, now, offset+int64(len(out)))
	e.finish(b, nil)
}

// encode completes the frames of a batch and appends its commit frame. In a
// fresh segment the start frame comes first.
func (e *Engine) encode(seg *segment, b *batch) (out []byte, offset int64) {
	index := b.first
	for at := 0; at < len(b.buf); index++ {
		at += sealFrame(b.buf[at:], seg.seed, index)
		e.after.Append(b.leaves[index-b.first])
	}
	c := commit{from: b.first, root: e.after.Root(), time: b.time}
	var body [commitBody]byte
	end := len(b.buf)
	b.buf = appendFrame(b.buf, kindCommit, c.append(body[:0]))
	sealFrame(b.buf[end:], seg.seed, index)
	if seg.end > segmentHeader {
		return b.buf, seg.end
	}
	e.extra = appendFrame(e.extra[:0], kindStart, appendStart(nil, &e.tree, e.state.Load().Time))
	sealFrame(e.extra, seg.seed, b.first)
	e.extra = append(e.extra, b.buf...)
	return e.extra, segmentHeader
}

// committed moves the engine's state behind a batch that is durable.
func (e *Engine) committed(seg *segment, now time.Time, end int64) {
	e.tree, e.after = e.after, e.tree
	e.segMu.Lock()
	seg.commitTo(e.tree.Size(), end)
	half := seg.end > seg.size/2
	e.segMu.Unlock()
	e.state.Store(&State{Size: e.tree.Size(), Root: e.tree.Root(), Time: now})
	if half && !e.asked {
		e.asked = true
		signal(e.prepare)
	}
}

func (e *Engine) poisonWith(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.poison == nil {
		e.poison = fmt.Errorf("%w: %w", ErrPoisoned, err)
	}
	return e.poison
}

// finish wakes the callers of a batch and keeps its memory for the next one.
func (e *Engine) finish(b *batch, err error) {
	b.err = err
	close(b.done)
	if cap(b.buf) > maxBatch+maxBatch/2 {
		return
	}
	next := &batch{buf: b.buf[:0], leaves: b.leaves[:0], done: make(chan struct{})}
	e.mu.Lock()
	e.spare = next
	e.mu.Unlock()
}

// segmentFor returns the segment with room for a batch, which may be a
// prepared one. Running out of disk here loses nothing: nothing was written,
// and the next batch tries again.
func (e *Engine) segmentFor(batch int) (*segment, error) {
	e.segMu.RLock()
	seg := e.segments[len(e.segments)-1]
	e.segMu.RUnlock()
	if seg.fits(batch) {
		return seg, nil
	}
	if !e.asked {
		signal(e.prepare)
	}
	p := <-e.prepared
	e.asked = false
	if p.err != nil {
		return nil, p.err
	}
	e.segMu.Lock()
	defer e.segMu.Unlock()
	p.seg.first, p.seg.next = e.tree.Size(), e.tree.Size()
	e.segments = append(e.segments, p.seg)
	if !p.seg.fits(batch) {
		return nil, e.poisonWith(errors.New("a batch is larger than a segment"))
	}
	return p.seg, nil
}

func (s *segment) fits(batch int) bool {
	const start = frameHeader + 8 + 64*32
	return s.end+int64(batch+frameSize(commitBody)+start) <= s.size
}

// prepareLoop makes the next segment whenever the committer asks.
func (e *Engine) prepareLoop() {
	for {
		select {
		case <-e.stop:
			return
		case <-e.prepare:
		}
		seg, err := e.nextSegment()
		select {
		case e.prepared <- prepared{seg, err}:
		case <-e.stop:
			if seg != nil {
				_ = seg.file.Close()
			}
			return
		}
	}
}

// nextSegment reuses the oldest segment whose entries are safely in tiles, or
// makes a new one if the disk keeps its reserve.
func (e *Engine) nextSegment() (*segment, error) {
	e.segMu.RLock()
	epoch := e.segments[len(e.segments)-1].epoch + 1
	e.segMu.RUnlock()
	if old := e.reusable(); old != nil {
		return reuseSegment(e.fs, old, e.segmentDir(), e.origin, epoch)
	}
	free, err := e.fs.Free(e.dir)
	if err != nil {
		return nil, err
	}
	if need := uint64(e.cfg.SegmentSize) + e.cfg.Reserve; free < need {
		return nil, fmt.Errorf("%w: %s has %d bytes free and needs %d: free some or move the log", ErrFull, e.dir, free, need)
	}
	return createSegment(e.fs, e.segmentDir(), e.origin, epoch, e.cfg.SegmentSize)
}

// reusable takes the oldest segment out of use if its entries are in tiles on
// stable storage. Two segments always stay.
func (e *Engine) reusable() *segment {
	e.segMu.Lock()
	defer e.segMu.Unlock()
	if len(e.segments) < 3 {
		return nil
	}
	old := e.segments[0]
	if old.next > e.synced.Load()/merkle.TileWidth*merkle.TileWidth || old.size != e.cfg.SegmentSize {
		e.syncSoon.Store(true)
		signal(e.publish)
		return nil
	}
	e.segments = e.segments[1:]
	return old
}
