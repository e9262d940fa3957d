package concurrency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// Phase implements [guard.Guard].
func (l *Limiter) Phase() guard.Phase {
	if l.o.Early {
		return guard.Network
	}
	return guard.Limit
}

// Admit implements [guard.Guard]: it waits for a place, which the call gives
// back when it ends.
func (l *Limiter) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	if call.Stream {
		return ctx, nil
	}
	p := Normal
	if l.o.Priority != nil {
		p = l.o.Priority(ctx, call)
	}
	place, err := l.Acquire(ctx, p)
	if err != nil {
		if !errors.Is(err, ErrOverload) {
			return ctx, err
		}
		return ctx, &guard.Denial{
			Control: "ratelimit.concurrency", Code: guard.Unavailable, RetryAfter: time.Second,
			Type:   "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
			Public: "The service is busy.", Err: err,
		}
	}
	call.OnFinish(func(_ context.Context, o guard.Outcome) {
		if o.Code == guard.OK && o.Panic == nil {
			place.Done()
		} else {
			place.Cancel()
		}
	})
	return ctx, nil
}

// Middleware returns a handler behind the limiter alone.
func (l *Limiter) Middleware(next http.Handler) http.Handler { return guard.Alone(l, next) }

// metrics are gauges of the limiter's state and a counter of what it turns
// away.
type metrics struct {
	shed  metric.Int64Counter
	of    [priorities]metric.MeasurementOption
	gauge metric.Registration
}

var names = [priorities]string{Normal: "normal", Background: "background", Critical: "critical"}

func newMetrics(provider metric.MeterProvider, l *Limiter) (*metrics, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter("github.com/surety-go/surety/ratelimit/concurrency")
	m := &metrics{}
	var err error
	gauge := func(name, what string) (g metric.Int64ObservableGauge) {
		var e error
		g, e = meter.Int64ObservableGauge("surety.ratelimit.concurrency."+name, metric.WithDescription(what))
		err = errors.Join(err, e)
		return g
	}
	limit := gauge("limit", "Requests that may be served at once.")
	serving := gauge("serving", "Requests that are served.")
	waiting := gauge("waiting", "Requests that wait for a place.")
	shed, e := meter.Int64Counter("surety.ratelimit.concurrency.shed", metric.WithDescription("Requests turned away, by priority."))
	if err = errors.Join(err, e); err != nil {
		return nil, fmt.Errorf("concurrency: metric: %w", err)
	}
	m.shed = shed
	for p, name := range names {
		m.of[p] = metric.WithAttributeSet(attribute.NewSet(attribute.String("priority", name)))
	}
	named := metric.WithAttributeSet(attribute.NewSet(attribute.String("limiter", l.o.Name)))
	m.gauge, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := l.State()
		o.ObserveInt64(limit, int64(s.Limit), named)
		o.ObserveInt64(serving, int64(s.Serving), named)
		o.ObserveInt64(waiting, int64(s.Waiting), named)
		return nil
	}, limit, serving, waiting)
	if err != nil {
		return nil, fmt.Errorf("concurrency: metric: %w", err)
	}
	return m, nil
}

func (m *metrics) close() error {
	if err := m.gauge.Unregister(); err != nil {
		return fmt.Errorf("concurrency: metric: %w", err)
	}
	return nil
}

func (m *metrics) count(ctx context.Context, p Priority) { m.shed.Add(ctx, 1, m.of[p]) }

// A State says how busy a limiter is.
type State struct {
	Limit, Serving, Waiting int
	Idle                    time.Duration // the latency of the idle service; 0 is not measured yet
	Overload                time.Duration // for how long requests have been turned away
}

// State says how busy the limiter is now.
func (l *Limiter) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{Limit: int(l.limit), Serving: l.serving, Idle: l.idle}
	for i := range l.waiting {
		s.Waiting += len(l.waiting[i])
	}
	if !l.since.IsZero() && time.Since(l.last) < calm {
		s.Overload = time.Since(l.since)
	}
	return s
}

// Controls describes the limiter. Its probe takes a place as critical work
// would, and fails when requests have been turned away for a minute: the
// capacity is not what it has to be.
func (l *Limiter) Controls() []controls.Control {
	return []controls.Control{{
		ID: "ratelimit.concurrency", Instance: l.o.Name,
		Parameters: []controls.Parameter{
			controls.Int("min", l.o.Min), controls.Int("max", l.o.Max), controls.Int("queue", l.o.Queue), controls.Duration("wait", l.o.Wait),
		},
		Probe: l.probe,
	}}
}

func (l *Limiter) probe(ctx context.Context) controls.Result {
	s := l.State()
	if s.Overload >= time.Minute {
		return controls.Failed("requests have been turned away for %v, at a limit of %d", s.Overload.Round(time.Second), s.Limit)
	}
	place, err := l.Acquire(ctx, Critical)
	if err != nil {
		return controls.Failed("critical work finds no place: %d of %d are served and %d wait", s.Serving, s.Limit, s.Waiting)
	}
	place.Cancel()
	return controls.Passed("%d of %d are served and %d wait; critical work finds a place", s.Serving, s.Limit, s.Waiting)
}
