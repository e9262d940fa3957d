package monitor

import (
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/controls"
)

// A Kind says what an entry of the history stands for.
type Kind string

// The kinds of entries.
const (
	Probed    Kind = "probed"    // a control was probed
	Heartbeat Kind = "heartbeat" // the monitor is alive
	Started   Kind = "started"   // the monitor was started
	Stopped   Kind = "stopped"   // the monitor was closed in order
	Vanished  Kind = "vanished"  // a control is stated no more
)

// UnmarshalText reads a kind.
func (k *Kind) UnmarshalText(b []byte) error {
	*k = Kind(b)
	if !slices.Contains([]Kind{Probed, Heartbeat, Started, Stopped, Vanished}, *k) {
		return fmt.Errorf("monitor: unknown kind of entry of %d bytes", len(b))
	}
	return nil
}

// An Entry is one line of the history.
type Entry struct {
	// Seq counts the entries of a tenant from 1 without a hole; the store
	// gives it.
	Seq  uint64    `json:"seq"`
	Kind Kind      `json:"kind"`
	At   time.Time `json:"at"` // when the entry was made: for a probe, at its end

	// Control is the control's key; empty for the monitor's own entries.
	Control    string               `json:"control,omitempty"`
	ID         string               `json:"id,omitempty"` // the key without the instance
	Instance   string               `json:"instance,omitempty"`
	Parameters []controls.Parameter `json:"parameters,omitempty"` // in force at this run
	State      controls.State       `json:"state,omitempty"`
	Observed   string               `json:"observed,omitempty"` // at most 512 bytes
	// Took is how long the probe ran.
	Took time.Duration `json:"took_ns,omitempty"`
	// Every is the promise in force: the longest time to this control's next
	// run, or to the next entry of any kind for the monitor's own entries.
	Every time.Duration `json:"every_ns,omitempty"`
}

// Began is when the probe started.
func (e *Entry) Began() time.Time { return e.At.Add(-e.Took) }

// Good reports whether a probed entry lets its control stand.
func (e *Entry) Good() bool {
	return e.Kind == Probed && (e.State == controls.Pass || e.State == controls.NotApplicable)
}
