package tesseralog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/internal/cosign"
	"github.com/surety-go/surety/controls"
)

// cosigned is what is known of a cosigned checkpoint.
type cosigned struct {
	size uint64
	at   time.Time
	err  error
}

// head reads a checkpoint's size and its text.
func head(msg []byte) (size uint64, text string, err error) {
	text, _, ok := strings.Cut(string(msg), "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) < 3 {
		return 0, "", errors.New("tesseralog: not a checkpoint")
	}
	size, err = strconv.ParseUint(lines[1], 10, 62)
	return size, text + "\n", err
}

// logBack records each cosigned checkpoint in the log itself, so that every
// event lies between two times that others vouch for.
func (l *Log) logBack() {
	tick := time.NewTicker(l.opts.WitnessGap / 3)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		c := l.logCosigned(ctx)
		cancel()
		l.mu.Lock()
		if c.err != nil {
			c.size, c.at = l.seen.size, l.seen.at
		}
		l.seen = c
		l.mu.Unlock()
		select {
		case <-l.done:
			return
		case <-tick.C:
		}
	}
}

// logCosigned has the present tree cosigned and records that.
func (l *Log) logCosigned(ctx context.Context) cosigned {
	mark := auditlog.Event{Action: "auditlog.tessera.mark", Outcome: auditlog.Success, Actor: auditlog.Actor{Kind: auditlog.System}}
	if _, err := l.Append(ctx, mark, auditlog.Witnessed); err != nil {
		return cosigned{err: err}
	}
	msg, err := l.Checkpoint(ctx)
	if err != nil {
		return cosigned{err: err}
	}
	size, text, err := head(msg)
	if err != nil {
		return cosigned{err: err}
	}
	count, at := l.count(text, msg)
	if count < l.opts.Quorum {
		return cosigned{err: fmt.Errorf("tesseralog: the checkpoint is cosigned by %d witnesses, want %d", count, l.opts.Quorum)}
	}
	ev := auditlog.Event{
		Action: "auditlog.checkpoint.cosign", Outcome: auditlog.Success, Actor: auditlog.Actor{Kind: auditlog.System},
		Attrs: []auditlog.Attr{auditlog.Int("size", int64(size)), auditlog.Int("cosigned", count), auditlog.String("checkpoint", string(msg))},
	}
	if !at.IsZero() {
		ev.Attrs = append(ev.Attrs, auditlog.Time("at", at))
	}
	return cosigned{size, at, l.own(ctx, ev)}
}

// own records an event that only a log may record.
func (l *Log) own(ctx context.Context, ev auditlog.Event) error {
	e, err := auditlog.Stamp(ctx, auditlog.Event{Action: "auditlog.tessera.mark", Outcome: ev.Outcome, Actor: ev.Actor})
	if err != nil {
		return err
	}
	e.Event = ev
	if err := e.Validate(); err != nil {
		return err
	}
	_, err = l.put(ctx, &e, auditlog.Durable)
	return err
}

// count returns how many witnesses cosigned a checkpoint, and the time by which
// a quorum of them says that it existed.
func (l *Log) count(text string, msg []byte) (n int, at time.Time) {
	var times []time.Time
	for _, w := range l.witnesses {
		sig, ok := w.Find(text, msg)
		if !ok {
			continue
		}
		n++
		if t := cosign.Time(sig); !t.IsZero() {
			times = append(times, t)
		}
	}
	if len(times) < l.opts.Quorum {
		return n, time.Time{}
	}
	slices.SortFunc(times, time.Time.Compare)
	return n, times[l.opts.Quorum-1]
}

// Controls describes the log and its witnessing, as those of auditlog.Log do.
func (l *Log) Controls() []controls.Control {
	return []controls.Control{{
		ID: "auditlog.log", Instance: l.origin,
		Parameters: []controls.Parameter{
			controls.Text("engine", "tessera"),
			controls.Text("acknowledgement", l.opts.Table.String()),
			controls.Duration("checkpoint_every", l.opts.CheckpointEvery),
			controls.Int("max_outstanding", l.opts.MaxOutstanding),
		},
		Probe: l.probe,
	}, {
		ID: "auditlog.witness", Instance: l.origin,
		Parameters: []controls.Parameter{
			controls.Int("witnesses", len(l.witnesses)),
			controls.Int("quorum", l.opts.Quorum),
			controls.Duration("gap", l.opts.WitnessGap),
		},
		Probe: l.probeWitness,
	}}
}

// probe writes an event, has it published and reads it back.
func (l *Log) probe(ctx context.Context) controls.Result {
	r, err := l.Append(ctx, auditlog.Event{Action: "auditlog.tessera.probe", Outcome: auditlog.Success, Actor: auditlog.Actor{Kind: auditlog.Probe}}, auditlog.Published)
	if err != nil {
		return controls.Failed("an event could not be recorded and published: %v", err)
	}
	found := false
	err = l.scan(ctx, r.Index, func(e auditlog.Indexed, _ error) bool {
		found = e.ID == r.ID
		return false
	})
	if err != nil || !found {
		return controls.Failed("the event was acknowledged at index %d and is not there: %v", r.Index, err)
	}
	if res := l.probeWitness(ctx); res.State != controls.Pass {
		return res
	}
	return controls.Passed("an event was recorded at index %d, published, and read back", r.Index)
}

func (l *Log) probeWitness(context.Context) controls.Result {
	if len(l.witnesses) == 0 {
		return controls.Failed("no witness is configured: the log proves nothing against its own operator")
	}
	l.mu.Lock()
	seen := l.seen
	l.mu.Unlock()
	switch {
	case seen.size == 0 && seen.err != nil:
		return controls.Failed("no checkpoint was cosigned since the log was opened: %v", seen.err)
	case seen.size == 0:
		return controls.Errored("the first checkpoint is still being cosigned")
	case seen.at.IsZero():
		return controls.Failed("the last checkpoint is cosigned, and fewer than %d witnesses stated a time", l.opts.Quorum)
	}
	if gap := time.Since(seen.at); gap > l.opts.WitnessGap {
		return controls.Failed("the last cosigned checkpoint is %s old, limit %s: %v", gap.Round(time.Second), l.opts.WitnessGap, seen.err)
	}
	return controls.Passed("%d entries were cosigned by %d witnesses at %s", seen.size, l.opts.Quorum, seen.at.UTC().Format(time.RFC3339))
}
