package redact

import (
	"bytes"
	"strings"
)

// secretWords are names whose values are secret, without "_" and "-".
var secretWords = []string{
	"password", "passwd", "pwd", "passphrase", "passcode", "secret", "clientsecret", "secretkey", "secretaccesskey", "awssecretaccesskey",
	"token", "accesstoken", "refreshtoken", "idtoken", "authtoken", "bearertoken", "sessiontoken", "apitoken", "csrftoken",
	"apikey", "accesskey", "privatekey", "signingkey", "encryptionkey", "xapikey",
	"authorization", "proxyauthorization", "cookie", "setcookie", "sessionid", "credential", "credentials",
}

var secretSet = func() map[string]bool {
	m := make(map[string]bool, len(secretWords))
	for _, w := range secretWords {
		m[w] = true
	}
	return m
}()

const longestSecretWord = 18

// secretWord reports whether a name's values are secret.
func secretWord(name string) bool {
	name = name[strings.LastIndexByte(name, '.')+1:]
	return isSecretWord([]byte(name))
}

func isSecretWord(name []byte) bool {
	if len(name) < 3 || len(name) > longestSecretWord+4 {
		return false
	}
	var b [longestSecretWord + 4]byte
	n := 0
	for _, c := range name {
		if c == '_' || c == '-' {
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b[n] = c
		n++
	}
	return secretSet[string(b[:n])]
}

// A prefix begins keys of one issuer; the rest has at least min bytes.
type prefix struct {
	text string
	min  int
}

// prefixes are filed by their first byte.
var prefixes = func() (t [256][]prefix) {
	for _, p := range []prefix{
		{"AKIA", 16},
		{"ASIA", 16},
		{"AGPA", 16},
		{"AROA", 16},
		{"AIza", 35},
		{"GOCSPX-", 20},
		{"ya29.", 20},
		{"ghp_", 36},
		{"gho_", 36},
		{"ghu_", 36},
		{"ghs_", 36},
		{"ghr_", 36},
		{"github_pat_", 40},
		{"glpat-", 20},
		{"gldt-", 20},
		{"xoxb-", 10},
		{"xoxp-", 10},
		{"xoxa-", 10},
		{"xoxr-", 10},
		{"xoxs-", 10},
		{"xapp-", 10},
		{"sk_live_", 16},
		{"sk_test_", 16},
		{"rk_live_", 16},
		{"rk_test_", 16},
		{"whsec_", 16},
		{"sk-ant-", 20},
		{"sk-proj-", 20},
		{"sk-", 32},
		{"SG.", 40},
		{"npm_", 36},
		{"pypi-", 50},
		{"dop_v1_", 60},
		{"shpat_", 32},
		{"shpss_", 32},
		{"hvs.", 24},
		{"hvb.", 24},
		{"AGE-SECRET-KEY-", 40},
		{"EAAC", 60},
		{"sq0atp-", 22},
		{"sq0csp-", 40},
		{"key-", 32},
		{"dckr_pat_", 20},
		{"tfp_", 40},
		{"lin_api_", 36},
		{"rubygems_", 40},
	} {
		t[p.text[0]] = append(t[p.text[0]], p)
	}
	return t
}()

// keyword looks at a word that may name or begin a secret, and returns where
// to go on.
func (s *scanner) keyword(i, j int) int {
	first := s.src[i]
	if first == 'e' && j-i >= 4 && s.src[i+1] == 'y' && s.src[i+2] == 'J' {
		if end := s.jwt(i); end > 0 {
			return s.add(JWT, i, end)
		}
	}
	if list := prefixes[first]; list != nil {
		if end := s.prefixed(i, list); end > 0 {
			return s.add(Secret, i, end)
		}
	}
	if j-i == 5 && first == 'B' && string(s.src[i:j]) == "BEGIN" {
		return s.pem(i, j)
	}
	switch first | 0x20 {
	case 'p', 's', 'c', 't', 'a', 'r', 'i', 'b', 'x', 'e':
		return s.named(i, j)
	}
	return j
}

// token returns the end of a run of the bytes that keys are made of.
func (s *scanner) token(i int) int {
	for i < len(s.src) && (class[s.src[i]]&word != 0 || s.src[i] == '-' || s.src[i] == '.' && s.at(i+1)&word != 0) {
		i++
	}
	return i
}

func (s *scanner) prefixed(i int, list []prefix) int {
	if s.at(i-1)&word != 0 || s.joined(i) {
		return 0
	}
	for _, p := range list {
		if bytes.HasPrefix(s.src[i:], []byte(p.text)) {
			end := s.token(i)
			if end-i >= len(p.text)+p.min && bytes.ContainsAny(s.src[i+len(p.text):end], "0123456789") {
				return end
			}
		}
	}
	return 0
}

// jwt returns the end of a token of three segments (RFC 7519), or 0.
func (s *scanner) jwt(i int) int {
	dots, last := 0, i
	k := i
	for ; k < len(s.src); k++ {
		c := s.src[k]
		if c == '.' {
			if k-last < 4 && dots < 2 {
				return 0
			}
			dots++
			last = k + 1
			if dots > 4 { // JWE has four
				break
			}
			continue
		}
		if class[c]&word == 0 && c != '-' {
			break
		}
	}
	if k > i && s.src[k-1] == '.' && dots > 2 {
		k--
	}
	if dots < 2 || last-i < 20 {
		return 0
	}
	return k
}

// pem takes in a private key up to its end line, or to the end of the text:
// a key that is cut off is a key all the same.
func (s *scanner) pem(i, j int) int {
	line := s.src[j:min(len(s.src), j+40)]
	at := bytes.Index(line, []byte("PRIVATE KEY-----"))
	if at < 0 || bytes.ContainsAny(line[:at], "\n-") {
		return j
	}
	body := j + at + len("PRIVATE KEY-----")
	end := len(s.src)
	if k := bytes.Index(s.src[body:], []byte("-----END")); k >= 0 {
		end = body + k
	}
	return s.add(Secret, body, end)
}

// named looks for the value after a name such as "password": after "=" or
// ":", with or without quotes; after "Bearer", after a space.
func (s *scanner) named(i, j int) int {
	if j-i < 3 || j-i > longestSecretWord+4 {
		return j
	}
	if j < len(s.src) && s.src[j] == '-' { // Set-Cookie, api-key
		k := j
		for k < len(s.src) && k-i <= longestSecretWord+4 && (class[s.src[k]]&word != 0 || s.src[k] == '-') {
			k++
		}
		if isSecretWord(s.src[i:k]) {
			j = k
		}
	}
	w := s.src[i:j]
	bearer := len(w) == 6 && bytes.EqualFold(w, []byte("bearer")) || len(w) == 5 && (string(w) == "Basic" || string(w) == "basic")
	if !bearer && !s.assigned(j) || !bearer && !isSecretWord(w) {
		return j
	}
	k, quote := s.value(j)
	if k == 0 || bearer && k != j+1 {
		return j
	}
	end := s.valueEnd(k, quote)
	if bearer && end-k < 12 {
		return j
	}
	if scheme := s.src[k:end]; quote == 0 && (string(scheme) == "Bearer" || string(scheme) == "Basic") {
		return j // the scheme is the next word
	}
	if end-k < 3 || emptyWord(s.src[k:end]) {
		return j
	}
	return s.add(Secret, k, end)
}

// assigned reports whether a name is followed by "=" or ":".
func (s *scanner) assigned(j int) bool {
	for k := j; k < len(s.src) && k < j+3; k++ {
		switch s.src[k] {
		case '=', ':':
			return true
		case '"', '\'', ' ', '\\':
		default:
			return false
		}
	}
	return false
}

func emptyWord(v []byte) bool {
	switch string(v) {
	case "null", "nil", "true", "false", "none", "undefined", "***", "[secret]":
		return true
	}
	return false
}

// value returns where the value after a name begins, and the quote it is in.
func (s *scanner) value(j int) (int, byte) {
	k := j
	for k < len(s.src) && k < j+6 {
		switch s.src[k] {
		case '=', ':', ' ', '\\':
			k++
			continue
		case '"', '\'':
			if k == j || k == j+1 && s.src[j] == '\\' { // the name's own closing quote
				k++
				continue
			}
			return k + 1, s.src[k]
		case '[', '{', '(', ',', '}', '\n':
			return 0, 0
		}
		break
	}
	if k == j || k >= len(s.src) {
		return 0, 0
	}
	return k, 0
}

func (s *scanner) valueEnd(k int, quote byte) int {
	end := k
	for ; end < len(s.src); end++ {
		c := s.src[end]
		if quote != 0 {
			if c == quote {
				// In a quoted string within a string the quotes are escaped.
				if s.src[end-1] == '\\' && s.src[k-2] != '\\' {
					continue
				}
				if s.src[end-1] == '\\' {
					end--
				}
				return end
			}
			continue
		}
		switch c {
		case ' ', '\t', '\n', '\r', '"', '\'', ',', ';', '&', '}', ')', ']', '<':
			return end
		}
	}
	return end
}
