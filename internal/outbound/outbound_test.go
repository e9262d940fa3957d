package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// server serves over TLS on loopback; the options allow its port and trust it.
func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, Options) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, Options{Allow: loopback, Ports: []uint16{port(t, s.URL)}, RootCAs: pool}
}

func port(t *testing.T, raw string) uint16 {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(u.Host).Port()
}

func get(t *testing.T, o Options, target string) (string, error) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestReachesWhatIsAllowed(t *testing.T) {
	s, o := server(t, hello)
	if got, err := get(t, o, s.URL); err != nil || got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInternalAddressesAreRefused(t *testing.T) {
	s, o := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the request arrived") })
	o.Allow = nil
	if _, err := get(t, o, s.URL); !errors.Is(err, ErrAddress) {
		t.Errorf("loopback: %v", err)
	}
	o.Allow, o.Ports = loopback, nil
	if _, err := get(t, o, s.URL); !errors.Is(err, ErrAddress) {
		t.Errorf("another port: %v", err)
	}
}

// A name that resolves to an internal address is refused when it is dialled,
// whatever it resolved to before (DNS rebinding).
func TestNamesThatLeadInsideAreRefused(t *testing.T) {
	s, o := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the request arrived") })
	o.Allow = nil
	target := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	if _, err := get(t, o, target); !errors.Is(err, ErrAddress) {
		t.Errorf("localhost: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for _, target := range []string{"http://192.0.2.1/", "ftp://example.org/", "https://user:secret@example.org/", "https:///x", "file:///etc/passwd"} {
		_, err := get(t, Options{}, target)
		if !errors.Is(err, ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want ErrURL", target, err)
		}
	}
	plain := httptest.NewServer(http.HandlerFunc(hello))
	defer plain.Close()
	o := Options{Allow: loopback, AllowHTTP: true, Ports: []uint16{port(t, plain.URL)}}
	if got, err := get(t, o, plain.URL); err != nil || got != "hello" {
		t.Errorf("plain HTTP to an allowed address: %q, %v", got, err)
	}
	if _, err := get(t, o, strings.Replace(plain.URL, "127.0.0.1", "localhost", 1)); !errors.Is(err, ErrURL) {
		t.Errorf("plain HTTP to a name: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	var location string
	s, o := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			hello(w, r)
			return
		}
		http.Redirect(w, r, location, http.StatusFound)
	})
	location = "http://169.254.169.254/latest/meta-data/?token=secret"
	if _, err := get(t, o, s.URL); !errors.Is(err, ErrRedirect) || strings.Contains(err.Error(), "secret") {
		t.Errorf("to a metadata address: %v", err)
	}
	o.Redirects = []string{"127.0.0.1"}
	location = s.URL + "/end"
	if got, err := get(t, o, s.URL); err != nil || got != "hello" {
		t.Errorf("to a named host: %q, %v", got, err)
	}
	location = "http" + strings.TrimPrefix(s.URL, "https") + "/end"
	if _, err := get(t, o, s.URL); !errors.Is(err, ErrRedirect) {
		t.Errorf("to plain HTTP: %v", err)
	}
	location = s.URL
	if _, err := get(t, o, s.URL); !errors.Is(err, ErrRedirect) {
		t.Errorf("in a circle: %v", err)
	}
}

func TestSizeAndTimeAreBounded(t *testing.T) {
	release := make(chan struct{})
	s, o := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	})
	defer close(release)
	o.MaxBody = 100
	if got, err := get(t, o, s.URL); err != nil || len(got) != 100 {
		t.Errorf("a body at the limit: %d bytes, %v", len(got), err)
	}
	o.MaxBody = 99
	if got, err := get(t, o, s.URL); !errors.Is(err, ErrTooLarge) || len(got) != 99 {
		t.Errorf("a body over the limit: %d bytes, %v", len(got), err)
	}
	o.Timeout = 50 * time.Millisecond
	_, err := get(t, o, s.URL+"/slow?token=secret")
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || strings.Contains(err.Error(), "secret") {
		t.Errorf("a silent host: %v", err)
	}
}

func TestProxyVariablesAreIgnored(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:1")
	s, o := server(t, hello)
	if got, err := get(t, o, s.URL); err != nil || got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPublic(t *testing.T) {
	for _, s := range []string{
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
		"224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1", "168.63.129.16", "::", "::1", "::ffff:10.0.0.1", "fe80::1",
		"fd00:ec2::254", "fc00::1", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1", "::127.0.0.1",
	} {
		if Public(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as public", s)
		}
	}
	for _, s := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"} {
		if !Public(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as internal", s)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address counts as public")
	}
}

func FuzzPublic(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("::ffff:169.254.169.254").AsSlice())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		if a.Is4() && Public(a) != Public(netip.AddrFrom16(a.As16())) {
			t.Fatalf("%v and its IPv6 spelling differ", a)
		}
		if a.IsLoopback() && Public(a) || a.IsLinkLocalUnicast() && Public(a) || a.IsPrivate() && Public(a) {
			t.Fatalf("%v counts as public", a)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"MaxBody": {MaxBody: -1}, "Timeout": {Timeout: -1}, "AllowHTTP": {AllowHTTP: true},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.control(context.Background(), "udp", "1.1.1.1:443", nil); !errors.Is(err, ErrAddress) {
		t.Errorf("UDP: %v", err)
	}
}
