// Package spiffe lets workloads in by their SPIFFE identities: an X509-SVID on
// the connection, or a JWT-SVID in the Authorization header.
//
//	source, err := workloadapi.NewX509Source(ctx)      // go-spiffe's, of the node's agent
//	workloads, err := spiffe.New(spiffe.Parts{
//		TrustDomains: []string{"acme.example"},
//		X509:         source,
//	}, func(ctx context.Context, id string) (authn.Principal, error) {
//		if p, ok := known[id]; ok {
//			return p, nil
//		}
//		return authn.Principal{}, spiffe.ErrUnknown
//	}, spiffe.Options{})
//	config := workloads.ServerConfig(source)
//	identify, err := authn.Identify(log, workloads)
//
// The handshake proves the key; what a certificate or token says is verified
// against the trust domain's bundle on every call, so that a bundle that was
// rotated, and an SVID that has expired, count at once. An identity is a whole
// "spiffe://trust-domain/path": a prefix that is somebody's is not his, and
// only the trust domains that are listed are heard, whatever bundles a source
// has.
package spiffe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// ErrUnknown is what a [Lookup] returns for an identity that is nobody's here.
// It wraps authn.ErrCredential.
var ErrUnknown = fmt.Errorf("spiffe: unknown identity: %w", authn.ErrCredential)

// A Lookup returns who has an identity, such as "spiffe://acme.example/export",
// or ErrUnknown.
type Lookup func(ctx context.Context, id string) (authn.Principal, error)

// Parts are what an [Authenticator] verifies with. At least one of X509 and
// JWT is needed.
type Parts struct {
	// TrustDomains are those whose workloads are heard.
	TrustDomains []string
	// X509 has the bundles for X509-SVIDs; nil takes none.
	X509 x509bundle.Source
	// JWT has the bundles for JWT-SVIDs; nil takes none.
	JWT jwtbundle.Source
	// Audience is what a JWT-SVID must be for, and for nothing else: the
	// service's own SPIFFE ID or URL. A token for several could be used by one
	// of them at the others.
	Audience string
}

// Options are the options of an [Authenticator].
type Options struct {
	// MaxLifetime refuses SVIDs that are valid for longer; 0 is 24 h for
	// certificates and 1 h for tokens, which whoever sees them can use.
	MaxLifetime time.Duration
}

// An Authenticator is an authn.Authenticator. It is safe for concurrent use.
type Authenticator struct {
	parts   Parts
	domains []spiffeid.TrustDomain
	lookup  Lookup
	o       Options
	now     func() time.Time
}

var _ authn.Authenticator = (*Authenticator)(nil)

// New makes an Authenticator.
func New(parts Parts, lookup Lookup, o Options) (*Authenticator, error) {
	switch {
	case lookup == nil:
		return nil, errors.New("spiffe: New needs a lookup")
	case parts.X509 == nil && parts.JWT == nil:
		return nil, errors.New("spiffe: Parts has neither X509 nor JWT")
	case parts.JWT != nil && parts.Audience == "":
		return nil, errors.New("spiffe: Parts.Audience is empty: tokens for others would be taken")
	case len(parts.TrustDomains) == 0:
		return nil, errors.New("spiffe: Parts.TrustDomains is empty")
	case o.MaxLifetime < 0:
		return nil, fmt.Errorf("spiffe: Options.MaxLifetime is %s, want a positive time", o.MaxLifetime)
	}
	a := &Authenticator{parts: parts, lookup: lookup, o: o, now: time.Now}
	for i, name := range parts.TrustDomains {
		d, err := spiffeid.TrustDomainFromString(name)
		if err != nil {
			return nil, fmt.Errorf("spiffe: Parts.TrustDomains[%d]: %w", i, err)
		}
		a.domains = append(a.domains, d)
	}
	return a, nil
}

// ServerConfig is a configuration of servers that presents an SVID and demands
// one of the listed trust domains.
func (a *Authenticator) ServerConfig(own x509svid.Source) *tls.Config {
	c := tlsconfig.MTLSServerConfig(own, a.parts.X509, func(id spiffeid.ID, _ [][]*x509.Certificate) error {
		return a.hears(id)
	})
	c.MinVersion = tls.VersionTLS13
	return c
}

// Authenticate finds out whose SVID a call has. The connection's counts first.
func (a *Authenticator) Authenticate(ctx context.Context, call *guard.Call) (authn.Principal, error) {
	id, method, err := a.identity(call)
	if err != nil {
		return authn.Principal{}, err
	}
	p, err := a.lookup(ctx, id.String())
	switch {
	case err != nil:
		return authn.Principal{}, fmt.Errorf("spiffe: %w", err)
	case p.ID == "" || p.Tenant == "":
		return authn.Principal{}, errors.New("spiffe: the lookup returned a principal without an id or a tenant")
	}
	if p.Kind == auditlog.Anonymous {
		p.Kind = auditlog.Service
	}
	if p.AAL == 0 {
		p.AAL = authn.AAL1
	}
	if len(p.Methods) == 0 {
		p.Methods = []string{method}
	}
	p.AuthenticatedAt = a.now()
	return p, nil
}

