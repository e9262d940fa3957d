// Package tlsconf makes TLS configurations at one modern profile, reloads
// certificates without a restart, checks live endpoints, and refuses database
// addresses that would send data in the clear.
//
//	certs, err := tlsconf.Watch("tls.crt", "tls.key", time.Minute)
//	defer certs.Close()
//	server := &http.Server{TLSConfig: tlsconf.Server(certs, tlsconf.ServerOptions{})}
//	go server.ListenAndServeTLS("", "")
//
//	err := tlsconf.CheckPostgres(os.Getenv("DATABASE_URL")) // before sql.Open
//
// The profile is TLS 1.3, or with ServerOptions.AllowTLS12 TLS 1.2 with
// forward secrecy and authenticated encryption only (RFC 9325): the standard
// library's choice of key exchanges, post-quantum hybrids among them, is kept,
// so that it improves with every release. Under GODEBUG=fips140=only the
// standard library narrows the choice further.
//
// [Endpoint] is a control (crypto.transport) whose probe connects as a client
// does: it verifies the certificate and offers old versions, which must be
// refused.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// ErrConfig says that a configuration would be unsafe or can't work.
var ErrConfig = errors.New("tlsconf: unusable configuration")

// CertificateSource gives the certificate to present: *Certificates, or an
// ACME manager.
type CertificateSource interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// ServerOptions are the options of Server.
type ServerOptions struct {
	// AllowTLS12 also accepts TLS 1.2 with ECDHE and AEAD suites.
	AllowTLS12 bool
	// ClientCAs, if set, makes clients present a certificate that one of
	// these authorities signed (mutual TLS).
	ClientCAs *x509.CertPool
}

// suites12 are TLS 1.2's suites with forward secrecy and authenticated
// encryption, RFC 9325, section 4.2.
func suites12() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// Server returns a server's configuration. The caller may set NextProtos.
func Server(certs CertificateSource, o ServerOptions) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: certs.GetCertificate}
	if o.AllowTLS12 {
		c.MinVersion, c.CipherSuites = tls.VersionTLS12, suites12()
	}
	if o.ClientCAs != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, o.ClientCAs
	}
	return c
}

// ClientOptions are the options of Client.
type ClientOptions struct {
	// Roots are the authorities to trust; nil means the system's.
	Roots *x509.CertPool
	// AllowTLS12 also speaks TLS 1.2 with ECDHE and AEAD suites.
	AllowTLS12 bool
	// Certificates, if set, gives the client's own certificate (mutual TLS).
	Certificates *Certificates
}

// Client returns a client's configuration for a server of the given name,
// which is what its certificate must be for. An empty name is for clients
// that fill in the name themselves, such as net/http; verification is never
// off.
func Client(serverName string, o ClientOptions) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: o.Roots, ServerName: serverName}
	if o.AllowTLS12 {
		c.MinVersion, c.CipherSuites = tls.VersionTLS12, suites12()
	}
	if o.Certificates != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.Certificates.GetCertificate(nil)
		}
	}
	return c
}

// Pool reads certificate authorities from a PEM file, of at most 1 MiB. A file
// without a certificate is an error, not an empty pool.
func Pool(path string) (*x509.CertPool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if info.Size() > 1<<20 {
		return nil, fmt.Errorf("%w: %s has %d bytes, limit 1 MiB", ErrConfig, path, info.Size())
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: %s holds no certificate", ErrConfig, path)
	}
	return pool, nil
}
