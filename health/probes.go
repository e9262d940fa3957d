package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// A Criticality says what a failing check means for readiness.
type Criticality uint8

// The criticalities.
const (
	// Critical makes the service not ready. It is the zero value.
	Critical Criticality = iota
	// Degrading leaves the service ready, with the status "warn".
	Degrading
	// Informational changes nothing but the verbose answer.
	Informational
)

// String returns the name as evidence spells it.
func (c Criticality) String() string {
	return [...]string{"critical", "degrading", "informational"}[min(c, Informational)]
}

// A Check asks one dependency.
type Check struct {
	// Name is 1 to 64 lower-case letters, digits, "-" and "_".
	Name string
	// Run asks. It must respect its context.
	Run func(context.Context) error
	// Criticality is what a failure means.
	Criticality Criticality
	// Every is the time between two runs; 0 is 5 s, at least 10 ms.
	Every time.Duration
	// Timeout is how long a run may take; 0 is 2 s.
	Timeout time.Duration
	// Failures is how many runs must fail in a row before the check fails;
	// 0 is 1. The first result counts at once.
	Failures int
	// Successes is how many runs must pass in a row before a failed check
	// passes again; 0 is 1.
	Successes int
	// After names checks without which this one can't pass, such as the
	// network under a database. While one of them fails, this check is not
	// run, fails too, and says which it is: one cause is not told as many.
	After []string
}

