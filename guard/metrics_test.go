package guard_test

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/surety-go/surety/guard"
)

// meters is a provider whose histogram keeps what it is given: the SDK is no
// dependency of this module.
type meters struct {
	noop.MeterProvider
	mu   sync.Mutex
	sets []string
	unit string
}

type meter struct {
	noop.Meter
	p *meters
}

type histogram struct {
	embedded.Float64Histogram
	p *meters
}

func (p *meters) Meter(string, ...metric.MeterOption) metric.Meter { return meter{p: p} }

func (m meter) Float64Histogram(_ string, o ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	m.p.unit = metric.NewFloat64HistogramConfig(o...).Unit()
	return histogram{p: m.p}, nil
}

func (histogram) Enabled(context.Context) bool { return true }

func (h histogram) Record(_ context.Context, _ float64, o ...metric.RecordOption) {
	set := metric.NewRecordConfig(o).Attributes()
	var text string
	for _, kv := range set.ToSlice() {
		text += string(kv.Key) + "=" + kv.Value.AsString() + " "
	}
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.sets = append(h.p.sets, text)
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	p := &meters{}
	g, err := guard.Metrics(p)
	if err != nil {
		t.Fatal(err)
	}
	h := mustMux(t, []guard.Guard{guard.Audit(&recorder{}), g},
		guard.Route{Pattern: "GET /a/{id}", Action: "a.read", Handler: text("x"), Guards: []guard.Guard{denyAll()}})
	get(h, "GET", "/a/secret-1")
	get(h, "GET", "/wp-admin")
	want := []string{
		"surety.control=test.deny surety.operation=GET /a/{id} surety.outcome=denied ",
		"surety.control=guard.route surety.operation= surety.outcome=denied ",
	}
	if p.unit != "s" || len(p.sets) != 2 || p.sets[0] != want[0] || p.sets[1] != want[1] {
		t.Errorf("unit %q, series %q", p.unit, p.sets)
	}
	if _, err := guard.Metrics(nil); err != nil {
		t.Errorf("the global provider: %v", err)
	}
}
