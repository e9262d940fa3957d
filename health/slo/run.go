package slo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// late is how long after a minute its counts may still come in from other
// instances. It is read again each time.
const late = 10 * time.Minute

// system is who acts here: the program itself.
var system = auditlog.Actor{Kind: auditlog.System}

// run stores and evaluates once a minute.
func (t *Tracker) run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.step(ctx, time.Now())
		}
	}
}

// step is one round. What fails in it shows in the control and in the log, and
// is tried again in the next.
func (t *Tracker) step(ctx context.Context, now time.Time) {
	_ = t.flush(ctx, now.Truncate(time.Minute)) // recorded there
	for _, s := range t.series {
		if err := t.refresh(ctx, s, now.Add(-late), now); err != nil {
			continue // the probe and the reports say so
		}
		t.alert(ctx, s)
	}
	if hour := now.Truncate(time.Hour); hour.After(t.hour) {
		_ = t.totals(ctx, hour) // an event that can't be recorded is the log's to tell
	}
}

// flush stores the minutes before limit and records when the store begins to
// fail and when it works again.
func (t *Tracker) flush(ctx context.Context, limit time.Time) error {
	counters := make([]*counter, len(t.series))
	for i, s := range t.series {
		counters[i] = s.counter
	}
	stored, lost, err := flush(ctx, t.store, t.tenant, t.key, counters, limit)
	for _, c := range stored {
		s, _ := t.find(c.Objective) // it is one of ours
		s.hourly.add(ratio{c.Good, c.Bad})
	}
	t.mu.Lock()
	changed := t.failing != (err != nil)
	t.failing = err != nil
	t.mu.Unlock()
	if !changed && lost == 0 {
		return err
	}
	ev := auditlog.Event{Action: "health.slo.store", Outcome: auditlog.Success, Actor: system, Tenant: t.tenant}
	if err != nil {
		ev.Outcome, ev.Reason = auditlog.Failed, "health.slo.store"
	}
	if lost > 0 {
		ev.Attrs = append(ev.Attrs, auditlog.Int("minutes_lost", lost))
	}
	return errors.Join(err, t.record(ctx, ev))
}

// refresh reads a part of a window again.
func (t *Tracker) refresh(ctx context.Context, s *series, from, to time.Time) error {
	type at struct {
		n int64
		m minute
	}
	var list []at
	err := t.store.Counts(ctx, t.tenant, s.Name, from.Truncate(time.Minute), to, func(c Count) error {
		if err := c.check(t.key, t.tenant); err != nil {
			return err
		}
		n := index(c.Minute)
		if len(list) == 0 || list[len(list)-1].n != n {
			list = append(list, at{n: n})
		}
		list[len(list)-1].m.of(c.Outside).add(ratio{c.Good, c.Bad})
		return nil
	})
	if err != nil {
		return fmt.Errorf("slo: counts of %s: %w", s.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.advance(index(to))
	for _, a := range list {
		if s.window.holds(a.n) {
			*s.window.at(a.n) = a.m
		}
	}
	return nil
}

// alert raises and ends the alerts of an objective.
func (t *Tracker) alert(ctx context.Context, s *series) {
	for _, r := range rules {
		s.mu.Lock()
		was := s.firing[r.name]
		is, long, short := r.evaluate(s.window, s.Target, int64(t.o.MinBad), was)
		s.mu.Unlock()
		if is == was {
			continue
		}
		ev := auditlog.Event{
			Action: "health.slo.recover", Outcome: auditlog.Success,
			Attrs: []auditlog.Attr{
				auditlog.String("rule", r.name), auditlog.String("burn_long", fmt.Sprintf("%.1f", long)),
				auditlog.String("burn_short", fmt.Sprintf("%.1f", short)), auditlog.String("rate", fmt.Sprint(r.rate)),
			},
		}
		if is {
			ev.Action, ev.Outcome, ev.Reason = "health.slo.burn", auditlog.Failed, "health.slo"
		}
		ev.Actor, ev.Tenant, ev.Targets = system, t.tenant, []auditlog.Target{{Type: "objective", ID: s.Name}}
		if t.record(ctx, ev) != nil {
			continue // told in the next round
		}
		s.mu.Lock()
		s.firing[r.name] = is
		s.mu.Unlock()
	}
}

// totals records what this instance counted in the hour that ended.
func (t *Tracker) totals(ctx context.Context, hour time.Time) error {
	var err error
	for _, s := range t.series {
		if s.hourly.total() == 0 {
			continue
		}
		recErr := t.record(ctx, auditlog.Event{
			Action: "health.slo.measure", Outcome: auditlog.Success, Actor: system, Tenant: t.tenant,
			Targets: []auditlog.Target{{Type: "objective", ID: s.Name}},
			Attrs: []auditlog.Attr{
				auditlog.String("hour", t.hour.UTC().Format(time.RFC3339)),
				auditlog.Int("good", int(s.hourly.good)), auditlog.Int("bad", int(s.hourly.bad)),
			},
		})
		if recErr == nil {
			s.hourly = ratio{}
		}
		err = errors.Join(err, recErr)
	}
	t.hour = hour
	return err
}

func (t *Tracker) record(ctx context.Context, ev auditlog.Event) error {
	if err := t.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("slo: record: %w", err)
	}
	return nil
}
