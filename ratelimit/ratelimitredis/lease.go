package ratelimitredis

import (
	"context"
	"sync"
	"time"

	"github.com/surety-go/surety/ratelimit"
)

// A name tells leased cells apart.
type name struct {
	policy, key string
	ends        int64 // of a quota's period
}

func nameOf(c *ratelimit.Cell) name {
	n := name{policy: c.Policy, key: c.Key}
	if c.Interval == 0 {
		n.ends = c.Until.Unix()
	}
	return n
}

// A lease is units of a key that this instance may give out.
type lease struct {
	left   int64     // units
	until  time.Time // they are good until then
	short  int64     // what Redis did not have
	denied time.Time // until then it is not asked for as much again
	state  ratelimit.State
	asked  time.Time     // when Redis told the state
	busy   chan struct{} // closed when the call that refills is back; nil: there is none
}

func (h *lease) has(cost int64, now time.Time) bool { return h.left >= cost && now.Before(h.until) }

func (h *lease) lacks(cost int64, now time.Time) bool { return cost >= h.short && now.Before(h.denied) }

// apply notes what Redis answered to a question.
func (h *lease) apply(q question, a answer, now time.Time, good time.Duration) {
	h.state, h.asked = a.State, now
	if a.Denied {
		h.short, h.denied = q.Cost, now.Add(min(a.RetryAfter, good))
		return
	}
	h.left += a.granted
	h.until = now.Add(good)
}

// status is where the key stands for the caller, as far as is known here.
func (h *lease) status(cost int64, now time.Time) ratelimit.State {
	since := now.Sub(h.asked)
	st := ratelimit.State{Remaining: h.state.Remaining + h.left, Reset: max(h.state.Reset-since, 0)}
	if !h.has(cost, now) && h.lacks(cost, now) {
		st.Denied, st.RetryAfter = true, max(h.state.RetryAfter-since, 0)
	}
	return st
}

// leases are those of an instance.
type leases struct {
	mu   sync.Mutex
	held map[name]*lease
}

// maxLeases bounds the memory: what finds no place is asked for each time.
const maxLeases = 1 << 16

// of returns the cells' leases.
func (l *leases) of(cells []ratelimit.Cell, now time.Time) []*lease {
	list := make([]*lease, len(cells))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range cells {
		n := nameOf(&cells[i])
		h := l.held[n]
		if h == nil {
			h = &lease{}
			if len(l.held) >= maxLeases {
				l.sweep(now)
			}
			if len(l.held) < maxLeases {
				l.held[n] = h
			}
		}
		list[i] = h
	}
	return list
}

// sweep forgets what is over. It looks at 64, in the map's random order.
func (l *leases) sweep(now time.Time) {
	looked := 0
	for n, h := range l.held {
		if h.busy == nil && !now.Before(h.until) && !now.Before(h.denied) {
			delete(l.held, n)
		}
		if looked++; looked == 64 {
			return
		}
	}
}

// takeLeased decides with leases, and has them refilled by Redis.
func (s *Store) takeLeased(ctx context.Context, cells []ratelimit.Cell) error {
	held := s.leases.of(cells, time.Now())
	for {
		s.leases.mu.Lock()
		done := settle(cells, held, time.Now())
		wait, list := s.missing(cells, held, done)
		s.leases.mu.Unlock()
		switch {
		case done:
			return nil
		case wait != nil:
			select {
			case <-wait:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		default:
			if done, err := s.refill(ctx, cells, held, list); done || err != nil {
				return err
			}
		}
	}
}

// settle decides, if what is known here is enough to. The caller holds mu.
func settle(cells []ratelimit.Cell, held []*lease, now time.Time) (done bool) {
	all, denied := true, false
	for i, h := range held {
		has := h.has(cells[i].Cost, now)
		all = all && has
		denied = denied || !has && h.lacks(cells[i].Cost, now)
	}
	if !all && !denied {
		return false
	}
	for i, h := range held {
		if !denied {
			h.left -= cells[i].Cost
		}
		cells[i].State = h.status(0, now)
		if denied {
			cells[i].State = h.status(cells[i].Cost, now)
		}
	}
	return true
}

// A refill is a lease and what is asked for it.
type refill struct {
	question
	lease *lease
}

// missing says what has to be asked, and marks it busy, all at once: so no
// two calls wait for each other. If somebody asks for one of them already it
// says whom to wait for instead. The caller holds mu.
func (s *Store) missing(cells []ratelimit.Cell, held []*lease, done bool) (wait chan struct{}, list []refill) {
	if done {
		return nil, nil
	}
	now := time.Now()
	for i, h := range held {
		if h.has(cells[i].Cost, now) {
			continue
		}
		if h.busy != nil {
			return h.busy, nil
		}
		list = append(list, refill{question{Cell: &cells[i]}, h})
	}
	for i := range list {
		r := &list[i]
		r.most = max(r.Cost, min(int64(s.o.Lease), r.Limit/10))
		r.back, r.lease.left = r.lease.left, 0 // what was not used in time
		r.lease.busy = make(chan struct{})
	}
	return nil, list
}

// refill asks Redis and decides with the answer. It is not done when others
// have used up meanwhile what was not asked for.
func (s *Store) refill(ctx context.Context, cells []ratelimit.Cell, held []*lease, list []refill) (done bool, err error) {
	questions := make([]question, len(list))
	for i := range list {
		questions[i] = list[i].question
	}
	got, err := s.call(ctx, questions)
	now := time.Now()
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	for i := range list {
		h := list[i].lease
		close(h.busy)
		h.busy = nil
		if err == nil {
			h.apply(list[i].question, got[i], now, s.o.LeaseFor)
		}
	}
	if err != nil {
		return false, err
	}
	if denied(got) {
		for i, h := range held {
			cells[i].State = h.status(0, now)
		}
		for i := range list {
			list[i].State = got[i].State
		}
		return true, nil
	}
	return settle(cells, held, now), nil
}

func denied(list []answer) bool {
	for i := range list {
		if list[i].Denied {
			return true
		}
	}
	return false
}
