package waf

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/controls"
)

// metrics counts requests by result. The attribute sets are made once.
type metrics struct {
	requests metric.Int64Counter
	results  map[string]metric.MeasurementOption
}

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	c, err := provider.Meter("github.com/surety-go/surety/ratelimit/waf").
		Int64Counter("surety.ratelimit.waf.requests", metric.WithDescription("Requests inspected, by result."))
	if err != nil {
		return nil, fmt.Errorf("waf: metric: %w", err)
	}
	m := &metrics{requests: c, results: make(map[string]metric.MeasurementOption)}
	for _, name := range []string{"passed", "detected", "refused", "too_large", "unreadable"} {
		m.results[name] = metric.WithAttributeSet(attribute.NewSet(attribute.String("result", name)))
	}
	return m, nil
}

func (m *metrics) count(ctx context.Context, result string) {
	m.requests.Add(ctx, 1, m.results[result])
}

// Controls describes the firewall. Its probe sends attacks and a harmless
// request through the rules in force; a firewall that only detects fails,
// because it stops nobody.
func (f *Firewall) Controls() []controls.Control {
	return []controls.Control{{
		ID: "ratelimit.waf",
		Parameters: []controls.Parameter{
			controls.Text("mode", map[bool]string{false: "refuse", true: "detect"}[f.o.Detect]),
			controls.Int("paranoia", f.o.Paranoia),
			controls.Int("threshold", f.o.Threshold),
			controls.Bytes("body_limit", f.o.BodyLimit),
			controls.Bool("larger_bodies_in_part", f.o.InspectPart),
			controls.Int("tuning_directives", directivesIn(f.o.Before)+directivesIn(f.o.After)),
		},
		Probe: f.probe,
	}}
}

// directivesIn counts the lines of a tuning that say something.
func directivesIn(s string) int {
	n := 0
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

func (f *Firewall) probe(ctx context.Context) controls.Result {
	if f.o.Detect {
		return controls.Failed("attacks are recorded and not refused: the firewall is set to detect")
	}
	attacks := []string{
		"/?q=%3Cscript%3Ealert(1)%3C/script%3E",
		"/?id=1%27%20OR%20%271%27=%271%27%20UNION%20SELECT%20password%20FROM%20users--",
		"/?file=../../../../etc/passwd",
	}
	for _, target := range attacks {
		if through, err := f.lets(ctx, target); through || err != nil {
			return controls.Failed("a request with a known attack was let through: %s", target)
		}
	}
	if through, err := f.lets(ctx, "/?q=spring+flowers"); !through || err != nil {
		return controls.Failed("a harmless request was refused")
	}
	return controls.Passed("%d known attacks were refused and a harmless request was not", len(attacks))
}

// lets reports whether a request with a target reaches what lies behind.
func (f *Firewall) lets(ctx context.Context, target string) (through bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://probe.invalid"+target, nil)
	if err != nil {
		return false, fmt.Errorf("waf: probe: %w", err)
	}
	r.RequestURI, r.RemoteAddr = target, "192.0.2.1:1" // RFC 5737: nobody's
	r.Header.Set("User-Agent", "surety probe")
	r.Header.Set("Accept", "*/*")
	h := f.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { through = true }))
	h.ServeHTTP(nowhere{make(http.Header)}, r)
	return through, nil
}

// nowhere takes the answer to a probe.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}
