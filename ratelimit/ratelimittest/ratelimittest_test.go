package ratelimittest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/ratelimit"
	"github.com/surety-go/surety/ratelimit/ratelimittest"
)

// simple is a store as the interface's text has it, without any thought for
// speed. The suite has to let it through.
type simple struct {
	mu   sync.Mutex
	tat  map[[2]string]time.Time
	used map[[2]string]int64
}

func (s *simple) Take(_ context.Context, cells []ratelimit.Cell) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, denied := time.Now(), false
	for i := range cells {
		s.look(&cells[i], now)
		denied = denied || cells[i].Denied
	}
	for i := range cells {
		c := &cells[i]
		k := name(c)
		switch {
		case denied || c.Cost == 0:
		case c.Interval > 0:
			s.tat[k] = later(s.tat[k], now).Add(time.Duration(c.Cost) * c.Interval)
			c.Remaining -= c.Cost
			c.Reset = s.tat[k].Sub(now)
		default:
			s.used[k] += c.Cost
			c.Remaining -= c.Cost
		}
	}
	return nil
}

// name tells cells apart: a quota's periods each by themselves.
func name(c *ratelimit.Cell) [2]string { return [2]string{c.Policy + c.Until.String(), c.Key} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// look fills in where the cell stands before anything is taken.
func (s *simple) look(c *ratelimit.Cell, now time.Time) {
	if c.Interval == 0 {
		left := time.Until(c.Until)
		c.State = ratelimit.State{Remaining: c.Limit - s.used[name(c)], Reset: left}
		if c.Cost > c.Remaining {
			c.Denied, c.RetryAfter = true, left
		}
	} else {
		ahead := later(s.tat[name(c)], now).Sub(now)
		room := time.Duration(c.Limit)*c.Interval - ahead
		c.State = ratelimit.State{Remaining: int64(room / c.Interval), Reset: ahead}
		if c.Cost > c.Remaining {
			c.Denied, c.RetryAfter = true, time.Duration(c.Cost)*c.Interval-room
		}
	}
	if c.Cost > c.Limit {
		c.RetryAfter = 0
	}
}

func TestSimple(t *testing.T) {
	ratelimittest.Run(t, func(*testing.T) ratelimit.Store {
		return &simple{tat: make(map[[2]string]time.Time), used: make(map[[2]string]int64)}
	})
}
