// Package mtls lets programs in by their TLS client certificate.
//
//	machines, err := mtls.New(func(ctx context.Context, id mtls.Identity) (authn.Principal, error) {
//		for _, uri := range id.URIs {
//			if p, ok := known[uri]; ok {
//				return p, nil
//			}
//		}
//		return authn.Principal{}, mtls.ErrUnknown
//	}, mtls.Options{})
//	identify, err := authn.Identify(log, machines)
//
// The server's tls.Config asks for certificates and verifies them against the
// roots of its clients: ClientAuth VerifyClientCertIfGiven or
// RequireAndVerifyClientCert, and ClientCAs. What it did not verify is refused
// here. Names come from the certificate's subject alternative names alone,
// never from its subject. A connection outlives its handshake: validity, key
// usage and Options.Revoked are looked at on every call and, on streams, every
// second.
//
// A proxy that ends TLS in front of the service makes the connection's
// certificate its own: this package reads no header.
package mtls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// ErrUnknown is what a [Lookup] returns for a certificate that is nobody's. It
// wraps authn.ErrCredential.
var ErrUnknown = fmt.Errorf("mtls: unknown certificate: %w", authn.ErrCredential)

// An Identity is what a verified certificate says.
type Identity struct {
	URIs        []string // such as "spiffe://acme.example/export"
	DNSNames    []string
	Fingerprint [sha256.Size]byte // of the certificate
	Certificate *x509.Certificate
}

// A Lookup returns who has a certificate, or ErrUnknown. Compare whole names:
// a prefix that is somebody's is not his.
type Lookup func(ctx context.Context, id Identity) (authn.Principal, error)

// Options are the options of an [Authenticator].
type Options struct {
	// MaxLifetime refuses certificates that are valid for longer; 0 is 398
	// days, negative is no limit.
	MaxLifetime time.Duration
	// Revoked reports whether a certificate was revoked; nil asks nobody.
	// When it can't tell, the call is denied.
	Revoked func(ctx context.Context, c *x509.Certificate) (bool, error)
}

// An Authenticator is an authn.Authenticator. It is safe for concurrent use.
type Authenticator struct {
	lookup Lookup
	o      Options
	now    func() time.Time
}

var _ authn.Authenticator = (*Authenticator)(nil)

// New makes an Authenticator.
func New(lookup Lookup, o Options) (*Authenticator, error) {
	if lookup == nil {
		return nil, errors.New("mtls: New needs a lookup")
	}
	if o.MaxLifetime == 0 {
		o.MaxLifetime = 398 * 24 * time.Hour
	}
	return &Authenticator{lookup, o, time.Now}, nil
}

// Authenticate finds out who has the connection's certificate.
func (a *Authenticator) Authenticate(ctx context.Context, call *guard.Call) (authn.Principal, error) {
	if call.TLS == nil || len(call.TLS.PeerCertificates) == 0 {
		return authn.Principal{}, authn.ErrNoCredential
	}
	if len(call.TLS.VerifiedChains) == 0 {
		return authn.Principal{}, refuse("not verified")
	}
	leaf := call.TLS.PeerCertificates[0]
	if err := a.stands(ctx, leaf); err != nil {
		return authn.Principal{}, err
	}
	id := Identity{DNSNames: slices.Clone(leaf.DNSNames), Fingerprint: sha256.Sum256(leaf.Raw), Certificate: leaf}
	for _, u := range leaf.URIs {
		id.URIs = append(id.URIs, u.String())
	}
	p, err := a.lookup(ctx, id)
	switch {
	case err != nil:
		return authn.Principal{}, fmt.Errorf("mtls: %w", err)
	case p.ID == "" || p.Tenant == "":
		return authn.Principal{}, errors.New("mtls: the lookup returned a principal without an id or a tenant")
	}
	if p.Kind == auditlog.Anonymous {
		p.Kind = auditlog.Service
	}
	if p.AAL == 0 {
		p.AAL = authn.AAL1
	}
	if len(p.Methods) == 0 {
		p.Methods = []string{"swk"}
	}
	p.AuthenticatedAt = a.now()
	return p, nil
}

func refuse(cause string) error { return fmt.Errorf("mtls: %s: %w", cause, authn.ErrCredential) }

func (a *Authenticator) stands(ctx context.Context, c *x509.Certificate) error {
	now := a.now()
	switch {
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return refuse("expired")
	case c.IsCA:
		return refuse("an authority's certificate")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return refuse("not for clients")
	case a.o.MaxLifetime > 0 && c.NotAfter.Sub(c.NotBefore) > a.o.MaxLifetime:
		return refuse("valid for too long")
	}
	if a.o.Revoked == nil {
		return nil
	}
	switch revoked, err := a.o.Revoked(ctx, c); {
	case err != nil:
		return fmt.Errorf("mtls: revocation: %w", err)
	case revoked:
		return refuse("revoked")
	}
	return nil
}

// Guard returns a guard of phase identify for the streams of certificates,
// which ends them once theirs no longer stands. Put it behind authn.Identify.
func (a *Authenticator) Guard() guard.Readmitter { return &watch{a} }

type watch struct{ a *Authenticator }

func (w *watch) Phase() guard.Phase           { return guard.Identify }
func (w *watch) Controls() []controls.Control { return nil }

func (w *watch) Admit(ctx context.Context, _ *guard.Call) (context.Context, error) { return ctx, nil }

func (w *watch) Readmit(ctx context.Context, call *guard.Call) error {
	if call.TLS == nil || len(call.TLS.PeerCertificates) == 0 {
		return nil
	}
	err := w.a.stands(ctx, call.TLS.PeerCertificates[0])
	if errors.Is(err, authn.ErrCredential) {
		return &guard.Denial{
			Control: "authn.mtls", Code: guard.Unauthenticated, Public: "The certificate is no longer valid.", Err: err,
			Type: "https://surety-go.github.io/problems/authentication-required",
		}
	}
	return err
}

// Controls describes the authenticator. Its probe shows it certificates that
// were not verified, have expired, and are not for clients.
func (a *Authenticator) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "authn.mtls",
		Parameters: []controls.Parameter{controls.Duration("max_lifetime", max(0, a.o.MaxLifetime)), controls.Bool("revocation", a.o.Revoked != nil)},
		Probe:      a.probe,
	}}
}

func (a *Authenticator) probe(ctx context.Context) controls.Result {
	quiet := *a
	quiet.o.Revoked = nil
	quiet.lookup = func(context.Context, Identity) (authn.Principal, error) {
		return authn.Principal{Actor: auditlog.Actor{ID: "probe", Tenant: "surety-probe", Kind: auditlog.Probe}}, nil
	}
	now := a.now()
	good := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "probe"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	expired, server := *good, *good
	expired.NotAfter = now.Add(-time.Minute)
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, s := range []struct {
		what     string
		c        *x509.Certificate
		verified bool
		want     bool
	}{{"a good certificate", good, true, true}, {"one that was not verified", good, false, false}, {"an expired one", &expired, true, false}, {"a server's", &server, true, false}} {
		call := guard.Synthetic("authn.mtls", "authn.probe", nil)
		call.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{s.c}}
		if s.verified {
			call.TLS.VerifiedChains = [][]*x509.Certificate{{s.c}}
		}
		if _, err := quiet.Authenticate(ctx, call); (err == nil) != s.want {
			return controls.Failed("%s: accepted %t", s.what, err == nil)
		}
	}
	return controls.Passed("certificates that were not verified, have expired or are not for clients were refused")
}
