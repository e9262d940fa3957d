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
	// the witness saw last. It returns soon after ctx has ended: [Log.Close]
	// waits for it.
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

	agreed moment        // when the wall clock was last found right
	off    time.Duration // how far the witnesses' clocks were from ours
}

// witnessTimeout bounds one round of witnessing.
const witnessTimeout = 30 * time.Second

func (l *Log) anchorLoop() {
	tick := time.NewTicker(l.opts.WitnessEvery)
	defer tick.Stop()
	kick := l.anchor.kicked()
	for {
		ctx, cancel := context.WithTimeout(l.ctx, witnessTimeout)
		asked := present()
		size, at, err := l.witness(ctx)
		l.anchor.finished(asked, size, at, err)
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
func (a *anchor) finished(asked moment, size uint64, at time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err = err; err == nil {
		a.size, a.at = size, at
		a.compareClocks(asked, present())
	}
	for _, c := range a.waits {
		close(c)
	}
	a.waits = nil
}

// compareClocks compares ours with the time that a quorum stated between two
// moments. If they agree, the monotonic clock, which stands still while the
// machine sleeps, is followed anew from here.
func (a *anchor) compareClocks(asked, answered moment) {
	switch {
	case a.at.IsZero():
		return
	case a.at.Before(asked.wall):
		a.off = a.at.Sub(asked.wall)
	case a.at.After(answered.wall):
		a.off = a.at.Sub(answered.wall)
	default:
		a.off = 0
	}
	if a.off.Abs() <= maxDrift {
		a.agreed = answered
	}
}

// clock returns the last moment at which our clock was found right, and how
// far the witnesses' clocks were from it when they were last asked.
func (a *anchor) clock() (agreed moment, off time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.agreed, a.off
}

// witness has the present tree cosigned and records that, so that every event
// lies between two times that others vouch for.
func (l *Log) witness(ctx context.Context) (uint64, time.Time, error) {
	c, err := l.eng.WaitPublished(ctx, l.Size())
	if err != nil {
		return 0, time.Time{}, err
	}
	prove := func(old uint64) ([][32]byte, error) { return l.eng.Consistency(old, c.Size) }
	cos, err := l.cosign(ctx, c.Note, prove)
	if len(cos) < l.opts.Quorum {
		err := fmt.Errorf("auditlog: %d of %d witnesses cosigned, want %d: %w", len(cos), len(l.opts.Witnesses), l.opts.Quorum, err)
		return 0, time.Time{}, errors.Join(err, l.own(ctx, "auditlog.checkpoint.cosign", Failed, Int("size", int64(c.Size)), Int("cosigned", len(cos))))
	}
	at := vouched(cos, l.opts.Quorum)
	if err := l.recordCosigned(ctx, c.Size, c.Note, cos, at); err != nil {
		return 0, time.Time{}, err
	}
	return c.Size, at, nil
}

// witnessGrace is how long those who have not answered are waited for once
// there is a quorum.
const witnessGrace = time.Second

// cosign asks all witnesses at once, so that those who hang can't starve the
// others of the round's time. It returns as soon as all have answered, or a
// quorum has and the grace is over; the others' context ends then.
func (l *Log) cosign(ctx context.Context, checkpoint []byte, prove func(uint64) ([][32]byte, error)) (cos []Cosignature, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		co  Cosignature
		err error
	}
	answers := make(chan answer, len(l.opts.Witnesses))
	for _, w := range l.opts.Witnesses {
		l.tasks.Go(func() {
			co, err := w.Cosign(ctx, checkpoint, prove)
			if err != nil {
				err = fmt.Errorf("witness %s: %w", w.Name(), err)
			}
			answers <- answer{co, err}
		})
	}
	var errs []error
	var grace <-chan time.Time
	for range l.opts.Witnesses {
		select {
		case a := <-answers:
			if a.err != nil {
				errs = append(errs, a.err)
				break
			}
			cos = append(cos, a.co)
			if len(cos) == l.opts.Quorum {
				grace = time.After(witnessGrace)
			}
		case <-grace:
			return cos, nil
		case <-ctx.Done():
			return cos, errors.Join(append(errs, context.Cause(ctx))...)
		}
	}
	return cos, errors.Join(errs...)
}

// vouched is the time by which a quorum of witnesses says that the checkpoint
// existed, or zero if fewer than that state a time. With a quorum of more than
// one, a single witness whose clock is slow does not move it.
func vouched(cos []Cosignature, quorum int) time.Time {
	var times []time.Time
	for _, co := range cos {
		if !co.Time.IsZero() {
			times = append(times, co.Time)
		}
	}
	if quorum == 0 || len(times) < quorum {
		return time.Time{}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[quorum-1]
}

// recordCosigned logs the cosigned checkpoint itself.
func (l *Log) recordCosigned(ctx context.Context, size uint64, msg []byte, cos []Cosignature, at time.Time) error {
	text := string(msg)
	for _, co := range cos {
		text += co.Line + "\n"
	}
	attrs := []Attr{Int("size", int64(size)), Int("cosigned", len(cos)), String("checkpoint", text)}
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
