package monitor

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
)

type metrics struct {
	results  metric.Int64Counter
	duration metric.Float64Histogram
}

func newMetrics(p metric.MeterProvider) (*metrics, error) {
	meter := p.Meter("github.com/surety-go/surety/controls/monitor")
	results, err := meter.Int64Counter("surety.controls.probe.results",
		metric.WithUnit("{probe}"), metric.WithDescription("Probes of controls by result."))
	if err != nil {
		return nil, err
	}
	duration, err := meter.Float64Histogram("surety.controls.probe.duration",
		metric.WithUnit("s"), metric.WithDescription("How long probes of controls took."))
	if err != nil {
		return nil, err
	}
	return &metrics{results, duration}, nil
}

// count uses the control's ID, of which a program has a few dozen, and never
// the instance, of which it may have many.
func (m *metrics) count(ctx context.Context, id string, s controls.State, took time.Duration) {
	control := attribute.String("control", id)
	m.results.Add(ctx, 1, metric.WithAttributes(control, attribute.String("state", s.String())))
	m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(control))
}
