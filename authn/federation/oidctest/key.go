package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
)

// Claims are the members of a header or a payload; a nil value removes one
// that is there by default.
type Claims map[string]any

// with returns c with the members of more.
func (c Claims) with(more Claims) Claims {
	out := Claims{}
	for _, from := range []Claims{c, more} {
		for k, v := range from {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
	}
	return out
}

// A Key signs tokens.
type Key struct {
	ID, Alg string // as in its JSON Web Key and its headers
	signer  crypto.Signer
}

// NewKey makes a key for ES256, ES384, ES512, EdDSA, RS256 or PS256, and panics
// for another algorithm. It signs apart from the code under test.
func NewKey(id, alg string) *Key {
	mustTest()
	k := &Key{ID: id, Alg: alg}
	var err error
	switch alg {
	case "ES256":
		k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		k.signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		k.signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	case "RS256", "PS256":
		k.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		panic("oidctest: no keys for " + alg)
	}
	if err != nil {
		panic(err) // no randomness
	}
	return k
}

// Public returns the public key.
func (k *Key) Public() crypto.PublicKey { return k.signer.Public() }

// JWK returns the public key as a JSON Web Key.
func (k *Key) JWK() Claims {
	out := Claims{"kid": k.ID, "alg": k.Alg, "use": "sig"}
	switch p := k.Public().(type) {
	case *ecdsa.PublicKey:
		raw, err := p.Bytes()
		if err != nil {
			panic(err) // it was made on its curve
		}
		half := len(raw) / 2
		out["kty"], out["crv"], out["x"], out["y"] = "EC", p.Params().Name, b64(raw[1:half+1]), b64(raw[half+1:])
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", b64(p)
	}
	return out
}

// JWKS returns the key set of the keys.
func JWKS(keys ...*Key) []byte {
	list := []Claims{}
	for _, k := range keys {
		list = append(list, k.JWK())
	}
	return encode(map[string]any{"keys": list})
}

// Thumbprint returns the key's thumbprint (RFC 7638).
func (k *Key) Thumbprint() string {
	j := k.JWK().with(Claims{"kid": nil, "alg": nil, "use": nil})
	sum := sha256.Sum256(encode(j)) // encoding/json sorts the members of a map
	return b64(sum[:])
}

// Sign signs claims under a header of alg, kid and what is given.
func (k *Key) Sign(header, claims Claims) string {
	return k.SignRaw(encode(Claims{"alg": k.Alg, "kid": k.ID}.with(header)), encode(claims))
}

// SignRaw signs a payload under a header as they are.
func (k *Key) SignRaw(header, payload []byte) string {
	signed := b64(header) + "." + b64(payload)
	signature, err := k.sign([]byte(signed))
	if err != nil {
		panic(err) // the hash fits the key
	}
	return signed + "." + b64(signature)
}

func (k *Key) sign(data []byte) ([]byte, error) {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[k.Alg[2:]]
	switch s := k.signer.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(s, data), nil
	case *rsa.PrivateKey:
		if strings.HasPrefix(k.Alg, "PS") {
			return rsa.SignPSS(rand.Reader, s, hash, digest(hash, data), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, s, hash, digest(hash, data))
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, s, digest(hash, data))
		if err != nil {
			return nil, err
		}
		size := (s.Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		v.FillBytes(out[size:])
		return out, nil
	}
	panic("oidctest: a key of another kind")
}

func digest(h crypto.Hash, data []byte) []byte {
	d := h.New()
	d.Write(data)
	return d.Sum(nil)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own literal
	}
	return b
}

// Proof makes a DPoP proof (RFC 9449, section 4.2) of the key for a request
// with an access token. More replaces members of the payload.
func (k *Key) Proof(method, url, token string, issued int64, more Claims) string {
	sum := sha256.Sum256([]byte(token))
	header := Claims{"typ": "dpop+jwt", "kid": nil, "jwk": k.JWK().with(Claims{"kid": nil, "use": nil, "alg": nil})}
	return k.Sign(header, Claims{"jti": rand.Text(), "htm": method, "htu": url, "iat": issued, "ath": b64(sum[:])}.with(more))
}
