package redact

import "bytes"

// mixed looks at a word of letters and digits in [i, j) and returns where to
// go on; j means that it is nothing.
func (s *scanner) mixed(i, j int) int {
	if s.joined(i) {
		return j
	}
	w := s.src[i:j]
	if isLetter(w[0]) && isLetter(w[1]) && class[w[2]]&digit != 0 && class[w[3]]&digit != 0 {
		if end := s.iban(i, j); end > 0 {
			return s.add(IBAN, i, end)
		}
	}
	if s.at(j)&other != 0 && s.src[j] == '@' {
		return j
	}
	var up [18]byte
	if len(w) > len(up) || len(w) < 9 {
		return s.finnish2000(i, j)
	}
	u := up[:copy(up[:], w)]
	for k, c := range u {
		if c >= 'a' && c <= 'z' {
			u[k] = c &^ 0x20
		}
	}
	switch len(u) {
	case 9:
		if spain(u) || britain(u) {
			return s.add(NationalID, i, j)
		}
	case 11:
		return s.finnish2000(i, j)
	case 16:
		if italy(u) {
			return s.add(NationalID, i, j)
		}
	case 18:
		if allDigits(u[:17]) && china(u) {
			return s.add(NationalID, i, j)
		}
	case 15:
		if corsica(u) {
			return s.add(NationalID, i, j)
		}
	}
	return j
}

// finnish2000 is a Finnish code of someone born since 2000: its sign is A.
func (s *scanner) finnish2000(i, j int) int {
	b := s.src[i:j]
	if len(b) != 11 || b[6] != 'A' || !allDigits(b[:6]) || !allDigits(b[7:10]) || !date(b[2:4], b[:2]) {
		return j
	}
	d := append(append(make([]byte, 0, 9), b[:6]...), b[7:10]...)
	if "0123456789ABCDEFHJKLMNPRSTUVWXY"[mod(d, 31)] != b[10] {
		return j
	}
	return s.add(NationalID, i, j)
}

func isLetter(c byte) bool { return class[c]&(lower|upper) != 0 }

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// spain checks a DNI or NIE: its letter is the number's remainder by 23.
func spain(u []byte) bool {
	var d [8]byte
	copy(d[:], u[:8])
	switch d[0] {
	case 'X', 'Y', 'Z':
		d[0] -= 'X' - '0'
	}
	return allDigits(d[:]) && "TRWAGMYFPDXBNJZSQVHLCKE"[mod(d[:], 23)] == u[8]
}

// britain checks a national insurance number, which has no check digit but
// prefixes that are never given out.
func britain(u []byte) bool {
	if !isLetter(u[0]) || !isLetter(u[1]) || !allDigits(u[2:8]) || u[8] < 'A' || u[8] > 'D' {
		return false
	}
	if bytes.IndexByte([]byte("DFIQUV"), u[0]) >= 0 || bytes.IndexByte([]byte("DFIOQUV"), u[1]) >= 0 {
		return false
	}
	switch string(u[:2]) {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return true
}

// italyOdd are the values of 0-9 and of A-Z in odd places.
var italyOdd = [36]int{
	1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
	1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
}

// italy checks a codice fiscale.
func italy(u []byte) bool {
	sum := 0
	for i, c := range u {
		letter := c >= 'A' && c <= 'Z'
		numeric := i == 6 || i == 7 || i == 9 || i == 10 || i >= 12 && i <= 14
		if !letter && (!numeric || c < '0' || c > '9') {
			return false
		}
		v, odd := int(c-'0'), int(c-'0')
		if letter {
			v, odd = int(c-'A'), int(c-'A')+10
		}
		if numeric && letter && bytes.IndexByte([]byte("LMNPQRSTUV"), c) < 0 {
			return false
		}
		switch {
		case i == 15:
			return byte('A'+sum%26) == c
		case i%2 == 0:
			sum += italyOdd[odd]
		default:
			sum += v
		}
	}
	return false
}

// corsica is a French number whose department is 2A or 2B.
func corsica(u []byte) bool {
	if u[5] != '2' || u[6] != 'A' && u[6] != 'B' {
		return false
	}
	d := append(make([]byte, 0, 15), u...)
	d[5], d[6] = '1', u[6]-'A'+'9'
	if u[6] == 'B' {
		d[6] = '8'
	}
	return allDigits(d) && france(d)
}

// ibanLengths are the lengths by country, ISO 13616 registry.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
	"IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
	"LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18,
	"NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31,
	"SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29,
	"VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// iban returns the end of the account number that begins at i, written in one
// or in groups of four, or 0.
func (s *scanner) iban(i, j int) int {
	var b [34]byte
	n := 0
	country := [2]byte{s.src[i] &^ 0x20, s.src[i+1] &^ 0x20}
	length := ibanLengths[string(country[:])]
	if length == 0 || j-i != length && j-i != 4 {
		return 0
	}
	k := i
	for ; n < length && k < len(s.src); k++ {
		c := s.src[k]
		switch {
		case class[c]&(lower|upper|digit) != 0:
			if c >= 'a' {
				c &^= 0x20
			}
			b[n] = c
			n++
		case (c == ' ' || c == '-') && n%4 == 0 && j-i == 4:
		default:
			return 0
		}
	}
	if n != length || s.at(k)&word != 0 {
		return 0
	}
	r := 0
	for m := range n {
		c := b[(m+4)%n]
		if c <= '9' {
			r = (r*10 + int(c-'0')) % 97
		} else {
			r = (r*100 + int(c-'A') + 10) % 97
		}
	}
	if r != 1 {
		return 0
	}
	return k
}
