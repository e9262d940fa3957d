package firewall_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/ratelimit/firewall"
)

func prefixes(list ...string) []firewall.Range {
	var out []firewall.Range
	for _, s := range list {
		out = append(out, firewall.Range{Prefix: netip.MustParsePrefix(s)})
	}
	return out
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func newFirewall(t *testing.T, l firewall.Lists, o firewall.Options) (*firewall.Firewall, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	f, err := firewall.New(l, rec, o)
	if err != nil {
		t.Fatal(err)
	}
	return f, rec
}

func TestLists(t *testing.T) {
	f, _ := newFirewall(t, firewall.Lists{
		Deny:  prefixes("192.0.2.0/25", "2001:db8:bad::/48", "198.51.100.7/32"),
		Allow: prefixes("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"),
	}, firewall.Options{})
	for s, denied := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.2.200": false, "::ffff:192.0.2.200": false,
		"198.51.100.7": true, "198.51.100.8": false, "203.0.113.1": true,
		"2001:db8:bad::1": true, "2001:db8::1": false, "2001:db9::1": true,
	} {
		if got := f.Denied(addr(s)); got != denied {
			t.Errorf("%s: denied %t, want %t", s, got, denied)
		}
	}
	if !f.Denied(netip.Addr{}) {
		t.Error("with an allow list, a caller without an address is admitted")
	}
	open, _ := newFirewall(t, firewall.Lists{}, firewall.Options{})
	if open.Denied(addr("192.0.2.1")) || open.Denied(netip.Addr{}) {
		t.Error("without lists, someone is denied")
	}
	all, _ := newFirewall(t, firewall.Lists{Deny: prefixes("0.0.0.0/0")}, firewall.Options{})
	if !all.Denied(addr("203.0.113.1")) || all.Denied(addr("2001:db8::1")) {
		t.Error("0.0.0.0/0 is all of IPv4 and nothing of IPv6")
	}
}

func TestBansEndAndCoverASubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec := newFirewall(t, firewall.Lists{}, firewall.Options{})
		if err := f.Ban(t.Context(), addr("2001:db8::1"), time.Minute, "many failed sign-ins"); err != nil {
			t.Fatal(err)
		}
		if !f.Denied(addr("2001:db8::ffff")) || f.Denied(addr("2001:db8:0:1::1")) {
			t.Error("a ban covers the /64 of one subscriber, no more and no less")
		}
		if err := f.Ban(t.Context(), addr("2001:db8::1"), time.Second, "again"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if !f.Denied(addr("2001:db8::1")) {
			t.Error("a shorter ban shortened the longer one")
		}
		time.Sleep(31 * time.Second)
		if f.Denied(addr("2001:db8::1")) {
			t.Error("the ban did not end")
		}
		e := rec.Find("ratelimit.firewall.ban")
		if len(e) != 2 {
			t.Fatalf("%d events", len(e))
		}
		if network, _ := auditlogtest.Attr(e[0], "network"); network != "2001:db8::/48" {
			t.Errorf("the event names %s: a full address is personal data", network)
		}
	})
}

func TestBanNetwork(t *testing.T) {
	f, rec := newFirewall(t, firewall.Lists{}, firewall.Options{})
	for _, network := range []string{"192.0.2.0/24", "2001:db8:1::/48"} {
		if err := f.BanNetwork(t.Context(), netip.MustParsePrefix(network), time.Minute, "attacks"); err != nil {
			t.Fatal(err)
		}
	}
	for s, denied := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.255": true, "192.0.3.1": false, "2001:db8:1:ffff::1": true, "2001:db8:2::1": false,
	} {
		if got := f.Denied(addr(s)); got != denied {
			t.Errorf("%s: denied %t", s, got)
		}
	}
	for _, network := range []string{"192.0.2.0/25", "192.0.2.1/24", "0.0.0.0/0", "2001:db8::/32", "::ffff:192.0.2.0/120"} {
		if err := f.BanNetwork(t.Context(), netip.MustParsePrefix(network), time.Minute, "x"); err == nil {
			t.Errorf("%s was banned", network)
		}
	}
	if n := len(rec.Find("ratelimit.firewall.ban")); n != 2 {
		t.Errorf("%d events", n)
	}
	f.Unban(addr("192.0.2.7"))
	if f.Denied(addr("192.0.2.1")) {
		t.Error("the network's ban was not lifted")
	}
}

