package redact

// luhn checks ISO/IEC 7812-1 annex B.
func luhn(d []byte) bool {
	sum, double := 0, false
	for i := len(d) - 1; i >= 0; i-- {
		v := int(d[i] - '0')
		if double {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
		double = !double
	}
	return sum%10 == 0
}

// mod is the remainder of a decimal number.
func mod(d []byte, m int) int {
	r := 0
	for _, c := range d {
		r = (r*10 + int(c-'0')) % m
	}
	return r
}

// weighted is the sum of digits times weights.
func weighted(d []byte, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += int(d[i]-'0') * w
	}
	return sum
}

// date reports whether digits are a month and a day that can be.
func date(month, day []byte) bool {
	m, n := mod(month, 100), mod(day, 100)
	return m >= 1 && m <= 12 && n >= 1 && n <= 31
}

func distinct(d []byte) bool {
	for _, c := range d[1:] {
		if c != d[0] {
			return true
		}
	}
	return false
}

// us checks a social security number: no check digit, areas never issued.
func us(d []byte) bool {
	area := mod(d[:3], 1000)
	return area != 0 && area != 666 && area < 900 && mod(d[3:5], 100) != 0 && mod(d[5:], 10000) != 0
}

// named checks what a text calls a social security number: taxpayer numbers
// beginning with 9 and mistyped ones are somebody's all the same.
func named(d []byte) bool { return distinct(d) }

// brazil checks a CPF's two digits.
func brazil(d []byte) bool {
	digit := func(n int) int {
		sum := 0
		for i := range n {
			sum += int(d[i]-'0') * (n + 1 - i)
		}
		return sum * 10 % 11 % 10
	}
	return distinct(d) && digit(9) == int(d[9]-'0') && digit(10) == int(d[10]-'0')
}

// belgium checks a national register number, of births before or since 2000.
func belgium(d []byte) bool {
	check := mod(d[9:], 100)
	before := 97 - mod(d[:9], 97)
	since := 97 - (mod(d[:9], 97)+2*(1_000_000_000%97))%97
	return (check == before || check == since) && date(d[2:4], d[4:6])
}

// sweden checks the last ten digits of a personal identity number.
func sweden(d []byte) bool {
	d = d[len(d)-10:]
	return luhn(d) && mod(d[2:4], 100) >= 1 && mod(d[2:4], 100) <= 12 && (mod(d[4:6], 100)-1)%60 < 31
}

// denmark checks the date of a CPR number, which has had no check digit
// since 2007.
func denmark(d []byte) bool { return date(d[2:4], d[:2]) }

// germany checks a tax identification number: ISO 7064 mod 11,10, and one
// digit that stands two or three times among the first ten.
func germany(d []byte) bool {
	var count [10]int
	product := 10
	for _, c := range d[:10] {
		count[c-'0']++
		sum := (int(c-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	repeated := 0
	for _, n := range count {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	return d[0] != '0' && repeated == 1 && (11-product)%10 == int(d[10]-'0')
}

// poland checks a PESEL.
func poland(d []byte) bool {
	return (10-weighted(d, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == int(d[10]-'0') &&
		mod(d[2:4], 20) >= 1 && mod(d[2:4], 20) <= 12 && mod(d[4:6], 100) >= 1 && mod(d[4:6], 100) <= 31
}

// netherlands checks a BSN.
func netherlands(d []byte) bool {
	return distinct(d) && (weighted(d, 9, 8, 7, 6, 5, 4, 3, 2)-int(d[8]-'0'))%11 == 0
}

// nhs checks a British health service number.
func nhs(d []byte) bool {
	check := 11 - weighted(d, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return distinct(d) && check != 10 && check%11 == int(d[9]-'0')
}

// australia checks a tax file number.
func australia(d []byte) bool {
	return distinct(d) && weighted(d, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0
}

// canada checks a social insurance number.
func canada(d []byte) bool { return d[0] != '0' && d[0] != '8' && luhn(d) }

// france checks a NIR with its key.
func france(d []byte) bool {
	month := mod(d[3:5], 100)
	return (d[0] == '1' || d[0] == '2') && (month >= 1 && month <= 12 || month >= 20) && mod(d[13:], 100) == 97-mod(d[:13], 97)
}

// verhoeff's tables: the dihedral group's multiplication and the permutation.
var (
	verhoeffD = [10][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 2, 3, 4, 0, 6, 7, 8, 9, 5},
		{2, 3, 4, 0, 1, 7, 8, 9, 5, 6},
		{3, 4, 0, 1, 2, 8, 9, 5, 6, 7},
		{4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
		{5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
		{6, 5, 9, 8, 7, 1, 0, 4, 3, 2},
		{7, 6, 5, 9, 8, 2, 1, 0, 4, 3},
		{8, 7, 6, 5, 9, 3, 2, 1, 0, 4},
		{9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	verhoeffP = [8][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 5, 7, 6, 2, 8, 3, 0, 9, 4},
		{5, 8, 0, 3, 7, 9, 6, 1, 4, 2},
		{8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0},
		{4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
		{2, 7, 9, 3, 8, 0, 6, 4, 1, 5},
		{7, 0, 4, 6, 9, 1, 3, 2, 5, 8},
	}
)

// india checks an Aadhaar number.
func india(d []byte) bool {
	if d[0] < '2' {
		return false
	}
	c := byte(0)
	for i := range d {
		c = verhoeffD[c][verhoeffP[i%8][d[len(d)-1-i]-'0']]
	}
	return c == 0
}

// china checks a resident identity number, whose last sign may be X.
func china(d []byte) bool {
	if !date(d[10:12], d[12:14]) || d[6] != '1' && d[6] != '2' || d[7] != '9' && d[7] != '0' {
		return false
	}
	sum := weighted(d, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
	return "10X98765432"[sum%11] == d[17]
}
