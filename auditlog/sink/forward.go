package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// A Sink takes entries.
type Sink interface {
	// Name tells sinks apart in evidence.
	Name() string
	// Send delivers a batch, in order, or fails; then the same batch or a
	// longer one comes again.
	Send(ctx context.Context, batch []auditlog.Indexed) error
}

// Options are the settings of a [Forwarder].
type Options struct {
	// Batch is how many entries are sent at once; default 256.
	Batch int
	// MaxLag is the age of the oldest entry not sent from which the control
	// fails; default 15 min.
	MaxLag time.Duration
}

// A Forwarder sends the log to one sink.
type Forwarder struct {
	log    *auditlog.Log
	sink   Sink
	cursor string
	opts   Options
	pause  func(try int) time.Duration

	mu      sync.Mutex
	next    uint64    // the first entry not sent
	waiting time.Time // its time, or zero when nothing waits
	err     error     // of the last attempt
}

// New returns a forwarder that goes on where the cursor file says, or begins
// with the first entry when there is none.
func New(log *auditlog.Log, s Sink, cursor string, o Options) (*Forwarder, error) {
	if log == nil || s == nil || cursor == "" {
		return nil, errors.New("sink: want a log, a sink and a cursor file")
	}
	if o.Batch == 0 {
		o.Batch = 256
	}
	if o.MaxLag == 0 {
		o.MaxLag = 15 * time.Minute
	}
	if o.Batch < 1 || o.Batch > 10_000 || o.MaxLag < 0 {
		return nil, fmt.Errorf("sink: Batch is %d and MaxLag %s, want 1 to 10000 and a positive time", o.Batch, o.MaxLag)
	}
	f := &Forwarder{log: log, sink: s, cursor: cursor, opts: o, pause: backoff}
	b, err := os.ReadFile(cursor)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if f.next, err = strconv.ParseUint(strings.TrimSuffix(string(b), "\n"), 10, 63); err != nil {
		return nil, fmt.Errorf("sink: cursor file %s holds no number: remove it to begin anew", cursor)
	}
	return f, nil
}

// Run forwards until the context ends or the log is closed; it returns nil
// then. The reading is an event of the log, by the context's actor.
func (f *Forwarder) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	entries := make(chan auditlog.Indexed, f.opts.Batch) // full: the reader waits
	failed := make(chan error, 1)
	go func() {
		defer close(entries)
		failed <- f.read(ctx, entries)
	}()
	for {
		batch := f.gather(entries)
		if len(batch) == 0 {
			return ended(<-failed)
		}
		if err := f.deliver(ctx, batch); err != nil {
			return ended(err)
		}
	}
}

// ended turns the ordinary ends of forwarding into nil.
func ended(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, auditlog.ErrClosed) {
		return nil
	}
	return err
}

func (f *Forwarder) read(ctx context.Context, to chan<- auditlog.Indexed) error {
	for e, err := range f.log.Tail(ctx, f.next) {
		if err != nil {
			return err
		}
		select {
		case to <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// gather waits for an entry and takes those that are there already.
func (f *Forwarder) gather(from <-chan auditlog.Indexed) (batch []auditlog.Indexed) {
	e, ok := <-from
	for ok && len(batch) < f.opts.Batch-1 {
		batch = append(batch, e)
		select {
		case e, ok = <-from:
		default:
			return batch
		}
	}
	if ok {
		batch = append(batch, e)
	}
	return batch
}

// deliver sends a batch until the sink takes it, then moves the cursor.
func (f *Forwarder) deliver(ctx context.Context, batch []auditlog.Indexed) error {
	f.note(batch[0].Index, batch[0].Time, nil)
	for try := 0; ; try++ {
		err := f.sink.Send(ctx, batch)
		if err == nil {
			break
		}
		if ctx.Err() != nil { // it was told to stop, which says nothing about the sink
			return ctx.Err()
		}
		f.note(batch[0].Index, batch[0].Time, err)
		pause := f.pause(try)
		if r := (*refusal)(nil); errors.As(err, &r) { // it says when to come again
			pause = max(pause, min(r.after, maxPause))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	next := batch[len(batch)-1].Index + 1
	if err := f.save(next); err != nil {
		return fmt.Errorf("sink: move the cursor: %w", err)
	}
	f.note(next, time.Time{}, nil)
	return nil
}

func (f *Forwarder) note(next uint64, waiting time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.waiting, f.err = next, waiting, err
}

// save replaces the cursor in one step. Its content is synced before it takes
// its place, so that a crash leaves the old one or the new one and never an
// empty file; with the old one entries come again.
func (f *Forwarder) save(next uint64) error {
	tmp := f.cursor + ".tmp"
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strconv.FormatUint(next, 10) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, f.cursor)
}

// maxPause bounds what a receiver can make us wait.
const maxPause = 5 * time.Minute

// backoff is half a second, doubled each time up to a minute, give or take.
func backoff(try int) time.Duration {
	d := min(500*time.Millisecond<<min(try, 7), time.Minute)
	return d/2 + rand.N(d)
}

// Controls describes the forwarding. Its probe fails while the sink does, and
// when entries have waited for too long.
func (f *Forwarder) Controls() []controls.Control {
	return []controls.Control{{
		ID: "auditlog.sink", Instance: f.sink.Name(),
		Parameters: []controls.Parameter{controls.Int("batch", f.opts.Batch), controls.Duration("max_lag", f.opts.MaxLag)},
		Probe:      f.probe,
	}}
}

func (f *Forwarder) probe(context.Context) controls.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.sink.(interface{ Rejected() uint64 }); ok && r.Rejected() > 0 {
		return controls.Failed("the receiver rejected %d entries of what it was sent", r.Rejected())
	}
	if f.err != nil {
		return controls.Failed("entry %d can't be sent: %v", f.next, f.err)
	}
	if lag := time.Since(f.waiting); !f.waiting.IsZero() && lag > f.opts.MaxLag {
		return controls.Failed("entry %d has waited for %s, limit %s", f.next, lag.Round(time.Second), f.opts.MaxLag)
	}
	return controls.Passed("the entries below %d were sent", f.next)
}
