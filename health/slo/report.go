package slo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// A Report says how an objective was met in a period.
type Report struct {
	Objective string        `json:"objective"`
	Target    float64       `json:"target"`
	Latency   time.Duration `json:"latency_ns,omitempty"`
	From      time.Time     `json:"from"`
	To        time.Time     `json:"to"`

	// Good and Bad are requests to the service, counted by itself.
	Good int64 `json:"good"`
	Bad  int64 `json:"bad"`
	// OutsideGood and OutsideBad are a [Watcher]'s.
	OutsideGood int64 `json:"outside_good"`
	OutsideBad  int64 `json:"outside_bad"`
	// Availability is the share of good requests, 1 when there were none.
	Availability float64 `json:"availability"`
	// Uptime is the share of minutes in which somebody saw the service work
	// and nobody saw it fail more often than not.
	Uptime float64 `json:"uptime"`
	// BudgetUsed is the share of the period's error budget that bad requests
	// used up, above 1 when the objective was missed.
	BudgetUsed float64 `json:"budget_used"`
	// Down are the times that were measured and not up, Unmeasured those that
	// nobody measured.
	Down       []Interval `json:"down"`
	Unmeasured []Interval `json:"unmeasured"`
	// Met says that both Availability and Uptime reach the target.
	Met bool `json:"met"`
}

// An Interval is a time from From to before To.
type Interval struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Report says how an objective was met from one time to before another, at
// most 92 days, to the minute. A period that isn't over ends with the last
// full minute.
func (t *Tracker) Report(ctx context.Context, objective string, from, to time.Time) (Report, error) {
	s, err := t.find(objective)
	if err != nil {
		return Report{}, err
	}
	from, to = from.UTC().Truncate(time.Minute), to.UTC().Truncate(time.Minute)
	if now := time.Now().UTC().Truncate(time.Minute); to.After(now) {
		to = now
	}
	if !from.Before(to) || to.Sub(from) > 92*24*time.Hour {
		return Report{}, fmt.Errorf("slo: period from %s to %s: want 1 minute to 92 days that are past",
			from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	minutes := make([]minute, to.Sub(from)/time.Minute)
	err = t.store.Counts(ctx, t.tenant, s.Name, from, to, func(c Count) error {
		if err := c.check(t.key, t.tenant); err != nil {
			return err
		}
		minutes[c.Minute.Sub(from)/time.Minute].of(c.Outside).add(ratio{c.Good, c.Bad})
		return nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("slo: report on %s: %w", s.Name, err)
	}
	r := Report{Objective: s.Name, Target: s.Target, Latency: s.Latency, From: from, To: to}
	r.sum(minutes)
	return r, nil
}

func (r *Report) sum(minutes []minute) {
	var inside, outside ratio
	up := 0
	for i, m := range minutes {
		inside.add(m.inside)
		outside.add(m.outside)
		at := r.From.Add(time.Duration(i) * time.Minute)
		switch {
		case m.up():
			up++
		case m.measured():
			r.Down = extend(r.Down, at)
		default:
			r.Unmeasured = extend(r.Unmeasured, at)
		}
	}
	r.Good, r.Bad, r.OutsideGood, r.OutsideBad = inside.good, inside.bad, outside.good, outside.bad
	r.Availability = 1
	if n := inside.total(); n > 0 {
		r.Availability = float64(inside.good) / float64(n)
	}
	r.BudgetUsed = inside.burn(r.Target)
	r.Uptime = float64(up) / float64(len(minutes))
	r.Met = r.Availability >= r.Target && r.Uptime >= r.Target
}

// extend adds a minute to intervals.
func extend(list []Interval, at time.Time) []Interval {
	if n := len(list); n > 0 && list[n-1].To.Equal(at) {
		list[n-1].To = at.Add(time.Minute)
		return list
	}
	return append(list, Interval{at, at.Add(time.Minute)})
}

// WriteTo writes the report for people, as plain text.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	met := "met"
	if !r.Met {
		met = "missed"
	}
	text := fmt.Sprintf("%s: %s\n  period        %s to %s\n  target        %s%s\n  availability  %s (%d of %d requests)\n  uptime        %s of the minutes\n  budget used   %s\n  from outside  %d of %d requests good\n",
		r.Objective, met, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339),
		percent(r.Target), within(r.Latency), percent(r.Availability), r.Good, r.Good+r.Bad,
		percent(r.Uptime), percent(r.BudgetUsed), r.OutsideGood, r.OutsideGood+r.OutsideBad)
	text += intervals("down", r.Down) + intervals("not measured", r.Unmeasured)
	n, err := io.WriteString(w, text)
	if err != nil {
		return int64(n), fmt.Errorf("slo: report: %w", err)
	}
	return int64(n), nil
}

func percent(share float64) string { return fmt.Sprintf("%.3f %%", 100*share) }

func within(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf(" within %v", d)
}

func intervals(title string, list []Interval) (text string) {
	for _, i := range list {
		text += fmt.Sprintf("  %-13s %s to %s (%v)\n", title, i.From.Format(time.RFC3339), i.To.Format(time.RFC3339), i.To.Sub(i.From))
	}
	return text
}
