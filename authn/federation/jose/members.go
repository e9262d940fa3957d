package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxMembers is how many members an object of ours may have.
const maxMembers = 128

// members calls f for each member of a JSON object. Names are compared as
// they stand, so that "ALG" is not "alg"; one that is repeated, or has an
// escape that could make it equal to another, is refused: two readers of one
// token must not see two different ones.
func members(data []byte, f func(name, value string) error) error {
	if !utf8.Valid(data) || !json.Valid(data) {
		return errors.New("it is not JSON")
	}
	s := scanner{data: string(data)} // one copy, of which names and values are parts
	if s.next() != '{' {
		return errors.New("it is no JSON object")
	}
	var room [24]string
	seen := room[:0]
	for s.i++; s.next() != '}'; {
		if s.data[s.i] == ',' {
			s.i++
			s.next()
		}
		name := s.text()
		s.next()
		s.i++ // the colon
		s.next()
		value := s.value()
		for _, other := range seen {
			if other == name {
				return fmt.Errorf("a member is repeated: %.40q", name)
			}
		}
		if seen = append(seen, name); len(seen) > maxMembers || strings.IndexByte(name, '\\') >= 0 {
			return fmt.Errorf("more than %d members, or a name with an escape", maxMembers)
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}

// A scanner walks JSON that is known to be valid.
type scanner struct {
	data string
	i    int
}

// next skips space and returns the character that follows it.
func (s *scanner) next() byte {
	for s.i < len(s.data) {
		switch c := s.data[s.i]; c {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// text returns what stands between the quotes, and moves behind them.
func (s *scanner) text() string {
	s.i++
	start := s.i
	for s.data[s.i] != '"' {
		if s.data[s.i] == '\\' {
			s.i++
		}
		s.i++
	}
	s.i++
	return s.data[start : s.i-1]
}

// value returns a value, and moves behind it.
func (s *scanner) value() string {
	start := s.i
	depth := 0
	for s.i < len(s.data) {
		switch s.data[s.i] {
		case '"':
			s.text()
			s.i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return strings.TrimRight(s.data[start:s.i], " \t\r\n")
			}
			depth--
		case ',':
			if depth == 0 {
				return strings.TrimRight(s.data[start:s.i], " \t\r\n")
			}
		}
		s.i++
	}
	return s.data[start:s.i]
}

// text reads a JSON string.
func text(value string) (string, error) {
	if len(value) < 2 || value[0] != '"' {
		return "", errors.New("want a string")
	}
	if strings.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], nil
	}
	var s string
	if err := json.Unmarshal([]byte(value), &s); err != nil {
		return "", errors.New("want a string")
	}
	return s, nil
}
