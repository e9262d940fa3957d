package redact

import (
	"bytes"
	"strings"
)

// reach is how many bytes before a number its context may stand.
const reach = 32

// context reports whether one of the words stands shortly before start, or in
// the key the text stands under. The words are lower case. A word counts from
// its beginning: "tel" is in "tel:" and "Telephone", not in "hotel".
func (s *scanner) context(start int, words []string) bool {
	if s.key != "" && keyHas(s.key, words) {
		return true
	}
	var window [reach]byte
	from := max(start-reach, s.last, 0)
	w := window[:copy(window[:], s.src[min(from, start):start])]
	// A value ends its field: what stands before the last but one quote or
	// comma belongs to another one.
	w = w[fieldStart(w):]
	for i, c := range w {
		if c >= 'A' && c <= 'Z' {
			w[i] = c | 0x20
		}
	}
	for _, x := range words {
		if i := bytes.Index(w, []byte(x)); i == 0 || i > 0 && class[w[i-1]]&lower == 0 { //nolint:gosec // G602: i is within w
			return true
		}
	}
	return false
}

// fieldStart returns where the last JSON field or clause begins.
func fieldStart(w []byte) int {
	for i := len(w) - 1; i > 0; i-- {
		switch w[i] {
		case ',', ';', '\n', '{', '}', '|', '&':
			return i + 1
		case '"':
			if i+1 < len(w) && w[i+1] == ' ' {
				return i + 1
			}
		}
	}
	// In key=value the key is the word before "=".
	if v := bytes.TrimRight(w, `"'+(`); len(v) > 0 && v[len(v)-1] == '=' {
		return bytes.LastIndexByte(v, ' ') + 1
	}
	return 0
}

func keyHas(key string, words []string) bool {
	k := strings.ToLower(key)
	for _, x := range words {
		if i := strings.Index(k, x); i >= 0 && (i == 0 || class[k[i-1]]&lower == 0 || class[key[i]]&upper != 0) {
			return true
		}
	}
	return false
}
