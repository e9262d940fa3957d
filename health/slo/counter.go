package slo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxPending bounds the minutes of an objective that wait for the store: a
// day's.
const maxPending = 24 * 60

// A counter counts for one objective and keeps what the store doesn't have.
type counter struct {
	objective string
	source    string
	outside   bool

	mu      sync.Mutex
	now     Count   // of the minute that runs
	pending []Count // complete minutes, oldest first
	first   uint64  // the number of the first of them, for ever counting
	lost    int     // minutes given up since the last flush that worked
}

func newCounter(objective string, outside bool) *counter {
	return &counter{objective: objective, outside: outside, source: rand.Text()}
}

// add counts one request.
func (c *counter) add(at time.Time, good bool) {
	minute := at.Truncate(time.Minute).UTC()
	c.mu.Lock()
	defer c.mu.Unlock()
	// A clock that was set back counts into the minute that runs, because
	// minutes that are complete may be stored already.
	if minute.After(c.now.Minute) {
		c.complete()
		c.now = Count{Objective: c.objective, Source: c.source, Outside: c.outside, Minute: minute}
	}
	if good {
		c.now.Good++
	} else {
		c.now.Bad++
	}
}

// complete moves the minute that runs to those that wait. The caller holds mu.
func (c *counter) complete() {
	if c.now.Good+c.now.Bad == 0 {
		return
	}
	if len(c.pending) == maxPending {
		c.pending, c.first = c.pending[1:], c.first+1
		c.lost++
	}
	c.pending = append(c.pending, c.now)
	// What is still counted in this minute is a source of its own, since a
	// stored count is final.
	c.source = rand.Text()
	c.now = Count{Objective: c.objective, Source: c.source, Outside: c.outside, Minute: c.now.Minute}
}

// waiting completes the minutes before limit and returns all that wait, and
// the number of the one after them.
func (c *counter) waiting(limit time.Time) (counts []Count, next uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.Minute.Before(limit) {
		c.complete()
	}
	return append([]Count(nil), c.pending...), c.first + uint64(len(c.pending))
}

// stored forgets the minutes before next, which the store has now, and says
// how many were given up while it had none.
func (c *counter) stored(next uint64) (lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.pending) > 0 && c.first < next {
		c.pending, c.first = c.pending[1:], c.first+1
	}
	lost, c.lost = c.lost, 0
	return lost
}

// flush puts into the store what is complete before limit.
func flush(ctx context.Context, store Store, tenant string, key []byte, counters []*counter, limit time.Time) (stored []Count, lost int, err error) {
	for _, c := range counters {
		counts, next := c.waiting(limit)
		if len(counts) == 0 {
			continue
		}
		for i := range counts {
			counts[i].seal(key, tenant)
		}
		if putErr := store.Put(ctx, tenant, counts); putErr != nil {
			err = errors.Join(err, fmt.Errorf("slo: store %s: %w", c.objective, putErr))
			continue
		}
		lost += c.stored(next)
		stored = append(stored, counts...)
	}
	return stored, lost, err
}
