package auditlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Indexed is an entry with its place in the log.
type Indexed struct {
	Index uint64
	Entry
}

// At returns one entry. It is for the program's own use; what people read
// comes from [Log.Entries] and [Log.Search], which leave a trace.
func (l *Log) At(index uint64) (Indexed, error) {
	var got *Indexed
	err := l.eng.Scan(index, index+1, func(i uint64, b []byte) error {
		e, err := ParseEntry(b)
		got = &Indexed{i, e}
		return err
	})
	if err == nil && got == nil {
		err = fmt.Errorf("auditlog: the log has no entry %d", index)
	}
	if err != nil {
		return Indexed{}, err
	}
	return *got, nil
}

// errEnough ends a scan whose consumer has enough.
var errEnough = errors.New("enough")

// Entries returns the entries from an index on, up to those on stable storage
// when the iteration begins. That the log was read is recorded first, as an
// event by the context's actor; without that, nothing is read. Of a log that
// was pruned, the first entries are not there, see [Log.First].
func (l *Log) Entries(ctx context.Context, from uint64) iter.Seq2[Indexed, error] {
	return func(yield func(Indexed, error) bool) {
		size := l.Size()
		if err := l.recordRead(ctx, "auditlog.log.read", Int("from", int64(from)), Int("to", int64(size))); err != nil {
			yield(Indexed{}, err)
			return
		}
		l.scan(ctx, max(from, l.First()), size, yield)
	}
}

// First is the index of the first entry that was not pruned.
func (l *Log) First() uint64 { return l.eng.Pruned() }

// recordRead records that somebody reads the log.
func (l *Log) recordRead(ctx context.Context, action string, attrs ...Attr) error {
	_, err := l.appendOwn(ctx, Event{Action: action, Outcome: Success, Attrs: attrs}, Durable)
	return err
}

// scan yields entries, and an error at the end if it can't go on. It reports
// whether the consumer wants more.
func (l *Log) scan(ctx context.Context, from, to uint64, yield func(Indexed, error) bool) bool {
	err := l.eng.Scan(from, to, func(i uint64, b []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := ParseEntry(b)
		if err != nil {
			return fmt.Errorf("auditlog: entry %d: %w", i, err)
		}
		if !yield(Indexed{i, e}, nil) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		yield(Indexed{}, err)
	}
	return err == nil
}

// tailEvery is how often Tail looks for new entries.
const tailEvery = 100 * time.Millisecond

// Tail returns the entries from an index on and then those that are added,
// until the context ends or the log is closed. The reading is recorded once.
func (l *Log) Tail(ctx context.Context, from uint64) iter.Seq2[Indexed, error] {
	return func(yield func(Indexed, error) bool) {
		if err := l.recordRead(ctx, "auditlog.log.tail", Int("from", int64(from))); err != nil {
			yield(Indexed{}, err)
			return
		}
		tick := time.NewTicker(tailEvery)
		defer tick.Stop()
		from = max(from, l.First())
		for {
			size := l.Size()
			if !l.scan(ctx, from, size, yield) {
				return
			}
			from = max(from, size)
			select {
			case <-tick.C:
			case <-ctx.Done():
				yield(Indexed{}, context.Cause(ctx))
				return
			case <-l.ctx.Done():
				yield(Indexed{}, ErrClosed)
				return
			}
		}
	}
}

// Proof returns the C2SP tlog-proof that an entry is in the log: the hashes
// from its leaf to the root of a checkpoint, and that checkpoint. With the
// entry's canonical JSON it needs nothing else to be checked offline. The
// checkpoint is the first that covers the entry and was cosigned by witnesses,
// or, when there is none yet, the last one.
func (l *Log) Proof(ctx context.Context, index uint64) ([]byte, error) {
	checkpoint, size, err := l.covering(ctx, index)
	if err != nil {
		return nil, err
	}
	hashes, err := l.eng.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("c2sp.org/tlog-proof@v1\nindex " + strconv.FormatUint(index, 10) + "\n")
	for _, h := range hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(checkpoint)
	return []byte(b.String()), nil
}

// covering returns the checkpoint for a proof.
func (l *Log) covering(ctx context.Context, index uint64) (checkpoint []byte, size uint64, err error) {
	b := Bounds{First: index, Next: index + 1}
	if size, err = l.cosignedAround(ctx, &b); err != nil || size > 0 {
		return b.Checkpoint, size, err
	}
	c, err := l.eng.WaitPublished(ctx, index+1)
	return c.Note, c.Size, err
}

// Consistency proves that the tree of the last checkpoint continues the tree
// of an older size (RFC 6962, section 2.1.2), for an auditor who kept an
// older checkpoint.
func (l *Log) Consistency(old uint64) (checkpoint []byte, proof [][32]byte, err error) {
	c := l.eng.Published()
	proof, err = l.eng.Consistency(old, c.Size)
	return c.Note, proof, err
}
