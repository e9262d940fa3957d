package crypto

import (
	"encoding/hex"
	"fmt"
)

// An Algorithm says how a value is sealed. Every key serves one algorithm.
type Algorithm uint8

// The algorithms. Their numbers stand in stored values and never change.
const (
	// AES256GCM is AES-256-GCM with a random nonce: the default. A key seals
	// at most 2^32 values.
	AES256GCM Algorithm = 1
	// AES256GCMDerived seals under keys that are derived with HMAC-SHA256
	// from 16 random bytes in front of the body, a new one for at most 2^16
	// values: for data keys that seal more than 2^32 values.
	AES256GCMDerived Algorithm = 2
	// AES256SIV is deterministic (RFC 5297): equal values in one column of
	// one tenant have equal ciphertexts, which tells a reader of the database
	// which rows are equal and how frequent values are.
	AES256SIV Algorithm = 3
	// Stream is AES-256-GCM in segments, see NewWriter.
	Stream Algorithm = 4
	// HMACSHA256 is the algorithm of blind index keys. No value is sealed
	// with it.
	HMACSHA256 Algorithm = 5
)

// String returns the algorithm's name as evidence spells it.
func (a Algorithm) String() string {
	switch a {
	case AES256GCM:
		return "AES-256-GCM"
	case AES256GCMDerived:
		return "AES-256-GCM with derived keys"
	case AES256SIV:
		return "AES-256-SIV"
	case Stream:
		return "AES-256-GCM stream"
	case HMACSHA256:
		return "HMAC-SHA-256"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

// A KeyID names a data key and commits to it: it is HMAC-SHA256 of a label
// under the key. It is no secret.
type KeyID [32]byte

// String returns the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// HeaderSize is the length of the header of every sealed value, in bytes.
const HeaderSize = 4 + 32

const (
	magic0, magic1 = 0xA5, 0x53
	version1       = 1
)

// A Header is what stands in front of a sealed value.
type Header struct {
	Version   int
	Algorithm Algorithm
	Key       KeyID
}

// Inspect reads the header of a sealed value without opening it. What it says
// is not authenticated until Open succeeds; anything that is not exactly a
// known header is ErrTampered.
func Inspect(sealed []byte) (Header, error) {
	if len(sealed) < HeaderSize || sealed[0] != magic0 || sealed[1] != magic1 {
		return Header{}, fmt.Errorf("%w: %d bytes without a header", ErrTampered, len(sealed))
	}
	if !hasHeader(sealed) {
		return Header{}, fmt.Errorf("%w: header of version %d, algorithm %d", ErrTampered, sealed[2], sealed[3])
	}
	return *headerOf(sealed), nil
}

// hasHeader reports whether sealed begins with exactly a known header.
func hasHeader(sealed []byte) bool {
	return len(sealed) >= HeaderSize && sealed[0] == magic0 && sealed[1] == magic1 && sealed[2] == version1 &&
		Algorithm(sealed[3]) >= AES256GCM && Algorithm(sealed[3]) <= Stream
}

// headerOf reads a header that is there.
func headerOf(sealed []byte) *Header {
	return &Header{Version: int(sealed[2]), Algorithm: Algorithm(sealed[3]), Key: KeyID(sealed[4:HeaderSize])}
}

func appendHeader(dst []byte, a Algorithm, id KeyID) []byte {
	dst = append(dst, magic0, magic1, version1, byte(a))
	return append(dst, id[:]...)
}
