package spiffe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

const audience = "spiffe://acme.example/records"

// A domain is a trust domain with its authority, which signs both kinds.
type domain struct {
	t    *testing.T
	td   spiffeid.TrustDomain
	ca   *issuer
	x509 *x509bundle.Bundle
	jwt  *jwtbundle.Bundle
}

func newDomain(t *testing.T, name string) *domain {
	t.Helper()
	ca, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d := &domain{t: t, td: spiffeid.RequireTrustDomainFromString(name), ca: ca}
	d.x509 = x509bundle.FromX509Authorities(d.td, []*x509.Certificate{ca.cert})
	d.jwt = jwtbundle.New(d.td)
	if err := d.jwt.AddJWTAuthority("k1", ca.key.Public()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *domain) id(path string) spiffeid.ID {
	return spiffeid.RequireFromPath(d.td, path)
}

func (d *domain) cert(id string, from time.Time) *x509.Certificate {
	d.t.Helper()
	c, err := d.ca.issue(id, from)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// svid is what a workload presents.
func (d *domain) svid(path string) *x509svid.SVID {
	d.t.Helper()
	return &x509svid.SVID{ID: d.id(path), Certificates: []*x509.Certificate{d.cert(d.id(path).String(), time.Now().Add(-time.Minute))}, PrivateKey: d.ca.key}
}

// token is a JWT-SVID; change edits its claims.
func (d *domain) token(path string, change func(map[string]any)) string {
	d.t.Helper()
	claims := map[string]any{"sub": d.id(path).String(), "aud": []string{audience}, "exp": time.Now().Add(5 * time.Minute).Unix(), "iat": time.Now().Unix()}
	if change != nil {
		change(claims)
	}
	return d.sign(jose.ES256, claims)
}

func (d *domain) sign(alg jose.SignatureAlgorithm, claims map[string]any) string {
	d.t.Helper()
	key := jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: d.ca.key, KeyID: "k1"}}
	if alg == jose.HS256 {
		key.Key = jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "k1"}
	}
	s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		d.t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		d.t.Fatal(err)
	}
	signed, err := s.Sign(b)
	if err != nil {
		d.t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		d.t.Fatal(err)
	}
	return raw
}

func lookup(_ context.Context, id string) (authn.Principal, error) {
	if id == "spiffe://acme.example/export" {
		return authn.Principal{Actor: auditlog.Actor{ID: "export", Tenant: "acme"}}, nil
	}
	return authn.Principal{}, ErrUnknown
}

