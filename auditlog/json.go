package auditlog

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// timeLayout has a fixed number of digits, so that entries sort as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// AppendJSON appends the entry's one canonical JSON form: members in a fixed
// order, empty ones left out, no white space, strings escaped only where JSON
// demands it (as in RFC 8785), times in UTC with nine fractional digits. It
// fails with [ErrUnsealed] for a personal attribute in the clear and with
// [ErrTooLarge] beyond [MaxEntry] bytes, and then appends nothing.
func (e *Entry) AppendJSON(dst []byte) ([]byte, error) {
	start := len(dst)
	b := append(dst, `{"v":1,"id":"`...)
	b = e.ID.append(b)
	b = append(b, `","time":"`...)
	b = appendTime(b, e.Time.UTC())
	b = append(b, '"')
	b = appendMember(b, `,"trace":`, e.Trace)
	b = appendMember(b, `,"span":`, e.Span)
	b = appendString(append(b, `,"action":`...), e.Action)
	b = appendString(append(b, `,"outcome":`...), e.Outcome.String())
	b = appendActor(b, &e.Actor)
	b = appendMember(b, `,"tenant":`, e.Tenant)
	b = appendTargets(b, e.Targets)
	b = appendMember(b, `,"reason":`, e.Reason)
	b, err := appendAttrs(b, e.Attrs)
	if err != nil {
		return dst, fmt.Errorf("%w: %s: %w", ErrUnsealed, e.Action, err)
	}
	b = append(b, '}')
	if n := len(b) - start; n > MaxEntry {
		return dst, fmt.Errorf("%w: %s: %d bytes of JSON, limit %d", ErrTooLarge, e.Action, n, MaxEntry)
	}
	return b, nil
}

// appendTime is AppendFormat(b, timeLayout) of a time in UTC in a third of the
// time, every event having one.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, timeLayout)
	}
	hour, minute, second := t.Clock()
	b = append(appendDigits(b, year, 4), '-')
	b = append(appendDigits(b, int(month), 2), '-')
	b = append(appendDigits(b, day, 2), 'T')
	b = append(appendDigits(b, hour, 2), ':')
	b = append(appendDigits(b, minute, 2), ':')
	b = append(appendDigits(b, second, 2), '.')
	return append(appendDigits(b, t.Nanosecond(), 9), 'Z')
}

// appendDigits appends a number in so many decimal digits.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "000000000"[:digits]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
	return b
}

func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, key...), value)
}

func appendActor(b []byte, a *Actor) []byte {
	b = appendString(append(b, `,"actor":{"kind":`...), a.Kind.String())
	b = appendMember(b, `,"id":`, a.ID)
	b = appendMember(b, `,"tenant":`, a.Tenant)
	b = appendMember(b, `,"for":`, a.For)
	return append(b, '}')
}