func TestBansAreBounded(t *testing.T) {
	f, _ := newFirewall(t, firewall.Lists{}, firewall.Options{MaxBans: 2})
	for i, s := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		if err := f.Ban(t.Context(), addr(s), time.Hour-time.Duration(i)*time.Minute, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if !f.Denied(addr("192.0.2.1")) || f.Denied(addr("192.0.2.2")) || !f.Denied(addr("192.0.2.3")) {
		t.Error("the ban that ends first should have made room for the newest")
	}
}

func TestReloadReplacesOrLeaves(t *testing.T) {
	f, rec := newFirewall(t, firewall.Lists{Deny: prefixes("192.0.2.0/24")}, firewall.Options{})
	if err := f.Reload(t.Context(), firewall.Lists{Deny: []firewall.Range{{}}}); err == nil {
		t.Error("a broken list was accepted")
	}
	down := errors.New("disk full")
	rec.FailWith(down)
	if err := f.Reload(t.Context(), firewall.Lists{}); !errors.Is(err, down) || !f.Denied(addr("192.0.2.1")) {
		t.Errorf("an unrecorded change took effect: %v", err)
	}
	rec.FailWith(nil)
	if err := f.Reload(t.Context(), firewall.Lists{Deny: prefixes("198.51.100.0/24")}); err != nil {
		t.Fatal(err)
	}
	if f.Denied(addr("192.0.2.1")) || !f.Denied(addr("198.51.100.1")) {
		t.Error("the new list is not in force")
	}
	rec.Want(t, "ratelimit.firewall.reload", auditlog.Success)
}

func TestGuard(t *testing.T) {
	f, rec := newFirewall(t, firewall.Lists{Deny: prefixes("192.0.2.0/24")}, firewall.Options{})
	h := f.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	get := func(remote string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := get("192.0.2.1:1"); got != 403 {
		t.Errorf("a denied address: %d", got)
	}
	if got := get("203.0.113.1:1"); got != 200 {
		t.Errorf("another address: %d", got)
	}
	rec.FailWith(errors.New("disk full"))
	if err := f.Ban(t.Context(), addr("203.0.113.1"), time.Minute, "x"); err == nil || get("203.0.113.1:1") != 403 {
		t.Errorf("a ban that can't be recorded must stand and be reported: %v", err)
	}
}

func TestBadInput(t *testing.T) {
	f, _ := newFirewall(t, firewall.Lists{}, firewall.Options{})
	for _, err := range []error{
		f.Ban(t.Context(), netip.Addr{}, time.Minute, "x"),
		f.Ban(t.Context(), addr("192.0.2.1"), 0, "x"),
		f.Ban(t.Context(), addr("192.0.2.1"), 1000*time.Hour, "x"),
	} {
		if err == nil {
			t.Error("accepted")
		}
	}
	if _, err := firewall.New(firewall.Lists{}, nil, firewall.Options{}); err == nil {
		t.Error("a firewall without a recorder was made")
	}
	if _, err := firewall.New(firewall.Lists{Allow: prefixes("::ffff:192.0.2.0/120")}, &auditlogtest.Recorder{}, firewall.Options{}); err == nil {
		t.Error("an IPv4 range written as IPv6 would never match and was accepted")
	}
}

func TestProbe(t *testing.T) {
	f, _ := newFirewall(t, firewall.Lists{}, firewall.Options{})
	c := f.Controls()[0]
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v: %s", r.State, r.Observed)
	}
	if f.Denied(addr("192.0.2.254")) {
		t.Error("the probe left its ban behind")
	}
}