func (c *Check) setDefaults() error {
	ok := c.Name != "" && len(c.Name) <= 64 && strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	if c.Every == 0 {
		c.Every = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Failures == 0 {
		c.Failures = 1
	}
	if c.Successes == 0 {
		c.Successes = 1
	}
	switch {
	case !ok:
		return errors.New("health: Name: want 1 to 64 lower-case letters, digits, - and _")
	case c.Run == nil:
		return fmt.Errorf("health: %s: Run is nil", c.Name)
	case c.Criticality > Informational:
		return fmt.Errorf("health: %s: Criticality %d is unknown", c.Name, c.Criticality)
	case c.Every < 10*time.Millisecond || c.Timeout < 0 || c.Failures < 0 || c.Successes < 0:
		return fmt.Errorf("health: %s: want Every of at least 10ms, and Timeout, Failures and Successes that are not negative", c.Name)
	}
	return nil
}

// Options are the options of [New].
type Options struct {
	// StartupTimeout is how long critical checks may take to pass for the
	// first time before startup and liveness fail; 0 is 1 min.
	StartupTimeout time.Duration
	// Details decides who is told the checks' names and states by ?verbose;
	// nil tells nobody. Errors' texts are told to nobody.
	Details func(*http.Request) bool
	// Recorder, when set, gets an event when a check begins to fail and when it
	// has recovered.
	Recorder auditlog.Recorder
}

// Probes runs checks and answers probes.
type Probes struct {
	o        Options
	checks   []*running
	began    time.Time
	started  atomic.Bool
	draining atomic.Bool
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// A running check and its last result.
type running struct {
	Check
	mu      sync.Mutex
	known   bool // whether it has run
	failing bool
	failed  int    // runs that failed in a row
	passed  int    // runs that passed in a row
	err     error  // of the last run
	cause   string // the check that is why this one was not run, or empty
	at      time.Time
	hanging bool

	after []*running
	rec   auditlog.Recorder
}

// New starts the checks. Close ends them.
func New(checks []Check, o Options) (*Probes, error) {
	if o.StartupTimeout == 0 {
		o.StartupTimeout = time.Minute
	}
	if o.StartupTimeout < 0 {
		return nil, fmt.Errorf("health: StartupTimeout %v: want a positive time", o.StartupTimeout)
	}
	p := &Probes{o: o, began: time.Now()}
	for _, c := range checks {
		if err := c.setDefaults(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(p.checks, func(r *running) bool { return r.Name == c.Name }) {
			return nil, fmt.Errorf("health: the check %q stands twice", c.Name)
		}
		p.checks = append(p.checks, &running{Check: c, rec: o.Recorder})
	}
	if err := p.link(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	for _, r := range p.checks {
		p.wg.Go(func() { r.loop(ctx) })
	}
	return p, nil
}

// link finds the checks that others come after. Only those listed before count,
// so that there are no circles.
func (p *Probes) link() error {
	for i, r := range p.checks {
		for _, name := range r.After {
			j := slices.IndexFunc(p.checks[:i], func(c *running) bool { return c.Name == name })
			if j < 0 {
				return fmt.Errorf("health: %s: After names %.64q, want a check that is listed before it", r.Name, name)
			}
			r.after = append(r.after, p.checks[j])
		}
	}
	return nil
}

// Close ends the checks and waits for those that respect their context, at
// most a second.
func (p *Probes) Close() error {
	p.cancel()
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(time.Second):
		return errors.New("health: a check does not return")
	}
}

// loop runs a check again and again, a little irregularly, so that instances
// don't ask a dependency in step.
func (r *running) loop(ctx context.Context) {
	for {
		r.once(ctx)
		pause := r.Every - r.Every/10 + time.Duration(rand.Int64N(int64(r.Every/5)+1))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// once runs the check. If it does not return in time it counts as failed, and
// once waits for it before there is another.
func (r *running) once(ctx context.Context) {
	if cause := r.because(); cause != "" {
		r.note(ctx, fmt.Errorf("health: %s: not asked, because %s fails", r.Name, cause), false, cause)
		return
	}
	runCtx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("health: %s panicked: %v", r.Name, p)
			}
		}()
		done <- r.Run(runCtx)
	}()
	select {
	case err := <-done:
		r.note(ctx, err, false, "")
		return
	case <-runCtx.Done():
	}
	select { // it may have returned at the same moment
	case err := <-done:
		r.note(ctx, err, false, "")
		return
	default:
	}
	r.note(ctx, fmt.Errorf("health: %s did not answer within %v", r.Name, r.Timeout), true, "")
	select {
	case <-done: //nolint:errcheck // late: its answer no longer counts
	case <-ctx.Done():
	}
}

// because names the first check that fails of those this one comes after, and
// what it fails because of.
func (r *running) because() string {
	for _, c := range r.after {
		c.mu.Lock()
		failing, cause := c.known && c.failing, c.cause
		c.mu.Unlock()
		if failing && cause != "" {
			return cause
		}
		if failing {
			return c.Name
		}
	}
	return ""
}

func (r *running) note(ctx context.Context, err error, hanging bool, cause string) {
	if ctx.Err() != nil {
		return // the probes are closing: the result says nothing
	}
	if r.result(err, hanging, cause) {
		r.tell(ctx, err != nil, cause)
	}
}

// result takes a run's result, and reports whether the check began to fail or
// recovered. The first result counts at once.
func (r *running) result(err error, hanging bool, cause string) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.at, r.hanging, r.cause = err, time.Now(), hanging, cause
	if err == nil {
		r.failed, r.passed = 0, r.passed+1
	} else {
		r.failed, r.passed = r.failed+1, 0
	}
	was, first := r.failing, !r.known
	r.known = true
	switch {
	case first || cause != "":
		r.failing = err != nil
	case err != nil && r.failed >= r.Failures:
		r.failing = true
	case err == nil && r.passed >= r.Successes:
		r.failing = false
	}
	return r.failing != was
}

// tell records a change. A log that does not take it makes no check fail: the
// log has a check of its own.
func (r *running) tell(ctx context.Context, failing bool, cause string) {
	if r.rec == nil {
		return
	}
	ev := auditlog.Event{
		Action: "health.recover", Outcome: auditlog.Success, Actor: auditlog.Actor{Kind: auditlog.System},
		Targets: []auditlog.Target{{Type: "check", ID: r.Name}},
		Attrs:   []auditlog.Attr{auditlog.String("criticality", r.Criticality.String())},
	}
	if failing {
		ev.Action, ev.Outcome, ev.Reason = "health.fail", auditlog.Failed, "health.probes"
	}
	if cause != "" {
		ev.Attrs = append(ev.Attrs, auditlog.String("cause", cause))
	}
	_ = r.rec.Record(ctx, ev) // see above
}

// state is "pass", "fail", "fail: …" with the check that it fails because of,
// or "unknown" before the first result.
func (r *running) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.known:
		return "unknown"
	case r.failing && r.cause != "":
		return "fail: " + r.cause
	case r.failing:
		return "fail"
	}
	return "pass"
}

// Drain makes the service not ready from now on.
func (p *Probes) Drain() { p.draining.Store(true) }

