package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/surety-go/surety/authn/federation/jose"
)

// leeway is how much clocks may differ; idTokenFor is how old an ID token may
// be that was issued for us a moment ago.
const (
	leeway     = 30 * time.Second
	idTokenFor = 10 * time.Minute
)

// A refusal is why somebody was not signed in.
type refusal struct {
	cause string // a word for events
	err   error
}

func refuse(cause, format string, args ...any) error {
	return &refusal{cause, fmt.Errorf(format, args...)}
}

func (r *refusal) Error() string { return "oidc: " + r.cause + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// redeem checks an answer of the provider and takes the identity behind its
// code.
func (p *provider) redeem(ctx context.Context, t *transaction, answer url.Values) (*jose.Claims, error) {
	m, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	switch issuers := answer["iss"]; {
	case len(issuers) > 1 || len(issuers) == 1 && issuers[0] != p.Issuer:
		return nil, refuse("mix-up", "iss of the answer is another issuer")
	case m.named && len(issuers) == 0:
		return nil, refuse("mix-up", "the answer lacks iss")
	case answer.Has("error"):
		return nil, refuse("provider", "the provider answers %.64q", answer.Get("error"))
	case len(answer["code"]) != 1 || answer.Get("code") == "":
		return nil, refuse("answer", "want one code")
	}
	token, err := m.config.Exchange(p.client(ctx), answer.Get("code"), oauth2.VerifierOption(t.Verifier))
	var said *oauth2.RetrieveError
	if errors.As(err, &said) && said.Response != nil && said.Response.StatusCode < 500 {
		return nil, refuse("code", "the provider refuses the code: %.64q", said.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: code: %w", ErrProvider, p.Name, hide(err))
	}
	raw, _ := token.Extra("id_token").(string)
	return p.verify(ctx, m, t, raw, token.AccessToken)
}

// hide keeps what a provider answered out of errors: it may hold a token.
func hide(err error) error {
	var said *oauth2.RetrieveError
	if errors.As(err, &said) && said.Response != nil {
		return fmt.Errorf("status %d", said.Response.StatusCode)
	}
	return err
}

// verify checks an ID token (OpenID Connect Core, section 3.1.3.7).
func (p *provider) verify(ctx context.Context, m *metadata, t *transaction, raw, access string) (*jose.Claims, error) {
	message, err := m.id.Verify(ctx, raw)
	switch {
	case errors.Is(err, jose.ErrToken):
		return nil, refuse("id-token", "%w", err)
	case err != nil:
		return nil, fmt.Errorf("%w %s: %w", ErrProvider, p.Name, err)
	}
	c, err := jose.ParseClaims(message.Payload)
	if err != nil {
		return nil, refuse("id-token", "%w", err)
	}
	if err := p.accepts(c, t); err != nil {
		return nil, err
	}
	if hash, ok := c.Text("at_hash"); (ok || c.Has("at_hash")) && !fits(hash, access, message.Header.Algorithm) {
		return nil, refuse("id-token", "at_hash is of another access token")
	}
	// go-oidc has the last word: it may know better, it can't know less.
	if _, err := m.check.Verify(ctx, raw); err != nil {
		return nil, refuse("id-token", "%w", err)
	}
	return c, nil
}

// accepts checks that the ID token is of this issuer, for this client and
// this transaction, and of now.
func (p *provider) accepts(c *jose.Claims, t *transaction) error {
	now := p.now()
	switch {
	case c.Issuer != p.Issuer:
		return refuse("id-token", "iss is another issuer")
	case c.Subject == "" || len(c.Subject) > 255:
		return refuse("id-token", "sub is missing or too long")
	case !slices.Equal(c.Audience, []string{p.ClientID}) || c.Authorised != "" && c.Authorised != p.ClientID:
		return refuse("audience", "aud and azp: want this client alone")
	case subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(t.Nonce)) != 1:
		return refuse("nonce", "nonce is of another transaction")
	case c.Issued.IsZero() || now.Sub(c.Issued) > idTokenFor+leeway:
		return refuse("id-token", "iat is missing or too long ago")
	case c.AuthTime.After(now.Add(leeway)):
		return refuse("id-token", "auth_time lies ahead")
	case p.MaxAge > 0 && (c.AuthTime.IsZero() || now.Sub(c.AuthTime) > p.MaxAge+leeway):
		return refuse("age", "auth_time is missing or longer ago than asked for")
	}
	if err := c.Timely(now, leeway, 24*time.Hour); err != nil {
		return refuse("id-token", "%w", err)
	}
	return nil
}

// fits checks at_hash: the left half of the hash that the token is signed
// with (section 3.1.3.6). Ed25519 hashes with SHA-512.
func fits(hash, access string, a jose.Algorithm) bool {
	var sum []byte
	switch s := string(a); {
	case strings.HasSuffix(s, "256"):
		h := sha256.Sum256([]byte(access))
		sum = h[:16]
	case strings.HasSuffix(s, "384"):
		h := sha512.Sum384([]byte(access))
		sum = h[:24]
	default:
		h := sha512.Sum512([]byte(access))
		sum = h[:32]
	}
	return subtle.ConstantTimeCompare([]byte(hash), []byte(encoding.EncodeToString(sum))) == 1
}

// identity is who the ID token speaks of.
func (p *provider) identity(c *jose.Claims) Identity {
	i := Identity{Provider: p.Name, Tenant: p.Tenant, Issuer: p.Issuer, Subject: c.Subject, Claims: c}
	email, _ := c.Text("email")
	verified := false
	_ = c.Decode("email_verified", &verified) // what is no "true" is none
	at := strings.LastIndexByte(email, '@')
	if verified && at > 0 && len(email) <= 254 && slices.Contains(p.Domains, strings.ToLower(email[at+1:])) {
		i.Email = email
	}
	return i
}

// methods are what login.Flow is told. A key counts as one in hardware only
// for an issuer that is trusted with AAL3.
func (p *provider) methods(c *jose.Claims) []string {
	level, methods := p.Assurance.Judge(c.ACR, c.AMR)
	out := slices.Clone(methods)
	for i, m := range out {
		if m == "hwk" && level < 3 {
			out[i] = "pop" // RFC 8176: proof of possession of a key
		}
	}
	if level == 3 && !slices.Contains(out, "hwk") {
		out = append(out, "hwk")
	}
	return slices.Compact(out)
}