func appendTargets(b []byte, targets []Target) []byte {
	if len(targets) == 0 {
		return b
	}
	b = append(b, `,"targets":[`...)
	for i, t := range targets {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"type":`...), t.Type)
		b = appendMember(b, `,"id":`, t.ID)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendAttrs(b []byte, attrs []Attr) ([]byte, error) {
	if len(attrs) == 0 {
		return b, nil
	}
	b = append(b, `,"attrs":{`...)
	for i, a := range attrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, a.Key), ':')
		switch a.kind {
		case kindString:
			b = appendString(b, a.text)
		case kindInt:
			b = strconv.AppendInt(b, a.num, 10)
		case kindBool:
			b = strconv.AppendBool(b, a.num != 0)
		case kindDecimal:
			b = append(b, a.text...)
		case kindSealed:
			b = appendString(append(b, `{"subject":`...), a.subject)
			b = append(b, `,"sealed":"`...)
			b = base64.RawStdEncoding.AppendEncode(b, []byte(a.text))
			b = append(b, `"}`...)
		default:
			return nil, fmt.Errorf("attribute %q", clip(a.Key))
		}
	}
	return append(b, '}'), nil
}

// appendString writes a JSON string. Invalid UTF-8, which callers can send in
// a header, becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			b = appendEscape(append(b, s[from:i]...), c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[from:i]...), "\uFFFD"...)
			i++
			from = i
			continue
		}
		i += size
	}
	return append(append(b, s[from:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\t':
		return append(b, '\\', 't')
	case '\n':
		return append(b, '\\', 'n')
	case '\f':
		return append(b, '\\', 'f')
	case '\r':
		return append(b, '\\', 'r')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// ParseEntry reads an entry's canonical JSON form. Anything that [Entry.AppendJSON]
// would have written differently is refused, so that one event can't stand in
// the log in two spellings with two hashes.
func ParseEntry(data []byte) (Entry, error) {
	if len(data) > MaxEntry {
		return Entry{}, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(data), MaxEntry)
	}
	p := parser{rest: data}
	e := p.entry()
	if p.failed {
		return Entry{}, fmt.Errorf("%w: not in canonical form at byte %d", ErrInvalid, len(data)-len(p.rest))
	}
	if err := e.Validate(); err != nil {
		return Entry{}, err
	}
	again, err := e.AppendJSON(make([]byte, 0, len(data)))
	if err != nil {
		return Entry{}, err
	}
	if string(again) != string(data) {
		return Entry{}, fmt.Errorf("%w: not in canonical form", ErrInvalid)
	}
	return e, nil
}

// A parser reads the fixed sequence of members. After the first mismatch it
// stays put and failed.
type parser struct {
	rest   []byte
	failed bool
}

// has consumes a literal if it comes next.
func (p *parser) has(literal string) bool {
	if p.failed || len(p.rest) < len(literal) || string(p.rest[:len(literal)]) != literal {
		return false
	}
	p.rest = p.rest[len(literal):]
	return true
}

func (p *parser) want(literal string) { p.failed = !p.has(literal) || p.failed }

// text reads a JSON string.
func (p *parser) text() (s string) {
	end := p.stringEnd()
	if end == 0 || json.Unmarshal(p.rest[:end], &s) != nil {
		p.failed = true
		return ""
	}
	p.rest = p.rest[end:]
	return s
}

// stringEnd returns the length of the JSON string that comes next, or 0.
func (p *parser) stringEnd() int {
	if p.failed || len(p.rest) == 0 || p.rest[0] != '"' {
		return 0
	}
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func (p *parser) optional(key string) string {
	if p.has(key) {
		return p.text()
	}
	return ""
}

// unmarshal hands a JSON string to a text unmarshaler.
func (p *parser) unmarshal(u interface{ UnmarshalText([]byte) error }) {
	if u.UnmarshalText([]byte(p.text())) != nil {
		p.failed = true
	}
}

func (p *parser) entry() (e Entry) {
	p.want(`{"v":1,"id":`)
	p.unmarshal(&e.ID)
	p.want(`,"time":`)
	t, err := time.Parse(timeLayout, p.text())
	p.failed = p.failed || err != nil
	e.Time = t
	e.Trace = p.optional(`,"trace":`)
	e.Span = p.optional(`,"span":`)
	p.want(`,"action":`)
	e.Action = p.text()
	p.want(`,"outcome":`)
	p.unmarshal(&e.Outcome)
	p.want(`,"actor":{"kind":`)
	p.unmarshal(&e.Actor.Kind)
	e.Actor.ID = p.optional(`,"id":`)
	e.Actor.Tenant = p.optional(`,"tenant":`)
	e.Actor.For = p.optional(`,"for":`)
	p.want("}")
	e.Tenant = p.optional(`,"tenant":`)
	e.Targets = p.targets()
	e.Reason = p.optional(`,"reason":`)
	e.Attrs = p.attrs()
	p.want("}")
	p.failed = p.failed || len(p.rest) != 0
	return e
}

func (p *parser) targets() (list []Target) {
	if !p.has(`,"targets":[`) {
		return nil
	}
	for more := true; more && !p.failed; more = p.has(",") {
		p.want(`{"type":`)
		t := Target{Type: p.text()}
		t.ID = p.optional(`,"id":`)
		p.want("}")
		list = append(list, t)
	}
	p.want("]")
	return list
}

func (p *parser) attrs() (list []Attr) {
	if !p.has(`,"attrs":{`) {
		return nil
	}
	for more := true; more && !p.failed && len(list) <= MaxAttrs; more = p.has(",") {
		key := p.text()
		p.want(":")
		list = append(list, p.value(key))
	}
	p.want("}")
	return list
}

func (p *parser) value(key string) Attr {
	switch {
	case p.failed || len(p.rest) == 0:
		p.failed = true
		return Attr{}
	case p.rest[0] == '"':
		return String(key, p.text())
	case p.has("true"):
		return Bool(key, true)
	case p.has("false"):
		return Bool(key, false)
	case p.has(`{"subject":`):
		return p.sealed(key)
	}
	return p.number(key)
}

func (p *parser) sealed(key string) Attr {
	a := Attr{Key: key, kind: kindSealed, subject: p.text()}
	p.want(`,"sealed":`)
	b, err := base64.RawStdEncoding.Strict().DecodeString(p.text())
	p.failed = p.failed || err != nil
	a.text = string(b)
	p.want("}")
	return a
}

// number keeps a decimal's text and turns a whole number into an Int.
func (p *parser) number(key string) Attr {
	n := 0
	for n < len(p.rest) && (p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '-' || p.rest[n] == '.') {
		n++
	}
	text := string(p.rest[:n])
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		p.rest = p.rest[n:]
		return Int(key, i)
	}
	if n == 0 || !json.Valid([]byte(text)) {
		p.failed = true
		return Attr{}
	}
	p.rest = p.rest[n:]
	return Attr{Key: key, kind: kindDecimal, text: text}
}
