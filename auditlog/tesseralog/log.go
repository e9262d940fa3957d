package tesseralog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/internal/cosign"
)

// A Witness cosigns checkpoints (C2SP tlog-witness). It belongs to another
// party.
type Witness struct {
	URL string // prefix of its API
	Key string // public key, "name+hash+base64" (algorithm 0x04, Ed25519)
}

// Options are the settings of a [Log].
type Options struct {
	// Table gives every event its acknowledgement; default
	// [auditlog.DefaultTable]. Async and Aggregated are taken as Durable.
	Table auditlog.Table
	// CheckpointEvery is the time between signed checkpoints; default 1 s,
	// 100 ms to 60 s.
	CheckpointEvery time.Duration
	// BatchEvery is how long an event waits for others to share a batch with;
	// default 2 ms, at most 1 s.
	BatchEvery time.Duration
	// MaxOutstanding is how many events may have a place and not yet be in the
	// tree before further ones are refused; default 4096.
	MaxOutstanding int
	// Witnesses cosign every checkpoint before it is published.
	Witnesses []Witness
	// Quorum is how many of them must; default all.
	Quorum int
	// WitnessGap is the time without a cosigned checkpoint after which the
	// witness control fails; default 15 min. A cosigned checkpoint is logged
	// back three times as often.
	WitnessGap time.Duration
}

// A Log records events in a Tessera log. Its methods are safe for concurrent
// use.
type Log struct {
	origin    string
	opts      Options
	witnesses []*cosign.Verifier
	add       tessera.AddFn
	read      tessera.LogReader
	awaiter   *tessera.PublicationAwaiter

	end      context.CancelFunc // of Tessera's own tasks
	shutdown func(context.Context) error
	done     chan struct{} // closed by Close
	tasks    sync.WaitGroup
	once     sync.Once
	err      error // of Close

	mu   sync.Mutex
	seen cosigned // the last cosigned checkpoint that was logged back
}

// New opens the log behind a driver, or makes a new one, whose first checkpoint
// the witnesses must cosign. The signer's name is the log's origin. The context
// is for opening alone; [Log.Close] ends the log.
func New(ctx context.Context, driver tessera.Driver, signer note.Signer, o Options) (*Log, error) {
	if driver == nil || signer == nil {
		return nil, errors.New("tesseralog: want a driver and a signer")
	}
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Log{origin: signer.Name(), opts: o, done: make(chan struct{})}
	witnesses, err := l.witnessGroup()
	if err != nil {
		return nil, err
	}
	settings := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(o.CheckpointEvery).
		WithBatching(tessera.DefaultBatchMaxSize, o.BatchEvery).
		WithPushback(uint(o.MaxOutstanding))
	if len(o.Witnesses) > 0 {
		settings = settings.WithWitnesses(witnesses, nil)
	}
	tasks, end := context.WithCancel(context.WithoutCancel(ctx))
	appender, shutdown, reader, err := tessera.NewAppender(tasks, driver, settings)
	if err != nil {
		end()
		return nil, fmt.Errorf("tesseralog: open: %w", err)
	}
	l.add, l.shutdown, l.read, l.end = appender.Add, shutdown, reader, end
	l.awaiter = tessera.NewPublicationAwaiter(tasks, reader.ReadCheckpoint, o.CheckpointEvery/4)
	if len(o.Witnesses) > 0 {
		l.tasks.Go(l.logBack)
	}
	return l, nil
}

func (o *Options) setDefaults() {
	if o.Table == nil {
		o.Table = auditlog.DefaultTable()
	}
	setDefault(&o.CheckpointEvery, time.Second)
	setDefault(&o.BatchEvery, 2*time.Millisecond)
	setDefault(&o.MaxOutstanding, 4096)
	setDefault(&o.Quorum, len(o.Witnesses))
	setDefault(&o.WitnessGap, 15*time.Minute)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o *Options) validate() error {
	switch {
	case o.CheckpointEvery < 100*time.Millisecond || o.CheckpointEvery > time.Minute:
		return badOption("CheckpointEvery", o.CheckpointEvery, "100ms to 1m")
	case o.BatchEvery < 0 || o.BatchEvery > time.Second:
		return badOption("BatchEvery", o.BatchEvery, "at most 1s")
	case o.MaxOutstanding < 0 || o.MaxOutstanding > math.MaxInt32:
		return badOption("MaxOutstanding", o.MaxOutstanding, "a positive number")
	case o.Quorum < 0 || o.Quorum > len(o.Witnesses) || o.Quorum == 0 && len(o.Witnesses) > 0:
		return badOption("Quorum", o.Quorum, "at most the number of Witnesses")
	case o.WitnessGap < time.Second:
		return badOption("WitnessGap", o.WitnessGap, "at least 1s")
	}
	return nil
}

func badOption(name string, value any, want string) error {
	return fmt.Errorf("tesseralog: Options.%s is %v, want %s", name, value, want)
}

