package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// Config says how an engine works. Signer is required.
type Config struct {
	Signer      note.Signer      // its name is the log's origin
	FS          FS               // OS{} when nil
	SegmentSize int64            // bytes, DefaultSegment when 0
	Interval    time.Duration    // between checkpoints, 1 s when 0
	Reserve     uint64           // bytes of disk that no new segment may take
	Now         func() time.Time // time.Now when nil
	// Store, when set, remembers the last checkpoint outside the directory.
	Store CheckpointStore
	// OnPublish, when set, is called after each checkpoint.
	OnPublish func(Checkpoint)

	syncAfter int // tiles written before they are synced, 512 when 0
}

// An Engine is an open log of payloads.
type Engine struct {
	cfg    Config
	next   atomic.Pointer[note.Signer] // signs checkpoints too, see Countersign
	fs     FS
	dir    string
	origin string
	lock   io.Closer

	// The batch that fills.
	mu     sync.Mutex
	cur    *batch
	spare  *batch
	taken  chan struct{} // closed when cur is taken: there is room again
	wake   chan struct{} // capacity 1
	closed bool
	poison error

	// Owned by the committer.
	tree  merkle.Tree
	after merkle.Tree
	extra []byte

	// Segments in order of epoch; the last one is written to.
	segMu    sync.RWMutex
	segments []*segment
	prepare  chan struct{} // capacity 1: asks for the next segment
	prepared chan prepared // capacity 1
	asked    bool          // owned by the committer

	leaves    leafCache // of entries that are not in tiles yet
	state     atomic.Pointer[State]
	bundled   atomic.Uint64 // entries that can be read from full bundles
	synced    atomic.Uint64 // entries whose tiles are on stable storage
	pruned    atomic.Uint64 // entries that were pruned
	syncSoon  atomic.Bool   // segments are running short: sync tiles next
	published atomic.Pointer[Checkpoint]
	pubMu     sync.Mutex
	pubWait   chan struct{} // closed at each checkpoint
	pubErr    error
	publish   chan struct{} // capacity 1
	tiles     *tiler        // owned by the publisher

	// Recovered says what Open found.
	Recovered Recovery

	stop chan struct{}
	done sync.WaitGroup
	quit chan struct{} // closed when the committer has ended
}

// State is a committed tree.
type State struct {
	Size uint64
	Root merkle.Hash
	Time time.Time // of the last commit
}

type prepared struct {
	seg *segment
	err error
}

// A batch is what one write and one sync make durable.
type batch struct {
	buf    []byte
	leaves []merkle.Hash
	done   chan struct{}
	first  uint64
	time   time.Time
	err    error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// A Ticket stands for a payload that was accepted and is not yet durable.
type Ticket struct {
	b *batch
	i uint64
}

// Wait blocks until the payload is on stable storage and returns its index
// and commit time.
func (t Ticket) Wait() (uint64, time.Time, error) {
	<-t.b.done
	if t.b.err != nil {
		return 0, time.Time{}, t.b.err
	}
	return t.b.first + t.i, t.b.time, nil
}

// Enqueue accepts a payload with its leaf hash. It blocks while the batch is
// full; an accepted payload is written even if the context ends later.
func (e *Engine) Enqueue(ctx context.Context, payload []byte, leaf merkle.Hash) (Ticket, error) {
	if n := len(payload); n == 0 || n > MaxPayload {
		return Ticket{}, fmt.Errorf("auditlog: payload of %d bytes, want 1 to %d", n, MaxPayload)
	}
	for {
		t, room, err := e.tryEnqueue(payload, leaf)
		if room == nil {
			return t, err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return Ticket{}, context.Cause(ctx)
		}
	}
}

// TryEnqueue is Enqueue that reports false instead of blocking.
func (e *Engine) TryEnqueue(payload []byte, leaf merkle.Hash) (bool, error) {
	_, room, err := e.tryEnqueue(payload, leaf)
	return room == nil, err
}

// tryEnqueue returns a channel to wait for when the batch is full.
func (e *Engine) tryEnqueue(payload []byte, leaf merkle.Hash) (Ticket, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.poison != nil:
		return Ticket{}, nil, e.poison
	case e.closed:
		return Ticket{}, nil, ErrClosed
	case len(e.cur.buf)+frameSize(len(payload)) > e.maxBatch():
		return Ticket{}, e.taken, nil
	}
	b := e.cur
	b.buf = appendFrame(b.buf, kindEntry, payload)
	b.leaves = append(b.leaves, leaf)
	if len(b.leaves) == 1 {
		signal(e.wake)
	}
	return Ticket{b, uint64(len(b.leaves) - 1)}, nil, nil
}

func (e *Engine) maxBatch() int { return int(min(maxBatch, e.cfg.SegmentSize/2)) }

// State returns the committed tree.
func (e *Engine) State() State { return *e.state.Load() }

// Err returns why the engine takes nothing more, or nil.
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.poison != nil:
		return e.poison
	case e.closed:
		return ErrClosed
	}
	return nil
}

// Free returns the bytes of disk left for the log beyond its reserve.
func (e *Engine) Free() (uint64, error) {
	free, err := e.fs.Free(e.dir)
	if err != nil || free < e.cfg.Reserve {
		return 0, err
	}
	return free - e.cfg.Reserve, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what was accepted, publishes it and lets go of the directory.
// It returns the failure that poisoned the engine, if any.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	signal(e.wake)
	<-e.quit
	close(e.stop)
	e.done.Wait()
	select {
	case p := <-e.prepared:
		if p.seg != nil {
			_ = p.seg.file.Close()
		}
	default:
	}
	errs := []error{e.poisoned()}
	if errs[0] == nil {
		errs = append(errs, e.publishNow(), e.syncTiles())
	}
	for _, s := range e.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(append(errs, e.lock.Close())...)
}

func (e *Engine) poisoned() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.poison
}

func (e *Engine) segmentDir() string { return filepath.Join(e.dir, "segments") }
