package controls

import "fmt"

// A State is what a probe concluded.
type State uint8

// The states of a probe. Only [Pass] and [NotApplicable] let a control stand.
const (
	// Inconclusive is the zero value: nothing was decided.
	Inconclusive State = iota
	// Pass says the control answered as promised.
	Pass
	// Fail says the control answered, and wrongly.
	Fail
	// Error says the control could not be asked.
	Error
	// NotApplicable says the promise has no object here, such as database
	// roles on an engine that has none; Observed says why.
	NotApplicable
)

var stateNames = [...]string{"inconclusive", "pass", "fail", "error", "not-applicable"}

// String returns the state's name as evidence spells it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "inconclusive"
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name; an unknown one is an error.
func (s *State) UnmarshalText(b []byte) error {
	for i, name := range stateNames {
		if string(b) == name {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("controls: unknown state %q", clip(string(b)))
}

// A Result is a state and the observation it rests on. Observed is for
// people: what was tried and what came back, without secrets.
type Result struct {
	State    State  `json:"state"`
	Observed string `json:"observed"`
}

// Passed is a [Pass] with its observation.
func Passed(format string, args ...any) Result { return result(Pass, format, args) }

// Failed is a [Fail] with its observation.
func Failed(format string, args ...any) Result { return result(Fail, format, args) }

// Errored is an [Error] with its observation.
func Errored(format string, args ...any) Result { return result(Error, format, args) }

// Skipped is [NotApplicable] with its reason.
func Skipped(format string, args ...any) Result { return result(NotApplicable, format, args) }

func result(s State, format string, args []any) Result {
	return Result{State: s, Observed: fmt.Sprintf(format, args...)}
}
