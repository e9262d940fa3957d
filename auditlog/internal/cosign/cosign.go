// Package cosign reads and makes the cosignatures of C2SP tlog-cosignature: the
// timestamped Ed25519 ones (0x04) and the ML-DSA-44 ones (0x06).
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

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"
)

// An Algorithm is the identifier of a kind of cosignature.
type Algorithm byte

// The algorithms, and the sizes of what they make.
const (
	Ed25519 Algorithm = 0x04
	MLDSA44 Algorithm = 0x06

	ed25519Size = 8 + ed25519.SignatureSize      // a time and a signature
	mldsa44Size = 8 + mldsa.MLDSA44SignatureSize // the same
	seedSize    = 32                             // of a private key of either kind
)

// ErrKey says that a text is no key of a witness.
var ErrKey = errors.New("cosign: not the key of a witness (Ed25519 or ML-DSA-44)")

// A Verifier checks the cosignatures of one witness.
type Verifier struct {
	name string
	alg  Algorithm
	key  []byte
	hash uint32
	pq   *mldsa.PublicKey // of the key, if it is one
}

// NewVerifier reads a witness's public key, "name+hash+base64" (C2SP
// signed-note), of algorithm 0x04 or 0x06.
func NewVerifier(vkey string) (*Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hex, text, _ := strings.Cut(rest, "+")
	hash, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 8 {
		return nil, ErrKey
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, ErrKey
	}
	v, err := newVerifier(name, Algorithm(b[0]), b[1:])
	if err != nil || v.hash != uint32(hash) {
		return nil, ErrKey
	}
	return v, nil
}

func newVerifier(name string, alg Algorithm, key []byte) (*Verifier, error) {
	if name == "" || len(name) > 255 || strings.ContainsAny(name, " +\n") {
		return nil, fmt.Errorf("cosign: name %.64q: want 1 to 255 bytes, no spaces and no plus signs", name)
	}
	v := &Verifier{name: name, alg: alg, key: key, hash: keyHash(name, alg, key)}
	var err error
	switch alg {
	case Ed25519:
		if len(key) != ed25519.PublicKeySize {
			err = ErrKey
		}
	case MLDSA44:
		v.pq, err = mldsa.NewPublicKey(mldsa.MLDSA44(), key)
	default:
		err = ErrKey
	}
	if err != nil {
		return nil, ErrKey
	}
	return v, nil
}

// keyHash is the key ID of tlog-cosignature.
func keyHash(name string, alg Algorithm, key []byte) uint32 {
	sum := sha256.Sum256(append(append([]byte(name), '\n', byte(alg)), key...))
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
	b := append([]byte{byte(v.alg)}, v.key...)
	return fmt.Sprintf("%s+%08x+%s", v.name, v.hash, base64.StdEncoding.EncodeToString(b))
}

// Verify checks a cosignature of a note's text.
func (v *Verifier) Verify(text, sig []byte) bool {
	if len(sig) < 8 {
		return false
	}
	msg, err := v.message(binary.BigEndian.Uint64(sig), text)
	if err != nil {
		return false
	}
	if v.alg == MLDSA44 {
		return len(sig) == mldsa44Size && mldsa.Verify(v.pq, msg, sig[8:], nil) == nil
	}
	return len(sig) == ed25519Size && ed25519.Verify(v.key, msg, sig[8:])
}

var errText = errors.New("cosign: not the text of a checkpoint without extension lines")

// message is what a witness signs at a time.
func (v *Verifier) message(at uint64, text []byte) ([]byte, error) {
	if at >= 1<<62 {
		return nil, errors.New("cosign: the time is out of range")
	}
	if v.alg == MLDSA44 {
		return subtree(v.name, at, string(text))
	}
	b := strconv.AppendUint([]byte("cosignature/v1\ntime "), at, 10)
	return append(append(b, '\n'), text...), nil
}

// subtree is the cosigned_message of tlog-cosignature for a whole tree. It
// holds the checkpoint's three lines and nothing else: with extension lines,
// which it would not cover, there is none.
func subtree(name string, at uint64, text string) ([]byte, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" || len(lines[0]) > 255 {
		return nil, errText
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return nil, errText
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return nil, errText
	}
	b := append([]byte("subtree/v1\n\x00"), byte(len(name)))
	b = binary.BigEndian.AppendUint64(append(b, name...), at)
	b = append(append(b, byte(len(lines[0]))), lines[0]...)
	b = binary.BigEndian.AppendUint64(b, 0) // from the first entry
	b = binary.BigEndian.AppendUint64(b, size)
	return append(b, root...), nil
}

// Time returns when a verified signature says it was made; the zero Time when
// it says nothing.
func Time(s note.Signature) time.Time {
	b, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(b) != 4+ed25519Size && len(b) != 4+mldsa44Size {
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
	sign func(msg []byte) ([]byte, error)
}

// NewSigner makes an Ed25519 signer of a name and a 32-byte seed.
func NewSigner(name string, seed []byte) (*Signer, error) {
	return NewSignerOf(Ed25519, name, seed)
}

// NewSignerOf makes a signer of an algorithm, a name and a 32-byte seed.
func NewSignerOf(alg Algorithm, name string, seed []byte) (*Signer, error) {
	if len(seed) != seedSize {
		return nil, fmt.Errorf("cosign: seed of %d bytes, want %d", len(seed), seedSize)
	}
	public, sign, err := private(alg, seed)
	if err != nil {
		return nil, err
	}
	v, err := newVerifier(name, alg, public)
	if err != nil {
		return nil, err
	}
	return &Signer{*v, sign}, nil
}

// private expands a seed into a public key and what signs for it.
func private(alg Algorithm, seed []byte) (public []byte, sign func([]byte) ([]byte, error), err error) {
	switch alg {
	case Ed25519:
		key := ed25519.NewKeyFromSeed(seed)
		return key.Public().(ed25519.PublicKey), func(msg []byte) ([]byte, error) { return ed25519.Sign(key, msg), nil }, nil
	case MLDSA44:
		key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
		if err != nil {
			return nil, nil, fmt.Errorf("cosign: %w", err)
		}
		return key.PublicKey().Bytes(), func(msg []byte) ([]byte, error) { return key.Sign(nil, msg, nil) }, nil
	}
	return nil, nil, fmt.Errorf("cosign: algorithm 0x%02x is neither Ed25519 nor ML-DSA-44", byte(alg))
}

// Sign returns the signature line, with its line end, for a note's text.
func (s *Signer) Sign(text string, at time.Time) (string, error) {
	t := uint64(at.Unix())
	msg, err := s.message(t, []byte(text))
	if err != nil {
		return "", err
	}
	sig, err := s.sign(msg)
	if err != nil {
		return "", fmt.Errorf("cosign: %w", err)
	}
	b := binary.BigEndian.AppendUint32(nil, s.hash)
	b = append(binary.BigEndian.AppendUint64(b, t), sig...)
	return "— " + s.name + " " + base64.StdEncoding.EncodeToString(b) + "\n", nil
}
