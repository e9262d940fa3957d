package concurrency

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// A Priority says what is turned away first.
type Priority uint8

// The priorities.
const (
	// Normal is most work. It is the zero value.
	Normal Priority = iota
	// Background can wait: exports, reports, crawlers.
	Background
	// Critical keeps the service alive: probes, operators, payments.
	Critical
	priorities
)

// order is from the most to the least important.
var order = [priorities]Priority{Critical, Normal, Background}

// shares is how much of the limit a priority may fill.
var shares = [priorities]float64{Normal: 0.9, Background: 0.6, Critical: 1}

// ErrOverload says that there was no place within the time to wait.
var ErrOverload = errors.New("concurrency: overloaded")

// Options are the options of a [Limiter].
type Options struct {
	// Name tells limiters apart in evidence; it may be empty.
	Name string
	// Min and Max bound the limit: 1 to 1,000,000; 0 is 4 and 1,000.
	Min, Max int
	// Queue is how many may wait, 1 to 100,000; 0 is 128.
	Queue int
	// Wait is how long one may wait, 1 ms to 1 min; 0 is 100 ms. Longer than
	// callers are patient makes no sense.
	Wait time.Duration
	// Priority says how important a call is; nil is Normal for each.
	Priority func(context.Context, *guard.Call) Priority
	// Early puts the guard before callers are identified, which protects
	// signing in, too. Priority then knows the operation only.
	Early bool
	// Meter gets surety.ratelimit.concurrency.limit, .serving and .waiting,
	// and the counter .shed by priority; nil is otel's global provider.
	Meter metric.MeterProvider
}

func (o *Options) setDefaults() error {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Min, 4}, {&o.Max, 1000}, {&o.Queue, 128}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Wait == 0 {
		o.Wait = 100 * time.Millisecond
	}
	switch {
	case o.Min < 1 || o.Max > 1_000_000 || o.Min > o.Max:
		return fmt.Errorf("concurrency: Options.Min %d and Max %d: want 1 to 1000000 in this order", o.Min, o.Max)
	case o.Queue < 1 || o.Queue > 100_000:
		return fmt.Errorf("concurrency: Options.Queue %d: want 1 to 100000", o.Queue)
	case o.Wait < time.Millisecond || o.Wait > time.Minute:
		return fmt.Errorf("concurrency: Options.Wait %v: want 1ms to 1m", o.Wait)
	}
	return nil
}

// A Limiter bounds how many requests are served at once. It is safe for
// concurrent use.
type Limiter struct {
	o       Options
	rec     auditlog.Recorder
	metrics *metrics

	mu      sync.Mutex
	serving int
	waiting [priorities][]*waiter // first come, first served
	gradient
	overload
}

// A waiter is somebody who waits for a place.
type waiter struct {
	ready   chan struct{}
	granted bool
	evicted bool
}

