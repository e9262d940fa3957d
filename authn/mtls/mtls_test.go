package mtls_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/mtls"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return &authority{c, key, pool}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	u, err := url.Parse("spiffe://acme.example/export")
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "spiffe://acme.example/admin"}, URIs: []*url.URL{u},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(c)
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func byURI(_ context.Context, id mtls.Identity) (authn.Principal, error) {
	for _, u := range id.URIs {
		if u == "spiffe://acme.example/export" {
			return authn.Principal{Actor: auditlog.Actor{ID: "m-1", Tenant: "acme"}}, nil
		}
	}
	return authn.Principal{}, mtls.ErrUnknown
}

func newAuthenticator(t *testing.T, o mtls.Options) *mtls.Authenticator {
	t.Helper()
	a, err := mtls.New(byURI, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOverTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	identify, err := authn.Identify(&auditlogtest.Recorder{}, newAuthenticator(t, mtls.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[tls.ClientAuthType]map[string]string{
		tls.VerifyClientCertIfGiven: {"good": "200 m-1", "none": "200 ", "of another authority": "refused"},
		tls.RequestClientCert:       {"good": "401", "of another authority": "401"}, // asked for, not verified
	} {
		srv := httptest.NewUnstartedServer(guard.Alone(identify, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := authn.FromContext(r.Context())
			_, _ = io.WriteString(w, p.ID)
		})))
		srv.TLS = &tls.Config{ClientAuth: mode, ClientCAs: ca.pool, MinVersion: tls.VersionTLS13}
		srv.StartTLS()
		certs := map[string][]tls.Certificate{"good": {ca.issue(t, nil)}, "of another authority": {other.issue(t, nil)}, "none": nil}
		for what, want := range want {
			if got := get(t, srv, certs[what]); got != want {
				t.Errorf("%v, %s: %q, want %q", mode, what, got, want)
			}
		}
		srv.Close()
	}
}

func get(t *testing.T, srv *httptest.Server, certs []tls.Certificate) string {
	t.Helper()
	transport := srv.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(certs) == 0 {
			return &tls.Certificate{}, nil
		}
		return &certs[0], nil
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return "refused"
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return fmt.Sprint(resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return "200 " + string(body)
}

func callWith(c tls.Certificate) *guard.Call {
	call := guard.Synthetic("t", "t.read", nil)
	call.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.Leaf}, VerifiedChains: [][]*x509.Certificate{{c.Leaf}}}
	return call
}

func TestCertificatesThatDontCount(t *testing.T) {
	ca := newAuthority(t)
	revoked := false
	a := newAuthenticator(t, mtls.Options{Revoked: func(context.Context, *x509.Certificate) (bool, error) { return revoked, nil }})
	p, err := a.Authenticate(t.Context(), callWith(ca.issue(t, nil)))
	if err != nil || p.ID != "m-1" || p.Kind != auditlog.Service || p.AAL != authn.AAL1 {
		t.Errorf("%+v, %v", p, err)
	}
	for what, change := range map[string]func(*x509.Certificate){
		"only a common name": func(c *x509.Certificate) { c.URIs = nil },
		"a longer name":      func(c *x509.Certificate) { c.URIs[0].Path += "/x" },
		"a server's":         func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"without a usage":    func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"expired":            func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) },
		"not yet valid":      func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) },
		"of ten years":       func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(10, 0, 0) },
		"an authority's":     func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
	} {
		if _, err := a.Authenticate(t.Context(), callWith(ca.issue(t, change))); !errors.Is(err, authn.ErrCredential) {
			t.Errorf("%s: %v", what, err)
		}
	}
	good := callWith(ca.issue(t, nil))
	if err := a.Guard().Readmit(t.Context(), good); err != nil {
		t.Error(err)
	}
	revoked = true
	if _, err := a.Authenticate(t.Context(), good); !errors.Is(err, authn.ErrCredential) {
		t.Errorf("revoked: %v", err)
	}
	var d *guard.Denial
	if err := a.Guard().Readmit(t.Context(), good); !errors.As(err, &d) {
		t.Errorf("a stream of a revoked certificate: %v", err)
	}
}

func TestFaultsDeny(t *testing.T) {
	down := errors.New("down")
	a := newAuthenticator(t, mtls.Options{Revoked: func(context.Context, *x509.Certificate) (bool, error) { return false, down }})
	call := callWith(newAuthority(t).issue(t, nil))
	if _, err := a.Authenticate(t.Context(), call); !errors.Is(err, down) || errors.Is(err, authn.ErrCredential) {
		t.Errorf("%v", err)
	}
	if err := a.Guard().Readmit(t.Context(), call); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	nobody, err := mtls.New(func(context.Context, mtls.Identity) (authn.Principal, error) { return authn.Principal{}, nil }, mtls.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.Authenticate(t.Context(), call); err == nil {
		t.Error("a principal without an id")
	}
	if _, err := mtls.New(nil, mtls.Options{}); err == nil {
		t.Error("no lookup")
	}
	if r := a.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	if _, err := guard.New(a.Guard()); err != nil {
		t.Error(err)
	}
}

func Example() {
	a, err := mtls.New(func(_ context.Context, id mtls.Identity) (authn.Principal, error) {
		for _, u := range id.URIs {
			if u == "spiffe://acme.example/export" {
				return authn.Principal{Actor: auditlog.Actor{ID: "m-1", Tenant: "acme"}}, nil
			}
		}
		return authn.Principal{}, mtls.ErrUnknown
	}, mtls.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = a.Authenticate(context.Background(), guard.Synthetic("docs", "docs.read", nil)) // no TLS, no certificate
	fmt.Println(err)
	// Output: authn: no credential of this kind
}
