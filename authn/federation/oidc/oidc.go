package oidc

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
)

// Parts are what a RelyingParty is made of. All but Provision are required.
type Parts struct {
	Flow     *login.Flow
	Sessions *session.Manager
	Links    Links
	// Key seals the transactions that travel in cookies: at least 32 random
	// bytes, the same on all instances.
	Key      []byte
	Recorder auditlog.Recorder
	// Provision makes an account for an identity that has none, and returns
	// its id; ErrNotLinked turns the person away. Nil turns all away.
	Provision func(context.Context, Identity) (account string, err error)
}

// A Provider is where people sign in.
type Provider struct {
	// Name is part of paths: 1 to 32 of a-z, 0-9 and "-". It must not change.
	Name string
	// Issuer is the provider's URL, exactly as in its tokens. Its metadata
	// lie below it.
	Issuer string
	// ClientID and ClientSecret are from the registration. A client without
	// a secret is protected by PKCE alone.
	ClientID, ClientSecret string
	// Tenant is whose accounts these are.
	Tenant string

	// Algorithms are those of its ID tokens. Empty is ES256, EdDSA, PS256 and
	// RS256.
	Algorithms []jose.Algorithm
	// Scopes are asked for beside "openid". Ask for what Provision reads.
	Scopes []string
	// ACR are values of "acr" to ask for, in order of preference.
	ACR []string
	// MaxAge has the provider ask again whoever proved himself longer ago; 0
	// leaves that to the provider.
	MaxAge time.Duration
	// Assurance is what its "acr" and "amr" are worth.
	Assurance federation.Assurance
	// Domains are the domains of email addresses that it is the authority
	// for, in lower case.
	Domains []string
	// Allow, Ports and RootCAs are as in jose.FetchOptions, for a provider
	// inside.
	Allow   []netip.Prefix
	Ports   []uint16
	RootCAs *x509.CertPool
}

// Options are the options of a [RelyingParty].
type Options struct {
	// Origin is how browsers reach this service, such as
	// "https://records.example". Required.
	Origin string
	// TransactionFor is how long a person may take at the provider; 0 is 10
	// minutes, at most 1 h.
	TransactionFor time.Duration
	// Seen remembers the logout tokens that were used. Nil remembers them in
	// memory, which is for one instance.
	Seen federation.Replay
	// InsecureCookies is as in session.Options and must be the same.
	InsecureCookies bool
}

// An Identity is who somebody is at a provider.
type Identity struct {
	Provider, Tenant string
	Issuer, Subject  string
	// Email is empty unless the provider has verified it and is the authority
	// for its domain.
	Email string
	// Claims are all that the ID token says. Nothing in it beside issuer and
	// subject tells who somebody is.
	Claims *jose.Claims
}

// A RelyingParty signs people in at providers. It is safe for concurrent use.
type RelyingParty struct {
	parts     Parts
	o         Options
	providers map[string]*provider
	aead      cipher.AEAD
	origin    *http.CrossOriginProtection
	now       func() time.Time
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// New makes a RelyingParty. Nothing is fetched yet.
func New(p Parts, providers []Provider, o Options) (*RelyingParty, error) {
	switch {
	case p.Flow == nil || p.Sessions == nil || p.Links == nil || p.Recorder == nil:
		return nil, errors.New("oidc: New: a part is missing")
	case len(p.Key) < session.KeySize:
		return nil, fmt.Errorf("oidc: New: Key: %d bytes: want at least %d", len(p.Key), session.KeySize)
	case len(providers) == 0:
		return nil, errors.New("oidc: New: want at least one provider")
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("oidc: Options: %w", err)
	}
	mac := hmac.New(sha256.New, p.Key)
	mac.Write([]byte("surety oidc transaction v1"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	rp := &RelyingParty{
		parts: p, o: o, providers: map[string]*provider{}, aead: aead, origin: http.NewCrossOriginProtection(), now: time.Now,
	}
	for i := range providers {
		if err := rp.add(providers[i]); err != nil {
			return nil, fmt.Errorf("oidc: provider %d: %w", i, err)
		}
	}
	return rp, nil
}

func (o *Options) complete() error {
	u, err := url.Parse(o.Origin)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !o.InsecureCookies) {
		return errors.New("field Origin: want https, a host and nothing else")
	}
	if o.TransactionFor == 0 {
		o.TransactionFor = 10 * time.Minute
	}
	if o.TransactionFor < time.Minute || o.TransactionFor > time.Hour {
		return errors.New("field TransactionFor: want 1 min to 1 h")
	}
	if o.Seen == nil {
		o.Seen = federation.NewMemory()
	}
	return nil
}

func (rp *RelyingParty) add(p Provider) error {
	u, err := url.Parse(p.Issuer)
	switch {
	case !nameForm.MatchString(p.Name) || rp.providers[p.Name] != nil:
		return errors.New("field Name: want 1 to 32 of a-z, 0-9 and -, each once")
	case err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("field Issuer: want an https URL without query")
	case p.ClientID == "":
		return errors.New("field ClientID is empty")
	case !session.ValidTenant(p.Tenant):
		return errors.New("field Tenant: want letters, digits, - and _")
	case p.MaxAge < 0 || p.MaxAge != 0 && p.MaxAge < time.Minute:
		return errors.New("field MaxAge: want 0 or at least 1 min")
	}
	if err := p.Assurance.Validate(); err != nil {
		return err //nolint:wrapcheck // names the field
	}
	if len(p.Algorithms) == 0 {
		p.Algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
	}
	for _, other := range rp.providers {
		if other.Issuer == p.Issuer && other.ClientID == p.ClientID && other.Tenant != p.Tenant {
			return errors.New("field Tenant: one client of an issuer can't be two tenants'")
		}
	}
	p.Scopes = slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return s == "openid" })
	if slices.ContainsFunc(p.Scopes, func(s string) bool { return s == "" || strings.ContainsAny(s, " \t\n\"") }) {
		return errors.New("field Scopes: one is empty or has a space")
	}
	made, err := newProvider(p, rp.o.Origin, func() time.Time { return rp.now() })
	if err != nil {
		return err
	}
	rp.providers[p.Name] = made
	return nil
}

// Close closes idle connections.
func (rp *RelyingParty) Close() {
	for _, p := range rp.providers {
		p.http.Close()
	}
}
