package upload

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
)

// eicar is the test file that every scanner reports, in two parts so that
// scanners leave this source alone.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

var results = []string{"clean", "infected", "too_large", "type", "unscanned"}

type metrics struct {
	files metric.Int64Counter
	of    map[string]metric.MeasurementOption
}

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	c, err := provider.Meter("github.com/surety-go/surety/ratelimit/upload").
		Int64Counter("surety.ratelimit.upload.files", metric.WithDescription("Files looked at, by result."))
	if err != nil {
		return nil, fmt.Errorf("upload: metric: %w", err)
	}
	m := &metrics{files: c, of: make(map[string]metric.MeasurementOption)}
	for _, name := range results {
		m.of[name] = metric.WithAttributeSet(attribute.NewSet(attribute.String("result", name)))
	}
	return m, nil
}

func (m *metrics) count(ctx context.Context, name string) { m.files.Add(ctx, 1, m.of[name]) }

func result(err error) string {
	switch {
	case err == nil:
		return "clean"
	case errors.Is(err, ErrInfected):
		return "infected"
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	case errors.Is(err, ErrType):
		return "type"
	default:
		return "unscanned"
	}
}

// Controls describes the gate. Its probe has the scanner look at the EICAR
// test file and at a harmless text.
func (g *Gate) Controls() []controls.Control {
	types := strings.Join(g.o.Types, " ")
	if types == "" {
		types = "any"
	}
	return []controls.Control{{
		ID: "ratelimit.upload",
		Parameters: []controls.Parameter{
			controls.Bytes("max_bytes", g.o.MaxBytes), controls.Text("types", types), controls.Bool("quarantine", g.o.Quarantine != ""),
		},
		Probe: g.probe,
	}}
}

func (g *Gate) probe(ctx context.Context) controls.Result {
	bad, err := g.scanner.Scan(ctx, strings.NewReader(eicar))
	if err != nil {
		return controls.Errored("the scanner can't be asked, and uploads are refused: %v", err)
	}
	if !bad.Infected {
		return controls.Failed("the scanner did not report the EICAR test file")
	}
	good, err := g.scanner.Scan(ctx, strings.NewReader("a harmless text"))
	if err != nil || good.Infected {
		return controls.Failed("the scanner reported a harmless text: %v", err)
	}
	return controls.Passed("the scanner reported the EICAR test file as %s, and a harmless text as clean", clip(bad.Signature))
}
