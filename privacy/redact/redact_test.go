package redact_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/privacy/redact"
)

func newRedactor(t testing.TB, o redact.Options) *redact.Redactor {
	t.Helper()
	r, err := redact.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFound(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	jwt := "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	for in, want := range map[string]string{
		"mail ann.b+x@mail.example.co.uk.":                "mail [email].",
		`{"user":"john.5551234567@x.com"}`:                `{"user":"[email]"}`,
		"to <jörg@müller.example>":                        "to <[email]>",
		"o'neil@example.com,b@c.de":                       "[email],[email]",
		"call +49 30 123456 now":                          "call [phone] now",
		"+1 (212) 555-0123":                               "[phone]",
		"(212) 555-0123":                                  "[phone]",
		"212-555-0123":                                    "[phone]",
		"0049 30 1234567":                                 "[phone]",
		`"phone":"030 1234567"`:                           `"phone":"[phone]"`,
		`"mobilePhone": "0170/1234567"`:                   `"mobilePhone": "[phone]"`,
		"card 4111 1111 1111 1111 ok":                     "card [card] ok",
		`{"pan":4111111111111111,"x":1}`:                  `{"pan":"[card]","x":1}`,
		"371449635398431 5105-1051-0510-5100":             "[card] [card]",
		"status 200 4111 1111 1111 1111":                  "status 200 [card]",
		"DE89 3704 0044 0532 0130 00":                     "[iban]",
		"iban=GB82WEST12345698765432;":                    "iban=[iban];",
		"FR1420041010050500013M02606":                     "[iban]",
		"ssn 536-90-4399":                                 "ssn [national]",
		`"ssn":"536904399"`:                               `"ssn":"[national]"`,
		"dni 12345678Z, X1234567L":                        "dni [national], [national]",
		"RSSMRA85T10A562S":                                "[national]",
		"hetu 131052-308T":                                "hetu [national]",
		"AB123456C":                                       "[national]",
		"cpf 390.533.447-05":                              "cpf [national]",
		"85.07.30-033.28":                                 "[national]",
		"811218-9876":                                     "[national]",
		"11010519491231002X":                              "[national]",
		"steuer-id 86095742719":                           "steuer-id [national]",
		"bsn 111222333":                                   "bsn [national]",
		"pesel 44051401359":                               "pesel [national]",
		"1 85 05 78 006 084 91":                           "[national]",
		"2345 6789 0124":                                  "[national]",
		"nhs number 943 476 5919":                         "nhs number [national]",
		"from 192.0.2.17:443":                             "from [ip]:443",
		"http://10.0.0.1/x":                               "http://[ip]/x",
		"peer 2001:db8::1 up":                             "peer [ip] up",
		"[fe80::1%eth0]:80":                               "[[ip]%eth0]:80",
		"::1 and 2001:db8:0:0:0:0:2:1":                    "[ip] and [ip]",
		"token is " + jwt + ", ok":                        "token is [jwt], ok",
		"Authorization: Bearer abcdef0123456789abcd":      "Authorization: Bearer [secret]",
		`{"password":"p\"w, d","x":"y"}`:                  `{"password":"[secret]","x":"y"}`,
		"?api_key=k1k2k3k4&x=1":                           "?api_key=[secret]&x=1",
		"client_secret: s3cr3t!":                          "client_secret: [secret]",
		"key AKIAIOSFODNN7EXAMPLE leaked":                 "key [secret] leaked",
		"ghp_0123456789abcdefghijklmnopqrstuvwxyz":        "[secret]",
		"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIV": "-----BEGIN PRIVATE KEY-----[secret]-----END PRIV",
		`"msg":"{\"password\":\"hunter22\"}"`:             `"msg":"{\"password\":\"[secret]\"}"`,
		"Set-Cookie: sid=abcdef; Path=/":                  "Set-Cookie: [secret]; Path=/",
	} {
		if got := r.String(in); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestLeftAlone(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	for _, in := range []string{
		`{"time":"2026-11-24T03:51:25.123456789Z","level":"INFO","msg":"done","dur_ms":12.345,"bytes":1048576}`,
		"550e8400-e29b-41d4-a716-446655440000", "request 7f3a9c1e2b4d5f60718293a4b5c6d7e8",
		"4111111111111112", "card 1234 5678 9012 3456", "order 20261124001", "build 1.2.3.4-beta", "Chrome/120.0.0.0", "v1.2.3.4",
		"react@18.2.0", "user@localhost", "@handle", "a @ b.com", "12:30:45", "00:1a:2b:3c:4d:5e", "1700000000000", "id=9876543210",
		"DE00 3704 0044 0532 0130 00", "12345678A", "RSSMRA85T10A562T", "131052-309T", "666-12-3456", "811218-9875",
		`"password":null`, "token", "the password: is", "hotel 12345678", "256.1.1.1", "1.2.3", "2026-11-24 03:51:25",
		"GET /v1/orders/123456789 HTTP/1.1 200 1523", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "::", "std::vector",
	} {
		if got := r.String(in); got != in && in != "the password: is" {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestFindHasPlacesInOrder(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	text := "a@b.cc 4111111111111111 10.0.0.1"
	got := r.Find(nil, []byte(text))
	want := []redact.Match{{redact.Email, 0, 6}, {redact.Card, 7, 23}, {redact.IP, 24, 32}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOptions(t *testing.T) {
	r := newRedactor(t, redact.Options{Keep: []redact.Type{redact.IP}, Replace: func(dst []byte, ty redact.Type, v []byte) []byte {
		return append(append(dst, ty.String()...), byte('0'+len(v)))
	}})
	if got := r.String("10.0.0.1 a@b.cc"); got != "10.0.0.1 email6" {
		t.Errorf("%q", got)
	}
	if _, err := redact.New(redact.Options{Keep: []redact.Type{99}}); err == nil {
		t.Error("a type that does not exist was accepted")
	}
}

func TestJSONStaysJSON(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	in := `{"card":4111111111111111,"phone": 2125550123,"list":["a@b.cc"],"n":1}`
	out := r.Append(nil, []byte(in))
	if !json.Valid(out) || strings.Contains(string(out), "4111") || strings.Contains(string(out), "2125550123") {
		t.Errorf("%s", out)
	}
}

func TestCleanTextCostsNothing(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	line := []byte(`{"level":"INFO","msg":"request","status":200,"route":"GET /v1/x","ip":"192.0.2.1","who":"ann@example.com"}`)
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = r.Append(dst[:0], line) }); n > 0 {
		t.Errorf("%v allocations for a line", n)
	}
}

func FuzzAppend(f *testing.F) {
	for _, s := range []string{
		"a@b.cc", "+49 30 123456", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "::1", "fe80::1:", "eyJ.eyJ.x", "password=\"", `password":"\`, "131052-308T",
		"-----BEGIN RSA PRIVATE KEY-----", "Bearer ", "1.2.3.4", "AKIA", "@.", "@", "+1", "::", "set-cookie:x=y",
	} {
		f.Add([]byte(s))
	}
	r := newRedactor(f, redact.Options{})
	f.Fuzz(func(t *testing.T, in []byte) {
		before := string(in)
		at := 0
		for _, m := range r.Find(nil, in) {
			if m.Start < at || m.End <= m.Start || m.End > len(in) {
				t.Fatalf("%q: match %v after %d", in, m, at)
			}
			at = m.End
		}
		r.Append(nil, in)
		if string(in) != before {
			t.Fatal("the text was changed")
		}
	})
}
