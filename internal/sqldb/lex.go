package sqldb

import (
	"errors"
	"strconv"
	"strings"
)

// Rebind turns the placeholder "?" into PostgreSQL's $1, $2 … outside of
// quotes and comments, and leaves SQLite's as they are. PostgreSQL's operators
// with a question mark have functions to use instead, such as jsonb_exists.
func (d Dialect) Rebind(query string) string {
	if d != PostgreSQL || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 8)
	n := 0
	for i := 0; i < len(query); {
		if end := opaque(query, i); end > i {
			b.WriteString(query[i:end])
			i = end
			continue
		}
		if query[i] == '?' {
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		} else {
			b.WriteByte(query[i])
		}
		i++
	}
	return b.String()
}

// statements splits a migration at semicolons outside of quotes and comments,
// because drivers differ in whether they take several statements at once. A
// statement with semicolons inside, such as SQLite's triggers, stands between
// the lines "-- begin" and "-- end".
func statements(text string) ([]string, error) {
	var list []string
	start, block := 0, false
	cut := func(end int) {
		if s := text[start:end]; strings.TrimSpace(uncomment(s)) != "" {
			list = append(list, strings.TrimSpace(s))
		}
	}
	for i := 0; i < len(text); {
		end := opaque(text, i)
		marker := strings.TrimSpace(text[i:max(i, end)])
		switch {
		case marker == "-- begin" && !block, marker == "-- end" && block:
			cut(i)
			block, start = !block, end
		case marker == "-- begin", marker == "-- end":
			return nil, errors.New("a line " + marker + " without its counterpart")
		case end > i:
		case text[i] == ';' && !block:
			cut(i)
			start = i + 1
		}
		i = max(i+1, end)
	}
	if block {
		return nil, errors.New("a line -- begin without its counterpart")
	}
	cut(len(text))
	return list, nil
}

// uncomment drops the comments of a statement.
func uncomment(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		end := opaque(s, i)
		if s[i] != '-' && s[i] != '/' || end == i {
			end = max(end, i+1)
			b.WriteString(s[i:end])
		}
		i = end
	}
	return b.String()
}

// opaque returns the end of the quoted text, name or comment that begins at i,
// or i if none does. What is never closed reaches to the end. A doubled quote
// is two pieces side by side, which comes to the same. PostgreSQL's E'\” is
// not understood: double the quote.
func opaque(s string, i int) int {
	switch rest := s[i:]; {
	case rest[0] == '\'', rest[0] == '"':
		return after(s, i+1, rest[:1])
	case strings.HasPrefix(rest, "--"):
		return after(s, i+2, "\n")
	case strings.HasPrefix(rest, "/*"):
		return after(s, i+2, "*/")
	case rest[0] == '$' && (i == 0 || !wordByte(s[i-1])):
		n := 1
		for n < len(rest) && wordByte(rest[n]) {
			n++
		}
		// $1 is a parameter; $$ and $tag$ quote.
		if n < len(rest) && rest[n] == '$' && (rest[1] < '0' || rest[1] > '9') {
			return after(s, i+n+1, rest[:n+1])
		}
	}
	return i
}

// after returns the end of the first mark at or behind from.
func after(s string, from int, mark string) int {
	n := strings.Index(s[from:], mark)
	if n < 0 {
		return len(s)
	}
	return from + n + len(mark)
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
