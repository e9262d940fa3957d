package redact

// phoneWords say that a number after them is a phone number.
var phoneWords = []string{"phone", "tel", "mobile", "fax", "cell", "msisdn", "whatsapp", "sms", "call", "dial", "handy", "mobil"}

// callingCode is the length of the ITU-T E.164 calling code that d begins
// with, or 0.
func callingCode(d []byte) int {
	if len(d) < 3 {
		return 0
	}
	if d[0] == '1' || d[0] == '7' {
		return 1
	}
	switch two := int(d[0]-'0')*10 + int(d[1]-'0'); two {
	case 20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49,
		51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66,
		81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98:
		return 2
	case 21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99:
		return 3
	}
	return 0
}

// international returns the end of the number after a "+" or "00" that takes
// the first skip digits, or 0. It takes as many groups as E.164 allows.
func (s *scanner) international(g []group, skip int) int {
	var digits [40]byte
	d := digits[:0]
	end := 0
	for i, x := range g {
		if len(d)+x.end-x.start > 15+skip {
			break
		}
		d = append(d, s.src[x.start:x.end]...)
		if len(d)-skip >= 7 {
			end = x.end
		}
		if i < len(g)-1 && x.sep == ' ' && len(d)-skip >= 11 && s.at(g[i+1].end)&word == 0 && g[i+1].end-g[i+1].start > 4 {
			break // another number
		}
	}
	if end == 0 || callingCode(d[skip:]) == 0 {
		return 0
	}
	return end
}

// national decides about digits without a "+": North American grouping
// stands by itself, "00" with groups too; anything else needs a word before.
func (s *scanner) national(g []group, shape, d []byte) bool {
	switch string(shape) {
	case "3-3-4", "3.3.4", "3*3-4", "3*3 4":
		if d[0] >= '2' && d[3] >= '2' && (shape[1] != '*' || s.at(g[0].start-1) == 0 && g[0].start > 0 && s.src[g[0].start-1] == '(') {
			return true
		}
	case "1-3-3-4", "1.3.3.4", "1*3*3-4", "1*3-3-4":
		if d[0] == '1' && d[1] >= '2' && d[4] >= '2' {
			return true
		}
	}
	if len(d) >= 11 && len(g) > 1 && d[0] == '0' && d[1] == '0' && d[2] != '0' && callingCode(d[2:]) > 0 && g[0].end-g[0].start <= 5 &&
		!(s.at(g[0].start-1) == 0 && s.at(g[0].start-2)&digit != 0) { // not the middle of something longer
		return true
	}
	return s.context(g[0].start, phoneWords)
}
