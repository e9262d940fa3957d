package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// ErrKey says that a key, or a set of keys, can't be used.
var ErrKey = errors.New("jose: unusable key")

// encoding is base64url as JOSE wants it: no padding, no stray bits, no line
// breaks (those encoding/base64 skips, so raw checks for them).
var encoding = base64.RawURLEncoding.Strict()

// A Key verifies signatures. It is immutable.
type Key struct {
	id     string
	alg    Algorithm // empty: any that fits
	public crypto.PublicKey
	thumb  [sha256.Size]byte
}

// ID returns the key's "kid"; it may be empty.
func (k *Key) ID() string { return k.id }

// Public returns the key itself.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Thumbprint returns the key's SHA-256 thumbprint (RFC 7638) in base64url.
func (k *Key) Thumbprint() string { return encoding.EncodeToString(k.thumb[:]) }

// may reports whether the key may verify signatures of the algorithm.
func (k *Key) may(a Algorithm) bool {
	return (k.alg == "" || k.alg == a || edNames(k.alg, a)) && a.fits(k.public)
}

// edNames says that EdDSA and Ed25519 are two names of one algorithm.
func edNames(a, b Algorithm) bool {
	return (a == EdDSA || a == Ed25519) && (b == EdDSA || b == Ed25519)
}

func (k *Key) same(o *Key) bool { return k.id == o.id && k.alg == o.alg && k.thumb == o.thumb }

// jwk are the members of a JSON Web Key that matter (RFC 7517, RFC 7518
// section 6, RFC 8037 section 2).
type jwk struct {
	kty, use, alg, kid, crv string
	n, e, x, y              string
	ops                     []string
	private                 bool
}

func (j *jwk) set(name, value string) (err error) {
	fields := map[string]*string{
		"kty": &j.kty, "use": &j.use, "alg": &j.alg, "kid": &j.kid, "crv": &j.crv,
		"n": &j.n, "e": &j.e, "x": &j.x, "y": &j.y,
	}
	if f, ok := fields[name]; ok {
		*f, err = text(value)
	}
	switch name {
	case "key_ops":
		err = json.Unmarshal([]byte(value), &j.ops)
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		j.private = true
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ParseKey reads a public JSON Web Key that is for verifying signatures.
// Errors wrap [ErrKey].
func ParseKey(data []byte) (*Key, error) {
	var j jwk
	if err := members(data, j.set); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch {
	case j.private:
		return nil, fmt.Errorf("%w: it has secret members", ErrKey)
	case j.use != "" && j.use != "sig":
		return nil, fmt.Errorf("%w: use: want sig", ErrKey)
	case j.ops != nil && !slices.Contains(j.ops, "verify"):
		return nil, fmt.Errorf("%w: key_ops: want verify", ErrKey)
	}
	public, err := j.public()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k, err := NewKey(j.kid, Algorithm(j.alg), public)
	if err != nil {
		return nil, err
	}
	k.thumb = j.thumbprint()
	return k, nil
}

// NewKey makes a Key of an *ecdsa.PublicKey, an *rsa.PublicKey or an
// ed25519.PublicKey. The id may be empty, and so may the algorithm: then the
// key verifies whatever fits it.
func NewKey(id string, alg Algorithm, public crypto.PublicKey) (*Key, error) {
	if alg != "" && !alg.fits(public) {
		return nil, fmt.Errorf("%w: alg: %.16q does not fit a %T", ErrKey, alg, public)
	}
	j := jwk{}
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		raw, err := p.Bytes()
		if err != nil || Algorithm("ES"+map[string]string{"P-256": "256", "P-384": "384", "P-521": "512"}[p.Params().Name]) == "ES" {
			return nil, fmt.Errorf("%w: not a point on P-256, P-384 or P-521", ErrKey)
		}
		half := len(raw) / 2
		j = jwk{kty: "EC", crv: p.Params().Name, x: encoding.EncodeToString(raw[1 : half+1]), y: encoding.EncodeToString(raw[half+1:])}
	case *rsa.PublicKey:
		if err := checkRSA(p); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		j = jwk{kty: "RSA", n: encoding.EncodeToString(p.N.Bytes()), e: encoding.EncodeToString(big.NewInt(int64(p.E)).Bytes())}
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%w: an Ed25519 key of %d bytes", ErrKey, len(p))
		}
		j = jwk{kty: "OKP", crv: "Ed25519", x: encoding.EncodeToString(p)}
	default:
		return nil, fmt.Errorf("%w: a %T", ErrKey, public)
	}
	return &Key{id: id, alg: alg, public: public, thumb: j.thumbprint()}, nil
}