func (a *Authenticator) identity(call *guard.Call) (id spiffeid.ID, method string, err error) {
	if certs := certificates(call); a.parts.X509 != nil && certs != nil {
		id, err = a.certificate(certs)
		return id, "swk", err
	}
	if token := token(call); a.parts.JWT != nil && token != "" {
		id, err = a.token(token)
		return id, "jwt", err
	}
	return id, "", authn.ErrNoCredential
}

// certificates returns the peer's if they are an SVID: others are for others.
func certificates(call *guard.Call) []*x509.Certificate {
	if call.TLS == nil || len(call.TLS.PeerCertificates) == 0 {
		return nil
	}
	certs := call.TLS.PeerCertificates
	for _, u := range certs[0].URIs {
		if u.Scheme == "spiffe" {
			return certs
		}
	}
	return nil
}

// certificate verifies an X509-SVID. The peer proved its key in the handshake.
func (a *Authenticator) certificate(certs []*x509.Certificate) (spiffeid.ID, error) {
	named, err := x509svid.IDFromCert(certs[0])
	if err != nil {
		return named, refuse(err)
	}
	if err := a.hears(named); err != nil {
		return named, err
	}
	id, _, err := x509svid.Verify(certs, a.parts.X509, x509svid.WithTime(a.now()))
	if err != nil {
		return id, refuse(err)
	}
	if limit := a.limit(24 * time.Hour); certs[0].NotAfter.Sub(certs[0].NotBefore) > limit {
		return id, refuse(fmt.Errorf("valid for longer than %s", limit))
	}
	return id, nil
}

// token returns a bearer token whose subject is a SPIFFE ID: other tokens are
// for other authenticators. Nothing is believed here.
func token(call *guard.Call) string {
	values := call.Header("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	parts := strings.Split(raw, ".")
	if !strings.EqualFold(scheme, "Bearer") || len(parts) != 3 || len(raw) > maxToken {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Sub string `json:"sub"`
	}
	if err != nil || json.Unmarshal(b, &claims) != nil || !strings.HasPrefix(claims.Sub, "spiffe://") {
		return ""
	}
	return raw
}

// maxToken bounds what is parsed before anything is verified.
const maxToken = 16 << 10

// token verifies a JWT-SVID: signature by the trust domain's bundle, times, and
// the audience.
func (a *Authenticator) token(raw string) (spiffeid.ID, error) {
	s, err := jwtsvid.ParseAndValidate(raw, a.parts.JWT, []string{a.parts.Audience})
	if err != nil {
		return spiffeid.ID{}, refuse(err)
	}
	switch limit := a.limit(time.Hour); {
	case a.hears(s.ID) != nil:
		return s.ID, a.hears(s.ID)
	case !slices.Equal(s.Audience, []string{a.parts.Audience}):
		return s.ID, refuse(errors.New("the token is for others too"))
	case s.Expiry.Sub(a.now()) > limit:
		return s.ID, refuse(fmt.Errorf("valid for longer than %s", limit))
	}
	return s.ID, nil
}

func (a *Authenticator) limit(d time.Duration) time.Duration {
	if a.o.MaxLifetime > 0 {
		return a.o.MaxLifetime
	}
	return d
}

// hears refuses identities of trust domains that are not listed.
func (a *Authenticator) hears(id spiffeid.ID) error {
	if !slices.ContainsFunc(a.domains, id.MemberOf) {
		return refuse(fmt.Errorf("trust domain %q is not listed", id.TrustDomain().Name()))
	}
	return nil
}

func refuse(cause error) error { return fmt.Errorf("spiffe: %w: %w", cause, authn.ErrCredential) }

// Guard returns a guard of phase identify for streams, which ends them once
// the SVID they began with no longer stands. Put it behind authn.Identify.
func (a *Authenticator) Guard() guard.Readmitter { return &watch{a} }

type watch struct{ a *Authenticator }

func (w *watch) Phase() guard.Phase           { return guard.Identify }
func (w *watch) Controls() []controls.Control { return nil }

func (w *watch) Admit(ctx context.Context, _ *guard.Call) (context.Context, error) { return ctx, nil }

func (w *watch) Readmit(_ context.Context, call *guard.Call) error {
	_, _, err := w.a.identity(call)
	if errors.Is(err, authn.ErrCredential) {
		return &guard.Denial{
			Control: "authn.spiffe", Code: guard.Unauthenticated, Public: "The identity is no longer valid.", Err: err,
			Type: "https://surety-go.github.io/problems/authentication-required",
		}
	}
	if errors.Is(err, authn.ErrNoCredential) {
		return nil // somebody else's credential
	}
	return err
}
