package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/federation/bearer"
	"github.com/surety-go/surety/authn/federation/jose"
)

// tokens asks what taking an access token costs beside the verification of its
// signature, which nobody can spare the first time.
func tokens() Group {
	a := newAccess()
	fresh := a.verifier(-1)
	known := a.verifier(0)
	return Group{
		Name:  "bearer",
		Title: "An ES256 access token",
		Note: "A token of RFC 9068 with eleven claims. The floor hashes its first two parts and verifies the signature with crypto/ecdsa. " +
			"The peers parse it and check issuer, audience and expiry. Ours also checks type, subject, time limits and binding, and refuses what they pass over. " +
			"A token that was verified before stands until its expiry, as long as its key stays in the issuer's set.",
		Cases: []Case{
			{Name: "first time", Rows: []Row{
				{Floor, "sha256, ecdsa.VerifyASN1", a.floor},
				{Peer, "golang-jwt v5", a.golangJWT},
				{Peer, "go-jose v4", a.goJose},
				{Ours, "bearer, nothing remembered", func(b *testing.B) { a.ours(b, fresh) }},
			}},
			{Name: "verified before", Rows: []Row{
				{Floor, "sha256 of the token", a.sum},
				{Ours, "bearer", func(b *testing.B) { a.ours(b, known) }},
			}},
		},
	}
}

const (
	accessIssuer   = "https://idp.example"
	accessAudience = "https://api.example"
)

type access struct {
	key       *ecdsa.PrivateKey
	token     string
	signed    []byte
	signature []byte // ASN.1
}

func newAccess() *access {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	now := time.Now().Unix()
	header, err := json.Marshal(map[string]any{"alg": "ES256", "kid": "2026-11", "typ": "at+jwt"})
	check(err)
	payload, err := json.Marshal(map[string]any{
		"iss": accessIssuer, "aud": accessAudience, "sub": "2f6b1c1e-8f1d-4d6f-9a53-0a7c8a7d2b11", "client_id": "web", "jti": "b7b1a9a4e6",
		"iat": now, "nbf": now, "exp": now + 3600, "scope": "records.read records.write", "acr": "phr", "tenant_roles": []string{"editor", "reader"},
	})
	check(err)
	b64 := base64.RawURLEncoding.EncodeToString
	a := &access{key: key, signed: []byte(b64(header) + "." + b64(payload))}
	sum := sha256.Sum256(a.signed)
	a.signature, err = ecdsa.SignASN1(rand.Reader, key, sum[:])
	check(err)
	a.token = string(a.signed) + "." + b64(numbers(a.signature))
	return a
}

// numbers are the two numbers of an ASN.1 signature, 32 bytes each.
func numbers(der []byte) []byte {
	out := make([]byte, 64)
	rest := der[2:]
	for i := range 2 {
		n := int(rest[1])
		new(big.Int).SetBytes(rest[2 : 2+n]).FillBytes(out[32*i : 32*i+32])
		rest = rest[2+n:]
	}
	return out
}

func (a *access) floor(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256(a.signed)
		if !ecdsa.VerifyASN1(&a.key.PublicKey, sum[:], a.signature) {
			panic("the signature does not verify")
		}
	}
}

func (a *access) sum(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if sum := sha256.Sum256([]byte(a.token)); sum[0] == 0 && sum[1] == 0 && sum[2] == 0 && sum[3] == 0 {
			panic("not a likely hash")
		}
	}
}

func (a *access) golangJWT(b *testing.B) {
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{"ES256"}), golangjwt.WithIssuer(accessIssuer),
		golangjwt.WithAudience(accessAudience), golangjwt.WithExpirationRequired())
	key := func(*golangjwt.Token) (any, error) { return &a.key.PublicKey, nil }
	b.ReportAllocs()
	for b.Loop() {
		_, err := parser.ParseWithClaims(a.token, golangjwt.MapClaims{}, key)
		check(err)
	}
}

func (a *access) goJose(b *testing.B) {
	want := jwt.Expected{Issuer: accessIssuer, AnyAudience: jwt.Audience{accessAudience}}
	b.ReportAllocs()
	for b.Loop() {
		t, err := jwt.ParseSigned(a.token, []gojose.SignatureAlgorithm{gojose.ES256})
		check(err)
		var c jwt.Claims
		check(t.Claims(&a.key.PublicKey, &c))
		check(c.Validate(want))
	}
}

func (a *access) verifier(cache int) *bearer.Verifier {
	k, err := jose.NewKey("2026-11", jose.ES256, &a.key.PublicKey)
	check(err)
	keys, err := jose.NewSet(k)
	check(err)
	drop := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	v, err := bearer.New(drop, []bearer.Issuer{{URL: accessIssuer, Audience: accessAudience, Tenant: "acme", Keys: keys}}, bearer.Options{Cache: cache})
	check(err)
	return v
}

func (a *access) ours(b *testing.B, v *bearer.Verifier) {
	ctx := context.Background()
	if _, err := v.Verify(ctx, a.token+"x"); err == nil || !strings.Contains(err.Error(), "signature") {
		panic(errors.Join(errors.New("a longer token was accepted"), err))
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := v.Verify(ctx, a.token)
		check(err)
	}
}
