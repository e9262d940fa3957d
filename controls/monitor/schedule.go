package monitor

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/surety-go/surety/controls"
)

// A plan is when each control is due next.
type plan struct {
	due  map[string]time.Time
	busy map[string]bool
}

// schedule is the monitor's one goroutine: it starts due probes, enters
// heartbeats and notices controls that vanish.
func (m *Monitor) schedule(ctx context.Context) {
	defer close(m.done)
	p := plan{map[string]time.Time{}, map[string]bool{}}
	ended := make(chan string)
	beat := time.Now().Add(m.opts.Heartbeat)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			// Probes that run still report that they ended.
			for len(p.busy) > 0 {
				delete(p.busy, <-ended)
			}
			return
		case key := <-ended:
			delete(p.busy, key)
		case <-timer.C:
		}
		if at := time.Now(); !at.Before(beat) {
			m.beat(ctx)
			beat = at.Add(m.opts.Heartbeat)
		}
		timer.Reset(time.Until(m.startDue(ctx, &p, ended, beat)))
	}
}

// beat enters a heartbeat. Its failure is kept by enter, and tried again with
// the next one: there is nobody to return it to.
func (m *Monitor) beat(ctx context.Context) {
	_, _ = m.enter(context.WithoutCancel(ctx), Entry{Kind: Heartbeat, Every: m.opts.Heartbeat})
}

// startDue starts what is due as far as there are free slots and returns when
// to look again.
func (m *Monitor) startDue(ctx context.Context, p *plan, ended chan<- string, beat time.Time) time.Time {
	wake, at := beat, time.Now()
	list := m.list()
	_ = m.missing(ctx, list) // kept by enter
	for _, c := range list {
		key := c.Key()
		due, known := p.due[key]
		if !known {
			due = at
			p.due[key] = due
		}
		switch {
		case p.busy[key]:
		case due.After(at):
			if due.Before(wake) {
				wake = due
			}
		case m.tryStart(ctx, c, ended):
			p.busy[key] = true
			p.due[key] = at.Add(m.interval(c.ID))
		default: // all slots are taken
			wake = earlier(wake, at.Add(min(m.opts.Timeout, time.Second)))
		}
	}
	return wake
}

// interval is shorter than what the catalogue promises by 5 to 20 %, so that
// a promise is kept even if the run is slow, and instances spread out.
func (m *Monitor) interval(id string) time.Duration {
	every := m.every(id)
	return every - every/20 - rand.N(every*3/20+1)
}

// tryStart runs the control's probe apart unless all slots are taken.
func (m *Monitor) tryStart(ctx context.Context, c controls.Control, ended chan<- string) bool {
	select {
	case m.slots <- struct{}{}:
	default:
		return false
	}
	m.wg.Go(func() {
		_, _ = m.run(ctx, c) // failures are kept by enter for the monitor's own probe
		<-m.slots
		ended <- c.Key()
	})
	return true
}
