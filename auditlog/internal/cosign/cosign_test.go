package cosign_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog/internal/cosign"
)

const text = "example.org/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

func signer(t testing.TB) *cosign.Signer {
	t.Helper()
	s, err := cosign.NewSigner("witness.example/w1", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func line(t testing.TB, s *cosign.Signer, at time.Time) string {
	t.Helper()
	l, err := s.Sign(text, at)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The line is one that x/mod's note opens with our verifier.
func TestNoteOpensACosignedCheckpoint(t *testing.T) {
	s := signer(t)
	at := time.Unix(1_700_000_000, 0).UTC()
	v, err := cosign.NewVerifier(s.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(text+"\n"+line(t, s, at)), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sigs) != 1 || !cosign.Time(n.Sigs[0]).Equal(at) {
		t.Errorf("signatures %+v", n.Sigs)
	}
}

func TestAnotherTextTimeOrKeyIsRefused(t *testing.T) {
	s := signer(t)
	good := line(t, s, time.Unix(1_700_000_000, 0))
	if _, ok := s.Find(text, []byte(good)); !ok {
		t.Fatal("a good line is not found")
	}
	if _, ok := s.Find(text+"x\n", []byte(good)); ok {
		t.Error("the line is valid for another text")
	}
	later := line(t, s, time.Unix(1_700_000_001, 0))
	if later == good {
		t.Error("the time is not part of the line")
	}
	other, err := cosign.NewSigner("witness.example/w1", bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Find(text, []byte(line(t, other, time.Now()))); ok {
		t.Error("another key with the same name is taken")
	}
	if s.Verify([]byte(text), make([]byte, 10)) {
		t.Error("a short signature is valid")
	}
}

func TestZeroTimeIsNoTime(t *testing.T) {
	s := signer(t)
	sig, ok := s.Find(text, []byte(line(t, s, time.Unix(0, 0))))
	if !ok || !cosign.Time(sig).IsZero() {
		t.Errorf("%v, %v", ok, cosign.Time(sig))
	}
	if !cosign.Time(note.Signature{Base64: "x"}).IsZero() {
		t.Error("no signature has a time")
	}
}

func TestKeys(t *testing.T) {
	good := signer(t).String()
	for name, bad := range map[string]string{
		"nothing":    "",
		"name":       "other" + strings.TrimPrefix(good, "witness.example/w1"),
		"hash":       strings.Replace(good, "+", "+0", 1),
		"base64":     good + "=",
		"note's key": "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
	} {
		if _, err := cosign.NewVerifier(bad); !errors.Is(err, cosign.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cosign.NewSigner("a b", make([]byte, 32)); err == nil {
		t.Error("a name with a space was taken")
	}
	if _, err := cosign.NewSigner("a", nil); err == nil {
		t.Error("no seed was taken")
	}
}

func FuzzFind(f *testing.F) {
	s, err := cosign.NewSigner("w", make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(line(f, s, time.Unix(5, 0))))
	f.Add([]byte("— w AAAA\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		if sig, ok := s.Find(text, lines); ok && cosign.Time(sig).Before(time.Unix(1, 0)) && !cosign.Time(sig).IsZero() {
			t.Error("a time before 1970")
		}
	})
}

// ML-DSA-44 signs the binary message of tlog-cosignature, written here by hand.
func TestMLDSACosignature(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, 32)
	s, err := cosign.NewSignerOf(cosign.MLDSA44, "witness.example/w1", seed)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0).UTC()
	l := line(t, s, at)
	v, err := cosign.NewVerifier(s.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(text+"\n"+l), note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 || !cosign.Time(n.Sigs[0]).Equal(at) {
		t.Fatalf("%+v, %v", n, err)
	}
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil {
		t.Fatal(err)
	}
	msg := slices.Concat([]byte("subtree/v1\n\x00"), []byte("\x12witness.example/w1"),
		[]byte{0, 0, 0, 0, 0x65, 0x53, 0xf1, 0x00}, []byte("\x0fexample.org/log"),
		make([]byte, 8), []byte{0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 32))
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	if err != nil {
		t.Fatal(err)
	}
	if err := mldsa.Verify(key.PublicKey(), msg, raw[12:], nil); err != nil {
		t.Errorf("the signature is of another message: %v", err)
	}
	if err := mldsa.Verify(key.PublicKey(), msg, raw[12:], &mldsa.Options{Context: "x"}); err == nil {
		t.Error("the signature is valid in another context")
	}
	for name, other := range map[string]string{
		"origin": strings.Replace(text, "log", "lag", 1), "size": strings.Replace(text, "\n1\n", "\n2\n", 1),
		"root": strings.Replace(text, "AAAA", "AAAB", 1), "extension line": text + "x\n", "no checkpoint": "x\n",
	} {
		if _, ok := v.Find(other, []byte(l)); ok {
			t.Errorf("the line is valid for another %s", name)
		}
	}
	for i := range raw {
		if i%97 != 0 {
			continue
		}
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if v.Verify([]byte(text), bad[4:]) && i >= 4 {
			t.Errorf("byte %d was changed, and it verifies", i)
		}
	}
	if _, err := s.Sign(text+"extension\n", at); err == nil {
		t.Error("extension lines, which the signature would not cover, were cosigned")
	}
	zero, ok := v.Find(text, []byte(line(t, s, time.Unix(0, 0))))
	if !ok || !cosign.Time(zero).IsZero() {
		t.Errorf("a timestamp of zero: %v, %v", ok, cosign.Time(zero))
	}
	ed := signer(t)
	if ed.KeyHash() == s.KeyHash() || ed.Key() == s.Key() {
		t.Error("keys of two algorithms are told to be one")
	}
	if _, err := cosign.NewSignerOf(5, "w", seed); err == nil {
		t.Error("an unknown algorithm")
	}
}