// witnessGroup reads the witnesses' keys. One key under two names would count
// twice towards the quorum.
func (l *Log) witnessGroup() (tessera.WitnessGroup, error) {
	seen := make(map[string]bool)
	group := tessera.WitnessGroup{N: l.opts.Quorum}
	for i, w := range l.opts.Witnesses {
		v, err := cosign.NewVerifier(w.Key)
		if err != nil || seen[v.Key()] {
			return tessera.WitnessGroup{}, fmt.Errorf("tesseralog: Options.Witnesses[%d].Key is no witness's key, or is repeated", i)
		}
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.User != nil {
			return tessera.WitnessGroup{}, fmt.Errorf("tesseralog: Options.Witnesses[%d].URL is no URL without credentials", i)
		}
		t, err := tessera.NewWitness(w.Key, u)
		if err != nil {
			return tessera.WitnessGroup{}, fmt.Errorf("tesseralog: Options.Witnesses[%d]: %w", i, err)
		}
		seen[v.Key()] = true
		l.witnesses, group.Components = append(l.witnesses, v), append(group.Components, t)
	}
	return group, nil
}

// Origin is the log's name in its checkpoints.
func (l *Log) Origin() string { return l.origin }

// Record records an event as surely as the table promises for it, and at least
// durably.
func (l *Log) Record(ctx context.Context, ev auditlog.Event) error {
	_, err := l.record(ctx, ev, nil)
	return err
}

// Append records an event at a stated level.
func (l *Log) Append(ctx context.Context, ev auditlog.Event, ack auditlog.Ack) (auditlog.Receipt, error) {
	return l.record(ctx, ev, &ack)
}

func (l *Log) record(ctx context.Context, ev auditlog.Event, ack *auditlog.Ack) (auditlog.Receipt, error) {
	if ctx.Err() != nil {
		return auditlog.Receipt{}, context.Cause(ctx)
	}
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return auditlog.Receipt{}, err
	}
	level := l.opts.Table.Ack(&e.Event)
	if ack != nil {
		level = *ack
	}
	if level == auditlog.Witnessed && len(l.witnesses) == 0 {
		return auditlog.Receipt{}, errors.New("tesseralog: no witnesses are configured")
	}
	return l.put(ctx, &e, level)
}

// put adds an entry and waits for its level.
func (l *Log) put(ctx context.Context, e *auditlog.Entry, level auditlog.Ack) (auditlog.Receipt, error) {
	b, err := e.AppendJSON(nil)
	if err != nil {
		return auditlog.Receipt{}, err
	}
	select {
	case <-l.done:
		return auditlog.Receipt{}, auditlog.ErrClosed
	default:
	}
	future := l.add(ctx, tessera.NewEntry(b))
	at, err := future()
	if err != nil {
		return auditlog.Receipt{}, fmt.Errorf("tesseralog: record %s: %w", e.Action, err)
	}
	r := auditlog.Receipt{ID: e.ID, Index: at.Index, Committed: time.Now().UTC(), Ack: auditlog.Durable}
	if level != auditlog.Published && level != auditlog.Witnessed {
		return r, nil
	}
	if _, _, err := l.awaiter.Await(ctx, future); err != nil {
		return r, fmt.Errorf("tesseralog: publish %s: %w", e.Action, err)
	}
	r.Ack = level // a checkpoint is published with its cosignatures or not at all
	return r, nil
}

// Checkpoint returns the last published checkpoint, or nil before the first.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	b, err := l.read.ReadCheckpoint(ctx)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Entries yields the entries from an index up to what is published now. The
// reading is recorded first, by the context's actor; without that, nothing is
// read. An entry that is not in canonical form is an error.
func (l *Log) Entries(ctx context.Context, from uint64) iter.Seq2[auditlog.Indexed, error] {
	return func(yield func(auditlog.Indexed, error) bool) {
		read := auditlog.Event{Action: "auditlog.tessera.read", Outcome: auditlog.Success, Attrs: []auditlog.Attr{auditlog.Int("from", int64(from))}}
		if _, err := l.Append(ctx, read, auditlog.Durable); err != nil {
			yield(auditlog.Indexed{}, err)
			return
		}
		if err := l.scan(ctx, from, yield); err != nil {
			yield(auditlog.Indexed{}, err)
		}
	}
}

// scan yields what is published from an index on.
func (l *Log) scan(ctx context.Context, from uint64, yield func(auditlog.Indexed, error) bool) error {
	size, err := l.published(ctx)
	if err != nil || from >= size {
		return err
	}
	bundles := client.EntryBundles(ctx, 1, func(context.Context) (uint64, error) { return size, nil }, l.read.ReadEntryBundle, from, size-from)
	for raw, err := range client.Entries(bundles, unbundle) {
		if err != nil {
			return fmt.Errorf("tesseralog: read: %w", err)
		}
		e, err := auditlog.ParseEntry(raw.Entry)
		if err != nil {
			return fmt.Errorf("tesseralog: entry %d: %w", raw.Index, err)
		}
		if !yield(auditlog.Indexed{Index: raw.Index, Entry: e}, nil) {
			return nil
		}
	}
	return nil
}

func unbundle(b []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	err := bundle.UnmarshalText(b)
	return bundle.Entries, err
}

// published is the size of the last checkpoint.
func (l *Log) published(ctx context.Context) (uint64, error) {
	b, err := l.Checkpoint(ctx)
	if err != nil || b == nil {
		return 0, err
	}
	size, _, err := head(b)
	return size, err
}

// Close publishes what was recorded and ends the log. With witnesses that do
// not answer it gives up after a minute.
func (l *Log) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.tasks.Wait()
		l.err = l.shutdown(context.Background())
		l.end()
	})
	return l.err
}
