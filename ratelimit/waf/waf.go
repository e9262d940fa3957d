package waf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/auditlog"
)

// Options are the options of a [Firewall].
type Options struct {
	// Detect records what the rules say and refuses nothing.
	Detect bool
	// Paranoia is how much is suspicious, 1 to 4; 0 is 1. From 2 on expect to
	// write exclusions; 4 is for a few routes under attack.
	Paranoia int
	// Threshold is the anomaly score from which a request is refused, 1 to
	// 100; 0 is 5, which one critical rule reaches.
	Threshold int
	// BodyLimit is how many bytes of a body are inspected, 1 KiB to 64 MiB; 0
	// is 1 MiB. They are held in memory.
	BodyLimit int64
	// InspectPart inspects the beginning of a larger body instead of refusing
	// it. What comes behind the limit is then not inspected.
	InspectPart bool
	// Before and After are directives in Coraza's SecLang, in the tuning
	// file's words: those that stand before the rules, such as exclusions at
	// run time and methods that are allowed, and those behind them, such as
	// SecRuleRemoveById. Use rule numbers from 10000 to 99999.
	Before, After string
	// Meter gets surety.ratelimit.waf.requests by result (passed, detected,
	// refused, too_large, unreadable); nil is otel's global provider.
	Meter metric.MeterProvider
}

// A Firewall inspects requests. It is safe for concurrent use.
type Firewall struct {
	rec     auditlog.Recorder
	o       Options
	waf     coraza.WAF
	metrics *metrics
}

// New compiles the rules, which takes some hundred milliseconds and tens of
// MiB: make one for all routes. A directive that can't be read is an error.
func New(rec auditlog.Recorder, o Options) (*Firewall, error) {
	if rec == nil {
		return nil, errors.New("waf: New needs a recorder")
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Meter)
	if err != nil {
		return nil, err
	}
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(o.directives()))
	if err != nil {
		return nil, fmt.Errorf("waf: rules: %w", err)
	}
	return &Firewall{rec: rec, o: o, waf: w, metrics: m}, nil
}

func (o *Options) setDefaults() error {
	if o.Paranoia == 0 {
		o.Paranoia = 1
	}
	if o.Threshold == 0 {
		o.Threshold = 5
	}
	if o.BodyLimit == 0 {
		o.BodyLimit = 1 << 20
	}
	switch {
	case o.Paranoia < 1 || o.Paranoia > 4:
		return fmt.Errorf("waf: Options.Paranoia is %d, want 1 to 4", o.Paranoia)
	case o.Threshold < 1 || o.Threshold > 100:
		return fmt.Errorf("waf: Options.Threshold is %d, want 1 to 100", o.Threshold)
	case o.BodyLimit < 1<<10 || o.BodyLimit > 64<<20:
		return fmt.Errorf("waf: Options.BodyLimit is %d bytes, want 1024 to 67108864", o.BodyLimit)
	}
	return nil
}

// directives are the rule set's own recommendation, with what this package
// decides otherwise after it: the later directive wins. Nothing is written to
// files; a body is in memory, and bounded before it comes here.
func (o *Options) directives() string {
	engine := "On"
	if o.Detect {
		engine = "DetectionOnly"
	}
	return strings.Join([]string{
		"Include @coraza.conf-recommended",
		"SecRuleEngine " + engine,
		"SecAuditEngine Off",
		"SecResponseBodyAccess Off",
		fmt.Sprintf("SecRequestBodyLimit %d", o.BodyLimit+1),
		fmt.Sprintf("SecRequestBodyInMemoryLimit %d", o.BodyLimit+1),
		"SecRequestBodyLimitAction ProcessPartial",
		"Include @crs-setup.conf.example",
		fmt.Sprintf(`SecAction "id:1000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%d"`, o.Paranoia),
		fmt.Sprintf(`SecAction "id:1001,phase:1,pass,t:none,nolog,setvar:tx.inbound_anomaly_score_threshold=%d"`, o.Threshold),
		o.Before,
		"Include @owasp_crs/*.conf",
		o.After,
	}, "\n")
}
