// Package passkeytest holds a soft authenticator, written from the
// specification and apart from what it tests, and the suite that stores of
// passkeys must pass. Nothing here works outside a test.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// An Authenticator makes passkeys and signs with them, as a browser and its
// authenticator do. Change its fields to make it misbehave.
type Authenticator struct {
	Origin   string
	RPID     string
	Verify   bool // the user, by PIN or finger
	Eligible bool // for backup
	BackedUp bool
	Counter  uint32 // of the last signature; 0 counts nothing
	Still    bool   // the counter stands still
	AAGUID   [16]byte

	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
}

// New returns an authenticator of a relying party that verifies its user.
func New(tb testing.TB, rpID, origin string) *Authenticator {
	tb.Helper()
	if !testing.Testing() {
		panic("passkeytest: refused outside a test")
	}
	return &Authenticator{Origin: origin, RPID: rpID, Verify: true}
}

type descriptor struct {
	ID string `json:"id"`
}

type requested struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
		UserVerification string       `json:"userVerification"`
		Allow            []descriptor `json:"allowCredentials"`
		Exclude          []descriptor `json:"excludeCredentials"`
	} `json:"publicKey"`
}

var b64 = base64.RawURLEncoding

func read(tb testing.TB, options []byte) requested {
	tb.Helper()
	var in requested
	if err := json.Unmarshal(options, &in); err != nil || in.PublicKey.Challenge == "" {
		tb.Fatalf("not options of a ceremony: %v", err)
	}
	return in
}

// Create answers navigator.credentials.create.
func (a *Authenticator) Create(tb testing.TB, options []byte) []byte {
	tb.Helper()
	in := read(tb, options)
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatal(err)
	}
	a.id = make([]byte, 32)
	rand.Read(a.id) //nolint:errcheck // crypto/rand.Read never fails
	if a.handle, err = b64.DecodeString(in.PublicKey.User.ID); err != nil {
		tb.Fatalf("the user handle: %v", err)
	}
	data := a.data(0x40)
	data = append(data, a.AAGUID[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id))) //nolint:gosec // 32
	data = append(data, a.id...)
	data = append(data, a.cose(tb)...)
	// {"fmt": "none", "attStmt": {}, "authData": data} in CBOR
	object := append([]byte{0xa3}, str("fmt")...)
	object = append(object, str("none")...)
	object = append(object, str("attStmt")...)
	object = append(object, 0xa0)
	object = append(object, str("authData")...)
	object = append(object, 0x59, byte(len(data)>>8), byte(len(data))) //nolint:gosec // short
	object = append(object, data...)
	return a.answer(tb, map[string]any{
		"clientDataJSON":    b64.EncodeToString(a.client(tb, "webauthn.create", in.PublicKey.Challenge)),
		"attestationObject": b64.EncodeToString(object), "transports": []string{"internal"},
	})
}

// Get answers navigator.credentials.get.
func (a *Authenticator) Get(tb testing.TB, options []byte) []byte {
	tb.Helper()
	in := read(tb, options)
	if !a.Still && a.Counter > 0 {
		a.Counter++
	}
	data, client := a.data(0), a.client(tb, "webauthn.get", in.PublicKey.Challenge)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return a.answer(tb, map[string]any{
		"clientDataJSON": b64.EncodeToString(client), "authenticatorData": b64.EncodeToString(data),
		"signature": b64.EncodeToString(sig), "userHandle": b64.EncodeToString(a.handle),
	})
}

// data is the authenticator data (section 6.1) without what is attested.
func (a *Authenticator) data(flags byte) []byte {
	flags |= 0x01
	for bit, set := range map[byte]bool{0x04: a.Verify, 0x08: a.Eligible, 0x10: a.BackedUp} {
		if set {
			flags |= bit
		}
	}
	rp := sha256.Sum256([]byte(a.RPID))
	return binary.BigEndian.AppendUint32(append(rp[:], flags), a.Counter)
}

func (a *Authenticator) client(tb testing.TB, typ, challenge string) []byte {
	tb.Helper()
	data, err := json.Marshal(map[string]any{"type": typ, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// cose is the public key as COSE_Key: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
func (a *Authenticator) cose(tb testing.TB) []byte {
	tb.Helper()
	point, err := a.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		tb.Fatal(err)
	}
	out := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}
	out = append(out, point[1:33]...)
	return append(append(out, 0x22, 0x58, 0x20), point[33:]...)
}

func str(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) } //nolint:gosec // shorter than 24

func (a *Authenticator) answer(tb testing.TB, response map[string]any) []byte {
	tb.Helper()
	id := b64.EncodeToString(a.id)
	data, err := json.Marshal(map[string]any{
		"id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{}, "response": response,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
