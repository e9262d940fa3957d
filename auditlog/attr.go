package auditlog

import (
	"strconv"
	"time"
)

// An Attr is one further fact of an event: a string, a number, a boolean, or
// a personal value that is sealed before it is stored.
type Attr struct {
	Key     string
	kind    attrKind
	num     int64
	text    string
	subject string // data subject of a personal or sealed value
}

type attrKind uint8

const (
	kindString   attrKind = iota
	kindInt               // num
	kindBool              // num is 0 or 1
	kindDecimal           // text is a JSON number
	kindPersonal          // text is a personal value in the clear: never stored
	kindSealed            // text is a sealed personal value
)

// String is an attribute that is text. Text from a caller is shortened by
// whoever takes it in; invalid UTF-8 is replaced when it is written.
func String(key, value string) Attr { return Attr{Key: key, kind: kindString, text: value} }

// Int is an attribute that is a whole number.
func Int[T ~int | ~int64 | ~int32 | ~uint32 | ~uint16 | ~uint8](key string, n T) Attr {
	return Attr{Key: key, kind: kindInt, num: int64(n)}
}

// Bool is an attribute that is true or false.
func Bool(key string, b bool) Attr {
	a := Attr{Key: key, kind: kindBool}
	if b {
		a.num = 1
	}
	return a
}

// Duration is an attribute that is a length of time, written in seconds.
func Duration(key string, d time.Duration) Attr {
	var buf [32]byte
	b := strconv.AppendInt(buf[:0], int64(d/time.Second), 10)
	if d < 0 && d > -time.Second {
		b = append(buf[:0], '-', '0')
	}
	if frac := d % time.Second; frac != 0 {
		b = appendFraction(b, frac.Abs())
	}
	return Attr{Key: key, kind: kindDecimal, text: string(b)}
}

// appendFraction writes ".5" for half a second, without trailing zeros.
func appendFraction(b []byte, d time.Duration) []byte {
	b = append(b, '.')
	for unit := time.Second / 10; d > 0; unit /= 10 {
		b = append(b, '0'+byte(d/unit))
		d %= unit
	}
	return b
}

// Time is an attribute that is a moment, written in UTC as RFC 3339.
func Time(key string, t time.Time) Attr {
	return String(key, t.UTC().Format(time.RFC3339Nano))
}

// Personal is an attribute that says something about a person: subject is the
// person's account id, value what is said. It is encrypted under the person's
// key by [Sealing], and unreadable once that key is destroyed.
func Personal(subject, key, value string) Attr {
	return Attr{Key: key, kind: kindPersonal, text: value, subject: subject}
}

// Text returns the attribute's value as text, and the empty string for a
// personal value, sealed or not.
func (a Attr) Text() string {
	switch a.kind {
	case kindInt:
		return strconv.FormatInt(a.num, 10)
	case kindBool:
		return strconv.FormatBool(a.num != 0)
	case kindPersonal, kindSealed:
		return ""
	default:
		return a.text
	}
}

// IsPersonal reports whether the attribute holds a person's value in the
// clear. A log refuses such an attribute.
func (a Attr) IsPersonal() bool { return a.kind == kindPersonal }

// Sealed returns the data subject and the sealed value of a personal
// attribute as it stands in the log, or ok = false for other attributes.
func (a Attr) Sealed() (subject string, sealed []byte, ok bool) {
	if a.kind != kindSealed {
		return "", nil, false
	}
	return a.subject, []byte(a.text), true
}
