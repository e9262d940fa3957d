package clientip_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/clientip"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func mustNew(t testing.TB, o clientip.Options) *clientip.Guard {
	t.Helper()
	g, err := clientip.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// client asks the guard who is calling from remote with these header lines.
func client(g *clientip.Guard, remote, header string, lines ...string) (string, error) {
	h := http.Header{}
	for _, l := range lines {
		h.Add(header, l)
	}
	call := guard.Synthetic("op", "a.read", h)
	if remote != "" {
		call.Remote = netip.MustParseAddr(remote)
	}
	if _, err := g.Admit(context.Background(), call); err != nil {
		return "", err
	}
	return call.Client.String(), nil
}

func TestXForwardedFor(t *testing.T) {
	g := mustNew(t, clientip.Options{Trusted: prefixes("10.0.0.0/8", "fd00::/8")})
	cases := []struct {
		name, remote string
		lines        []string
		want         string
	}{
		{"no header", "10.0.0.1", nil, "10.0.0.1"},
		{"one hop", "10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"forged from outside", "203.0.113.9", []string{"192.0.2.1"}, "203.0.113.9"},
		// ulule/limiter takes the leftmost address, which the client wrote.
		{"forged through the proxy", "10.0.0.1", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		{"two proxies", "10.0.0.1", []string{"198.51.100.1, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"all trusted", "10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"several lines", "10.0.0.1", []string{"198.51.100.1", "192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"garbage further left", "10.0.0.1", []string{"<script>, 192.0.2.1"}, "192.0.2.1"},
		{"port", "10.0.0.1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"IPv6", "10.0.0.1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 in brackets with port", "10.0.0.1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		// tollbooth mapped ::ffff:a.b.c.d to "::", one bucket for everyone.
		{"IPv4 in IPv6", "10.0.0.1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"mapped peer", "::ffff:10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"zone", "10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"IPv6 proxy", "fd00::1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"unknown", "10.0.0.1", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		{"empty elements", "10.0.0.1", []string{" , 192.0.2.1, ,"}, "192.0.2.1"},
		{"no peer", "", []string{"192.0.2.1"}, "invalid IP"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := client(g, tc.remote, "X-Forwarded-For", tc.lines...); err != nil || got != tc.want {
				t.Errorf("client %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestForwarded(t *testing.T) {
	g := mustNew(t, clientip.Options{Trusted: prefixes("10.0.0.0/8"), Header: clientip.Forwarded})
	cases := []struct {
		name  string
		lines []string
		want  string
	}{
		{"token", []string{"for=192.0.2.60;proto=http;by=203.0.113.43"}, "192.0.2.60"},
		{"quoted IPv6", []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17"},
		{"two elements", []string{"for=198.51.100.1, for=192.0.2.43"}, "192.0.2.43"},
		{"two lines", []string{"for=198.51.100.1", "for=192.0.2.43, for=10.0.0.2"}, "192.0.2.43"},
		{"comma in a quoted string", []string{`for="192.0.2.1";host="a,for=198.51.100.1"`}, "192.0.2.1"},
		{"escaped quote", []string{`host="a\",b";for=192.0.2.1`}, "192.0.2.1"},
		{"obfuscated", []string{"for=192.0.2.1, for=_hidden"}, "10.0.0.1"},
		{"unknown", []string{"for=unknown"}, "10.0.0.1"},
		{"no for", []string{"for=192.0.2.1, proto=https"}, "10.0.0.1"},
		{"bare port", []string{"for=192.0.2.1:80"}, "192.0.2.1"},
		{"case of names", []string{"FOR=192.0.2.1"}, "192.0.2.1"},
		{"the other header does not count", nil, "10.0.0.1"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := client(g, "10.0.0.1", "Forwarded", tc.lines...); err != nil || got != tc.want {
				t.Errorf("client %s, %v; want %s", got, err, tc.want)
			}
		})
	}
	if got, err := client(g, "10.0.0.1", "X-Forwarded-For", "192.0.2.1"); err != nil || got != "10.0.0.1" {
		t.Errorf("a header nobody configured counted: %s, %v", got, err)
	}
}

func TestMalformedHeaderOfATrustedProxyIsRefused(t *testing.T) {
	many := strings.Repeat("10.0.0.2, ", clientip.MaxHops+1)
	cases := []struct {
		header clientip.Header
		line   string
	}{
		{clientip.XForwardedFor, "192.0.2.1, nonsense"},
		{clientip.XForwardedFor, "192.0.2.1, 1.2.3"},
		{clientip.XForwardedFor, "[192.0.2.1]"},
		{clientip.XForwardedFor, "[2001:db8::1"},
		{clientip.XForwardedFor, many},
		{clientip.Forwarded, `for="192.0.2.1`},
		{clientip.Forwarded, "for"},
		{clientip.Forwarded, "for="},
		{clientip.Forwarded, "for=192.0.2.1 for=192.0.2.2"},
		{clientip.Forwarded, "for=192.0.2.1;for=192.0.2.2"},
		{clientip.Forwarded, "for=\"\""},
		{clientip.Forwarded, "for=\"a\x01\""},
		{clientip.Forwarded, "=x"},
	}
	for _, tc := range cases {
		g := mustNew(t, clientip.Options{Trusted: prefixes("10.0.0.0/8"), Header: tc.header})
		_, err := client(g, "10.0.0.1", string(tc.header), tc.line)
		var d *guard.Denial
		if !errors.As(err, &d) || d.Code != guard.InvalidArgument || d.Control != "guard.clientip" {
			t.Errorf("%s: %q: %v, want a denial", tc.header, tc.line, err)
		}
		if _, err := client(g, "203.0.113.1", string(tc.header), tc.line); err != nil {
			t.Errorf("%q from a stranger is not even read: %v", tc.line, err)
		}
	}
}

func TestNothingConfiguredMeansOnlyThePeer(t *testing.T) {
	g := mustNew(t, clientip.Options{})
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"} {
		if got, err := client(g, "127.0.0.1", h, "for=192.0.2.1"); err != nil || got != "127.0.0.1" {
			t.Errorf("%s changed the client to %s, %v", h, got, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]clientip.Options{
		"everyone":       {Trusted: prefixes("0.0.0.0/0")},
		"half of all":    {Trusted: prefixes("::/1")},
		"invalid prefix": {Trusted: []netip.Prefix{{}}},
		"mapped":         {Trusted: prefixes("::ffff:10.0.0.0/104")},
		"header":         {Header: "X-Real-IP"},
	} {
		if _, err := clientip.New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2:ffff::": "2001:db8:1:2::/64",
	} {
		if got := clientip.Key(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("Key(%s) = %s, want %s", in, got, want)
		}
	}
	if got := clientip.Key(netip.Addr{}); got.IsValid() {
		t.Errorf("Key of no address = %s", got)
	}
}

func TestProbe(t *testing.T) {
	for _, h := range []clientip.Header{clientip.XForwardedFor, clientip.Forwarded} {
		g := mustNew(t, clientip.Options{Trusted: prefixes("10.0.0.0/8", "fd00::/8"), Header: h})
		c := g.Controls()[0]
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if r := c.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("%s: %v: %s", h, r.State, r.Observed)
		}
	}
	wide := mustNew(t, clientip.Options{Trusted: prefixes("192.0.0.0/2")})
	if r := wide.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("a proxy range of a quarter of all addresses: %v %s", r.State, r.Observed)
	}
}

func FuzzClient(f *testing.F) {
	f.Add("192.0.2.1, 10.0.0.2", false)
	f.Add(`for="[2001:db8::1]:80";proto=https, for=10.0.0.3`, true)
	f.Add(`for="\"`, true)
	f.Add(",,;=", true)
	trusted := prefixes("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, line string, rfc bool) {
		h := clientip.XForwardedFor
		if rfc {
			h = clientip.Forwarded
		}
		g := mustNew(t, clientip.Options{Trusted: trusted, Header: h})
		// Whatever the client sends, what the proxy appended decides, or the
		// call is refused: an open quote swallows the rest of the line.
		appended := line + ", 192.0.2.77"
		if rfc {
			appended = line + ", for=192.0.2.77"
		}
		got, err := client(g, "10.0.0.1", string(h), appended)
		if err == nil && got != "192.0.2.77" {
			t.Fatalf("the client chose its address: %q made it %s", line, got)
		}
	})
}
