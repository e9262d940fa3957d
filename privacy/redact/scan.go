package redact

import "net/netip"

// Classes of bytes.
const (
	lower uint8 = 1 << iota
	upper
	digit
	under // "_"
	hexa  // a-f, A-F, 0-9
	local // allowed before the "@" of an address
	label // allowed in a domain name
	other // "@", "+", ":" start something of their own
)

const word = lower | upper | digit | under

var class = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c] = lower | local | label
		t[c-'a'+'A'] = upper | local | label
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = digit | hexa | local | label
	}
	for _, c := range "abcdefABCDEF" {
		t[c] |= hexa
	}
	for c := 0x80; c < 256; c++ { // letters of other scripts
		t[c] = local | label
	}
	t['_'] = under | local
	t['.'], t['-'] = local|label, local|label
	t['%'], t['+'], t['\''] = local, local|other, local
	t['@'], t[':'] = other, other
	return t
}()

// A scanner walks over a text once. Words (runs of letters, digits and "_")
// are classified by the union of their bytes' classes; only those that could
// begin something are looked at again.
type scanner struct {
	src   []byte
	key   string
	found []Match
	last  int // end of the last match
	// digits are those of the groups at hand; rules are called through
	// pointers, which would move a local array to the heap.
	digits [32]byte
}

func (s *scanner) reset(src []byte, key string) {
	s.src, s.key, s.found, s.last = src, key, s.found[:0], 0
}

func (s *scanner) run() {
	src := s.src
	for i := 0; i < len(src); {
		c := class[src[i]]
		if c&word == 0 {
			if c&other != 0 {
				i = s.mark(i)
			} else {
				i++
			}
			continue
		}
		j := i + 1
		for j < len(src) {
			k := class[src[j]]
			if k&word == 0 {
				break
			}
			c |= k
			j++
		}
		i = s.word(i, j, c)
	}
}

// mark looks at a byte that begins something of its own and returns where to
// go on.
func (s *scanner) mark(i int) int {
	switch s.src[i] {
	case '@':
		return s.email(i)
	case '+':
		if s.at(i+1)&digit != 0 && s.at(i-1)&(word|other) == 0 {
			return s.number(i+1, true)
		}
	case ':':
		if i+1 < len(s.src) && s.src[i+1] == ':' && s.at(i-1)&word == 0 {
			return s.ipv6(i, i+1)
		}
	}
	return i + 1
}

// at is the class of the byte at i; there is none outside of the text.
func (s *scanner) at(i int) uint8 {
	if i < 0 || i >= len(s.src) {
		return 0
	}
	return class[s.src[i]]
}

// word looks at the word in [i, j) and returns where to go on.
func (s *scanner) word(i, j int, c uint8) int {
	if j < len(s.src) && s.src[j] == ':' && c&^(hexa|lower|upper|digit|local|label) == 0 && j-i <= 4 && s.allHex(i, j) {
		if next := s.ipv6(i, j); next > j {
			return next
		}
	}
	if c&word == digit {
		if s.joined(i) {
			return j
		}
		return s.number(i, false)
	}
	if c&digit != 0 && j-i >= 4 {
		if next := s.mixed(i, j); next > j {
			return next
		}
	}
	return s.keyword(i, j)
}

// joined reports whether a word goes on from the one before it, as the parts
// of a UUID, a version or a path do.
func (s *scanner) joined(i int) bool {
	if i < 2 {
		return false
	}
	switch s.src[i-1] {
	case '-', '.', '%':
		return s.at(i-2)&word != 0
	case '/':
		return s.at(i-2)&(lower|upper) != 0
	}
	return false
}

func (s *scanner) allHex(i, j int) bool {
	for ; i < j; i++ {
		if class[s.src[i]]&hexa == 0 {
			return false
		}
	}
	return true
}

// add notes a match. An address found later swallows matches inside of it.
func (s *scanner) add(t Type, start, end int) int {
	for len(s.found) > 0 && s.found[len(s.found)-1].Start >= start {
		s.found = s.found[:len(s.found)-1]
	}
	if n := len(s.found); n > 0 && s.found[n-1].End > start {
		start = s.found[n-1].End
	}
	if start < end {
		s.found = append(s.found, Match{t, start, end})
		s.last = end
	}
	return end
}

const (
	maxLocal  = 64  // bytes before the "@" (RFC 5321, section 4.5.3.1)
	maxDomain = 255 // bytes after it
)

// email looks around an "@".
func (s *scanner) email(at int) int {
	start := at
	for start > 0 && at-start < maxLocal && class[s.src[start-1]]&local != 0 {
		start--
	}
	for start < at && (s.src[start] == '.' || s.src[start] == '\'' || s.src[start] == '-') {
		start++
	}
	end, dot := at+1, 0
	for end < len(s.src) && end-at <= maxDomain && class[s.src[end]]&label != 0 {
		if s.src[end] == '.' {
			dot = end
		}
		end++
	}
	if dot == end-1 && dot > 0 { // the sentence's full stop
		end--
		dot = 0
		for k := at + 1; k < end; k++ {
			if s.src[k] == '.' {
				dot = k
			}
		}
	}
	if start == at || s.src[at-1] == '.' || dot <= at+1 || end-dot < 3 || class[s.src[dot+1]]&digit != 0 || class[s.src[at+1]]&(lower|upper|digit) == 0 && s.src[at+1] < 0x80 {
		return at + 1
	}
	return s.add(Email, start, end)
}

// ipv6 tries an address from start, whose first colon is at colon.
func (s *scanner) ipv6(start, colon int) int {
	if s.joined(start) || s.at(start-1)&other != 0 {
		return colon
	}
	end, colons, double := colon, 0, false
	if s.src[start] == ':' {
		end = start
	}
	for end < len(s.src) && end-start < 45 {
		c := s.src[end]
		if c == ':' {
			colons++
			double = double || end+1 < len(s.src) && s.src[end+1] == ':'
		} else if class[c]&hexa == 0 && (c != '.' || colons < 2 || s.at(end+1)&digit == 0) {
			break
		}
		end++
	}
	if !double && colons < 6 || s.at(end)&word != 0 {
		return max(colon, start+1)
	}
	a, err := netip.ParseAddr(string(s.src[start:end]))
	if err != nil && s.src[end-1] == ':' { // "fe80::1: unreachable"
		end--
		a, err = netip.ParseAddr(string(s.src[start:end]))
	}
	if err != nil || !a.Is6() || a.IsUnspecified() {
		return max(colon, start+1)
	}
	return s.add(IP, start, end)
}
