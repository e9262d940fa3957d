package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
)

// Findings takes what probes find. A *findings.Tracker is one.
type Findings interface {
	ProbeFailed(ctx context.Context, tenant string, c controls.Control, r controls.Result) error
}

// Options are the optional settings of a [Monitor].
type Options struct {
	// Store keeps the history; nil means in memory.
	Store Store
	// Findings is told of every result other than pass and not-applicable;
	// nil means nobody is.
	Findings Findings
	// Heartbeat is the longest time without an entry; 0 means 5 minutes, at
	// most an hour.
	Heartbeat time.Duration
	// Timeout bounds one probe; 0 means 10 seconds, at most 5 minutes.
	Timeout time.Duration
	// Parallel is how many probes run side by side; 0 means 4, at most 64.
	Parallel int
	// Tenant is the tenant of the history and of its events; empty means
	// "system".
	Tenant string
	// Meter gets surety.controls.probe.results (by control ID and state) and
	// surety.controls.probe.duration; nil means otel's global provider.
	Meter metric.MeterProvider
}

func (o Options) withDefaults() (Options, error) {
	if o.Store == nil {
		o.Store = NewMemory()
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 5 * time.Minute
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if o.Tenant == "" {
		o.Tenant = "system"
	}
	if o.Meter == nil {
		o.Meter = otel.GetMeterProvider()
	}
	switch {
	case o.Heartbeat < time.Second || o.Heartbeat > time.Hour:
		return o, errors.New("monitor: Options.Heartbeat: want 1 second to 1 hour")
	case o.Timeout < time.Millisecond || o.Timeout > 5*time.Minute:
		return o, errors.New("monitor: Options.Timeout: want 1 millisecond to 5 minutes")
	case o.Parallel < 1 || o.Parallel > 64:
		return o, errors.New("monitor: Options.Parallel: want 1 to 64")
	}
	return o, nil
}

// defaultEvery is how often a control is probed that the catalogue lacks.
const defaultEvery = time.Hour

// A Monitor probes the controls of components. It is safe for concurrent use.
type Monitor struct {
	cat        *catalogue.Catalogue
	rec        auditlog.Recorder
	opts       Options
	components []controls.Component
	metrics    *metrics

	cancel context.CancelFunc
	done   chan struct{} // closed when the scheduler has ended
	wg     sync.WaitGroup
	slots  chan struct{}
	order  sync.Mutex // keeps the dates of entries in the order of Seq

	mu      sync.Mutex
	state   runState
	stuck   map[string]bool  // probes that were given up and still run
	known   map[string]Entry // latest entry of each control; nil until read
	unsound error            // why the history can't be trusted at the moment
	lastAt  time.Time        // date of the latest entry
	began   time.Time
}

type runState uint8

const (
	idle runState = iota
	running
	closed
)

// Errors of this package.
var (
	// ErrUnknown says that no mounted control has the ID that was asked for.
	ErrUnknown = errors.New("monitor: no such control")
	// ErrStuck says that probes did not return although they were told to.
	ErrStuck = errors.New("monitor: probes do not return")
	// ErrClosed says that the monitor was closed, or started twice.
	ErrClosed = errors.New("monitor: closed or started before")
)

// New returns a monitor of the components' controls, which adds its own. The
// components are asked for their controls again before every round. Nothing
// runs until [Monitor.Start] or [Monitor.Run].
func New(cat *catalogue.Catalogue, rec auditlog.Recorder, opts Options, components ...controls.Component) (*Monitor, error) {
	if cat == nil || rec == nil {
		return nil, errors.New("monitor: New needs a catalogue and a recorder")
	}
	if slices.Contains(components, nil) {
		return nil, errors.New("monitor: a component is nil")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	mt, err := newMetrics(opts.Meter)
	if err != nil {
		return nil, err
	}
	m := &Monitor{
		cat: cat, rec: rec, opts: opts, metrics: mt, stuck: map[string]bool{},
		slots: make(chan struct{}, opts.Parallel), done: make(chan struct{}),
	}
	m.components = append(slices.Clone(components), m)
	return m, nil
}

// Components returns what the monitor watches, itself included.
func (m *Monitor) Components() []controls.Component { return slices.Clone(m.components) }

// list asks all components for their controls. A component that panics is
// left out, and its controls thereby vanish.
func (m *Monitor) list() []controls.Control {
	var all []controls.Control
	for _, c := range m.components {
		all = append(all, listOne(c)...)
	}
	slices.SortStableFunc(all, func(a, b controls.Control) int { return strings.Compare(a.Key(), b.Key()) })
	var list []controls.Control
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Key() == all[0].Key() {
			n++
		}
		list = append(list, merge(all[:n]))
		all = all[n:]
	}
	return list
}

// merge makes one control of those with one key. Often it is one object that
// is reached by several ways, but nobody can tell from here, so each is
// probed: the first result that is not good counts.
func merge(same []controls.Control) controls.Control {
	one := same[0]
	if len(same) > 1 {
		one.Probe = func(ctx context.Context) (r controls.Result) {
			for _, c := range same {
				if r = c.Run(ctx); r.State != controls.Pass && r.State != controls.NotApplicable {
					return r
				}
			}
			return r
		}
	}
	return one
}

func listOne(c controls.Component) (list []controls.Control) {
	defer func() {
		if recover() != nil {
			list = nil
		}
	}()
	return c.Controls()
}

// every is the longest time between two probes of a control.
func (m *Monitor) every(id string) time.Duration {
	if c, ok := m.cat.Control(id); ok {
		return c.Every.Duration()
	}
	return defaultEvery
}

// Start begins to probe on schedule. It fails when the store or the log can't
// take the first entry, so that a program does not run unwatched.
func (m *Monitor) Start() error {
	m.mu.Lock()
	if m.state != idle {
		m.mu.Unlock()
		return ErrClosed
	}
	m.state, m.began = running, now()
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(m.actor(context.Background(), auditlog.System))
	m.cancel = cancel
	if _, err := m.enter(ctx, Entry{Kind: Started, Every: m.opts.Heartbeat}); err != nil {
		cancel()
		m.mu.Lock()
		m.state = idle
		m.mu.Unlock()
		return fmt.Errorf("monitor: start: %w", err)
	}
	go m.schedule(ctx)
	return nil
}

// Close ends the schedule, waits for running probes up to their timeout and
// enters that monitoring stopped. The error wraps [ErrStuck] for probes that
// ignore their context.
func (m *Monitor) Close() error {
	m.mu.Lock()
	was := m.state
	m.state = closed
	m.mu.Unlock()
	if was != running {
		return nil
	}
	m.cancel()
	<-m.done
	m.wg.Wait()
	m.settle()
	_, err := m.enter(m.actor(context.Background(), auditlog.System), Entry{Kind: Stopped, Every: m.opts.Heartbeat})
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.stuck {
		err = errors.Join(err, fmt.Errorf("%w: %s", ErrStuck, key))
	}
	return err
}

// settle gives probes that were given up their timeout to return: one that
// computes for long, such as a password's hash on a busy machine, is not stuck.
func (m *Monitor) settle() {
	end := time.After(m.opts.Timeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		m.mu.Lock()
		n := len(m.stuck)
		m.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}

func (m *Monitor) actor(ctx context.Context, kind auditlog.Kind) context.Context {
	return auditlog.WithActor(ctx, auditlog.Actor{ID: "monitor", Tenant: m.opts.Tenant, Kind: kind})
}

func now() time.Time { return time.Now().UTC().Round(0) }

// enter stamps an entry, stores it and records its event. A failure is kept
// until an entry succeeds again: the monitor's own probe reports it.
func (m *Monitor) enter(ctx context.Context, e Entry) (Entry, error) {
	m.order.Lock()
	defer m.order.Unlock()
	e.At = now()
	stored, err := m.opts.Store.Append(ctx, m.opts.Tenant, e)
	if err != nil {
		err = fmt.Errorf("the history can't be written: %w", err)
	} else if err = m.rec.Record(ctx, event(m.opts.Tenant, stored)); err != nil {
		err = fmt.Errorf("entry %d can't be recorded: %w", stored.Seq, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsound = err
	if err == nil {
		m.lastAt = stored.At
	}
	return stored, err
}

// event is how an entry stands in the audit log.
func event(tenant string, e Entry) auditlog.Event {
	ev := auditlog.Event{
		Action: "controls.monitor." + map[Kind]string{Heartbeat: "heartbeat", Started: "start", Stopped: "stop", Vanished: "miss"}[e.Kind],
		Tenant: tenant, Outcome: auditlog.Success,
		Attrs: []auditlog.Attr{auditlog.Int("seq", int64(e.Seq)), auditlog.Duration("every", e.Every)},
	}
	if e.Control != "" {
		ev.Targets = []auditlog.Target{{Type: "control", ID: clip(e.Control, auditlog.MaxName)}}
	}
	if e.Kind == Vanished {
		ev.Outcome = auditlog.Failed
	}
	if e.Kind == Probed {
		ev.Action = "controls.probe.run"
		if !e.Good() {
			ev.Outcome = auditlog.Failed
		}
		ev.Attrs = append(ev.Attrs, auditlog.String("state", e.State.String()),
			auditlog.String("observed", e.Observed), auditlog.Duration("took", e.Took))
	}
	return ev
}
