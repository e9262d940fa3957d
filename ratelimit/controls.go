package ratelimit

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
)

// metrics counts what was denied and when the store failed. The attribute sets
// are made once for each policy.
type metrics struct {
	denials  metric.Int64Counter
	failures metric.Int64Counter
	policies sync.Map // policy to its measurement option
	modes    [Allow + 1]metric.MeasurementOption
}

func newMetrics(provider metric.MeterProvider, s *set) (*metrics, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter("github.com/surety-go/surety/ratelimit")
	m := &metrics{}
	var err error
	if m.denials, err = meter.Int64Counter("surety.ratelimit.denied", metric.WithDescription("Requests denied, by policy.")); err != nil {
		return nil, fmt.Errorf("ratelimit: metric: %w", err)
	}
	if m.failures, err = meter.Int64Counter("surety.ratelimit.store.failures", metric.WithDescription("Decisions that the store did not make, by what was done instead.")); err != nil {
		return nil, fmt.Errorf("ratelimit: metric: %w", err)
	}
	for f := range m.modes {
		m.modes[f] = metric.WithAttributeSet(attribute.NewSet(attribute.String("instead", Failure(f).String())))
	}
	m.add(s)
	return m, nil
}

func (m *metrics) add(s *set) {
	for _, p := range s.policies {
		m.policies.Store(p.Name, metric.WithAttributeSet(attribute.NewSet(attribute.String("policy", p.Name))))
	}
}

func (m *metrics) denied(ctx context.Context, policy string) {
	if o, ok := m.policies.Load(policy); ok {
		m.denials.Add(ctx, 1, o.(metric.MeasurementOption))
	}
}

func (m *metrics) storeFailed(ctx context.Context, f Failure) { m.failures.Add(ctx, 1, m.modes[f]) }

// Controls describes each policy. The probe uses up the allowance of a key of
// its own on the live limiter, which no caller shares.
func (l *Limiter) Controls() []controls.Control {
	s := l.set.Load()
	list := make([]controls.Control, len(s.policies))
	for i, p := range s.policies {
		store := "memory"
		if l.o.Store != nil {
			store = "shared"
		}
		parameters := []controls.Parameter{
			controls.Text("key", p.Key.name), controls.Int("count", p.Count), controls.Duration("per", p.Per),
			controls.Text("calendar", p.Calendar.String()), controls.Int("burst", p.limit),
			controls.Bytes("memory", l.o.Memory), controls.Text("store", store), controls.Text("on_failure", l.o.OnFailure.String()),
		}
		list[i] = controls.Control{
			ID: "ratelimit.limiter", Instance: p.Name, Parameters: parameters,
			Probe: func(ctx context.Context) controls.Result { return l.probe(ctx, i, p) },
		}
	}
	return list
}

// probe takes a whole allowance at once, and then as much again, which takes
// longer to refill than a probe may last.
func (l *Limiter) probe(ctx context.Context, index int, p *policy) controls.Result {
	s := &set{policies: []*policy{p}, quotas: p.Calendar != None}
	who := subject{text: probeKey()}
	for try := range 2 {
		list := []taking{{policy: p, index: index, who: who, cost: p.limit}}
		take := l.take
		if l.o.Store != nil {
			take = func(ctx context.Context, _ *set, list []taking) (bool, error) { return l.takeShared(ctx, list) }
		}
		ok, err := take(ctx, s, list)
		switch {
		case err != nil:
			return controls.Errored("the store can't be reached (instead: %s): %v", l.o.OnFailure, err)
		case try == 0 && !ok:
			return controls.Passed("a key was denied at once: the table is full, and newcomers share what others have used up")
		case try == 1 && ok:
			return controls.Failed("twice the allowance of %d was admitted", p.limit)
		}
	}
	return controls.Passed("an allowance of %d was admitted, and denied when asked for again", p.limit)
}
