package clientip

import (
	"fmt"
	"strings"
)

// split returns the nodes of a header's lines, leftmost first.
func split(h Header, lines []string) ([]string, error) {
	if h == Forwarded {
		return splitForwarded(strings.Join(lines, ","))
	}
	var list []string
	for _, line := range lines {
		for e := range strings.SplitSeq(line, ",") {
			if e = strings.Trim(e, " \t"); e != "" { // empty elements count for nothing: RFC 9110, 5.6.1
				list = append(list, e)
			}
		}
	}
	return list, nil
}

// splitForwarded reads RFC 7239: elements separated by commas, pairs of a name
// and a token or quoted string separated by semicolons. An element without
// "for" says nothing of whom it is for, which is "unknown".
func splitForwarded(s string) ([]string, error) {
	var list []string
	for {
		var e element
		var err error
		if s, err = e.read(s); err != nil {
			return nil, err
		}
		if e.pairs > 0 {
			list = append(list, e.node())
		}
		if s == "" {
			return list, nil
		}
		s = s[1:] // the comma
	}
}

// An element is one proxy's report.
type element struct {
	pairs  int
	client string
}

func (e *element) node() string {
	if e.client == "" {
		return "unknown"
	}
	return e.client
}

// read consumes one element and returns the rest, which is empty or begins
// with a comma.
func (e *element) read(s string) (string, error) {
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == ',' {
			return s, nil
		}
		if s[0] == ';' {
			s = s[1:]
			continue
		}
		name, rest, ok := token(s)
		if !ok || !strings.HasPrefix(rest, "=") {
			return "", fmt.Errorf("%w: a name and = expected", errMalformed)
		}
		value, rest, ok := value(rest[1:])
		if !ok {
			return "", fmt.Errorf("%w: %s has no value", errMalformed, name)
		}
		s = strings.TrimLeft(rest, " \t")
		if s != "" && s[0] != ',' && s[0] != ';' {
			return "", fmt.Errorf("%w: text after a value", errMalformed)
		}
		e.pairs++
		if strings.EqualFold(name, "for") {
			if e.client != "" || value == "" {
				return "", fmt.Errorf("%w: for is repeated or empty", errMalformed)
			}
			e.client = value
		}
	}
}

// token reads RFC 9110's token.
func token(s string) (tok, rest string, ok bool) {
	n := 0
	for n < len(s) && isTokenByte(s[n]) {
		n++
	}
	return s[:n], s[n:], n > 0
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// value reads a token or a quoted string. Addresses of IPv6 and with ports
// must be quoted, but many proxies write a bare IPv4 address with its port;
// the colon is accepted there.
func value(s string) (v, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := 0
		for n < len(s) && (isTokenByte(s[n]) || s[n] == ':') {
			n++
		}
		return s[:n], s[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c < 0x20 && c != '\t' || c == 0x7f || c == '\\':
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
