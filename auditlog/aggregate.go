package auditlog

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// An aggregator counts events that are alike. Its memory is bounded: kinds of
// event beyond max are counted together.
type aggregator struct {
	mu   sync.Mutex
	max  int
	sums map[aggregateKey]*aggregateSum
}

// An aggregateKey is what events of one aggregate share.
type aggregateKey struct {
	action, reason, tenant string
	outcome                Outcome
	kind                   Kind
}

type aggregateSum struct {
	count       int64
	first, last time.Time
}

// restAction is the action of events beyond the bound of kinds.
const restAction = "auditlog.aggregate.rest"

func (a *aggregator) add(e *Entry) {
	key := aggregateKey{e.Action, e.Reason, e.Tenant, e.Outcome, e.Actor.Kind}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sums == nil {
		a.sums = make(map[aggregateKey]*aggregateSum)
	}
	sum := a.sums[key]
	if sum == nil && len(a.sums) >= a.max {
		key = aggregateKey{action: restAction, outcome: e.Outcome}
		sum = a.sums[key] // at most one for each outcome
	}
	if sum == nil {
		sum = &aggregateSum{first: e.Time, last: e.Time}
		a.sums[key] = sum
	}
	sum.count++
	if e.Time.After(sum.last) {
		sum.last = e.Time
	}
	if e.Time.Before(sum.first) {
		sum.first = e.Time
	}
}

func (a *aggregator) take() map[aggregateKey]*aggregateSum {
	a.mu.Lock()
	defer a.mu.Unlock()
	sums := a.sums
	a.sums = nil
	return sums
}

// putBack keeps an aggregate that could not be written.
func (a *aggregator) putBack(key aggregateKey, sum *aggregateSum) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sums == nil {
		a.sums = make(map[aggregateKey]*aggregateSum)
	}
	if now := a.sums[key]; now != nil {
		sum.count += now.count
		sum.last = now.last
	}
	a.sums[key] = sum
}

func (k aggregateKey) compare(l aggregateKey) int {
	for _, c := range [...]int{
		strings.Compare(k.action, l.action), strings.Compare(k.reason, l.reason),
		strings.Compare(k.tenant, l.tenant), int(k.outcome) - int(l.outcome),
	} {
		if c != 0 {
			return c
		}
	}
	return int(k.kind) - int(l.kind)
}

func (k aggregateKey) event(s *aggregateSum) Event {
	return Event{
		Action: k.action, Reason: k.reason, Tenant: k.tenant, Outcome: k.outcome, Actor: Actor{Kind: k.kind},
		Attrs: []Attr{Int("count", s.count), Time("first", s.first), Time("last", s.last)},
	}
}

// aggregate counts an event. An event that the log would refuse, or that it
// could not write, is refused now.
func (l *Log) aggregate(e *Entry) error {
	if slices.ContainsFunc(e.Attrs, Attr.IsPersonal) {
		return ErrUnsealed
	}
	if err := l.eng.Err(); err != nil {
		return err
	}
	l.agg.add(e)
	return nil
}

func (l *Log) aggregateLoop() {
	tick := time.NewTicker(l.opts.AggregateEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			_ = l.flushAggregates() // they are kept; Ready and the control tell
			l.reportDrops()
			l.watchDisk()
		}
	}
}

// flushAggregates writes one event for each kind of event counted.
func (l *Log) flushAggregates() error {
	var errs []error
	sums := l.agg.take()
	for _, key := range slices.SortedFunc(maps.Keys(sums), aggregateKey.compare) {
		if _, err := l.appendOwn(context.Background(), key.event(sums[key]), Durable); err != nil {
			l.agg.putBack(key, sums[key])
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
