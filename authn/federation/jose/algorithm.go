package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
)

// An Algorithm is a value of the header "alg" (RFC 7518, section 3.1).
type Algorithm string

// The algorithms. All are digital signatures. EdDSA is with Ed25519 only
// (RFC 8037); Ed25519 is its newer name (RFC 9864).
const (
	ES256   Algorithm = "ES256"
	ES384   Algorithm = "ES384"
	ES512   Algorithm = "ES512"
	PS256   Algorithm = "PS256"
	PS384   Algorithm = "PS384"
	PS512   Algorithm = "PS512"
	RS256   Algorithm = "RS256"
	RS384   Algorithm = "RS384"
	RS512   Algorithm = "RS512"
	EdDSA   Algorithm = "EdDSA"
	Ed25519 Algorithm = "Ed25519"
)

type scheme struct {
	hash  crypto.Hash // 0 for Ed25519
	curve string      // of ES…
	pss   bool
}

func schemeOf(a Algorithm) (scheme, bool) {
	switch a {
	case ES256:
		return scheme{hash: crypto.SHA256, curve: "P-256"}, true
	case ES384:
		return scheme{hash: crypto.SHA384, curve: "P-384"}, true
	case ES512:
		return scheme{hash: crypto.SHA512, curve: "P-521"}, true
	case PS256, RS256:
		return scheme{hash: crypto.SHA256, pss: a == PS256}, true
	case PS384, RS384:
		return scheme{hash: crypto.SHA384, pss: a == PS384}, true
	case PS512, RS512:
		return scheme{hash: crypto.SHA512, pss: a == PS512}, true
	case EdDSA, Ed25519:
		return scheme{}, true
	}
	return scheme{}, false
}

// fits reports whether a key is of the kind that the algorithm uses.
func (a Algorithm) fits(public crypto.PublicKey) bool {
	s, ok := schemeOf(a)
	if !ok {
		return false
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return s.curve == k.Curve.Params().Name
	case *rsa.PublicKey:
		return s.curve == "" && s.hash != 0
	case ed25519.PublicKey:
		return s.hash == 0
	}
	return false
}

// verify checks a signature over data.
func (a Algorithm) verify(public crypto.PublicKey, data, signature []byte) bool {
	s, ok := schemeOf(a)
	if !ok || !a.fits(public) {
		return false
	}
	if k, ok := public.(ed25519.PublicKey); ok {
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, data, signature)
	}
	digest := s.digest(data)
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return verifyECDSA(k, digest, signature)
	case *rsa.PublicKey:
		if len(signature) != k.Size() {
			return false
		}
		if s.pss {
			// The salt is as long as the hash: RFC 7518, section 3.5.
			return rsa.VerifyPSS(k, s.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, s.hash, digest, signature) == nil
	}
	return false
}

func (s scheme) digest(data []byte) []byte {
	switch s.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(data)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(data)
		return sum[:]
	default:
		sum := sha512.Sum512(data)
		return sum[:]
	}
}

// verifyECDSA takes the two numbers of a JWS signature, each exactly as long
// as the curve's order, and hands them on as ASN.1, which is what the fast
// verifier reads.
func verifyECDSA(k *ecdsa.PublicKey, digest, signature []byte) bool {
	size := (k.Curve.Params().N.BitLen() + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	var room [160]byte
	der := append(room[:0], 0x30)
	body := integerSize(signature[:size]) + integerSize(signature[size:])
	if body >= 0x80 {
		der = append(der, 0x81)
	}
	der = append(der, byte(body))
	der = appendInteger(der, signature[:size])
	der = appendInteger(der, signature[size:])
	return ecdsa.VerifyASN1(k, digest, der)
}

// minimal drops leading zeros and says whether one has to stand before the
// number so that it is not negative.
func minimal(n []byte) ([]byte, bool) {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	return n, n[0] >= 0x80
}

func integerSize(n []byte) int {
	n, zero := minimal(n)
	if zero {
		return len(n) + 3
	}
	return len(n) + 2
}

func appendInteger(der, n []byte) []byte {
	n, zero := minimal(n)
	if zero {
		return append(append(der, 0x02, byte(len(n)+1), 0), n...)
	}
	return append(append(der, 0x02, byte(len(n))), n...)
}

// usable are the algorithms of a list that exist.
func usable(list []Algorithm) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(a Algorithm) bool { _, ok := schemeOf(a); return !ok })
}
