package spiffe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// Controls describes the authenticator. Its probe shows it SVIDs of its own
// making: of a bundle's authority, of no authority's, expired, and of another
// trust domain.
func (a *Authenticator) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.spiffe",
		Parameters: []controls.Parameter{
			controls.Int("trust_domains", len(a.domains)),
			controls.Bool("certificates", a.parts.X509 != nil),
			controls.Bool("tokens", a.parts.JWT != nil),
			controls.Duration("max_lifetime", a.limit(24*time.Hour)),
		},
		Probe: a.probe,
	}}
}

func (a *Authenticator) probe(ctx context.Context) controls.Result {
	home := a.domains[0]
	authority, err := newAuthority(a.now())
	if err != nil {
		return controls.Errored("make an authority: %v", err)
	}
	stranger, err := newAuthority(a.now())
	if err != nil {
		return controls.Errored("make an authority: %v", err)
	}
	quiet := *a
	quiet.parts.X509 = x509bundle.FromX509Authorities(home, []*x509.Certificate{authority.cert})
	quiet.lookup = func(context.Context, string) (authn.Principal, error) {
		return authn.Principal{Actor: auditlog.Actor{ID: "probe", Tenant: "surety-probe", Kind: auditlog.Probe}}, nil
	}
	for _, s := range []struct {
		what   string
		by     *issuer
		id     string
		begins time.Duration
		want   bool
	}{
		{"a good SVID", authority, "spiffe://" + home.Name() + "/probe", -time.Minute, true},
		{"one that nobody vouches for", stranger, "spiffe://" + home.Name() + "/probe", -time.Minute, false},
		{"an expired one", authority, "spiffe://" + home.Name() + "/probe", -2 * time.Hour, false},
		{"one of another trust domain", authority, "spiffe://" + home.Name() + ".invalid/probe", -time.Minute, false},
	} {
		cert, err := s.by.issue(s.id, a.now().Add(s.begins))
		if err != nil {
			return controls.Errored("issue: %v", err)
		}
		call := guard.Synthetic("authn.spiffe", "authn.probe", nil)
		call.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		if _, err := quiet.Authenticate(ctx, call); (err == nil) != s.want {
			return controls.Failed("%s: accepted %t", s.what, err == nil)
		}
	}
	return controls.Passed("SVIDs that nobody vouches for, have expired or are of another trust domain were refused")
}

// An issuer signs the probe's SVIDs.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(now time.Time) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &issuer{cert, key}, err
}

// issue signs an SVID that is valid for an hour.
func (a *issuer) issue(id string, from time.Time) (*x509.Certificate, error) {
	u, err := url.Parse(id)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: from.Add(time.Hour), URIs: []*url.URL{u},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