// New makes a limiter. rec records when it begins to turn requests away.
// Close ends its metrics.
func New(rec auditlog.Recorder, o Options) (*Limiter, error) {
	if rec == nil {
		return nil, errors.New("concurrency: New needs a recorder")
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	l := &Limiter{o: o, rec: rec, gradient: newGradient(o.Min, o.Max, time.Now())}
	var err error
	if l.metrics, err = newMetrics(o.Meter, l); err != nil {
		return nil, err
	}
	return l, nil
}

// Close ends the metrics. Requests are limited as before.
func (l *Limiter) Close() error { return l.metrics.close() }

// A Place is the right to be served. Exactly one of its methods is called,
// once; further calls do nothing.
type Place struct {
	l       *Limiter
	once    sync.Once
	began   time.Time
	measure int // what the request was part of when it began
}

// Done gives the place back after a request that was served, whose latency
// counts.
func (p *Place) Done() { p.once.Do(func() { p.l.leave(p, true) }) }

// Cancel gives the place back after a request that failed or was given up,
// whose latency says nothing about capacity.
func (p *Place) Cancel() { p.once.Do(func() { p.l.leave(p, false) }) }

// Acquire waits for a place. The error is [ErrOverload] or the context's.
func (l *Limiter) Acquire(ctx context.Context, p Priority) (*Place, error) {
	if p >= priorities {
		return nil, fmt.Errorf("concurrency: priority %d is unknown", p)
	}
	l.mu.Lock()
	if l.serving < l.room(p) {
		place := l.enter(time.Now())
		l.mu.Unlock()
		return place, nil
	}
	w := l.line(p)
	l.mu.Unlock()
	if w == nil {
		return nil, l.shed(ctx, p)
	}
	timer := time.NewTimer(l.o.Wait)
	defer timer.Stop()
	var cause error
	select {
	case <-w.ready:
	case <-timer.C:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	l.mu.Lock()
	granted := w.granted
	if !granted {
		l.leaveLine(p, w)
	}
	l.mu.Unlock()
	switch {
	case granted && cause == nil:
		return l.place(time.Now()), nil
	case granted:
		l.place(time.Now()).Cancel()
		return nil, cause
	case cause != nil:
		return nil, cause
	default:
		return nil, l.shed(ctx, p)
	}
}

// room is how many may be served before one of a priority is not. The caller
// holds mu.
func (l *Limiter) room(p Priority) int { return max(1, int(shares[p]*l.limit)) }

// enter takes a place. The caller holds mu.
func (l *Limiter) enter(now time.Time) *Place {
	l.serving++
	return &Place{l: l, began: now, measure: l.began(l.serving)}
}

// place is that of a waiter, who was counted when it was granted.
func (l *Limiter) place(now time.Time) *Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Place{l: l, began: now, measure: l.began(l.serving)}
}

// line stands in the line, if need be in the place of somebody less
// important; nil says that it is full. The caller holds mu.
func (l *Limiter) line(p Priority) *waiter {
	n := 0
	for i := range l.waiting {
		n += len(l.waiting[i])
	}
	if n >= l.o.Queue && !l.evict(p) {
		return nil
	}
	w := &waiter{ready: make(chan struct{})}
	l.waiting[p] = append(l.waiting[p], w)
	return w
}

// evict sends away the last of those who are less important than p. The
// caller holds mu.
func (l *Limiter) evict(p Priority) bool {
	for i := len(order) - 1; order[i] != p; i-- {
		if line := l.waiting[order[i]]; len(line) > 0 {
			last := line[len(line)-1]
			l.waiting[order[i]] = line[:len(line)-1]
			last.evicted = true
			close(last.ready)
			return true
		}
	}
	return false
}

// leaveLine takes a waiter out who was not granted. The caller holds mu.
func (l *Limiter) leaveLine(p Priority, w *waiter) {
	for i, other := range l.waiting[p] {
		if other == w {
			l.waiting[p] = append(l.waiting[p][:i], l.waiting[p][i+1:]...)
			return
		}
	}
}

// leave gives a place back and calls the next ones.
func (l *Limiter) leave(p *Place, served bool) {
	now := time.Now()
	l.mu.Lock()
	l.serving--
	if served {
		l.sample(now.Sub(p.began), p.measure, now)
	}
	l.call()
	relaxed := l.relaxes(now)
	l.mu.Unlock()
	if relaxed {
		_ = l.tell(context.Background(), "ratelimit.concurrency.relax", auditlog.Success) // tried again with the next overload
	}
}

// call lets waiters in as far as there is room. The caller holds mu.
func (l *Limiter) call() {
	for _, p := range order {
		for len(l.waiting[p]) > 0 && l.serving < l.room(p) {
			w := l.waiting[p][0]
			l.waiting[p] = l.waiting[p][1:]
			w.granted = true
			l.serving++
			close(w.ready)
		}
	}
}

// shed notes that a request is turned away.
func (l *Limiter) shed(ctx context.Context, p Priority) error {
	l.metrics.count(ctx, p)
	l.mu.Lock()
	first := l.sheds(time.Now())
	l.mu.Unlock()
	if !first {
		return ErrOverload
	}
	return errors.Join(ErrOverload, l.tell(ctx, "ratelimit.concurrency.overload", auditlog.Failed))
}

func (l *Limiter) tell(ctx context.Context, action string, outcome auditlog.Outcome) error {
	l.mu.Lock()
	limit := int(l.limit)
	l.mu.Unlock()
	ev := auditlog.Event{
		Action: action, Outcome: outcome, Actor: auditlog.Actor{Kind: auditlog.System},
		Attrs: []auditlog.Attr{auditlog.String("limiter", l.o.Name), auditlog.Int("limit", limit)},
	}
	if outcome != auditlog.Success {
		ev.Reason = "ratelimit.concurrency"
	}
	if err := l.rec.Record(context.WithoutCancel(ctx), ev); err != nil {
		return fmt.Errorf("concurrency: record: %w", err)
	}
	return nil
}

// overload is whether requests are turned away.
type overload struct {
	since, last time.Time // of what was turned away; zero: nothing is
}

// calm is how long nothing was turned away when an overload is over.
const calm = 10 * time.Second

// sheds notes one, and reports whether it is the first. The caller holds mu.
func (o *overload) sheds(now time.Time) bool {
	first := o.since.IsZero()
	if first {
		o.since = now
	}
	o.last = now
	return first
}

// relaxes reports whether an overload ends. The caller holds mu.
func (o *overload) relaxes(now time.Time) bool {
	if o.since.IsZero() || now.Sub(o.last) < calm {
		return false
	}
	*o = overload{}
	return true
}
