// Package cosign reads and makes the Ed25519 cosignatures of C2SP
// tlog-cosignature, version 1.
package cosign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// algorithm is the identifier of timestamped Ed25519 cosignatures.
const algorithm = 0x04

// sigSize is a time and an Ed25519 signature.
const sigSize = 8 + ed25519.SignatureSize

// ErrKey says that a text is no key of a witness.
var ErrKey = errors.New("cosign: not an Ed25519 witness key")

// A Verifier checks the cosignatures of one witness.
type Verifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// NewVerifier reads a witness's public key, "name+hash+base64" (C2SP
// signed-note), of algorithm 0x04.
func NewVerifier(vkey string) (*Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hex, text, _ := strings.Cut(rest, "+")
	hash, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 8 {
		return nil, ErrKey
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != algorithm {
		return nil, ErrKey
	}
	v, err := newVerifier(name, b[1:])
	if err != nil || v.hash != uint32(hash) {
		return nil, ErrKey
	}
	return v, nil
}

func newVerifier(name string, key ed25519.PublicKey) (*Verifier, error) {
	if name == "" || strings.ContainsAny(name, " +\n") {
		return nil, fmt.Errorf("cosign: name %q: want no spaces and no plus signs", name)
	}
	return &Verifier{name, keyHash(name, key), key}, nil
}

// keyHash is the key ID of tlog-cosignature.
func keyHash(name string, key ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n\x04"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// Name returns the witness's name.
func (v *Verifier) Name() string { return v.name }

// Key returns the public key itself, by which witnesses of several names are
// told to be one.
func (v *Verifier) Key() string { return string(v.key) }

// KeyHash returns the key's ID.
func (v *Verifier) KeyHash() uint32 { return v.hash }

// String returns the key in the form [NewVerifier] reads.
func (v *Verifier) String() string {
	b := append([]byte{algorithm}, v.key...)
	return fmt.Sprintf("%s+%08x+%s", v.name, v.hash, base64.StdEncoding.EncodeToString(b))
}

// Verify checks a cosignature of a note's text.
func (v *Verifier) Verify(text, sig []byte) bool {
	if len(sig) != sigSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return at < 1<<62 && ed25519.Verify(v.key, message(at, text), sig[8:])
}

// message is what a witness signs.
func message(at uint64, text []byte) []byte {
	b := append([]byte("cosignature/v1\ntime "), strconv.FormatUint(at, 10)...)
	return append(append(b, '\n'), text...)
}

// Time returns when a verified signature says it was made; the zero Time when
// it says nothing.
func Time(s note.Signature) time.Time {
	b, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(b) != 4+sigSize {
		return time.Time{}
	}
	at := binary.BigEndian.Uint64(b[4:])
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(int64(at), 0).UTC()
}

// Find returns the valid cosignature of a witness among signature lines that
// belong to a note's text.
func (v *Verifier) Find(text string, lines []byte) (note.Signature, bool) {
	for line := range bytes.Lines(lines) {
		name, b64, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if !ok || name != "—" {
			continue
		}
		name, b64, _ = strings.Cut(b64, " ")
		sig, err := base64.StdEncoding.DecodeString(b64)
		if name != v.name || err != nil || len(sig) < 4 || binary.BigEndian.Uint32(sig) != v.hash {
			continue
		}
		if v.Verify([]byte(text), sig[4:]) {
			return note.Signature{Name: v.name, Hash: v.hash, Base64: b64}, true
		}
	}
	return note.Signature{}, false
}

// A Signer makes the cosignatures of one witness.
type Signer struct {
	Verifier
	key ed25519.PrivateKey
}

// NewSigner makes a signer of a name and a 32-byte seed.
func NewSigner(name string, seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("cosign: seed of %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	v, err := newVerifier(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &Signer{*v, key}, nil
}

// Sign returns the signature line, with its line end, for a note's text.
func (s *Signer) Sign(text string, at time.Time) string {
	t := uint64(at.Unix())
	b := binary.BigEndian.AppendUint32(nil, s.hash)
	b = binary.BigEndian.AppendUint64(b, t)
	b = append(b, ed25519.Sign(s.key, message(t, []byte(text)))...)
	return "— " + s.name + " " + base64.StdEncoding.EncodeToString(b) + "\n"
}
