// Package outbound is the one HTTP client for calls to other hosts: webhooks,
// key sets, vendors, exporters. Names and addresses often come from people who
// may wish to reach something inside, so what counts is the address that is
// dialled, checked at the moment it is dialled: a name that resolves to a
// public address first and to an internal one later leads nowhere.
//
// Proxy variables are ignored, redirects are refused unless their host is
// named, time and size are bounded, and errors tell neither queries nor
// credentials.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Errors, wrapped with the host or the limit.
var (
	ErrAddress  = errors.New("outbound: address refused")
	ErrURL      = errors.New("outbound: URL refused")
	ErrRedirect = errors.New("outbound: redirect refused")
	ErrTooLarge = errors.New("outbound: response too large")
)

// Options are the options of a [Client]; the zero value reaches public HTTPS
// hosts on port 443 only.
type Options struct {
	Allow     []netip.Prefix // internal ranges that may be dialled all the same
	AllowHTTP bool           // plain HTTP, to addresses in Allow only
	Ports     []uint16       // empty is 443
	Redirects []string       // host names a redirect may lead to
	MaxBody   int64          // bytes of a response; 0 is 1 MiB
	Timeout   time.Duration  // of a whole exchange; 0 is 10 s
	RootCAs   *x509.CertPool // nil is the system's
	Resolver  *net.Resolver  // nil is the system's
}

// A Client sends requests. It is safe for concurrent use.
type Client struct {
	o    Options
	http *http.Client
}

// New makes a client.
func New(o Options) (*Client, error) {
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if len(o.Ports) == 0 {
		o.Ports = []uint16{443}
	}
	switch {
	case o.MaxBody < 0:
		return nil, fmt.Errorf("outbound: MaxBody %d: want a positive number of bytes", o.MaxBody)
	case o.Timeout < 0:
		return nil, fmt.Errorf("outbound: Timeout %v: want a positive time", o.Timeout)
	case o.AllowHTTP && len(o.Allow) == 0:
		return nil, errors.New("outbound: AllowHTTP reaches addresses in Allow only, and there are none")
	}
	c := &Client{o: o}
	dialer := &net.Dialer{Timeout: o.Timeout, Resolver: o.Resolver, ControlContext: c.control}
	c.http = &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    o.Timeout,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxConnsPerHost:        16,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}
	return c, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a request. The response's body fails with [ErrTooLarge] beyond the
// limit; the caller closes it.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := c.checkURL(r.URL); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, hide(r.URL, err)
	}
	resp.Body = &bounded{body: resp.Body, left: c.o.MaxBody, limit: c.o.MaxBody}
	return resp, nil
}

// RoundTrip sends one request without following redirects, so that a Client
// can be the transport of code that brings its own http.Client.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := c.checkURL(r.URL); err != nil {
		return nil, err
	}
	resp, err := c.http.Transport.RoundTrip(r)
	if err != nil {
		return nil, hide(r.URL, err)
	}
	resp.Body = &bounded{body: resp.Body, left: c.o.MaxBody, limit: c.o.MaxBody}
	return resp, nil
}

// hide drops the URL that net/http puts into errors: its query may hold a
// token.
func hide(u *url.URL, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return fmt.Errorf("outbound: %s: %w", u.Hostname(), err)
}

func (c *Client) checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !c.o.AllowHTTP):
		return fmt.Errorf("%w: scheme %q", ErrURL, u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("%w: no host", ErrURL)
	case u.User != nil:
		return fmt.Errorf("%w: credentials in the URL of %s", ErrURL, u.Hostname())
	}
	if u.Scheme == "http" && !c.allowedLiteral(u.Hostname()) {
		return fmt.Errorf("%w: plain HTTP to %s", ErrURL, u.Hostname())
	}
	return nil
}

// allowedLiteral reports whether a host is an address in Allow. Plain HTTP is
// for addresses only: a name could resolve elsewhere.
func (c *Client) allowedLiteral(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && c.allowed(a.Unmap().WithZone(""))
}

func (c *Client) allowed(a netip.Addr) bool {
	return slices.ContainsFunc(c.o.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// control sees the address of every connection just before it is made.
func (c *Client) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: %s", ErrAddress, network)
	}
	if !slices.Contains(c.o.Ports, ap.Port()) {
		return fmt.Errorf("%w: port %s", ErrAddress, strconv.Itoa(int(ap.Port())))
	}
	a := ap.Addr().Unmap().WithZone("")
	if !c.allowed(a) && !Public(a) {
		return fmt.Errorf("%w: %s is not public", ErrAddress, a)
	}
	return nil
}

func (c *Client) redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return fmt.Errorf("%w: more than 5", ErrRedirect)
	}
	if !slices.Contains(c.o.Redirects, r.URL.Hostname()) {
		return fmt.Errorf("%w: to %s", ErrRedirect, r.URL.Hostname())
	}
	if via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("%w: from HTTPS to %s", ErrRedirect, r.URL.Scheme)
	}
	return c.checkURL(r.URL)
}

// special are the ranges of IANA's special-purpose registries that are no
// public unicast hosts, beyond what netip knows, and the ranges that embed
// IPv4 addresses, through which an internal one could be reached.
var special = func() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "168.63.129.16/32",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"3fff::/20", "5f00::/16", "fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}()

// Public reports whether an address is a public unicast host: not loopback,
// private, link-local (where clouds serve metadata), shared, multicast,
// documentation, or one that embeds another.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// bounded is a body that fails beyond its limit.
type bounded struct {
	body        io.ReadCloser
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = 0
		return n, fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, b.limit)
	}
	b.left -= int64(n)
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

func (b *bounded) Close() error { return b.body.Close() } //nolint:wrapcheck // nothing to add
