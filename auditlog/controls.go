package auditlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/controls"
)

// maxDrift is how far wall time may run from the monotonic clock and from the
// witnesses'.
const maxDrift = 2 * time.Minute

// Ready reports why the log can't be relied on from now on, or nil: it is
// poisoned or closed, the disk nears its reserve, checkpoints can't be
// published, aggregates or the clock are off.
func (l *Log) Ready(context.Context) error {
	if err := l.eng.Err(); err != nil {
		return err
	}
	if err := l.eng.PublishError(); err != nil {
		return fmt.Errorf("auditlog: no checkpoint is published: %w", err)
	}
	if err := l.diskError(); err != nil {
		return err
	}
	return l.clockError(present())
}

// A moment is one reading of both clocks.
type moment struct {
	wall time.Time // without a monotonic reading
	mono time.Time // compared with other monotonic readings only
}

func present() moment {
	now := time.Now()
	return moment{now.Round(0), now}
}

// diskError reports that the disk nears its reserve: as much again is left.
func (l *Log) diskError() error {
	free, err := l.eng.Free()
	if err != nil {
		return fmt.Errorf("auditlog: ask for the space left: %w", err)
	}
	if free < uint64(max(l.opts.Reserve, l.opts.SegmentSize)) {
		return fmt.Errorf("%w: %s has %d bytes left above its reserve", ErrFull, l.dir, free)
	}
	return nil
}

// watchDisk records once that the disk runs short, while there is still room
// for that, and once that it is over.
func (l *Log) watchDisk() {
	err := l.diskError()
	switch {
	case err != nil && !l.low:
		l.low = l.own(context.Background(), "auditlog.disk.alarm", Failed, Int("reserve", l.opts.Reserve)) == nil
	case err == nil && l.low:
		l.low = l.own(context.Background(), "auditlog.disk.clear", Success) != nil
	}
}

// clockError compares the wall clock with the witnesses', with the monotonic
// one since they agreed or since Open, and with the last commit.
func (l *Log) clockError(now moment) error {
	since, off := l.anchor.clock()
	if off.Abs() > maxDrift {
		return fmt.Errorf("auditlog: the witnesses' clocks are %s from this one, limit %s", off.Round(time.Second), maxDrift)
	}
	if since == (moment{}) {
		since = l.opened
	}
	drift := now.wall.Sub(since.wall) - now.mono.Sub(since.mono)
	if drift.Abs() > maxDrift {
		return fmt.Errorf("auditlog: the clock was set by %s since it was last found right, or the machine slept", drift.Round(time.Second))
	}
	if last := l.eng.State().Time; now.wall.Before(last.Add(-maxDrift)) {
		return fmt.Errorf("%w: by %s", ErrClock, last.Sub(now.wall).Round(time.Second))
	}
	return nil
}

// Controls describes the log and its witnessing. The first control's probe
// writes an event and reads it back from the disk; the second fails unless
// others have vouched for the log within the gap.
func (l *Log) Controls() []controls.Control {
	o := &l.opts
	return []controls.Control{{
		ID: "auditlog.log",
		Parameters: []controls.Parameter{
			controls.Text("engine", "segments"),
			controls.Text("acknowledgement", o.Table.String()),
			controls.Duration("checkpoint_every", o.CheckpointEvery),
			controls.Duration("aggregate_every", o.AggregateEvery),
			controls.Int("aggregate_kinds", o.AggregateKinds),
			controls.Bool("drop_when_full", o.DropWhenFull),
			controls.Bytes("reserve", o.Reserve),
			controls.Bool("checkpoint_store", o.Store != nil),
		},
		Probe: l.probe,
	}, {
		ID: "auditlog.witness",
		Parameters: []controls.Parameter{
			controls.Int("witnesses", len(o.Witnesses)),
			controls.Int("quorum", o.Quorum),
			controls.Duration("every", o.WitnessEvery),
			controls.Duration("gap", o.WitnessGap),
		},
		Probe: l.probeWitness,
	}}
}

func (l *Log) probe(ctx context.Context) controls.Result {
	if err := l.Ready(ctx); err != nil {
		return controls.Failed("the log is not ready: %v", err)
	}
	r, err := l.appendOwn(ctx, Event{Action: "auditlog.log.probe", Outcome: Success, Actor: Actor{Kind: Probe}}, Published)
	if err != nil {
		return controls.Failed("an event could not be recorded and published: %v", err)
	}
	got, err := l.At(r.Index)
	if err != nil || got.ID != r.ID {
		return controls.Failed("the event was acknowledged at index %d and is not there: %v", r.Index, err)
	}
	if res := l.probeWitness(ctx); res.State != controls.Pass {
		return res
	}
	if n := l.drops.total.Load(); n > 0 {
		return controls.Failed("%d asynchronous events were dropped since the log was opened", n)
	}
	return controls.Passed("an event was synced at index %d, published, and read back", r.Index)
}

func (l *Log) probeWitness(context.Context) controls.Result {
	if len(l.opts.Witnesses) == 0 {
		return controls.Failed("no witness is configured: the log proves nothing against its own operator")
	}
	a := &l.anchor
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.size == 0 && a.err != nil:
		return controls.Failed("no checkpoint was cosigned since the log was opened: %v", a.err)
	case a.size == 0:
		return controls.Errored("the first checkpoint is still being cosigned")
	case a.at.IsZero():
		return controls.Failed("the last checkpoint is cosigned, and fewer than %d witnesses stated a time", l.opts.Quorum)
	}
	if gap := time.Since(a.at); gap > l.opts.WitnessGap {
		return controls.Failed("the last cosigned checkpoint is %s old, limit %s: %v", gap.Round(time.Second), l.opts.WitnessGap, errors.Join(a.err))
	}
	return controls.Passed("%d entries were cosigned by %d witnesses at %s", a.size, l.opts.Quorum, a.at.UTC().Format(time.RFC3339))
}
