package tlsconf

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/surety-go/surety/controls"
)

// EndpointOptions are the options of Endpoint.
type EndpointOptions struct {
	// Client is how to connect. The zero value trusts the system's roots and
	// wants TLS 1.3.
	Client ClientOptions
	// ExpiresWithin is how long before its end a certificate counts as a
	// failure; default 14 days.
	ExpiresWithin time.Duration
}

// An Endpoint is an address that must be served with the profile: a listener
// of this program, or a server it talks to. It is a controls.Component.
type Endpoint struct {
	name, address, serverName string
	o                         EndpointOptions
}

// NewEndpoint returns the control of an address such as "db.internal:443",
// whose certificate must be for serverName.
func NewEndpoint(name, address, serverName string, o EndpointOptions) (*Endpoint, error) {
	if name == "" || serverName == "" {
		return nil, fmt.Errorf("%w: an endpoint needs a name and a server name", ErrConfig)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("%w: endpoint %s: %w", ErrConfig, name, err)
	}
	if o.ExpiresWithin == 0 {
		o.ExpiresWithin = 14 * 24 * time.Hour
	}
	return &Endpoint{name, address, serverName, o}, nil
}

// Controls lists crypto.transport of this endpoint.
func (e *Endpoint) Controls() []controls.Control {
	min := "1.3"
	if e.o.Client.AllowTLS12 {
		min = "1.2"
	}
	return []controls.Control{{
		ID: "crypto.transport", Instance: e.name,
		Parameters: []controls.Parameter{
			controls.Text("min_version", min),
			controls.Bool("client_certificate", e.o.Client.Certificates != nil),
			controls.Duration("expires_within", e.o.ExpiresWithin),
		},
		Probe: e.probe,
	}}
}

// probe connects as the profile says, then with what it forbids.
func (e *Endpoint) probe(ctx context.Context) controls.Result {
	cfg := Client(e.serverName, e.o.Client)
	state, err := e.connect(ctx, cfg)
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verify):
		return controls.Failed("the certificate was not accepted: %v", verify.Err)
	case err != nil && unreachable(err):
		return controls.Errored("no connection: %v", err)
	case err != nil:
		return controls.Failed("no handshake with the profile: %v", err)
	}
	end := state.PeerCertificates[0].NotAfter
	if time.Until(end) < e.o.ExpiresWithin {
		return controls.Failed("the certificate ends at %s", end.UTC().Format(time.RFC3339))
	}
	old := Client(e.serverName, e.o.Client)
	old.MinVersion, old.MaxVersion, old.CipherSuites = tls.VersionTLS10, cfg.MinVersion-1, nil
	old.InsecureSkipVerify = true // only whether it answers; nothing is sent
	if state, err := e.connect(ctx, old); err == nil {
		return controls.Failed("%s is accepted", tls.VersionName(state.Version))
	} else if unreachable(err) {
		return controls.Errored("no second connection: %v", err)
	}
	return controls.Passed("%s with %s, certificate verified until %s; older versions were refused",
		tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), end.UTC().Format(time.DateOnly))
}

// unreachable reports whether an error says that nobody answered, rather than
// that the answer was no TLS of the profile.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &op) && op.Op == "dial"
}

func (e *Endpoint) connect(ctx context.Context, cfg *tls.Config) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer raw.Close()
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}
