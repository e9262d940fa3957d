package slo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// Options are the options of a [Tracker].
type Options struct {
	// Window is the time an error budget is for, 3 to 92 days; 0 is 28 days,
	// which always has the same number of weekends.
	Window time.Duration
	// MinBad is how many requests of an alert's long window must have been
	// bad before it is raised, so that one failure at night is no rate; 0 is
	// 5.
	MinBad int
	// Meter gets surety.health.slo.budget, the share of the error budget that
	// is left, by objective; nil is otel's global provider.
	Meter metric.MeterProvider
}

// A Tracker measures objectives. It is a [guard.Guard] that lets every call
// pass. It is safe for concurrent use.
type Tracker struct {
	tenant string
	store  Store
	key    []byte
	rec    auditlog.Recorder
	o      Options

	series   []*series
	byAction sync.Map // action to []*series, filled as actions appear

	cancel context.CancelFunc
	wg     sync.WaitGroup
	gauge  metric.Registration

	mu      sync.Mutex
	failing bool      // whether the store was failing at the last flush
	hour    time.Time // of the totals that are summed up
}

// A series is an objective with what was seen of it.
type series struct {
	Objective
	counter *counter

	mu     sync.Mutex
	window *ring
	firing map[string]bool
	hourly ratio // what this instance stored in the hour
}

// New reads the last window from the store and starts to measure. key
// authenticates the counts: 32 bytes or more, the same for all instances and
// watchers, and not kept beside the store. A store that can't be read at the
// start is an error. Close ends the tracker.
func New(tenant string, store Store, key []byte, rec auditlog.Recorder, objectives []Objective, o Options) (*Tracker, error) {
	if o.Window == 0 {
		o.Window = 28 * 24 * time.Hour
	}
	if o.MinBad == 0 {
		o.MinBad = 5
	}
	switch {
	case tenant == "":
		return nil, errNoTenant
	case store == nil || rec == nil:
		return nil, errors.New("slo: New needs a store and a recorder")
	case len(key) < 32:
		return nil, fmt.Errorf("slo: key has %d bytes, want 32 or more", len(key))
	case len(objectives) == 0 || len(objectives) > 64:
		return nil, fmt.Errorf("slo: %d objectives, want 1 to 64", len(objectives))
	case o.Window < 3*24*time.Hour || o.Window > 92*24*time.Hour:
		return nil, fmt.Errorf("slo: Options.Window is %v, want 3 to 92 days", o.Window)
	case o.MinBad < 0:
		return nil, fmt.Errorf("slo: Options.MinBad is %d, want 1 or more", o.MinBad)
	}
	t := &Tracker{tenant: tenant, store: store, key: append([]byte(nil), key...), rec: rec, o: o}
	if err := t.add(objectives); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	if err := t.load(ctx); err != nil {
		cancel()
		return nil, err
	}
	if err := t.observe(); err != nil {
		cancel()
		return nil, err
	}
	t.wg.Go(func() { t.run(ctx) })
	return t, nil
}

func (t *Tracker) add(objectives []Objective) error {
	for _, o := range objectives {
		if err := o.validate(); err != nil {
			return err
		}
		if _, err := t.find(o.Name); err == nil {
			return fmt.Errorf("slo: objective %q is there twice", o.Name)
		}
		o.Actions = append([]string(nil), o.Actions...)
		t.series = append(t.series, &series{
			Objective: o, counter: newCounter(o.Name, false),
			window: newRing(t.o.Window), firing: make(map[string]bool),
		})
	}
	return nil
}

func (t *Tracker) find(name string) (*series, error) {
	for _, s := range t.series {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
}

// load fills the windows.
func (t *Tracker) load(ctx context.Context) error {
	now := time.Now()
	t.hour = now.Truncate(time.Hour)
	for _, s := range t.series {
		if err := t.refresh(ctx, s, now.Add(-t.o.Window), now); err != nil {
			return err
		}
	}
	return nil
}

// Close stores what was counted. The error says what could not be stored.
func (t *Tracker) Close() error {
	t.cancel()
	t.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := t.flush(ctx, time.Now().Add(time.Hour)) // the minute that runs, too
	return errors.Join(err, t.totals(ctx, t.hour.Add(time.Hour)), t.gauge.Unregister())
}

// Phase implements [guard.Guard].
func (t *Tracker) Phase() guard.Phase { return guard.Observe }

// Admit implements [guard.Guard]: it counts the call when it ends.
func (t *Tracker) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	if list := t.about(call.Action); len(list) > 0 {
		call.OnFinish(func(_ context.Context, out guard.Outcome) { count(list, out) })
	}
	return ctx, nil
}

// Middleware counts the requests to next, of which the action is empty: it is
// for programs without a [guard.Mux], and counts for every objective.
func (t *Tracker) Middleware(next http.Handler) http.Handler { return guard.Alone(all{t}, next) }

// all counts every call for every objective.
type all struct{ *Tracker }

// Admit implements [guard.Guard].
func (a all) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	call.OnFinish(func(_ context.Context, out guard.Outcome) { count(a.series, out) })
	return ctx, nil
}

// about finds the objectives of an action. Actions are the program's routes,
// so there is a bounded number of them.
func (t *Tracker) about(action string) []*series {
	if list, ok := t.byAction.Load(action); ok {
		return list.([]*series)
	}
	var list []*series
	for _, s := range t.series {
		if s.about(action) {
			list = append(list, s)
		}
	}
	got, _ := t.byAction.LoadOrStore(action, list)
	return got.([]*series)
}

func count(list []*series, out guard.Outcome) {
	for _, s := range list {
		if counts, good := s.judge(out); counts {
			s.counter.add(time.Now(), good)
		}
	}
}