func (j *jwk) public() (crypto.PublicKey, error) {
	switch j.kty {
	case "EC":
		return j.ec()
	case "RSA":
		return j.rsa()
	case "OKP":
		raw, err := raw("x", j.x)
		if err != nil || j.crv != "Ed25519" || len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("OKP: want an Ed25519 key of 32 bytes")
		}
		return ed25519.PublicKey(raw), nil
	}
	return nil, fmt.Errorf("kty %.16q: want EC, RSA or OKP", j.kty)
}

func (j *jwk) ec() (crypto.PublicKey, error) {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.crv]
	if !ok {
		return nil, fmt.Errorf("crv %.16q: want P-256, P-384 or P-521", j.crv)
	}
	x, errX := raw("x", j.x)
	y, errY := raw("y", j.y)
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("x and y: %d and %d bytes: want %d each", len(x), len(y), size)
	}
	k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, fmt.Errorf("not a point on %s", j.crv)
	}
	return k, nil
}

func (j *jwk) rsa() (crypto.PublicKey, error) {
	n, errN := raw("n", j.n)
	e, errE := raw("e", j.e)
	if err := errors.Join(errN, errE); err != nil {
		return nil, err
	}
	if len(n) == 0 || len(n) > 1024 || n[0] == 0 || len(e) == 0 || len(e) > 4 || e[0] == 0 {
		return nil, fmt.Errorf("n and e: %d and %d bytes: want at most 1024 and 4, without leading zeros", len(n), len(e))
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	return k, checkRSA(k)
}

func checkRSA(k *rsa.PublicKey) error {
	switch bits := k.N.BitLen(); {
	case bits < 2048 || bits > 8192:
		return fmt.Errorf("a modulus of %d bits: want 2048 to 8192", bits)
	case k.E < 3 || k.E > 1<<31-1 || k.E%2 == 0 || k.N.Bit(0) == 0:
		return errors.New("the exponent or the modulus is even, or the exponent is out of range")
	case roca(k.N):
		return errors.New("the modulus has the fingerprint of CVE-2017-15361 (ROCA)")
	}
	return nil
}

// roca recognises moduli of a flawed key generator, which can be factored
// (CVE-2017-15361): modulo each small prime they are powers of 65537. By
// chance that happens to one modulus in 2^28 or less often.
func roca(n *big.Int) bool {
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power, found := int64(1), false
		for range p {
			found = found || power == rest
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}

// raw reads base64url. encoding/base64 skips line breaks, which would let two
// texts stand for one value.
func raw(name, s string) ([]byte, error) {
	b, err := encoding.DecodeString(s)
	if err != nil || s == "" || encoding.EncodedLen(len(b)) != len(s) {
		return nil, fmt.Errorf("%s: want base64url without padding", name)
	}
	return b, nil
}

// thumbprint hashes the required members in the order of their names (RFC
// 7638, section 3). All are base64url or words without anything to escape.
func (j *jwk) thumbprint() [sha256.Size]byte {
	switch j.kty {
	case "EC":
		return sha256.Sum256([]byte(`{"crv":"` + j.crv + `","kty":"EC","x":"` + j.x + `","y":"` + j.y + `"}`))
	case "RSA":
		return sha256.Sum256([]byte(`{"e":"` + j.e + `","kty":"RSA","n":"` + j.n + `"}`))
	}
	return sha256.Sum256([]byte(`{"crv":"` + j.crv + `","kty":"OKP","x":"` + j.x + `"}`))
}
