package auditlog

import (
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog/internal/engine"
)

// A Log is a durable, provable log of events in a directory, for one process.
// Its methods are safe for concurrent use.
type Log struct {
	dir    string
	origin string
	opts   Options
	eng    *engine.Engine
	agg    aggregator
	anchor anchor
	index  index
	seq    atomic.Uint64 // asynchronous events of this run
	drops  drops
	low    bool // the disk's alarm was raised; owned by the aggregate loop
	opened moment

	once  sync.Once
	ctx   context.Context // ends with Close
	end   context.CancelFunc
	tasks sync.WaitGroup
	err   error // of Close
}

// A Receipt says where an event is.
type Receipt struct {
	ID ID
	// Index is the event's place in the log, when Ack is Durable or more.
	Index uint64
	// Committed is the log's own time of that, never decreasing.
	Committed time.Time
	// Ack is the level that was reached.
	Ack Ack
}

// Open opens the log in a directory that is the log's own, or makes a new one.
// The signer's name is the log's origin (C2SP tlog-checkpoint), such as
// "example.org/audit/records"; its key must lie outside the directory, see
// [KeyFile]. Whoever can write to the directory and has the key can write
// another history; only witnesses tell.
//
// After a crash, Open removes what was not acknowledged and keeps a copy of
// it. It refuses, and changes nothing, when acknowledged entries are damaged
// or missing ([ErrDamaged]), when the key is another one ([ErrKey]), when the
// clock is behind the log ([ErrClock]) or when another process has the
// directory ([ErrLocked]).
//
// The log records its own opening and closing: auditlog.log.open tells whether
// it was closed properly, after which asynchronous events may be missing.
func Open(dir string, signer note.Signer, opts Options) (*Log, error) {
	opts.setDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if k, ok := signer.(*fileSigner); ok && within(k.path, dir) {
		return nil, errors.New("auditlog: the signing key lies inside the log's directory: move it out, so that a copy of the log is no licence to rewrite it")
	}
	eng, err := engine.Open(dir, engine.Config{
		Signer: signer, SegmentSize: opts.SegmentSize, Interval: opts.CheckpointEvery,
		Reserve: uint64(opts.Reserve), Store: opts.Store,
	})
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, origin: signer.Name(), opts: opts, eng: eng, opened: present()}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.agg.max = opts.AggregateKinds
	l.index.name = filepath.Join(dir, "index")
	if err := l.recordOpening(); err != nil {
		l.end()
		return nil, errors.Join(err, eng.Close())
	}
	l.tasks.Go(l.aggregateLoop)
	if len(opts.Witnesses) > 0 {
		l.tasks.Go(l.anchorLoop)
	}
	return l, nil
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// recordOpening records that the log was opened and what state it was in.
func (l *Log) recordOpening() error {
	rec := l.eng.Recovered
	clean := rec.Size == 0
	if rec.Size > 0 {
		last, err := l.At(rec.Size - 1)
		if err != nil {
			return err
		}
		clean = last.Action == "auditlog.log.close"
	}
	return l.own(context.Background(), "auditlog.log.open", Success,
		Int("entries", int64(rec.Size)), Bool("clean", clean), Int("torn_bytes", rec.Torn))
}

// own records an event of the log about itself.
func (l *Log) own(ctx context.Context, action string, outcome Outcome, attrs ...Attr) error {
	_, err := l.appendOwn(context.WithoutCancel(ctx), Event{
		Action: action, Outcome: outcome, Actor: Actor{Kind: System}, Attrs: attrs,
	}, Durable)
	return err
}

// appendOwn is Append for the events that only the log records.
func (l *Log) appendOwn(ctx context.Context, ev Event, level Ack) (Receipt, error) {
	if ctx.Err() != nil {
		return Receipt{}, context.Cause(ctx)
	}
	e, err := stamp(ctx, ev)
	if err != nil {
		return Receipt{}, err
	}
	return l.appendSync(ctx, &e, level)
}

// Record records an event as surely as the table promises for it.
func (l *Log) Record(ctx context.Context, ev Event) error {
	_, err := l.record(ctx, ev, nil)
	return err
}

// Append records an event at a stated level. Aggregated events are counted at
// once and written at the end of the interval; their receipt has no place.
func (l *Log) Append(ctx context.Context, ev Event, ack Ack) (Receipt, error) {
	return l.record(ctx, ev, &ack)
}

func (l *Log) record(ctx context.Context, ev Event, ack *Ack) (Receipt, error) {
	if ctx.Err() != nil {
		return Receipt{}, context.Cause(ctx)
	}
	e, err := Stamp(ctx, ev)
	if err != nil {
		return Receipt{}, err
	}
	level := l.opts.Table.Ack(&e.Event)
	if ack != nil {
		level = *ack
	}
	switch level {
	case Aggregated:
		return Receipt{ID: e.ID, Ack: Aggregated}, l.aggregate(&e)
	case Async:
		return Receipt{ID: e.ID, Ack: Async}, l.appendAsync(ctx, &e)
	}
	return l.appendSync(ctx, &e, level)
}

