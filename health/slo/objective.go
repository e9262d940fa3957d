package slo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surety-go/surety/guard"
)

// ErrUnknown says that there is no objective of that name.
var ErrUnknown = errors.New("slo: no such objective")

// An Objective promises a share of good requests.
type Objective struct {
	// Name is 1 to 64 lower-case letters, digits and "-".
	Name string
	// Actions are the actions of the calls it is about: a name, or a prefix
	// that ends in ".*". None means that only [Watcher] measures it.
	Actions []string
	// Target is the share of good requests, at least 0.5 and below 1.
	Target float64
	// Latency is the time a good request takes at most; 0 is any time. A
	// stream's time is as long as its caller likes: leave streams out.
	Latency time.Duration
}

func (o *Objective) validate() error {
	switch {
	case o.Name == "" || len(o.Name) > 64 || strings.Trim(o.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("slo: Objective.Name %q: want 1 to 64 lower-case letters, digits and -", o.Name)
	case !(o.Target >= 0.5 && o.Target < 1): // NaN too
		return fmt.Errorf("slo: %s: Target is %v, want at least 0.5 and below 1", o.Name, o.Target)
	case o.Latency < 0 || o.Latency > time.Hour:
		return fmt.Errorf("slo: %s: Latency is %v, want 0 to 1h", o.Name, o.Latency)
	}
	for _, a := range o.Actions {
		if name := strings.TrimSuffix(a, ".*"); name == "" || strings.Contains(name, "*") {
			return fmt.Errorf("slo: %s: action %q: want a name, or a prefix that ends in .*", o.Name, a)
		}
	}
	return nil
}

// about reports whether the objective is about calls of an action.
func (o *Objective) about(action string) bool {
	for _, a := range o.Actions {
		prefix, all := strings.CutSuffix(a, "*")
		if a == action || all && strings.HasPrefix(action, prefix) {
			return true
		}
	}
	return false
}

// judge says whether a call counts, and whether it was good.
func (o *Objective) judge(out guard.Outcome) (counts, good bool) {
	switch {
	case out.Code == guard.Canceled:
		return false, false
	case out.Panic != nil || out.Status >= 500:
		return true, false
	default:
		return true, o.Latency == 0 || out.Elapsed <= o.Latency
	}
}
