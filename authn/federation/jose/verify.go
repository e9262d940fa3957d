package jose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrToken says that a token is no good.
var ErrToken = errors.New("jose: token refused")

// MaxToken is how long a token may be, in bytes.
const MaxToken = 16 << 10

// A Policy says which tokens are taken.
type Policy struct {
	// Algorithms are those allowed. At least one.
	Algorithms []Algorithm
	// Types are the values of the header "typ" that are taken, in lower case
	// and without "application/"; "" stands for a token without the header.
	// At least one: tokens of one kind must not pass for another (RFC 8725,
	// section 3.11).
	Types []string
}

// A Header is what a verified token's header says.
type Header struct {
	Algorithm Algorithm
	KeyID     string
	Type      string // in lower case, without "application/"
	jwk       []byte
}

// A Message is a token whose signature was verified.
type Message struct {
	Header  Header
	Payload []byte
	Key     *Key
}

// A Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	keys   Keys
	policy Policy

	mu      sync.RWMutex
	headers map[string]Header // of tokens that verified, as sent
}

// NewVerifier makes a Verifier.
func NewVerifier(keys Keys, p Policy) (*Verifier, error) {
	if keys == nil {
		return nil, errors.New("jose: NewVerifier needs keys")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &Verifier{keys: keys, policy: p, headers: map[string]Header{}}, nil
}

func (p Policy) check() error {
	if !usable(p.Algorithms) {
		return errors.New("jose: Policy: Algorithms: want at least one, and none but this package's")
	}
	if len(p.Types) == 0 || slices.ContainsFunc(p.Types, func(t string) bool { return t != plainType(t) }) {
		return errors.New(`jose: Policy: Types: want at least one, in lower case and without "application/"`)
	}
	return nil
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
}

// Verify checks a token's header, finds its key and checks its signature.
func (v *Verifier) Verify(ctx context.Context, token string) (Message, error) {
	p, err := split(token)
	if err != nil {
		return Message{}, err
	}
	h, known := v.header(p.header)
	if !known {
		if h, err = parseHeader(p.header); err != nil {
			return Message{}, err
		}
		if h.jwk != nil {
			return Message{}, refused("header: it brings its own key")
		}
		if err := v.policy.allows(&h); err != nil {
			return Message{}, err
		}
	}
	k, err := v.keys.Key(ctx, h.KeyID, h.Algorithm)
	if errors.Is(err, ErrNoKey) {
		return Message{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err != nil {
		return Message{}, fmt.Errorf("jose: keys: %w", err)
	}
	payload, err := p.verify(k, h.Algorithm)
	if err != nil {
		return Message{}, err
	}
	if !known {
		v.remember(p.header, h)
	}
	return Message{h, payload, k}, nil
}

// Keys returns where the verifier's keys come from.
func (v *Verifier) Keys() Keys { return v.keys }

// VerifyEmbedded verifies a token with the key that its own header "jwk"
// brings, as a proof of possession of that key (RFC 9449, section 4). It says
// nothing about who holds it.
func VerifyEmbedded(token string, p Policy) (Message, error) {
	if err := p.check(); err != nil {
		return Message{}, err
	}
	parts, err := split(token)
	if err != nil {
		return Message{}, err
	}
	h, err := parseHeader(parts.header)
	if err != nil {
		return Message{}, err
	}
	if err := p.allows(&h); err != nil {
		return Message{}, err
	}
	if h.jwk == nil {
		return Message{}, refused("header: jwk: want a key")
	}
	k, err := ParseKey(h.jwk)
	if err != nil {
		return Message{}, fmt.Errorf("%w: header: jwk: %w", ErrToken, err)
	}
	if !k.may(h.Algorithm) {
		return Message{}, refused("header: jwk: not a key for alg")
	}
	payload, err := parts.verify(k, h.Algorithm)
	return Message{h, payload, k}, err
}

type parts struct{ signed, header, payload, signature string }

// split takes a compact token apart: two dots and no more.
func split(token string) (parts, error) {
	if len(token) > MaxToken {
		return parts{}, refused("%d bytes: want at most %d", len(token), MaxToken)
	}
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || header == "" || signature == "" || strings.IndexByte(signature, '.') >= 0 {
		return parts{}, refused("want three parts")
	}
	return parts{token[:len(header)+1+len(payload)], header, payload, signature}, nil
}

func (p parts) verify(k *Key, a Algorithm) ([]byte, error) {
	var room [1024]byte // of RSA's longest
	n := encoding.DecodedLen(len(p.signature))
	if n > len(room) {
		return nil, refused("signature: %d bytes", n)
	}
	if !strictText(p.signature) {
		return nil, refused("signature: want base64url without padding")
	}
	if _, err := encoding.Decode(room[:], []byte(p.signature)); err != nil {
		return nil, refused("signature: want base64url without padding")
	}
	if !a.verify(k.public, []byte(p.signed), room[:n]) {
		return nil, refused("the signature does not verify")
	}
	if p.payload == "" {
		return nil, nil
	}
	payload, err := raw("payload", p.payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return payload, nil
}

// strictText refuses the line breaks that encoding/base64 would skip.
func strictText(s string) bool { return !strings.ContainsAny(s, "\r\n") }

func (v *Verifier) header(encoded string) (Header, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	h, ok := v.headers[encoded]
	return h, ok
}

// remember keeps the header of a token that verified: an issuer's tokens have
// a handful of them. Strangers can't fill the memory.
func (v *Verifier) remember(encoded string, h Header) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.headers) >= 64 {
		clear(v.headers)
	}
	v.headers[strings.Clone(encoded)] = h
}

func parseHeader(encoded string) (Header, error) {
	data, err := raw("header", encoded)
	if err != nil {
		return Header{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	var h Header
	if err := members(data, h.set); err != nil {
		return Header{}, fmt.Errorf("%w: header: %w", ErrToken, err)
	}
	return h, nil
}

func (h *Header) set(name, value string) (err error) {
	var s string
	switch name {
	case "alg", "kid", "typ":
		if s, err = text(value); err != nil || s == "" {
			return fmt.Errorf("%s: want a string that is not empty", name)
		}
	case "jku", "x5u", "x5c", "crit", "b64", "enc", "zip":
		return fmt.Errorf("%s is not allowed", name)
	}
	switch name {
	case "alg":
		h.Algorithm = Algorithm(s)
	case "kid":
		h.KeyID = s
	case "typ":
		h.Type = plainType(s)
	case "jwk":
		h.jwk = []byte(value)
	}
	return nil
}

// plainType is a media type without "application/" (RFC 7515, section
// 4.1.9).
func plainType(s string) string {
	s = strings.ToLower(s)
	if rest, ok := strings.CutPrefix(s, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return s
}

func (p *Policy) allows(h *Header) error {
	if !slices.Contains(p.Algorithms, h.Algorithm) {
		return refused("header: alg %.16q is not allowed", h.Algorithm)
	}
	if !slices.Contains(p.Types, h.Type) {
		return refused("header: typ %.32q is not taken here", h.Type)
	}
	return nil
}

// UnverifiedIssuer reads "iss" of a token that nobody has verified: whoever
// sent it chose it. It is good for choosing whose keys to verify with, and for
// nothing else.
func UnverifiedIssuer(token string) (string, error) {
	p, err := split(token)
	if err != nil {
		return "", err
	}
	payload, err := raw("payload", p.payload)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	c, err := ParseClaims(payload)
	if err != nil {
		return "", err
	}
	return c.Issuer, nil
}
