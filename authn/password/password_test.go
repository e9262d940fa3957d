package password_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/controls"
)

// quick are the least parameters that New accepts.
var quick = password.Options{Memory: 7168, Passes: 5}

func newHasher(t testing.TB, o password.Options) *password.Hasher {
	t.Helper()
	h, err := password.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hash(t testing.TB, h *password.Hasher, pw string) string {
	t.Helper()
	s, err := h.Hash(t.Context(), pw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASVS_6_2_8_VerifiedAsTyped(t *testing.T) {
	h := newHasher(t, quick)
	for _, pw := range []string{"p", " leading and trailing ", "Пароль из слов", "🦙🦙🦙", strings.Repeat("x", password.MaxLength)} {
		encoded := hash(t, h, pw)
		if up, err := h.Verify(t.Context(), encoded, pw); err != nil || up != "" {
			t.Errorf("%d bytes: %q, %v", len(pw), up, err)
		}
		for _, wrong := range []string{"", pw + "x", strings.ToUpper(pw) + ".", strings.TrimSpace(pw) + "\t", pw[:len(pw)-1]} {
			if _, err := h.Verify(t.Context(), encoded, wrong); !errors.Is(err, password.ErrMismatch) {
				t.Errorf("%d bytes instead of %d: %v", len(wrong), len(pw), err)
			}
		}
	}
	if a, b := hash(t, h, "same"), hash(t, h, "same"); a == b {
		t.Error("two hashes of one password are equal: the salt is not random")
	}
	if !strings.HasPrefix(hash(t, h, "x"), "$argon2id$v=19$m=7168,t=5,p=1$") {
		t.Errorf("%s", hash(t, h, "x"))
	}
}

// A password typed on two systems is one password, SP 800-63B-4, 3.1.1.2.
func TestUnicodeFormsAreOnePassword(t *testing.T) {
	h := newHasher(t, quick)
	if _, err := h.Verify(t.Context(), hash(t, h, "cafe\u0301"), "caf\u00e9"); err != nil {
		t.Errorf("decomposed and composed: %v", err)
	}
	for _, bad := range []string{"", "\xff", strings.Repeat("x", password.MaxLength+1)} {
		if _, err := h.Hash(t.Context(), bad); !errors.Is(err, password.ErrInput) {
			t.Errorf("%d bytes were hashed: %v", len(bad), err)
		}
	}
}

func scryptRFC7914(t *testing.T) string {
	t.Helper()
	// RFC 7914 section 12, second vector with N=16384: "pleaseletmein".
	sum, err := hex.DecodeString("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
		"d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")
	if err != nil {
		t.Fatal(err)
	}
	b := base64.RawStdEncoding
	return "$scrypt$ln=14,r=8,p=1$" + b.EncodeToString([]byte("SodiumChloride")) + "$" + b.EncodeToString(sum)
}

func TestKnownHashes(t *testing.T) {
	h := newHasher(t, quick)
	for name, v := range map[string]struct{ encoded, password string }{
		// The argon2 reference implementation's src/test.c.
		"argon2id": {"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
		"argon2i":  {"$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "password"},
		// crypt_blowfish's wrapper.c.
		"bcrypt": {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		"scrypt": {scryptRFC7914(t), "pleaseletmein"},
		// The vectors of RFC 6070 with SHA-256 in place of SHA-1; 40 bytes.
		"pbkdf2-sha256": {"$pbkdf2-sha256$i=4096$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0$NIyJ28vTKy8y2BS4EW6EzysXNH68GAAYHE4qH7jdU+HGNVGMfaxH6Q", "passwordPASSWORDpassword"},
	} {
		t.Run(name, func(t *testing.T) {
			upgraded, err := h.Verify(t.Context(), v.encoded, v.password)
			if err != nil {
				t.Fatal(err)
			}
			if name != "argon2id" && !strings.HasPrefix(upgraded, "$argon2id$") {
				t.Errorf("upgraded to %q", upgraded)
			}
			if upgraded != "" {
				if again, err := h.Verify(t.Context(), upgraded, v.password); err != nil || again != "" {
					t.Errorf("the upgraded hash: %q, %v", again, err)
				}
			}
			if up, err := h.Verify(t.Context(), v.encoded, v.password+"x"); !errors.Is(err, password.ErrMismatch) || up != "" {
				t.Errorf("a wrong password: %q, %v", up, err)
			}
		})
	}
}

func TestASVS_11_4_2_WeakHashesAreUpgradedAtLogin(t *testing.T) {
	weak, strong := newHasher(t, quick), newHasher(t, password.Options{Memory: 8192, Passes: 6})
	encoded := hash(t, weak, "pw")
	up, err := strong.Verify(t.Context(), encoded, "pw")
	if err != nil || !strings.Contains(up, "m=8192,t=6") || strong.Outdated(up) || !strong.Outdated(encoded) {
		t.Errorf("%q, %v", up, err)
	}
	if up, err := strong.Verify(t.Context(), encoded, "wrong"); up != "" || !errors.Is(err, password.ErrMismatch) {
		t.Errorf("a wrong password is upgraded: %q, %v", up, err)
	}
	// A stronger hash stays when the options go down.
	if up, err := weak.Verify(t.Context(), hash(t, strong, "pw"), "pw"); up != "" || err != nil {
		t.Errorf("a stronger hash is replaced: %q, %v", up, err)
	}
}

func TestBcryptTakesTheBytesAsTyped(t *testing.T) {
	h := newHasher(t, quick)
	long := strings.Repeat("abcdefgh", 10) // bcrypt uses 72 bytes
	sum, err := bcrypt.GenerateFromPassword([]byte(long[:72]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	up, err := h.Verify(t.Context(), string(sum), long)
	if err != nil || up == "" {
		t.Fatalf("80 bytes on a bcrypt hash: %q, %v", up, err)
	}
	if _, err := h.Verify(t.Context(), up, long[:72]); !errors.Is(err, password.ErrMismatch) {
		t.Errorf("after the upgrade the rest of the password counts: %v", err)
	}
}

func TestPepperRotates(t *testing.T) {
	old := password.Pepper{ID: "2025", Key: []byte(strings.Repeat("o", 32))}
	fresh := password.Pepper{ID: "2026", Key: []byte(strings.Repeat("n", 32))}
	with := func(p ...password.Pepper) *password.Hasher {
		o := quick
		o.Peppers = p
		return newHasher(t, o)
	}
	before := hash(t, with(old), "pw")
	up, err := with(fresh, old).Verify(t.Context(), before, "pw")
	if err != nil || !strings.Contains(up, "keyid="+base64.RawStdEncoding.EncodeToString([]byte("2026"))) {
		t.Fatalf("%q, %v", up, err)
	}
	if _, err := with(fresh).Verify(t.Context(), before, "pw"); !errors.Is(err, password.ErrPepper) {
		t.Errorf("without the old pepper: %v", err)
	}
	if _, err := with(password.Pepper{ID: "2026", Key: old.Key}).Verify(t.Context(), up, "pw"); !errors.Is(err, password.ErrMismatch) {
		t.Errorf("with another key under the same id: %v", err)
	}
	// A stolen table without the pepper is of no use.
	noKey := strings.Replace(before, ",keyid="+base64.RawStdEncoding.EncodeToString([]byte("2025")), "", 1)
	if _, err := newHasher(t, quick).Verify(t.Context(), noKey, "pw"); !errors.Is(err, password.ErrMismatch) {
		t.Errorf("the pepper does not count: %v", err)
	}
	if up, err := with(old).Verify(t.Context(), hash(t, newHasher(t, quick), "pw"), "pw"); err != nil || up == "" {
		t.Errorf("a hash without pepper: %q, %v", up, err)
	}
}

// Whoever can write the table must not be able to make a login cost more
// than it does.
func TestStoredParametersAreCapped(t *testing.T) {
	h := newHasher(t, quick)
	salt, sum := "c29tc2FsdHNvbWVzYWx0", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	start := time.Now()
	for _, params := range []string{
		"$argon2id$v=19$m=4294967295,t=1,p=1", "$argon2id$v=19$m=1048576,t=64,p=1", "$argon2id$v=19$m=65536,t=4294967295,p=1",
		"$argon2id$v=19$m=65536,t=1,p=255", "$argon2id$v=19$m=65536,t=0,p=1", "$argon2id$v=19$m=65536,t=1,p=0", "$argon2id$v=19$m=7,t=1,p=1",
		"$argon2id$v=16$m=65536,t=1,p=1", "$argon2d$v=19$m=65536,t=1,p=1", "$argon2id$m=65536,t=1,p=1",
		"$argon2id$v=19$m=065536,t=1,p=1", "$argon2id$v=19$m=65536,t=1,p=1,p=1", "$argon2id$v=19$t=1,m=65536,p=1", "$argon2id$v=19$m=+65536,t=1,p=1",
		"$argon2id$v=19$m=65536,t=1,p=1,keyid=", "$argon2id$v=19$m=65536,t=1,p=1,data=QQ", "$scrypt$ln=21,r=8,p=1", "$scrypt$ln=20,r=32,p=1",
		"$scrypt$ln=0,r=8,p=1", "$scrypt$ln=14,r=8,p=17", "$scrypt$ln=64,r=8,p=1", "$pbkdf2-sha256$i=4294967295", "$pbkdf2-sha256$i=0", "$pbkdf2-sha1$i=1000", "$md5$x=1",
	} {
		if _, err := h.Verify(t.Context(), params+"$"+salt+"$"+sum, "password"); !errors.Is(err, password.ErrEncoding) {
			t.Errorf("%s: %v, want ErrEncoding", params, err)
		}
	}
	for _, bad := range []string{
		"x", "$", "plain text password", "$argon2id$v=19$m=65536,t=1,p=1$" + salt, "$argon2id$v=19$m=65536,t=1,p=1$" + salt + "$" + sum + "$x",
		"$argon2id$v=19$m=65536,t=1,p=1$AA$" + sum, "$argon2id$v=19$m=65536,t=1,p=1$" + salt + "$AA", "$argon2id$v=19$m=65536,t=1,p=1$" + salt + "==$" + sum,
		"$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$2a$05$short", strings.Repeat("$", 10_000),
	} {
		if _, err := h.Verify(t.Context(), bad, "password"); !errors.Is(err, password.ErrEncoding) {
			t.Errorf("%.40q: %v, want ErrEncoding", bad, err)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("refusing took %v", d)
	}
}

// The attack: ask for a hundred names and time the answers.
func TestUnknownAccountCostsAHash(t *testing.T) {
	h := newHasher(t, quick)
	encoded := hash(t, h, "right")
	var known, unknown []time.Duration
	clock := func(encoded string) time.Duration {
		start := time.Now()
		if _, err := h.Verify(t.Context(), encoded, "wrong"); !errors.Is(err, password.ErrMismatch) {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	for range 9 {
		known, unknown = append(known, clock(encoded)), append(unknown, clock(""))
	}
	a, b := slices.Min(known), slices.Min(unknown)
	if ratio := float64(a) / float64(b); ratio < 0.7 || ratio > 1.4 {
		t.Errorf("a known account takes %v, an unknown one %v", a, b)
	}
}

func TestHashingIsBounded(t *testing.T) {
	o := quick
	o.Concurrency = 1
	h := newHasher(t, o)
	release := password.Occupy(h)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := h.Hash(ctx, "pw"); !errors.Is(err, password.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Hash with no slot free: %v", err)
	}
	if _, err := h.Verify(ctx, "", "pw"); !errors.Is(err, password.ErrBusy) {
		t.Errorf("Verify with no slot free: %v", err)
	}
	release()
	hash(t, h, "pw")
	hash(t, h, "pw") // the slot was given back
}

func TestFIPSModeUsesPBKDF2(t *testing.T) {
	h := newHasher(t, quick)
	old := hash(t, h, "pw")
	password.SetFIPS(h)
	encoded := hash(t, h, "pw")
	if !strings.HasPrefix(encoded, "$pbkdf2-sha512$i=220000$") {
		t.Fatalf("%s", encoded)
	}
	if up, err := h.Verify(t.Context(), encoded, "pw"); up != "" || err != nil {
		t.Errorf("%q, %v", up, err)
	}
	if _, err := h.Verify(t.Context(), encoded, "pv"); !errors.Is(err, password.ErrMismatch) {
		t.Errorf("%v", err)
	}
	if up, err := h.Verify(t.Context(), old, "pw"); err != nil || !strings.HasPrefix(up, "$pbkdf2-sha512$") {
		t.Errorf("an argon2id hash: %q, %v", up, err)
	}
}

func TestBadOptions(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	for name, o := range map[string]password.Options{
		"memory":      {Memory: 4096, Passes: 10},
		"work":        {Memory: 7168, Passes: 4},
		"too much":    {Memory: 2 << 20},
		"lanes":       {Lanes: 65},
		"iterations":  {Iterations: 1000},
		"concurrency": {Concurrency: -1},
		"short key":   {Peppers: []password.Pepper{{ID: "a", Key: key[:31]}}},
		"no id":       {Peppers: []password.Pepper{{Key: key}}},
		"twice":       {Peppers: []password.Pepper{{ID: "a", Key: key}, {ID: "a", Key: key}}},
	} {
		if _, err := password.New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestProbe(t *testing.T) {
	h := newHasher(t, password.Options{})
	c := h.Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	password.Occupy(h)
	for range 1024 {
		password.TryOccupy(h)
	}
	if r := c.Run(ctx); r.State != controls.Error {
		t.Errorf("without a slot: %+v", r)
	}
}

func FuzzEncoding(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=65536,t=2,p=1,keyid=MjAyNg$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$pbkdf2-sha512$i=220000$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	f.Fuzz(func(t *testing.T, s string) {
		again, err := password.Reencode(s)
		if err == nil && again != s {
			t.Errorf("%q has a second spelling, %q", again, s)
		}
	})
}
