package federation

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/spiffe"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/guardgrpc"
)

// svids signs X509-SVIDs of a trust domain.
type svids struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSVIDs(t *testing.T) *svids {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &svids{key: key}
	s.cert = s.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return s
}

func (s *svids) sign(t *testing.T, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	parent := s.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (s *svids) issue(t *testing.T, id spiffeid.ID) *x509svid.SVID {
	t.Helper()
	u, err := url.Parse(id.String())
	if err != nil {
		t.Fatal(err)
	}
	cert := s.sign(t, &x509.Certificate{
		URIs: []*url.URL{u}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	return &x509svid.SVID{ID: id, Certificates: []*x509.Certificate{cert}, PrivateKey: s.key}
}

// Workloads over gRPC: who is known is served under his own name, others of the
// trust domain are not.
func TestSPIFFEOverGRPC(t *testing.T) {
	ca, domain := newSVIDs(t), spiffeid.RequireTrustDomainFromString("acme.example")
	bundle := x509bundle.FromX509Authorities(domain, []*x509.Certificate{ca.cert})
	id := func(path string) spiffeid.ID { return spiffeid.RequireFromPath(domain, path) }
	workloads, err := spiffe.New(spiffe.Parts{TrustDomains: []string{"acme.example"}, X509: bundle},
		func(_ context.Context, name string) (authn.Principal, error) {
			if name == id("/export").String() {
				return authn.Principal{Actor: auditlog.Actor{ID: "export", Tenant: "acme"}}, nil
			}
			return authn.Principal{}, spiffe.ErrUnknown
		}, spiffe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rec := &auditlogtest.Recorder{}
	identify, err := authn.Identify(rec, workloads)
	if err != nil {
		t.Fatal(err)
	}
	guarded, err := guardgrpc.New([]guard.Guard{guard.Audit(rec), identify, workloads.Guard()}, guard.Route{
		Pattern: healthpb.Health_Check_FullMethodName, Action: "health.check",
		Guards: []guard.Guard{authn.Required(authn.AAL1, authn.RequiredOptions{})},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(guarded.Options(), grpc.Creds(credentials.NewTLS(workloads.ServerConfig(ca.issue(t, id("/records"))))))...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	for path, want := range map[string]codes.Code{"/export": codes.OK, "/other": codes.Unauthenticated} {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(
			tlsconfig.MTLSClientConfig(ca.issue(t, id(path)), bundle, tlsconfig.AuthorizeID(id("/records"))))))
		if err != nil {
			t.Fatal(err)
		}
		_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if status.Code(err) != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	found := false
	for _, e := range rec.Find("health.check") {
		found = found || e.Actor.ID == "export" && e.Outcome == auditlog.Success
	}
	if !found {
		t.Errorf("the call is not on record as the workload's: %s", rec.JSON())
	}
}
