package monitor

import (
	"context"
	"fmt"
	"time"

	"github.com/surety-go/surety/controls"
)

// A History is what was tested in a period, and where it was not.
type History struct {
	Tenant  string    `json:"tenant"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Entries []Entry   `json:"entries"`
	Gaps    []Gap     `json:"gaps,omitempty"`
}

// History reads the entries of a period and computes its gaps. Until is cut to
// the present: the future is no gap.
func (m *Monitor) History(ctx context.Context, from, until time.Time) (History, error) {
	m.order.Lock() // whatever is dated before now has been entered
	at := now()
	m.order.Unlock()
	if until.After(at) {
		until = at
	}
	from, until = from.UTC().Round(0), until.UTC().Round(0)
	h := History{Tenant: m.opts.Tenant, From: from, To: until}
	// The end is inclusive for the reader and exclusive for the store.
	err := m.opts.Store.Range(ctx, m.opts.Tenant, from, until.Add(1), func(e Entry) bool {
		h.Entries = append(h.Entries, e)
		return true
	})
	if err != nil {
		return History{}, fmt.Errorf("monitor: history: %w", err)
	}
	h.Gaps = Gaps(h.Entries, from, until)
	return h, nil
}

// PassedSince reports whether the control's latest probe started after since
// and passed. A control's ID without an instance stands for all its instances,
// which must all have passed. The tenant is not used: a finding of any tenant
// is about a control of this program, whose history is the monitor's own.
func (m *Monitor) PassedSince(ctx context.Context, _, control string, since time.Time) (bool, error) {
	last, err := m.opts.Store.Last(ctx, m.opts.Tenant)
	if err != nil {
		return false, err
	}
	found := false
	for _, e := range last {
		if e.Control != control && e.ID != control {
			continue
		}
		if e.Kind != Probed || e.State != controls.Pass || !e.Began().After(since) {
			return false, nil
		}
		found = true
	}
	return found, nil
}

// Controls lists controls.monitor. Its probe asks whether the monitor runs,
// whether the history took its latest entry and no heartbeat is overdue, and
// whether the last day has no gap and no probe hangs.
func (m *Monitor) Controls() []controls.Control {
	return []controls.Control{{
		ID: "controls.monitor",
		Parameters: []controls.Parameter{
			controls.Duration("heartbeat", m.opts.Heartbeat), controls.Duration("timeout", m.opts.Timeout),
			controls.Int("parallel", m.opts.Parallel),
		},
		Probe: m.probe,
	}}
}

func (m *Monitor) probe(ctx context.Context) controls.Result {
	m.mu.Lock()
	state, unsound, lastAt, began, stuck := m.state, m.unsound, m.lastAt, m.began, len(m.stuck)
	m.mu.Unlock()
	at := now()
	switch {
	case state != running:
		return controls.Failed("the monitor is not running: controls are tested on demand only")
	case unsound != nil:
		return controls.Failed("%v", unsound)
	case stuck > 0:
		return controls.Failed("%d probes hang", stuck)
	case at.Sub(lastAt) > m.opts.Heartbeat+slack(m.opts.Heartbeat):
		return controls.Failed("no entry since %s", lastAt.Format(time.RFC3339))
	}
	from := later(began, at.Add(-24*time.Hour))
	h, err := m.History(ctx, from, at)
	if err != nil {
		return controls.Errored("%v", err)
	}
	if len(h.Gaps) > 0 {
		return controls.Failed("%d gaps since %s, the first: %s", len(h.Gaps), from.Format(time.RFC3339), h.Gaps[0])
	}
	return controls.Passed("running; %d entries since %s without a gap", len(h.Entries), from.Format(time.RFC3339))
}
