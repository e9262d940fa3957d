package guard

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
)

// Metrics returns a guard that measures calls with OpenTelemetry; a nil
// provider means otel's global one.
//
//	surety.guard.call.duration  histogram, s  by operation, outcome and denying control
//
// Operations are routes and controls are the program's, so the number of
// series is bounded; unknown paths share one.
func Metrics(provider metric.MeterProvider) (Guard, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	h, err := provider.Meter("github.com/surety-go/surety/guard").Float64Histogram(
		"surety.guard.call.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from admission to the end of a guarded call."))
	if err != nil {
		return nil, fmt.Errorf("guard: metrics: %w", err)
	}
	return &metrics{duration: h}, nil
}

type metrics struct {
	duration metric.Float64Histogram
	sets     sync.Map // series to the prebuilt option: building one per call allocates
}

type series struct{ operation, outcome, control string }

func (m *metrics) Phase() Phase                 { return Observe }
func (m *metrics) Controls() []controls.Control { return nil }

func (m *metrics) Admit(ctx context.Context, call *Call) (context.Context, error) {
	call.OnFinish(func(ctx context.Context, o Outcome) {
		m.duration.Record(ctx, o.Elapsed.Seconds(), m.option(call, o))
	})
	return ctx, nil
}

func (m *metrics) option(call *Call, o Outcome) metric.RecordOption {
	s := series{call.Operation, o.Result().String(), ""}
	if o.Denial != nil {
		s.control = o.Denial.Control
	}
	if opt, ok := m.sets.Load(s); ok {
		return opt.(metric.RecordOption)
	}
	opt, _ := m.sets.LoadOrStore(s, metric.WithAttributeSet(attribute.NewSet(
		attribute.String("surety.operation", s.operation),
		attribute.String("surety.outcome", s.outcome),
		attribute.String("surety.control", s.control))))
	return opt.(metric.RecordOption)
}
