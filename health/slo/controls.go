package slo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
)

// unseenFor is how long nobody may have looked from outside.
const unseenFor = 5 * time.Minute

// observe registers the metric. The attribute sets are made once.
func (t *Tracker) observe() error {
	provider := t.o.Meter
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m := provider.Meter("github.com/surety-go/surety/health/slo")
	g, err := m.Float64ObservableGauge("surety.health.slo.budget", metric.WithDescription("Share of the error budget that is left, by objective."))
	if err != nil {
		return fmt.Errorf("slo: metric: %w", err)
	}
	sets := make([]metric.ObserveOption, len(t.series))
	for i, s := range t.series {
		sets[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("objective", s.Name)))
	}
	t.gauge, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for i, s := range t.series {
			o.ObserveFloat64(g, 1-s.status(t.o.Window).used, sets[i])
		}
		return nil
	}, g)
	if err != nil {
		return fmt.Errorf("slo: metric: %w", err)
	}
	return nil
}

// A status is where an objective stands in the window that ends now.
type status struct {
	used   float64 // share of the error budget, of requests or from outside
	firing []string
	seen   int64 // last minute seen from outside
	total  int64
}

func (s *series) status(window time.Duration) status {
	s.mu.Lock()
	defer s.mu.Unlock()
	inside, outside := s.window.sum(window)
	st := status{
		used: max(inside.burn(s.Target), outside.burn(s.Target)),
		seen: s.window.seen(), total: inside.total() + outside.total(),
	}
	for _, r := range rules {
		if s.firing[r.name] {
			st.firing = append(st.firing, r.name)
		}
	}
	return st
}

// Controls lists a control for each objective. Its probe reads the counts
// and fails when the error budget is used up, when an alert
// is raised, and when nobody has looked from outside for five minutes.
func (t *Tracker) Controls() []controls.Control {
	list := make([]controls.Control, len(t.series))
	for i, s := range t.series {
		list[i] = controls.Control{
			ID: "health.slo", Instance: s.Name,
			Parameters: []controls.Parameter{
				controls.Text("target", fmt.Sprint(s.Target)),
				controls.Duration("latency", s.Latency),
				controls.Duration("window", t.o.Window),
				controls.Int("actions", len(s.Actions)),
			},
			Probe: func(ctx context.Context) controls.Result { return t.probe(ctx, s) },
		}
	}
	return list
}

func (t *Tracker) probe(ctx context.Context, s *series) controls.Result {
	now := time.Now()
	if err := t.refresh(ctx, s, now.Add(-late), now); err != nil {
		return controls.Errored("the counts can't be read: %v", err)
	}
	st := s.status(t.o.Window)
	switch ago := index(now) - st.seen; {
	case st.used >= 1:
		return controls.Failed("the error budget is used up: %.0f %% of it", 100*st.used)
	case len(st.firing) > 0:
		return controls.Failed("the error budget burns (%s), %.0f %% is left", strings.Join(st.firing, ", "), 100*(1-st.used))
	case st.seen == 0:
		return controls.Failed("nobody measures from outside of the process")
	case ago > int64(unseenFor/time.Minute):
		return controls.Failed("nobody has measured from outside for %d minutes", ago)
	default:
		return controls.Passed("%.1f %% of the error budget is left after %d requests; seen from outside %d minutes ago", 100*(1-st.used), st.total, ago)
	}
}
