package cosign_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

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

// The line is one that x/mod's note opens with our verifier.
func TestNoteOpensACosignedCheckpoint(t *testing.T) {
	s := signer(t)
	at := time.Unix(1_700_000_000, 0).UTC()
	v, err := cosign.NewVerifier(s.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(text+"\n"+s.Sign(text, at)), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sigs) != 1 || !cosign.Time(n.Sigs[0]).Equal(at) {
		t.Errorf("signatures %+v", n.Sigs)
	}
}

func TestAnotherTextTimeOrKeyIsRefused(t *testing.T) {
	s := signer(t)
	line := s.Sign(text, time.Unix(1_700_000_000, 0))
	if _, ok := s.Find(text, []byte(line)); !ok {
		t.Fatal("a good line is not found")
	}
	if _, ok := s.Find(text+"x\n", []byte(line)); ok {
		t.Error("the line is valid for another text")
	}
	later := s.Sign(text, time.Unix(1_700_000_001, 0))
	if later == line {
		t.Error("the time is not part of the line")
	}
	other, err := cosign.NewSigner("witness.example/w1", bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Find(text, []byte(other.Sign(text, time.Now()))); ok {
		t.Error("another key with the same name is taken")
	}
	if s.Verify([]byte(text), make([]byte, 10)) {
		t.Error("a short signature is valid")
	}
}

func TestZeroTimeIsNoTime(t *testing.T) {
	s := signer(t)
	sig, ok := s.Find(text, []byte(s.Sign(text, time.Unix(0, 0))))
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
	f.Add([]byte(s.Sign(text, time.Unix(5, 0))))
	f.Add([]byte("— w AAAA\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		if sig, ok := s.Find(text, lines); ok && cosign.Time(sig).Before(time.Unix(1, 0)) && !cosign.Time(sig).IsZero() {
			t.Error("a time before 1970")
		}
	})
}