// payloads are buffers that begin with the byte that a leaf's hash begins
// with (RFC 6962, section 2.1).
var payloads = sync.Pool{New: func() any { b := make([]byte, 1, 2048); return &b }}

// enqueue hands an entry to the engine.
func (l *Log) enqueue(ctx context.Context, e *Entry, try bool) (t engine.Ticket, ok bool, err error) {
	buf := payloads.Get().(*[]byte)
	defer payloads.Put(buf)
	b, err := e.AppendJSON((*buf)[:1])
	if err != nil {
		return t, false, err
	}
	*buf = b[:1]
	leaf := sha256.Sum256(b)
	if try {
		ok, err = l.eng.TryEnqueue(b[1:], leaf)
		return t, ok, err
	}
	t, err = l.eng.Enqueue(ctx, b[1:], leaf)
	return t, err == nil, err
}

func (l *Log) appendSync(ctx context.Context, e *Entry, level Ack) (Receipt, error) {
	t, _, err := l.enqueue(ctx, e, false)
	if err != nil {
		return Receipt{}, err
	}
	index, at, err := t.Wait()
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{ID: e.ID, Index: index, Committed: at, Ack: Durable}
	if level == Published || level == Witnessed {
		if _, err := l.eng.WaitPublished(ctx, index+1); err != nil {
			return r, err
		}
		r.Ack = Published
	}
	if level == Witnessed {
		if err := l.waitWitnessed(ctx, index+1); err != nil {
			return r, err
		}
		r.Ack = Witnessed
	}
	return r, nil
}

func (l *Log) appendAsync(ctx context.Context, e *Entry) error {
	attrs := make([]Attr, 0, len(e.Attrs)+1)
	e.Attrs = append(append(attrs, e.Attrs...), Int(SeqKey, int64(l.seq.Add(1))))
	if err := e.validateAttrs(); err != nil {
		return err
	}
	_, ok, err := l.enqueue(ctx, e, l.opts.DropWhenFull)
	if err == nil && !ok {
		l.drops.add()
	}
	return err
}

// drops counts events that were dropped since the last report.
type drops struct{ n, total atomic.Uint64 }

func (d *drops) add() { d.n.Add(1); d.total.Add(1) }

// reportDrops records that events were dropped.
func (l *Log) reportDrops() {
	n := l.drops.n.Swap(0)
	if n == 0 {
		return
	}
	if err := l.own(context.Background(), "auditlog.queue.drop", Failed, Int("count", int64(n))); err != nil {
		l.drops.n.Add(n)
	}
}

// Size returns the number of entries on stable storage.
func (l *Log) Size() uint64 { return l.eng.State().Size }

// Checkpoint returns the last signed checkpoint (C2SP tlog-checkpoint), or nil
// before the first.
func (l *Log) Checkpoint() []byte { return l.eng.Published().Note }

// Publish signs a checkpoint that covers everything recorded so far.
func (l *Log) Publish(ctx context.Context) ([]byte, error) {
	c, err := l.eng.WaitPublished(ctx, l.Size())
	return c.Note, err
}

// Close writes and publishes what was accepted and lets go of the directory.
func (l *Log) Close() error {
	l.once.Do(func() {
		l.end()
		l.tasks.Wait()
		l.reportDrops()
		l.err = errors.Join(l.flushAggregates(), l.own(context.Background(), "auditlog.log.close", Success), l.index.close(), l.eng.Close())
	})
	return l.err
}

// Origin is the log's name in its checkpoints.
func (l *Log) Origin() string { return l.origin }

// AppendEntries records entries that were stamped elsewhere, such as in a
// transaction of another program, under the ids and times they have. All of
// them are on stable storage, in their order, when it returns nil; after an
// error some may be. The caller sees to it that no entry comes twice.
func (l *Log) AppendEntries(ctx context.Context, entries []Entry) ([]Receipt, error) {
	tickets := make([]engine.Ticket, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.ID == (ID{}) || e.Time.IsZero() {
			return nil, errors.Join(ErrInvalid, errors.New("auditlog: an entry without an id or a time: stamp it first"))
		}
		err := errors.Join(e.Validate(), e.reserved())
		if err != nil {
			return nil, err
		}
		if tickets[i], _, err = l.enqueue(ctx, e, false); err != nil {
			return nil, err
		}
	}
	receipts := make([]Receipt, len(entries))
	for i, t := range tickets {
		index, at, err := t.Wait()
		if err != nil {
			return nil, err
		}
		receipts[i] = Receipt{ID: entries[i].ID, Index: index, Committed: at, Ack: Durable}
	}
	return receipts, nil
}
