package auditlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Witness is another party that signs a checkpoint only if it continues the
// one it signed before (C2SP tlog-witness). Package witness has a client.
type Witness interface {
	// Name tells witnesses apart in evidence: the name of the key.
	Name() string
	// Cosign asks for a cosignature. prove makes the proof that the tree of
	// the checkpoint continues the one of an older size, which is whatever
	// the witness saw last.
	Cosign(ctx context.Context, checkpoint []byte, prove func(old uint64) ([][32]byte, error)) (Cosignature, error)
}

// A Cosignature is a witness's statement about a checkpoint, verified by the
// client.
type Cosignature struct {
	Line string    // the signature line of the note, without its line end
	Time time.Time // of the statement; zero proves no time
}

// anchor is the state of witnessing.
type anchor struct {
	mu    sync.Mutex
	kick  chan struct{}
	waits []chan struct{}
	size  uint64    // covered by the last cosigned checkpoint
	at    time.Time // when witnesses said so
	err   error     // of the last attempt
}

// witnessTimeout bounds one round of witnessing.
const witnessTimeout = 30 * time.Second

func (l *Log) anchorLoop() {
	tick := time.NewTicker(l.opts.WitnessEvery)
	defer tick.Stop()
	kick := l.anchor.kicked()
	for {
		ctx, cancel := context.WithTimeout(l.ctx, witnessTimeout)
		l.anchor.finished(l.witness(ctx))
		cancel()
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		case <-kick:
		}
	}
}

func (a *anchor) kicked() chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kick == nil {
		a.kick = make(chan struct{}, 1)
	}
	return a.kick
}

// finished keeps the outcome of a round and wakes those who wait for it.
func (a *anchor) finished(size uint64, at time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err = err; err == nil {
		a.size, a.at = size, at
	}
	for _, c := range a.waits {
		close(c)
	}
	a.waits = nil
}

// witness has the present tree cosigned and records that, so that every event
// lies between two times that others vouch for.
func (l *Log) witness(ctx context.Context) (uint64, time.Time, error) {
	c, err := l.eng.WaitPublished(ctx, l.Size())
	if err != nil {
		return 0, time.Time{}, err
	}
	prove := func(old uint64) ([][32]byte, error) { return l.eng.Consistency(old, c.Size) }
	var lines []string
	var times []time.Time
	var errs []error
	for _, w := range l.opts.Witnesses {
		co, err := w.Cosign(ctx, c.Note, prove)
		if err != nil {
			errs = append(errs, fmt.Errorf("witness %s: %w", w.Name(), err))
			continue
		}
		lines = append(lines, co.Line)
		if !co.Time.IsZero() {
			times = append(times, co.Time)
		}
	}
	if len(lines) < l.opts.Quorum {
		err := fmt.Errorf("auditlog: %d of %d witnesses cosigned, want %d: %w", len(lines), len(l.opts.Witnesses), l.opts.Quorum, errors.Join(errs...))
		return 0, time.Time{}, errors.Join(err, l.own(ctx, "auditlog.checkpoint.cosign", Failed, Int("size", int64(c.Size)), Int("cosigned", len(lines))))
	}
	at := earliest(times)
	if err := l.recordCosigned(ctx, c.Size, c.Note, lines, at); err != nil {
		return 0, time.Time{}, err
	}
	return c.Size, at, nil
}

// earliest is the most cautious of the witnesses' times: a gap is measured
// from it.
func earliest(times []time.Time) time.Time {
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(times, time.Time.Compare)
}

// recordCosigned logs the cosigned checkpoint itself.
func (l *Log) recordCosigned(ctx context.Context, size uint64, msg []byte, lines []string, at time.Time) error {
	text := string(msg)
	for _, line := range lines {
		text += line + "\n"
	}
	attrs := []Attr{Int("size", int64(size)), Int("cosigned", len(lines)), String("checkpoint", text)}
	if !at.IsZero() {
		attrs = append(attrs, Time("at", at))
	}
	return l.own(ctx, "auditlog.checkpoint.cosign", Success, attrs...)
}

// waitWitnessed waits for a cosigned checkpoint of at least size entries.
func (l *Log) waitWitnessed(ctx context.Context, size uint64) error {
	if len(l.opts.Witnesses) == 0 {
		return errors.New("auditlog: no witnesses are configured")
	}
	a := &l.anchor
	for try := 0; ; try++ {
		a.mu.Lock()
		covered, err, done := a.size >= size, a.err, make(chan struct{})
		a.waits = append(a.waits, done)
		a.mu.Unlock()
		if covered {
			return nil
		}
		if try > 1 && err != nil {
			return err
		}
		select {
		case a.kicked() <- struct{}{}:
		default:
		}
		select {
		case <-done:
		case <-l.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
