package tlsconf

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/controls"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	dir  string
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), pool: x509.NewCertPool(), n: 1}
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * 365 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes a new pair of files over the old one.
func (a *authority) issue(t *testing.T, name string, life time.Duration) (certFile, keyFile string) {
	t.Helper()
	a.n++
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return certFile, keyFile
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) watch(t *testing.T, name string, life time.Duration) *Certificates {
	t.Helper()
	c, err := Watch(first(a.issue(t, name, life)), filepath.Join(a.dir, name+".key"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func first(a, _ string) string { return a }

// serve answers every connection with a handshake and one byte.
func serve(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Write([]byte{1})
			}()
		}
	}()
	return l.Addr().String()
}

// dial handshakes and reads the server's byte, which in TLS 1.3 is when a
// client learns that its certificate was refused.
func dial(t *testing.T, address string, cfg *tls.Config) error {
	t.Helper()
	conn, err := tls.Dial("tcp", address, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

func TestProfile(t *testing.T) {
	a := newAuthority(t)
	certs := a.watch(t, "db.test", 90*24*time.Hour)
	strict := serve(t, Server(certs, ServerOptions{}))
	wide := serve(t, Server(certs, ServerOptions{AllowTLS12: true}))
	roots := ClientOptions{Roots: a.pool}
	roots12 := ClientOptions{Roots: a.pool, AllowTLS12: true}
	for _, address := range []string{strict, wide} {
		if err := dial(t, address, Client("db.test", roots)); err != nil {
			t.Errorf("the profile's client: %v", err)
		}
		if err := dial(t, address, Client("other.test", roots)); err == nil {
			t.Error("another name was accepted")
		}
		if err := dial(t, address, Client("db.test", ClientOptions{})); err == nil {
			t.Error("an unknown authority was accepted")
		}
	}
	only12 := Client("db.test", roots12)
	only12.MaxVersion = tls.VersionTLS12
	if err := dial(t, strict, only12); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	if err := dial(t, wide, only12); err != nil {
		t.Errorf("TLS 1.2 where allowed: %v", err)
	}
	weak := only12.Clone()
	weak.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	if err := dial(t, wide, weak); err == nil {
		t.Error("a CBC suite was accepted")
	}
	old := Client("db.test", roots)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := dial(t, wide, old); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestMutualTLS(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	address := serve(t, Server(a.watch(t, "db.test", time.Hour), ServerOptions{ClientCAs: a.pool}))
	if err := dial(t, address, Client("db.test", ClientOptions{Roots: a.pool, Certificates: a.watch(t, "client.test", time.Hour)})); err != nil {
		t.Errorf("a known client: %v", err)
	}
	if err := dial(t, address, Client("db.test", ClientOptions{Roots: a.pool})); err == nil {
		t.Error("a client without a certificate was accepted")
	}
	if err := dial(t, address, Client("db.test", ClientOptions{Roots: a.pool, Certificates: stranger.watch(t, "client.test", time.Hour)})); err == nil {
		t.Error("a client of another authority was accepted")
	}
}

func serial(t *testing.T, c *Certificates) int64 {
	t.Helper()
	cert, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		certFile, keyFile := a.issue(t, "db.test", time.Hour)
		c, err := Watch(certFile, keyFile, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		before := serial(t, c)
		a.issue(t, "db.test", time.Hour)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		after := serial(t, c)
		if after == before || c.Err() != nil {
			t.Errorf("the new certificate was not taken: %v", c.Err())
		}
		// A half-replaced pair, then rubbish: the old one goes on.
		otherKey, err := os.ReadFile(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		a.issue(t, "db.test", time.Hour)
		write(t, keyFile, otherKey)
		time.Sleep(time.Minute)
		synctest.Wait()
		if serial(t, c) != after || !errors.Is(c.Err(), ErrConfig) {
			t.Errorf("a pair that doesn't fit: %v", c.Err())
		}
		write(t, certFile, []byte("rubbish"))
		if err := c.Reload(); !errors.Is(err, ErrConfig) || serial(t, c) != after {
			t.Errorf("rubbish: %v", err)
		}
	})
}

func TestWatchRefuses(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile := a.issue(t, "db.test", time.Hour)
	if _, err := Watch(certFile, keyFile, time.Millisecond); !errors.Is(err, ErrConfig) {
		t.Errorf("interval: %v", err)
	}
	if _, err := Watch(certFile, filepath.Join(a.dir, "none"), time.Hour); !errors.Is(err, ErrConfig) {
		t.Errorf("no key: %v", err)
	}
}

func TestPool(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile := a.issue(t, "db.test", time.Hour)
	if _, err := Pool(certFile); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{keyFile, filepath.Join(a.dir, "none")} {
		if p, err := Pool(bad); p != nil || !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func probe(t *testing.T, address, name string, o EndpointOptions) controls.Result {
	t.Helper()
	e, err := NewEndpoint("db", address, name, o)
	if err != nil {
		t.Fatal(err)
	}
	c := e.Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	return c.Run(t.Context())
}

func TestEndpoint(t *testing.T) {
	a := newAuthority(t)
	o := EndpointOptions{Client: ClientOptions{Roots: a.pool}}
	certs := a.watch(t, "db.test", 90*24*time.Hour)
	old := Server(certs, ServerOptions{})
	old.MinVersion = tls.VersionTLS10
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 hello\r\n"))
			conn.Close()
		}
	}()
	defer plain.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, tc := range map[string]struct {
		address, server string
		o               EndpointOptions
		want            controls.State
	}{
		"good":           {serve(t, Server(certs, ServerOptions{})), "db.test", o, controls.Pass},
		"TLS 1.2 too":    {serve(t, Server(certs, ServerOptions{AllowTLS12: true})), "db.test", EndpointOptions{Client: ClientOptions{Roots: a.pool, AllowTLS12: true}}, controls.Pass},
		"accepts 1.2":    {serve(t, Server(certs, ServerOptions{AllowTLS12: true})), "db.test", o, controls.Fail},
		"accepts 1.0":    {serve(t, old), "db.test", o, controls.Fail},
		"ends soon":      {serve(t, Server(a.watch(t, "soon.test", time.Hour), ServerOptions{})), "soon.test", o, controls.Fail},
		"wrong name":     {serve(t, Server(certs, ServerOptions{})), "other.test", o, controls.Fail},
		"unknown issuer": {serve(t, Server(newAuthority(t).watch(t, "db.test", 90*24*time.Hour), ServerOptions{})), "db.test", o, controls.Fail},
		"plaintext":      {plain.Addr().String(), "db.test", o, controls.Fail},
		"nobody":         {closed.Addr().String(), "db.test", o, controls.Error},
	} {
		if r := probe(t, tc.address, tc.server, tc.o); r.State != tc.want {
			t.Errorf("%s: %v: %s", name, r.State, r.Observed)
		}
	}
	e, err := NewEndpoint("db", "192.0.2.1:443", "db.test", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := e.Controls()[0].Run(ctx); r.State != controls.Error {
		t.Errorf("ended context: %v: %s", r.State, r.Observed)
	}
	for _, bad := range [][3]string{{"", "a:1", "a"}, {"n", "a", "a"}, {"n", "a:1", ""}} {
		if _, err := NewEndpoint(bad[0], bad[1], bad[2], o); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCheckPostgres(t *testing.T) {
	for dsn, ok := range map[string]bool{
		"postgres://u:hunter2@db.example.org/x?sslmode=verify-full":                 true,
		"postgres://u:hunter2@127.0.0.1:5432/x":                                     true,
		"postgres://u:hunter2@[::1]:5432/x?sslmode=disable":                         true,
		"postgres://u:hunter2@localhost/x":                                          true,
		"postgres://u:hunter2@%2Fvar%2Frun/x":                                       true,
		"host=/var/run/postgresql dbname=x password=hunter2":                        true,
		"host=127.0.0.1 sslmode=disable":                                            true,
		"host = 'db.example.org' sslmode = 'verify-full' password='hunt er2'":       true,
		"postgres://u:hunter2@db.example.org/x":                                     false,
		"postgres://u:hunter2@db.example.org/x?sslmode=require":                     false,
		"postgres://u:hunter2@db.example.org/x?sslmode=verify-ca":                   false,
		"postgres://u:hunter2@db.example.org/x?sslmode=verify-full&sslmode=disable": false,
		"postgres://u:hunter2@127.0.0.1,db.example.org/x":                           false,
		"postgres://u:hunter2@127.0.0.1@db.example.org/x":                           false,
		"postgres://u:hunter2@127.0.0.1/x?host=db.example.org":                      false,
		"postgres://u:hunter2@127.0.0.1/x?service=prod":                             false,
		"postgres://127.0.0.1.example.org/x":                                        false,
		"postgres:///x":                                                             false,
		"host=127.0.0.1 hostaddr=192.0.2.1":                                         false,
		"host=db.example.org sslmode=prefer password=hunter2":                       false,
		"host=127.0.0.1 password='sslmode=verify-full' host=db.example.org":         false,
		"host=db.example.org password='x sslmode=verify-full'":                      false,
		"service=prod":                  false,
		"dbname=x":                      false,
		"host='unfinished":              false,
		"rubbish":                       false,
		"":                              false,
		"postgres://h/x?sslmode=%zz":    false,
		"host=10.0.0.7 sslmode=disable": false,
	} {
		err := CheckPostgres(dsn)
		if ok != (err == nil) || err != nil && !errors.Is(err, ErrPlaintext) {
			t.Errorf("%s: %v", dsn, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("shows the password: %v", err)
		}
	}
}

func TestCheckRedis(t *testing.T) {
	for address, ok := range map[string]bool{
		"rediss://:hunter2@cache.example.org:6379/0":  true,
		"redis://127.0.0.1:6379":                      true,
		"redis://[::1]:6379":                          true,
		"redis://localhost":                           true,
		"unix:///run/redis.sock":                      true,
		"redis://:hunter2@cache.example.org:6379":     false,
		"redis://127.0.0.1@cache.example.org":         false,
		"rediss://cache.example.org?skip_verify=true": false,
		"rediss://":              false,
		"cache.example.org:6379": false,
		"http://127.0.0.1":       false,
		"":                       false,
		"redis://hunter2@ bad":   false,
		"unix://cache.example.org/run/redis.sock": false,
		"redis://10.0.0.7:6379":                   false,
	} {
		err := CheckRedis(address)
		if ok != (err == nil) || err != nil && !errors.Is(err, ErrPlaintext) {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("shows the password: %v", err)
		}
	}
}

func FuzzCheckPostgres(f *testing.F) {
	f.Add("host='a b' sslmode=verify-full")
	f.Add("postgres://u:p@[::1]:5432,h/x?host=a&sslmode=disable")
	f.Fuzz(func(t *testing.T, dsn string) {
		// What is accepted says verify-full, or names this machine.
		if CheckPostgres(dsn) == nil && !strings.Contains(dsn, "verify") && !strings.ContainsAny(dsn, "/@:%") &&
			!strings.Contains(strings.ToLower(dsn), "localhost") && !strings.Contains(dsn, "127.") && !strings.Contains(dsn, `\`) {
			t.Errorf("%q was accepted", dsn)
		}
	})
}
