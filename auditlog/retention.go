package auditlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of pruning.
var (
	// ErrHeld says that a legal hold forbids pruning.
	ErrHeld = errors.New("auditlog: a legal hold forbids pruning")
	// ErrUnreported says that the period has not been reported yet.
	ErrUnreported = errors.New("auditlog: the period has not been reported")
)

// Hold forbids all pruning until the hold of that name is released. It is an
// event of the log, and lasts as the log does.
func (l *Log) Hold(ctx context.Context, name, reason string) error {
	return l.change(ctx, "auditlog.hold.create", name, String("because", reason))
}

// Release ends a hold.
func (l *Log) Release(ctx context.Context, name, reason string) error {
	holds, err := l.Holds(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(holds, name) {
		return fmt.Errorf("auditlog: there is no hold %q", clip(name))
	}
	return l.change(ctx, "auditlog.hold.release", name, String("because", reason))
}

func (l *Log) change(ctx context.Context, action, name string, attrs ...Attr) error {
	if name == "" {
		return fmt.Errorf("%w: %s: want a name", ErrInvalid, action)
	}
	_, err := l.appendOwn(ctx, Event{Action: action, Outcome: Success, Targets: []Target{{Type: "hold", ID: name}}, Attrs: attrs}, Durable)
	return err
}

// Holds returns the names of the holds in force, in order.
func (l *Log) Holds(ctx context.Context) ([]string, error) {
	var holds []string
	for e, err := range l.find(ctx, Query{Action: "auditlog.hold.*", Outcome: Success}) {
		if err != nil {
			return nil, err
		}
		name := e.Targets[0].ID
		holds = slices.DeleteFunc(holds, func(h string) bool { return h == name })
		if e.Action == "auditlog.hold.create" {
			holds = append(holds, name)
		}
	}
	slices.Sort(holds)
	return holds, nil
}

// Reported states that everything before a time was reported to auditors, so
// that it may be pruned.
func (l *Log) Reported(ctx context.Context, until time.Time) error {
	if until.After(time.Now()) {
		return fmt.Errorf("%w: auditlog.period.report: the period ends in the future", ErrInvalid)
	}
	_, err := l.appendOwn(ctx, Event{Action: "auditlog.period.report", Outcome: Success, Attrs: []Attr{Time("until", until)}}, Durable)
	return err
}

// reportedUntil returns the end of what was reported.
func (l *Log) reportedUntil(ctx context.Context) (until time.Time, err error) {
	for e, err := range l.find(ctx, Query{Action: "auditlog.period.report", Outcome: Success}) {
		if err != nil {
			return until, err
		}
		for _, a := range e.Attrs {
			if t, err := time.Parse(time.RFC3339Nano, a.Text()); a.Key == "until" && err == nil && t.After(until) {
				until = t
			}
		}
	}
	return until, nil
}

// Prune removes the entries that are older than a time, in whole tiles of 256
// and as far as their segments have been reused; it returns how many entries
// of the log are pruned now. It is refused under a hold ([ErrHeld]) and for a
// time that was not [Log.Reported] ([ErrUnreported]).
//
// What is pruned stays provable by the tree above it: the event
// auditlog.log.prune states the range and the root it had, proofs and exports
// of later entries are as before, and package verify accepts exactly the range
// that the event states. The caller decides by its declared policy; the event
// is by the context's actor.
func (l *Log) Prune(ctx context.Context, before time.Time) (uint64, error) {
	holds, err := l.Holds(ctx)
	if err != nil {
		return 0, err
	}
	if len(holds) > 0 {
		return 0, fmt.Errorf("%w: %q", ErrHeld, holds)
	}
	until, err := l.reportedUntil(ctx)
	if err != nil {
		return 0, err
	}
	if before.After(until) {
		return 0, fmt.Errorf("%w: only what was before %s", ErrUnreported, until.UTC().Format(time.RFC3339))
	}
	to, err := l.index.olderThan(l, before, l.eng.Prunable())
	if err != nil || to <= l.eng.Pruned() {
		return l.eng.Pruned(), err
	}
	if err := l.recordPruning(ctx, to, before); err != nil {
		return l.eng.Pruned(), err
	}
	return to, l.eng.Prune(to)
}

// recordPruning has the event under a signed checkpoint before anything goes.
func (l *Log) recordPruning(ctx context.Context, to uint64, before time.Time) error {
	root, err := l.eng.RootAt(to)
	if err != nil {
		return err
	}
	_, err = l.appendOwn(ctx, Event{Action: "auditlog.log.prune", Outcome: Success, Attrs: []Attr{
		Int("from", int64(l.eng.Pruned())), Int("to", int64(to)), Time("before", before),
		String("root", base64.StdEncoding.EncodeToString(root[:])),
	}}, Published)
	return err
}

// olderThan returns the end of the longest run of whole spans from the
// beginning whose entries are all older than a time.
func (x *index) olderThan(l *Log, before time.Time, limit uint64) (uint64, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.update(l, l.Size()/indexSpan); err != nil {
		return 0, err
	}
	n := l.eng.Pruned() / indexSpan
	for ; (n+1)*indexSpan <= limit; n++ {
		r, err := x.read(n)
		if err != nil {
			return 0, err
		}
		if _, last := r.times(); last >= before.UnixNano() {
			break
		}
	}
	return n * indexSpan, nil
}
