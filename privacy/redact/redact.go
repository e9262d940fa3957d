package redact

import (
	"bytes"
	"fmt"
	"sync"
)

// A Type is a kind of thing to be found.
type Type uint8

// The types.
const (
	Email Type = iota + 1
	Phone
	Card
	IBAN
	NationalID
	IP
	JWT
	Secret
)

var typeNames = [...]string{"", "email", "phone", "card", "iban", "national", "ip", "jwt", "secret"}

// String returns the type's name, which stands in the replaced text.
func (t Type) String() string {
	if t == 0 || int(t) >= len(typeNames) {
		return "unknown"
	}
	return typeNames[t]
}

// A Match is a place in a text.
type Match struct {
	Type       Type
	Start, End int // bytes; End is behind the last one
}

// Options are the options of a [Redactor].
type Options struct {
	// Keep are types that are left alone, such as IP for an access log.
	Keep []Type
	// Replace appends what stands in the place of a value; nil appends the
	// type's name in brackets. It must not keep value.
	Replace func(dst []byte, t Type, value []byte) []byte
}

// A Redactor finds and replaces. It is safe for concurrent use.
type Redactor struct {
	keep    [len(typeNames)]bool
	replace func(dst []byte, t Type, value []byte) []byte
	schemas sync.Map // reflect.Type -> *schema
	buffers sync.Pool
}

type buffer struct {
	in, out []byte
	scan    scanner
}

// New makes a redactor.
func New(o Options) (*Redactor, error) {
	r := &Redactor{replace: o.Replace}
	for _, t := range o.Keep {
		if t == 0 || int(t) >= len(typeNames) {
			return nil, fmt.Errorf("redact: Keep: no type has the number %d", t)
		}
		r.keep[t] = true
	}
	if r.replace == nil {
		r.replace = func(dst []byte, t Type, _ []byte) []byte {
			return append(append(append(dst, '['), t.String()...), ']')
		}
	}
	r.buffers.New = func() any { return new(buffer) }
	return r, nil
}

// Find appends the places in text to list, in order and without overlaps.
func (r *Redactor) Find(list []Match, text []byte) []Match {
	b := r.buffers.Get().(*buffer)
	defer r.buffers.Put(b)
	return append(list, r.find(b, text, "")...)
}

// find scans a text that stands under a key, whose words count as context.
func (r *Redactor) find(b *buffer, text []byte, key string) []Match {
	s := &b.scan
	s.reset(text, key)
	s.run()
	kept := s.found[:0]
	for _, m := range s.found {
		if !r.keep[m.Type] {
			kept = append(kept, m)
		}
	}
	s.src = nil
	return kept
}

// Append appends text to dst with what was found replaced. Where a number
// stands bare as a JSON value, the replacement is quoted, so that a line of
// JSON stays one.
func (r *Redactor) Append(dst, text []byte) []byte {
	b := r.buffers.Get().(*buffer)
	defer r.buffers.Put(b)
	return r.write(dst, text, r.find(b, text, ""))
}

func (r *Redactor) write(dst, text []byte, found []Match) []byte {
	at := 0
	for _, m := range found {
		dst = append(dst, text[at:m.Start]...)
		bare := bareJSON(text, m)
		if bare {
			dst = append(dst, '"')
		}
		dst = r.replace(dst, m.Type, text[m.Start:m.End])
		if bare {
			dst = append(dst, '"')
		}
		at = m.End
	}
	return append(dst, text[at:]...)
}

// bareJSON reports whether the match is a whole JSON number after a key.
func bareJSON(text []byte, m Match) bool {
	if m.Start < 2 || m.End >= len(text) || text[m.Start] < '0' || text[m.Start] > '9' {
		return false
	}
	before := bytes.TrimRight(text[max(0, m.Start-4):m.Start], " ")
	return bytes.HasSuffix(before, []byte(`":`)) && (text[m.End] == ',' || text[m.End] == '}')
}

// String returns text with what was found replaced. A text without finds is
// returned as it is.
func (r *Redactor) String(text string) string { return r.Field("", text) }

// Field is like String for a value under a key: the key's words count as
// context, and a value under a name such as "password" is replaced whole.
func (r *Redactor) Field(key, value string) string {
	b := r.buffers.Get().(*buffer)
	defer r.buffers.Put(b)
	b.in = append(b.in[:0], value...)
	if value != "" && !r.keep[Secret] && secretWord(key) {
		return string(r.replace(b.out[:0], Secret, b.in))
	}
	found := r.find(b, b.in, key)
	if len(found) == 0 {
		return value
	}
	b.out = r.write(b.out[:0], b.in, found)
	return string(b.out)
}