func newAuthenticator(t *testing.T, home, other *domain) *Authenticator {
	t.Helper()
	a, err := New(Parts{
		TrustDomains: []string{home.td.Name()}, X509: x509bundle.NewSet(home.x509, other.x509),
		JWT: jwtbundle.NewSet(home.jwt, other.jwt), Audience: audience,
	}, lookup, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func withCert(c ...*x509.Certificate) *guard.Call {
	call := guard.Synthetic("GET /", "test.call", nil)
	call.TLS = &tls.ConnectionState{PeerCertificates: c}
	return call
}

func withToken(raw string) *guard.Call {
	return guard.Synthetic("GET /", "test.call", http.Header{"Authorization": {"Bearer " + raw}})
}

func TestCertificates(t *testing.T) {
	home, other, stranger := newDomain(t, "acme.example"), newDomain(t, "evil.example"), newDomain(t, "acme.example")
	a := newAuthenticator(t, home, other)
	now := time.Now().Add(-time.Minute)
	long := home.cert("spiffe://acme.example/export", now)
	for name, tc := range map[string]struct {
		certs []*x509.Certificate
		want  error // nil: it is let in
	}{
		"good":                        {[]*x509.Certificate{long}, nil},
		"unknown":                     {[]*x509.Certificate{home.cert("spiffe://acme.example/export/sub", now)}, ErrUnknown},
		"nobody's":                    {[]*x509.Certificate{stranger.cert("spiffe://acme.example/export", now)}, authn.ErrCredential},
		"expired":                     {[]*x509.Certificate{home.cert("spiffe://acme.example/export", now.Add(-2*time.Hour))}, authn.ErrCredential},
		"not begun":                   {[]*x509.Certificate{home.cert("spiffe://acme.example/export", now.Add(time.Hour))}, authn.ErrCredential},
		"a bundle that is not listed": {[]*x509.Certificate{other.cert("spiffe://evil.example/export", now)}, authn.ErrCredential},
		"another's name":              {[]*x509.Certificate{other.cert("spiffe://acme.example/export", now)}, authn.ErrCredential},
		"no path":                     {[]*x509.Certificate{home.cert("spiffe://acme.example", now)}, authn.ErrCredential},
		"an authority":                {[]*x509.Certificate{home.ca.cert}, authn.ErrNoCredential},
		"no SPIFFE ID":                {[]*x509.Certificate{home.cert("https://acme.example/export", now)}, authn.ErrNoCredential},
		"none":                        {nil, authn.ErrNoCredential},
	} {
		p, err := a.Authenticate(t.Context(), withCert(tc.certs...))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if tc.want == nil && (p.ID != "export" || p.Kind != auditlog.Service || p.AAL != authn.AAL1 || !slices.Equal(p.Methods, []string{"swk"})) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	short := *a
	short.o.MaxLifetime = time.Minute
	if _, err := short.Authenticate(t.Context(), withCert(long)); !errors.Is(err, authn.ErrCredential) {
		t.Errorf("valid for too long: %v", err)
	}
	// The authority is taken out of the bundle: what it vouched for counts no more.
	home.x509.RemoveX509Authority(home.ca.cert)
	if _, err := a.Authenticate(t.Context(), withCert(long)); !errors.Is(err, authn.ErrCredential) {
		t.Errorf("after the bundle was rotated: %v", err)
	}
	if err := a.Guard().Readmit(t.Context(), withCert(long)); err == nil {
		t.Error("a stream goes on after the bundle was rotated")
	}
}

func TestTokens(t *testing.T) {
	home, other, stranger := newDomain(t, "acme.example"), newDomain(t, "evil.example"), newDomain(t, "acme.example")
	a := newAuthenticator(t, home, other)
	set := func(key string, value any) func(map[string]any) {
		return func(c map[string]any) { c[key] = value }
	}
	now := time.Now()
	good := home.token("/export", nil)
	head, rest, _ := strings.Cut(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`)) + "." + strings.SplitN(rest, ".", 2)[0] + "."
	_ = head
	for name, tc := range map[string]struct {
		raw  string
		want error
	}{
		"good":                 {good, nil},
		"unknown":              {home.token("/other", nil), ErrUnknown},
		"nobody's":             {stranger.token("/export", nil), authn.ErrCredential},
		"expired":              {home.token("/export", set("exp", now.Add(-10*time.Minute).Unix())), authn.ErrCredential},
		"without exp":          {home.token("/export", func(c map[string]any) { delete(c, "exp") }), authn.ErrCredential},
		"for a day":            {home.token("/export", set("exp", now.Add(24*time.Hour).Unix())), authn.ErrCredential},
		"for another":          {home.token("/export", set("aud", "spiffe://acme.example/payroll")), authn.ErrCredential},
		"for others too":       {home.token("/export", set("aud", []string{audience, "spiffe://acme.example/payroll"})), authn.ErrCredential},
		"for nobody":           {home.token("/export", func(c map[string]any) { delete(c, "aud") }), authn.ErrCredential},
		"another trust domain": {other.token("/export", nil), authn.ErrCredential},
		"another's name":       {other.token("/export", set("sub", "spiffe://acme.example/export")), authn.ErrCredential},
		"alg none":             {none, authn.ErrCredential},
		"alg HS256":            {home.sign(jose.HS256, map[string]any{"sub": "spiffe://acme.example/export", "aud": audience, "exp": now.Add(time.Minute).Unix()}), authn.ErrCredential},
		"a changed signature":  {good[:len(good)-4] + "AAAA", authn.ErrCredential},
		"somebody else's JWT":  {home.token("/export", set("sub", "u-1")), authn.ErrNoCredential},
		"no JWT":               {"a.b.c", authn.ErrNoCredential},
		"an opaque token":      {"s3ss10n", authn.ErrNoCredential},
		"a very long one":      {strings.Repeat("a", maxToken) + "." + rest, authn.ErrNoCredential},
	} {
		p, err := a.Authenticate(t.Context(), withToken(tc.raw))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if tc.want == nil && (p.ID != "export" || !slices.Equal(p.Methods, []string{"jwt"})) {
			t.Errorf("%s: %+v", name, p)
		}
		if err != nil && len(tc.raw) > 20 && strings.Contains(err.Error(), tc.raw[:20]) {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
}

// A server with ServerConfig lets in whom the lookup knows, turns others of the
// trust domain away, and does not complete a handshake with strangers.
func TestOverTLS(t *testing.T) {
	home, other := newDomain(t, "acme.example"), newDomain(t, "evil.example")
	a := newAuthenticator(t, home, other)
	rec := &auditlogtest.Recorder{}
	identify, err := authn.Identify(rec, a)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(rec), identify, a.Guard()}, guard.Route{
		Pattern: "GET /", Action: "test.call", Guards: []guard.Guard{authn.Required(authn.AAL1, authn.RequiredOptions{})},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := authn.FromContext(r.Context())
			fmt.Fprint(w, p.ID)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // strangers' handshakes
	srv.Listener = tls.NewListener(srv.Listener, a.ServerConfig(home.svid("/records")))
	srv.Start()
	defer srv.Close()
	for name, tc := range map[string]struct {
		svid   *x509svid.SVID
		status int // 0: no handshake
	}{
		"known":                {home.svid("/export"), http.StatusOK},
		"unknown":              {home.svid("/other"), http.StatusUnauthorized},
		"another trust domain": {other.svid("/export"), 0},
	} {
		c := &http.Client{Transport: &http.Transport{
			TLSClientConfig: tlsconfig.MTLSClientConfig(tc.svid, home.x509, tlsconfig.AuthorizeID(home.id("/records"))),
		}}
		res, err := c.Get("https://" + srv.Listener.Addr().String())
		if status := 0; err == nil {
			status = res.StatusCode
			_ = res.Body.Close()
			if status != tc.status {
				t.Errorf("%s: %d, want %d", name, status, tc.status)
			}
		} else if tc.status != 0 {
			t.Errorf("%s: %v", name, err)
		}
		c.CloseIdleConnections()
	}
}

func TestSettings(t *testing.T) {
	d := newDomain(t, "acme.example")
	good := Parts{TrustDomains: []string{"acme.example"}, X509: d.x509, JWT: d.jwt, Audience: audience}
	if _, err := New(good, nil, Options{}); err == nil {
		t.Error("no lookup")
	}
	for name, edit := range map[string]func(*Parts, *Options){
		"TrustDomains":    func(p *Parts, _ *Options) { p.TrustDomains = nil },
		"TrustDomains[0]": func(p *Parts, _ *Options) { p.TrustDomains = []string{"no domain!"} },
		"Audience":        func(p *Parts, _ *Options) { p.Audience = "" },
		"neither":         func(p *Parts, _ *Options) { p.X509, p.JWT = nil, nil },
		"MaxLifetime":     func(_ *Parts, o *Options) { o.MaxLifetime = -1 },
	} {
		p, o := good, Options{}
		edit(&p, &o)
		if _, err := New(p, lookup, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, err := New(good, func(context.Context, string) (authn.Principal, error) { return authn.Principal{}, nil }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), withToken(d.token("/export", nil))); err == nil || errors.Is(err, authn.ErrCredential) {
		t.Errorf("a principal that is nobody: %v", err)
	}
	for _, c := range a.Controls() {
		if r := c.Run(t.Context()); c.Validate() != nil || r.State != controls.Pass {
			t.Errorf("%s: %v %s", c.ID, r.State, r.Observed)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("Bearer a.b.c")
	f.Add("Bearer x." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"spiffe://acme.example/export"}`)) + ".y")
	a, err := New(Parts{TrustDomains: []string{"acme.example"}, JWT: jwtbundle.New(spiffeid.RequireTrustDomainFromString("acme.example")), Audience: audience}, lookup, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		call := guard.Synthetic("GET /", "test.call", http.Header{"Authorization": {header}})
		if p, err := a.Authenticate(t.Context(), call); err == nil {
			t.Errorf("%q is %+v", header, p)
		}
	})
}
