package redact

// maxGroups bounds the groups of digits that are looked at together.
const maxGroups = 8

// A group is a run of digits; sep is the byte after it, or 0 at the end, or
// '*' for two separators such as ") ".
type group struct {
	start, end int
	sep        byte
}

// versionWords say that four numbers with dots are a version.
var versionWords = []string{"rv:", "version", "build", "release"}

// number looks at digits from i on, with the separators that people put
// between them, and returns where to go on.
func (s *scanner) number(i int, plus bool) int {
	if !plus {
		if end := s.ipv4(i); end > 0 && !s.context(i, versionWords) {
			return s.add(IP, i, end)
		}
	}
	var groups [maxGroups]group
	n, total, next := s.groups(&groups, i)
	if n == 0 {
		return next
	}
	if plus {
		if end := s.international(groups[:n], 0); end > 0 {
			return s.add(Phone, i-1, end)
		}
	}
	if total < 6 {
		return next
	}
	for from := 0; from < n; from++ {
		for to := n; to > from; to-- {
			if t := s.window(groups[from:to]); t != 0 {
				return s.add(t, s.opening(groups[from].start, t), groups[to-1].end)
			}
		}
		if groups[from].sep != ' ' && groups[from].sep != '*' {
			// Only a space can be the end of something else.
			for from+1 < n && groups[from].sep != ' ' {
				from++
			}
		}
	}
	return s.finnish(groups[:n], next)
}

// opening takes in the parenthesis of a phone number's area.
func (s *scanner) opening(start int, t Type) int {
	if t == Phone && start > 0 && s.src[start-1] == '(' {
		return start - 1
	}
	return start
}

// groups reads up to maxGroups groups. The last one is left out when letters
// follow it directly.
func (s *scanner) groups(groups *[maxGroups]group, i int) (n, total, next int) {
	for n < maxGroups {
		j := i
		for j < len(s.src) && class[s.src[j]]&digit != 0 {
			j++
		}
		if c := s.at(j); c&word != 0 || c&other != 0 && s.src[j] == '@' {
			for j < len(s.src) && class[s.src[j]]&word != 0 {
				j++
			}
			// A sign and letters, as in a Finnish identity number, are looked
			// at from the last group on.
			return n, total, j
		}
		groups[n] = group{start: i, end: j}
		n++
		total += j - i
		k := s.separators(j)
		if k == j {
			return n, total, j
		}
		groups[n-1].sep = s.src[j]
		if k > j+1 {
			groups[n-1].sep = '*'
		}
		i = k
	}
	groups[n-1].sep = 0
	return n, total, groups[n-1].end
}

// separators returns where the next digits begin, or j when there are none.
func (s *scanner) separators(j int) int {
	k := j
	for k < len(s.src) && k-j < 2 {
		switch s.src[k] {
		case ' ', '-', '.', '/', '(', ')':
			k++
			continue
		}
		break
	}
	if s.at(k)&digit == 0 {
		return j
	}
	return k
}

// window decides what a few groups are together.
func (s *scanner) window(g []group) Type {
	var shape [48]byte
	b, d := shape[:0], s.digits[:0]
	for i, x := range g {
		if len(d)+x.end-x.start > len(s.digits) {
			return 0
		}
		d = append(d, s.src[x.start:x.end]...)
		if n := x.end - x.start; n >= 10 {
			b = append(b, byte('0'+n/10), byte('0'+n%10))
		} else {
			b = append(b, byte('0'+n))
		}
		if i < len(g)-1 {
			b = append(b, x.sep)
		}
	}
	if len(d) < 6 {
		return 0
	}
	if isCard(b, d, len(g)) {
		return Card
	}
	start := g[0].start
	for _, r := range shapes[string(b)] {
		if r.check(d) && (r.words == nil || s.context(start, r.words)) {
			return NationalID
		}
	}
	if len(d) <= 15 && s.national(g, b, d) {
		return Phone
	}
	return 0
}

// cardShape reports whether digits are grouped as on a card: in one, in fours
// with the rest at the end, or as American Express and Diners do, 4-6-5 and
// 4-6-4.
func cardShape(shape []byte) bool {
	switch string(shape) {
	case "4 6 5", "4-6-5", "4 6 4", "4-6-4":
		return true
	}
	if len(shape) < 7 {
		return false
	}
	for i := range shape[:len(shape)-1] {
		if i%2 == 0 && shape[i] != '4' || i%2 == 1 && shape[i] != shape[1] {
			return false
		}
	}
	return shape[1] == ' ' || shape[1] == '-'
}

func isCard(shape, d []byte, groups int) bool {
	if len(d) < 13 || len(d) > 19 || groups > 1 && !cardShape(shape) || !issuer(d) {
		return false
	}
	return luhn(d)
}

// issuer reports whether digits begin as those of a payment card: American
// Express, Diners, JCB, Visa, Mastercard, Maestro, Discover, UnionPay, Mir.
func issuer(d []byte) bool {
	two, four := int(d[0]-'0')*10+int(d[1]-'0'), 0
	for _, c := range d[:4] {
		four = four*10 + int(c-'0')
	}
	switch {
	case d[0] == '4':
		return len(d) == 13 || len(d) == 16 || len(d) == 18 || len(d) == 19
	case two == 34 || two == 37:
		return len(d) == 15
	case two == 36, two == 38, two == 39, two == 30:
		return len(d) >= 14
	case two == 35 || two >= 51 && two <= 55 || four >= 2200 && four <= 2720:
		return len(d) >= 16
	case d[0] == '6', two == 50, two >= 56 && two <= 58:
		return len(d) >= 13
	}
	return four == 1800 || four == 2131
}

// ipv4 returns the end of the address at i, or 0.
func (s *scanner) ipv4(i int) int {
	src := s.src
	for part := 0; ; part++ {
		j, v := i, 0
		for j < len(src) && j-i < 4 && class[src[j]]&digit != 0 {
			v = v*10 + int(src[j]-'0')
			j++
		}
		if j == i || v > 255 || j-i > 1 && src[i] == '0' {
			return 0
		}
		if part == 3 {
			if s.at(j)&word != 0 || j < len(src) && src[j] == '.' && s.at(j+1)&word != 0 || j < len(src) && src[j] == '-' && s.at(j+1)&word != 0 {
				return 0
			}
			return j
		}
		if j >= len(src) || src[j] != '.' {
			return 0
		}
		i = j + 1
	}
}
