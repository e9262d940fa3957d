// Package clientip finds the address of the client behind proxies, so that
// limits, deny lists and evidence speak of the caller and not of the load
// balancer, and so that a caller can't choose its own address.
//
// A forwarding header is anyone's to send. It counts only when the connection
// comes from a proxy named in Trusted, and is read from its right end, where
// that proxy wrote: the first address that is not a trusted proxy's is the
// client's. What stands further left was sent by the client and is ignored.
// With nothing configured, only the peer's own address counts.
//
//	behind, err := clientip.New(clientip.Options{
//		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
//	})
//	base := []guard.Guard{guard.Audit(log), behind, …}
//
// The proxies must append to the header or replace it; one that passes the
// client's header on unchanged makes it worthless, and no code behind it can
// tell. The probe checks the configured rules, not the proxies.
package clientip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// A Header is a header in which proxies report whom they forward for.
type Header string

// The headers understood.
const (
	// XForwardedFor is the de-facto standard: a list of addresses.
	XForwardedFor Header = "X-Forwarded-For"
	// Forwarded is the header of RFC 7239.
	Forwarded Header = "Forwarded"
)

// MaxHops is how many elements are read from the right. A longer chain of
// trusted proxies is refused as malformed.
const MaxHops = 16

// Options are the options of a [Guard].
type Options struct {
	// Trusted are the addresses of proxies that may speak for clients. Empty:
	// the peer is the client and no header counts.
	Trusted []netip.Prefix
	// Header is the one header the proxies write; empty is XForwardedFor. The
	// other is never read: a client could send it past a proxy that does not
	// know it.
	Header Header
}

// A Guard sets the client's address on each call.
type Guard struct {
	trusted []netip.Prefix
	header  Header
}

// New makes a guard. A trusted range of more than half the addresses there
// are is refused, because it trusts everyone.
func New(o Options) (*Guard, error) {
	g := &Guard{trusted: slices.Clone(o.Trusted), header: o.Header}
	if g.header == "" {
		g.header = XForwardedFor
	}
	if g.header != XForwardedFor && g.header != Forwarded {
		return nil, fmt.Errorf("clientip: Header %q: want %s or %s", o.Header, XForwardedFor, Forwarded)
	}
	for i, p := range g.trusted {
		if !p.IsValid() || p.Bits() < 2 {
			return nil, fmt.Errorf("clientip: Trusted[%d]: %v: want a range of at least 2 bits", i, p)
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("clientip: Trusted[%d]: %v: write the range as IPv4", i, p)
		}
		g.trusted[i] = p.Masked()
	}
	return g, nil
}

// Phase returns [guard.Network].
func (g *Guard) Phase() guard.Phase { return guard.Network }

// Admit sets call.Client. A header that a trusted proxy passed on and that
// can't be read is refused with 400: guessing would let the caller choose.
func (g *Guard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	client, err := g.client(call.Remote, call.Header(string(g.header)))
	if err != nil {
		return ctx, &guard.Denial{
			Control: "guard.clientip", Code: guard.InvalidArgument,
			Public: "The " + string(g.header) + " header is malformed.", Err: err,
		}
	}
	call.Client = client
	return ctx, nil
}

var errMalformed = errors.New("clientip: malformed element")

// client walks from the peer towards the client as long as it meets proxies.
func (g *Guard) client(peer netip.Addr, lines []string) (netip.Addr, error) {
	at := normal(peer)
	if !g.isTrusted(at) {
		return at, nil
	}
	elements, err := split(g.header, lines)
	if err != nil {
		return at, err
	}
	for hop := 0; len(elements) > 0; hop++ {
		if hop == MaxHops {
			return at, fmt.Errorf("%w: more than %d proxies", errMalformed, MaxHops)
		}
		last := elements[len(elements)-1]
		elements = elements[:len(elements)-1]
		addr, known, err := node(last)
		if err != nil {
			return at, err
		}
		if !known { // the proxy does not say: it is the nearest we know
			return at, nil
		}
		if at = addr; !g.isTrusted(at) {
			return at, nil
		}
	}
	return at, nil
}

func (g *Guard) isTrusted(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(g.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// normal makes one address out of its spellings: IPv4 in IPv6 is IPv4, and a
// zone means nothing beyond this machine.
func normal(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Key is the range that counts as one client: a single IPv4 address, or the
// /64 of an IPv6 address, which is what one subscriber is given.
func Key(a netip.Addr) netip.Prefix {
	a = normal(a)
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil { // the zero Addr: all callers without an address are one
		return netip.Prefix{}
	}
	return p
}

// node reads an address as proxies write it: 192.0.2.1, 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1], [2001:db8::1]:80. RFC 7239's "unknown" and
// obfuscated identifiers are well-formed and say nothing.
func node(s string) (addr netip.Addr, known bool, err error) {
	if strings.EqualFold(s, "unknown") || strings.HasPrefix(s, "_") {
		return netip.Addr{}, false, nil
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return normal(ap.Addr()), true, nil
	}
	bare := s
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if bare, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(bare, ":") {
			return netip.Addr{}, false, errMalformed
		}
	}
	a, err := netip.ParseAddr(bare)
	if err != nil {
		return netip.Addr{}, false, errMalformed
	}
	return normal(a), true, nil
}

// Controls describes the trusted proxies. The probe plays a stranger who
// forges the header, and a trusted proxy if there is one.
func (g *Guard) Controls() []controls.Control {
	ranges := make([]string, len(g.trusted))
	for i, p := range g.trusted {
		ranges[i] = p.String()
	}
	return []controls.Control{{
		ID: "guard.clientip",
		Parameters: []controls.Parameter{
			controls.Text("header", string(g.header)),
			controls.Text("trusted", strings.Join(ranges, " ")),
			controls.Int("max_hops", MaxHops),
		},
		Probe: g.probe,
	}}
}

func (g *Guard) probe(context.Context) controls.Result {
	stranger, forged := netip.MustParseAddr("203.0.113.1"), "198.51.100.1"
	header := func(list string) []string {
		if g.header == Forwarded {
			return []string{"for=" + strings.Join(strings.Split(list, ", "), ", for=")}
		}
		return []string{list}
	}
	if g.isTrusted(stranger) || g.isTrusted(netip.MustParseAddr(forged)) {
		return controls.Failed("a documentation address (RFC 5737) is a trusted proxy")
	}
	if got, err := g.client(stranger, header(forged)); err != nil || got != stranger {
		return controls.Failed("a stranger passed as %v by sending the header", got)
	}
	for _, p := range g.trusted {
		if !p.Addr().Is4() {
			continue
		}
		got, err := g.client(p.Addr(), header(forged+", "+stranger.String()))
		if err != nil || got != stranger {
			return controls.Failed("behind %v, a client passed as %v by sending the header", p, got)
		}
	}
	return controls.Passed("a forged %s did not change the client's address", g.header)
}
