// Package bundle seals files for a recipient who has no key here: an auditor,
// a customer who leaves, another organisation.
//
//	auditor, err := bundle.ParseRecipient(text)             // as they published it
//	w, err := bundle.NewWriter(file, auditor, b)            // b says what it is
//	_, err = io.Copy(w, report)
//	err = w.Close()                                         // without it nothing opens
//
//	r, err := bundle.NewReader(file, identity, b)           // at the auditor's
//
// It is HPKE (RFC 9180) with MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM: what
// is recorded today isn't opened by a quantum computer tomorrow. It runs under
// GODEBUG=fips140=only.
//
// A bundle is bound to a [crypto.Binding], which both sides must know: what
// was sealed as one report doesn't open as another. It says nothing about who
// sealed it, because everyone may have a recipient's public half: sign what is
// inside where that matters.
//
// # Form
//
//	magic 0xA5 0x42 | version 1 | suite 1 | encapsulated key, 1120 bytes | segments
//
// A segment is 64 KiB of data and a tag of 16 bytes; the last is shorter or
// full, never missing, and has the associated data 1, the others 0. HPKE counts
// the segments, so that none is left out, repeated or moved. The HPKE info is
// "surety bundle v1" and a zero byte, the four bytes, and the binding's encoding.
//
// Errors: [crypto.ErrTampered] for what was changed, cut off, sealed for
// someone else or for another binding; [crypto.ErrBinding]; [ErrKey].
package bundle

import (
	"crypto/hpke"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"

	"github.com/surety-go/surety/crypto"
)

// ErrKey says that a text is no recipient or identity.
var ErrKey = errors.New("bundle: not a recipient or identity")

const (
	recipientPrefix = "surety-recipient-1:"
	identityPrefix  = "SURETY-SECRET-IDENTITY-1:"
	encSize         = 1120 // of MLKEM768-X25519
	headerSize      = 4 + encSize
	segmentSize     = 64 << 10
	tagSize         = 16
)

var (
	header   = [4]byte{0xA5, 0x42, 1, 1}
	encoding = base64.RawURLEncoding.Strict()
)

// A Recipient is the public half of an Identity: for whom bundles are sealed.
type Recipient struct{ key hpke.PublicKey }

// An Identity opens what was sealed for its Recipient. It prints without its
// secret.
type Identity struct{ key hpke.PrivateKey }

// NewIdentity makes an identity.
func NewIdentity() (*Identity, error) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("bundle: new identity: %w", err)
	}
	return &Identity{key}, nil
}

// Recipient returns the public half.
func (i *Identity) Recipient() *Recipient { return &Recipient{i.key.PublicKey()} }

// String is the recipient's text.
func (i *Identity) String() string { return i.Recipient().String() }

// GoString is String.
func (i *Identity) GoString() string { return i.String() }

// String is the recipient's text, which ParseRecipient reads. How it came is
// what says whose it is: compare it over another channel.
func (r *Recipient) String() string {
	return recipientPrefix + encoding.EncodeToString(r.key.Bytes())
}

// ParseRecipient reads what String wrote.
func ParseRecipient(text string) (*Recipient, error) {
	raw, err := decode(text, recipientPrefix)
	if err != nil {
		return nil, err
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes that are no public key", ErrKey, len(raw))
	}
	return &Recipient{key}, nil
}

// Export returns the identity's secret as text, to be kept where only its
// owner reads it. The token says that this is meant.
func (i *Identity) Export(insecuresecretdataaccess.Token) (string, error) {
	raw, err := i.key.Bytes()
	if err != nil {
		return "", fmt.Errorf("bundle: export: %w", err)
	}
	return identityPrefix + encoding.EncodeToString(raw), nil
}

// ImportIdentity reads what Export wrote.
func ImportIdentity(text string, _ insecuresecretdataaccess.Token) (*Identity, error) {
	raw, err := decode(text, identityPrefix)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	key, err := hpke.MLKEM768X25519().NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes that are no private key", ErrKey, len(raw))
	}
	return &Identity{key}, nil
}

func decode(text, prefix string) ([]byte, error) {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok || len(body) > 2048 {
		return nil, fmt.Errorf("%w: a text of %d bytes, want %q and base64url", ErrKey, len(text), prefix)
	}
	raw, err := encoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("%w: no base64url after %q", ErrKey, prefix)
	}
	return raw, nil
}

func info(b *crypto.Binding) []byte {
	return b.AppendAAD(append([]byte("surety bundle v1\x00"), header[:]...))
}
