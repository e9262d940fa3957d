package ratelimit

import (
	"context"
	"time"
)

// A Store keeps allowances for several instances of a program.
type Store interface {
	// Take takes its Cost from each cell, or nothing from any, and fills in
	// each cell's State. An error means that nothing is known; the limiter
	// then does what its Options.OnFailure says.
	Take(ctx context.Context, cells []Cell) error
}

// A Cell is one key's allowance under one policy.
type Cell struct {
	Policy   string        // its name
	Key      string        // who; it may be personal data
	Interval time.Duration // of a rate: what a unit costs; 0 for a quota
	Limit    int64         // the whole allowance: a rate's burst, a quota's count
	Until    time.Time     // of a quota: when the period that runs now ends
	Cost     int64         // 0 or more
	State
}

// A Failure says what a limiter does while its store can't be reached.
type Failure uint8

// The ways to fail.
const (
	// Deny answers 503. It is the zero value.
	Deny Failure = iota
	// Local limits with allowances of the instance's own: behind n instances
	// a key may get n times as much.
	Local
	// Allow does not limit.
	Allow
)

// String returns the name as evidence spells it.
func (f Failure) String() string { return [...]string{"deny", "local", "allow"}[min(f, Allow)] }

// cell is a taking as the store sees it.
func (l *taking) cell(wall time.Time) Cell {
	c := Cell{Policy: l.policy.Name, Key: l.who.String(), Interval: time.Duration(l.policy.interval), Limit: l.policy.limit, Cost: l.cost}
	if l.policy.Calendar != None {
		c.Until = l.policy.Calendar.end(wall.In(l.policy.Zone))
	}
	return c
}
