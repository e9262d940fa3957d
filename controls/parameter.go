package controls

import (
	"strconv"
	"time"
)

// A Parameter is one setting in force, such as an idle timeout. Values are
// text in one canonical form per kind, so that a catalogue can compare them
// with its bounds and two exports can be compared byte for byte.
type Parameter struct {
	Name  string // lower-case words joined by underscores
	Value string // canonical text: decimal number, "true"/"false", or words
	Unit  string // "s", "B", "1/s" …; empty for plain counts and words
}

// Text is a parameter that is a word or a name.
func Text(name, value string) Parameter { return Parameter{Name: name, Value: value} }

// Int is a parameter that is a count.
func Int[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32](name string, n T) Parameter {
	return Parameter{Name: name, Value: strconv.FormatInt(int64(n), 10)}
}

// Bytes is a parameter that is a size in bytes.
func Bytes[T ~int | ~int64](name string, n T) Parameter {
	return Parameter{Name: name, Value: strconv.FormatInt(int64(n), 10), Unit: "B"}
}

// Bool is a parameter that is on or off.
func Bool(name string, on bool) Parameter {
	return Parameter{Name: name, Value: strconv.FormatBool(on)}
}

// Duration is a parameter that is a length of time, kept in seconds.
func Duration(name string, d time.Duration) Parameter {
	return Parameter{Name: name, Value: strconv.FormatFloat(d.Seconds(), 'f', -1, 64), Unit: "s"}
}

// Rate is a parameter that is a number of events per second.
func Rate(name string, perSecond float64) Parameter {
	return Parameter{Name: name, Value: strconv.FormatFloat(perSecond, 'g', -1, 64), Unit: "1/s"}
}
