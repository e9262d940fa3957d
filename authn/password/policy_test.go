package password_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/surety-go/surety/authn/password"
)

func reason(err error) string {
	var r *password.RefusedError
	if errors.As(err, &r) {
		return r.Reason
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return ""
}

func TestASVS_6_2_1_Length(t *testing.T) {
	var p password.Policy
	for _, tc := range []struct {
		password string
		alone    bool
		want     string
	}{
		{"kvmtzrw", false, "short"},
		{"kvmtzrwp", false, ""},
		{"kvmtzrwpkvmtzr", true, "short"},
		{"kvmtzr wpkdjw lq", true, ""},
		{"жцшщфйпы", false, ""},           // 8 code points in 16 bytes
		{"жцшщфйп", false, "short"},       // 7 in 14
		{"e\u0301tzqwkb", false, "short"}, // 8 code points typed, 7 in NFC
	} {
		if got := reason(p.Check(t.Context(), tc.password, tc.alone)); got != tc.want {
			t.Errorf("%q alone %t: %q, want %q", tc.password, tc.alone, got, tc.want)
		}
	}
	strict := password.Policy{MinLength: 12, MinLengthAlone: 20}
	if strict.Least(false) != 12 || strict.Least(true) != 20 || (&password.Policy{MinLength: 1, MinLengthAlone: 1}).Least(true) != 15 {
		t.Error("the least lengths of SP 800-63B-4 can't be lowered, and can be raised")
	}
}

func TestASVS_6_2_9_LongPasswordsAreAllowed(t *testing.T) {
	var p password.Policy
	for _, n := range []int{64, 128, 256} {
		pw := strings.Repeat("rö7 ", n/4)
		long := "zebra" + pw[:len(pw)-7] // no repeated piece
		if got := reason(p.Check(t.Context(), long, true)); got != "" {
			t.Errorf("about %d characters: %s", n, got)
		}
	}
	if got := reason(p.Check(t.Context(), "zebra"+strings.Repeat("x", 252), true)); got != "long" {
		t.Errorf("257 characters: %q", got)
	}
}

func TestASVS_6_2_5_NoRulesOfComposition(t *testing.T) {
	var p password.Policy
	for _, pw := range []string{"only lower case letters", "ONLYUPPERCASELETTERSHERE", "7493018265730194", "!§%&/()=?*'_:;", "spaces   count too", "🦙🐢🦔🦩🐌🦑🦥🐝"} {
		if got := reason(p.Check(t.Context(), pw, false)); got != "" {
			t.Errorf("%q: %s", pw, got)
		}
	}
}

func TestASVS_6_2_4_CommonPasswordsAreRefused(t *testing.T) {
	var p password.Policy
	common := strings.Fields(`password password1 password123 Password1! p@ssw0rd P@$$w0rd123 passw0rd1 12345678 123456789 1234567890 0123456789
		qwertyui qwertyuiop qwerty123 qwerty12345 1qaz2wsx 1q2w3e4r 1q2w3e4r5t zaq12wsx qazwsxedc asdfghjkl zxcvbnm123 iloveyou iloveyou1
		sunshine princess football baseball superman starwars trustno1 letmein1 welcome1 Welcome2026! admin123 administrator changeme
		changeme123 secret123 michael1 jennifer charlie1 jordan23 michelle computer internet whatever 11111111 00000000 88888888 abcabcabc
		abcd1234 abcdefgh aaaaaaaa 123123123 123321123 987654321 87654321 112233445566 147258369 789456123 monkey123 dragon123 master123
		shadow12 mustang1 Summer2026 Winter2025! Sommer2024 hello123 freedom1 blink182 liverpool chelsea1 arsenal1 pokemon1
		passwort passwort1 motdepasse contraseña1 minecraft nintendo samsung1 google123 linkedin 19901231 31121990 5551234567 passwordpassword qwertyqwerty
		correcthorsebatterystaple fuckyou1 lovelove babygirl1 butterfly alexander christopher`)
	for _, pw := range common {
		if got := reason(p.Check(t.Context(), pw, false)); got != "common" && got != "short" {
			t.Errorf("%s: %q, want common", pw, got)
		}
	}
	for _, pw := range []string{"seven quiet llamas dancing", "kx8!Lw2#vQ", "Tr0ub4dor&3", "unmatched-plum-vortex", "ngzkqwdp", "my dog ate 3 orange socks", "Umweltverträglichkeit"} {
		if got := reason(p.Check(t.Context(), pw, false)); got != "" {
			t.Errorf("%q: %s", pw, got)
		}
	}
}

func TestASVS_6_2_11_ContextWords(t *testing.T) {
	p := password.Policy{Context: []string{"Surety", "Acme Widgets"}}
	for _, pw := range []string{"surety2026", "Sur3ty!!!", "AcmeAcme1", "widgets99", "lovelace12", "ada.lovelace", "L0vel4ce."} {
		if got := reason(p.Check(t.Context(), pw, false, "ada.lovelace@example.org")); got != "context" {
			t.Errorf("%s: %q, want context", pw, got)
		}
	}
	if got := reason(p.Check(t.Context(), "the surety of purple rivers", false, "ada@example.org")); got != "" {
		t.Errorf("a passphrase that has a context word in it: %s", got)
	}
}

type breaches func(string) (bool, error)

func (f breaches) Breached(_ context.Context, pw string) (bool, error) { return f(pw) }

func TestASVS_6_2_12_BreachedPasswordsAreRefused(t *testing.T) {
	const pw = "unmatched-plum-vortex"
	p := password.Policy{Breaches: breaches(func(s string) (bool, error) { return s == pw, nil })}
	if got := reason(p.Check(t.Context(), pw, false)); got != "breached" {
		t.Errorf("%q", got)
	}
	down := errors.New("down")
	p.Breaches = breaches(func(string) (bool, error) { return false, down })
	if err := p.Check(t.Context(), pw, false); !errors.Is(err, down) {
		t.Errorf("without an answer: %v", err)
	}
	p.BreachesOptional = true
	if err := p.Check(t.Context(), pw, false); err != nil {
		t.Errorf("without an answer that is needed: %v", err)
	}
}

func TestPwnedSendsFiveDigits(t *testing.T) {
	const pw = "unmatched-plum-vortex"
	sum := sha1.Sum([]byte(pw))
	digest := strings.ToUpper(hex.EncodeToString(sum[:]))
	answer, status := "", 200
	p, err := password.NewPwned(password.PwnedOptions{Do: func(r *http.Request) (*http.Response, error) {
		if r.URL.String() != "https://api.pwnedpasswords.com/range/"+digest[:5] || r.Header.Get("Add-Padding") != "true" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer))}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("A", 35)
	for _, tc := range []struct {
		answer string
		status int
		want   bool
		fails  bool
	}{
		{fmt.Sprintf("%s:3\r\n%s:12\r\n", other, digest[5:]), 200, true, false},
		{fmt.Sprintf("%s:0\r\n", digest[5:]), 200, false, false}, // padding
		{other + ":9\r\n", 200, false, false},
		{"", 200, false, false},
		{"<html>", 200, false, true},
		{digest[5:] + ":many", 200, false, true},
		{"", 503, false, true},
	} {
		answer, status = tc.answer, tc.status
		got, err := p.Breached(t.Context(), pw)
		if got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%q with status %d: %t, %v", tc.answer, tc.status, got, err)
		}
		if err != nil && strings.Contains(err.Error(), digest[5:]) {
			t.Errorf("the error tells the digest: %v", err)
		}
	}
	if _, err := password.NewPwned(password.PwnedOptions{URL: "range"}); err == nil {
		t.Error("a relative URL was accepted")
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("password", "ada@example.org")
	f.Add("ſecret\u0301 ﬁ", "ﬁ")
	f.Add("\xff\xfe", "\x00")
	f.Fuzz(func(t *testing.T, pw, word string) {
		var p password.Policy
		err := p.Check(t.Context(), pw, false, word)
		var refused *password.RefusedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%q: %v", pw, err)
		}
	})
}
