package redact

// A rule says that digits of a shape are an identity number if they check
// and, where words are given, one of them stands before.
type rule struct {
	words []string
	check func([]byte) bool
}

// shapes files rules by how the digits are grouped. A number that stands
// without a word has separators of its own and a check digit, or a check that
// one number in ninety passes.
var shapes = map[string][]rule{
	"3-2-4":         {{nil, us}, {wordsUS, named}},
	"3 2 4":         {{wordsUS, named}},
	"9":             {{wordsUS, named}, {wordsNL, netherlands}, {wordsCA, canada}, {wordsAU, australia}},
	"3 3 3":         {{wordsCA, canada}, {wordsAU, australia}},
	"3-3-3":         {{nil, canada}},
	"3.3.3-2":       {{nil, brazil}},
	"11":            {{wordsBR, brazil}, {wordsPL, poland}, {wordsDE, germany}, {wordsBE, belgium}},
	"2 3 3 3":       {{nil, germany}},
	"2.2.2-3.2":     {{nil, belgium}},
	"6-4":           {{nil, sweden}, {wordsDK, denmark}},
	"8-4":           {{nil, sweden}},
	"10":            {{wordsSE, sweden}, {wordsDK, denmark}, {wordsNHS, nhs}},
	"12":            {{wordsSE, sweden}, {wordsIN, india}},
	"3 3 4":         {{wordsNHS, nhs}},
	"3-3-4":         {{wordsNHS, nhs}},
	"4 4 4":         {{nil, india}},
	"4-4-4":         {{nil, india}},
	"15":            {{nil, france}},
	"1 2 2 2 3 3 2": {{nil, france}},
	"13 2":          {{nil, france}},
	"18":            {{nil, china}},
}

var (
	wordsUS  = []string{"ssn", "social security", "social_security", "social-security", "socialsecurity"}
	wordsNL  = []string{"bsn", "burgerservice", "sofi"}
	wordsCA  = []string{"sin:", "sin ", "sin\"", "sin=", "social insurance", "social_insurance"}
	wordsAU  = []string{"tfn", "tax file", "tax_file"}
	wordsBR  = []string{"cpf"}
	wordsPL  = []string{"pesel"}
	wordsDE  = []string{"steuer", "idnr", "tax id", "tax_id", "tin"}
	wordsBE  = []string{"rijksregister", "national register", "registre national", "national_number", "niss", "insz"}
	wordsSE  = []string{"personnummer", "personal identity", "pnr"}
	wordsDK  = []string{"cpr"}
	wordsNHS = []string{"nhs"}
	wordsIN  = []string{"aadhaar", "aadhar", "uidai"}
)

// finnish looks for a personal identity code, ddmmyy, a sign for the century,
// three digits and a check character, at the last group that was left out.
func (s *scanner) finnish(g []group, next int) int {
	first := g[0]
	if first.end-first.start != 6 || len(s.src) < first.start+11 {
		return next
	}
	b := s.src[first.start : first.start+11]
	switch b[6] {
	case '-', '+':
	default:
		return next
	}
	var d [9]byte
	copy(d[:], b[:6])
	copy(d[6:], b[7:10])
	for _, c := range d {
		if c < '0' || c > '9' {
			return next
		}
	}
	if !date(b[2:4], b[:2]) || "0123456789ABCDEFHJKLMNPRSTUVWXY"[mod(d[:], 31)] != b[10] || s.at(first.start+11)&word != 0 {
		return next
	}
	return s.add(NationalID, first.start, first.start+11)
}