// A Status is an answer to a probe, in the words of the health+json draft
// (draft-inadarei-api-health-check-06): "pass", "warn" or "fail".
type Status struct {
	Status string            `json:"status"`
	Output string            `json:"output,omitempty"`
	Checks map[string]string `json:"checks,omitempty"`
}

// Readiness says whether the service can serve now.
func (p *Probes) Readiness() Status { return p.readiness(nil) }

// readiness leaves checks out.
func (p *Probes) readiness(without []string) Status {
	s := Status{Status: "pass", Checks: make(map[string]string, len(p.checks))}
	for _, r := range p.checks {
		if slices.Contains(without, r.Name) {
			continue
		}
		state := r.state()
		s.Checks[r.Name] = state
		switch {
		case state == "pass" || r.Criticality == Informational:
		case r.Criticality == Critical:
			s.Status = "fail"
		case s.Status == "pass":
			s.Status = "warn"
		}
	}
	if s.Status != "fail" && len(without) == 0 {
		p.started.Store(true)
	}
	if p.draining.Load() {
		s.Status, s.Output = "fail", "draining"
	}
	return s
}

// Startup says whether the service has been ready once.
func (p *Probes) Startup() Status {
	if s := p.Readiness(); p.started.Load() {
		return Status{Status: "pass", Checks: s.Checks}
	} else if time.Since(p.began) > p.o.StartupTimeout {
		return Status{Status: "fail", Output: "startup takes too long", Checks: s.Checks}
	}
	return Status{Status: "fail", Output: "starting"}
}

// Liveness says whether the process should go on. It asks no dependency; it
// fails only when the service did not become ready in StartupTimeout.
func (p *Probes) Liveness() Status {
	if s := p.Startup(); s.Status == "fail" && s.Output != "starting" {
		return Status{Status: "fail", Output: s.Output}
	}
	return Status{Status: "pass"}
}

// Live answers liveness probes over HTTP: 200, or 503 for "fail", in
// application/health+json. With ?verbose those whom Options.Details lets see it
// are told the checks.
func (p *Probes) Live() http.Handler {
	return p.handler(func([]string) Status { return p.Liveness() })
}

// Ready answers readiness probes, likewise. ?exclude=name, which may be
// repeated, leaves checks out of this one answer.
func (p *Probes) Ready() http.Handler { return p.handler(p.readiness) }

// Started answers startup probes, likewise.
func (p *Probes) Started() http.Handler {
	return p.handler(func([]string) Status { return p.Startup() })
}

func (p *Probes) handler(ask func(without []string) Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		s := ask(query["exclude"])
		if !query.Has("verbose") || p.o.Details == nil || !p.o.Details(r) {
			s.Checks = nil
		}
		w.Header().Set("Content-Type", "application/health+json")
		w.Header().Set("Cache-Control", "no-store")
		if s.Status == "fail" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(s) // whoever asked may be gone
	})
}

// Controls describes the probes. The control's own probe reads readiness and
// looks for results that are older than they may be.
func (p *Probes) Controls() []controls.Control {
	critical := 0
	for _, r := range p.checks {
		if r.Criticality == Critical {
			critical++
		}
	}
	return []controls.Control{{
		ID: "health.probes",
		Parameters: []controls.Parameter{
			controls.Int("checks", len(p.checks)), controls.Int("critical", critical),
			controls.Duration("startup_timeout", p.o.StartupTimeout),
		},
		Probe: p.probe,
	}}
}

func (p *Probes) probe(context.Context) controls.Result {
	now := time.Now()
	for _, r := range p.checks {
		r.mu.Lock()
		age, hanging := now.Sub(r.at), r.hanging
		known := r.known
		r.mu.Unlock()
		switch {
		case hanging:
			return controls.Failed("the check %s hangs", r.Name)
		case known && age > 3*(r.Every+r.Timeout):
			return controls.Failed("the result of %s is %v old", r.Name, age.Round(time.Second))
		case !known && now.Sub(p.began) > r.Every+r.Timeout:
			return controls.Failed("the check %s has never answered", r.Name)
		}
	}
	if s := p.Readiness(); s.Status == "fail" {
		return controls.Failed("the service is not ready")
	}
	return controls.Passed("%d checks are fresh and the service is ready", len(p.checks))
}
