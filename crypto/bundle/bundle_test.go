package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/bundle"
)

var (
	evidence = crypto.Binding{Tenant: "acme", Purpose: "evidence 2026-Q3"}
	token    insecuresecretdataaccess.Token
)

const segment = 64 << 10

func newIdentity(t testing.TB) *bundle.Identity {
	t.Helper()
	id, err := bundle.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func seal(t testing.TB, to *bundle.Recipient, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := bundle.NewWriter(&buf, to, evidence)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(plain); n != len(plain) || err != nil {
		t.Fatal(n, err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("written after Close")
	}
	return buf.Bytes()
}

func open(sealed []byte, id *bundle.Identity, b crypto.Binding) ([]byte, error) {
	r, err := bundle.NewReader(bytes.NewReader(sealed), id, b)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestSealAndOpen(t *testing.T) {
	id := newIdentity(t)
	to, err := bundle.ParseRecipient(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, segment - 1, segment, segment + 1, 3 * segment} {
		plain := noise(n)
		sealed := seal(t, to, plain)
		got, err := open(sealed, id, evidence)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
		}
		if n > 32 && bytes.Contains(sealed, plain[:32]) {
			t.Error("the bundle shows what is inside")
		}
		slow, err := bundle.NewReader(iotest.OneByteReader(bytes.NewReader(sealed)), id, evidence)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(slow); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes slowly: %v", n, err)
		}
	}
}

func TestNotForOthers(t *testing.T) {
	id := newIdentity(t)
	sealed := seal(t, id.Recipient(), []byte("report"))
	if got, err := open(sealed, newIdentity(t), evidence); len(got) > 0 || !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("another identity: %q, %v", got, err)
	}
	other := evidence
	other.Purpose = "evidence 2026-Q4"
	if _, err := open(sealed, id, other); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("another quarter: %v", err)
	}
}

func TestTampering(t *testing.T) {
	id := newIdentity(t)
	sealed := seal(t, id.Recipient(), noise(2*segment+100))
	const head, full = 1124, segment + 16
	first, second, third := sealed[head:head+full], sealed[head+full:head+2*full], sealed[head+2*full:]
	join := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{sealed[:head]}, parts...), nil) }
	for name, bad := range map[string][]byte{
		"cut at a segment": join(first, second),
		"cut within":       sealed[:len(sealed)-1],
		"header only":      join(),
		"half a header":    sealed[:100],
		"empty":            nil,
		"one left out":     join(first, third),
		"exchanged":        join(second, first, third),
		"repeated":         join(first, first, second, third),
		"last twice":       join(first, second, third, third),
		"something after":  append(bytes.Clone(sealed), 0),
	} {
		if _, err := open(bad, id, evidence); !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, i := range []int{0, 1, 2, 3, 4, 500, head - 1, head, head + full, len(sealed) - 1} {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := open(bad, id, evidence); !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("bit of byte %d: %v", i, err)
		}
	}
}

func TestFaultsArePassedOn(t *testing.T) {
	id, fault := newIdentity(t), errors.New("disk")
	sealed := seal(t, id.Recipient(), noise(2*segment))
	for _, n := range []int{10, 2000, 100_000} {
		r, err := bundle.NewReader(io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(fault)), id, evidence)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, fault) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	w, err := bundle.NewWriter(&limited{2000, fault}, id.Recipient(), evidence)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(noise(2 * segment)); !errors.Is(err, fault) {
		t.Errorf("writing: %v", err)
	}
	if err := w.Close(); !errors.Is(err, fault) {
		t.Errorf("closing: %v", err)
	}
	if _, err := bundle.NewWriter(&limited{0, fault}, id.Recipient(), evidence); !errors.Is(err, fault) {
		t.Errorf("header: %v", err)
	}
}

type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}

func TestKeys(t *testing.T) {
	id := newIdentity(t)
	secret, err := id.Export(token)
	if err != nil {
		t.Fatal(err)
	}
	back, err := bundle.ImportIdentity(secret, token)
	if err != nil || back.Recipient().String() != id.String() {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", id, id, id, id); strings.Contains(text, secret) || strings.Count(text, "surety-recipient-1:") != 4 {
		t.Error("an identity prints its secret")
	}
	for _, bad := range []string{"", "surety-recipient-1:", "surety-recipient-1:AAAA", "surety-recipient-1:!", secret, id.String() + "=", strings.Repeat("A", 5000)} {
		if _, err := bundle.ParseRecipient(bad); !errors.Is(err, bundle.ErrKey) || strings.Contains(err.Error(), secret[30:50]) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	if _, err := bundle.ImportIdentity(id.String(), token); !errors.Is(err, bundle.ErrKey) {
		t.Errorf("a recipient as identity: %v", err)
	}
	if _, err := bundle.ImportIdentity("SURETY-SECRET-IDENTITY-1:AAAA", token); !errors.Is(err, bundle.ErrKey) {
		t.Errorf("a short identity: %v", err)
	}
}

func TestArguments(t *testing.T) {
	id := newIdentity(t)
	_, w1 := bundle.NewWriter(io.Discard, nil, evidence)
	_, r1 := bundle.NewReader(strings.NewReader(""), nil, evidence)
	_, w2 := bundle.NewWriter(io.Discard, id.Recipient(), crypto.Binding{})
	_, r2 := bundle.NewReader(strings.NewReader(""), id, crypto.Binding{})
	if !errors.Is(w1, bundle.ErrKey) || !errors.Is(r1, bundle.ErrKey) || !errors.Is(w2, crypto.ErrBinding) || !errors.Is(r2, crypto.ErrBinding) {
		t.Error(w1, r1, w2, r2)
	}
}

// A bundle of every version that was ever written opens: the file is kept for
// ever. Its identity is of no use for anything else.
func TestKnownAnswer(t *testing.T) {
	raw, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Identity, Plain string
		Bundle          []byte
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	id, err := bundle.ImportIdentity(v.Identity, token)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := open(v.Bundle, id, evidence); err != nil || string(got) != v.Plain {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzReader(f *testing.F) {
	id := newIdentity(f)
	sealed := seal(f, id.Recipient(), noise(100))
	f.Add(sealed)
	f.Add(sealed[:1124])
	f.Add([]byte{0xA5, 0x42, 1, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := open(in, id, evidence)
		if err == nil && (!bytes.Equal(in, sealed) || !bytes.Equal(got, noise(100))) {
			t.Errorf("%d bytes opened", len(in))
		}
	})
}

func FuzzParseRecipient(f *testing.F) {
	f.Add(newIdentity(f).String())
	f.Add("surety-recipient-1:AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := bundle.ParseRecipient(text); err == nil && r.String() != text {
			t.Error("two texts for one recipient")
		}
	})
}

func Example() {
	auditor, err := bundle.NewIdentity() // at the auditor's, once
	if err != nil {
		log.Fatal(err)
	}
	what := crypto.Binding{Tenant: "acme", Purpose: "evidence 2026-Q3"}

	var file bytes.Buffer
	w, err := bundle.NewWriter(&file, auditor.Recipient(), what)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(w, "all controls passed")
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	r, err := bundle.NewReader(&file, auditor, what)
	if err != nil {
		log.Fatal(err)
	}
	report, err := io.ReadAll(r)
	fmt.Println(string(report), err)
	// Output: all controls passed <nil>
}
