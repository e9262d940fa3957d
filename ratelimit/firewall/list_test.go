package firewall

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseList(t *testing.T) {
	list, err := ParseList(strings.NewReader(`
# scanners
192.0.2.0/24
2001:db8::/48  until 2027-01-31T00:00:00Z  # ticket 1234
198.51.100.7   # one
2001:db8::7
`))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(list)
	if want := "[{192.0.2.0/24 0001-01-01 00:00:00 +0000 UTC} {2001:db8::/48 2027-01-31 00:00:00 +0000 UTC} " +
		"{198.51.100.7/32 0001-01-01 00:00:00 +0000 UTC} {2001:db8::7/128 0001-01-01 00:00:00 +0000 UTC}]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for text, says := range map[string]string{
		"192.0.2.0/24\nnowhere":                      "line 2",
		"192.0.2.1/24":                               "want 192.0.2.0/24",
		"192.0.2.0/33":                               "line 1",
		"::ffff:192.0.2.0/120":                       "want a range",
		"fe80::1%eth0":                               "want a range",
		"192.0.2.0/24 2027-01-31T00:00:00Z":          "until and a time",
		"192.0.2.0/24 until tomorrow":                "want a time",
		"192.0.2.0/24 until":                         "until and a time",
		"192.0.2.0/24 until 2027-01-31 forever":      "until and a time",
		"192.0.2.0/24 " + strings.Repeat("x", 1<<17): "too long",
	} {
		if list, err := ParseList(strings.NewReader(text)); err == nil || list != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, %v; want an error with %q", text, list, err, says)
		}
	}
}

// TestAgainstEachPrefix compares the joined spans with what netip says of each
// range by itself.
func TestAgainstEachPrefix(t *testing.T) {
	now := time.Now()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		var list []Range
		for range r.IntN(20) {
			list = append(list, randomRange(r, now))
		}
		s, err := newSet("Deny", list)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			a := randomAddr(r)
			if len(list) > 0 && r.IntN(2) == 0 { // at the edges
				a = edge(r, list[r.IntN(len(list))].Prefix)
			}
			if !a.IsValid() {
				continue
			}
			want := false
			for _, p := range list {
				want = want || p.Prefix.Contains(a) && (p.Until.IsZero() || p.Until.After(now))
			}
			if got := s.contains(a, now); got != want {
				t.Fatalf("seed %d: %v in %v: %v, want %v", seed, a, list, got, want)
			}
		}
	}
}

// randomAddr is one of a few, so that ranges overlap and touch.
func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		top := []byte{0, 10, 127, 128, 255}[r.IntN(5)]
		return netip.AddrFrom4([4]byte{top, byte(r.IntN(4)), byte(r.IntN(256)), byte(r.IntN(256))})
	}
	b := [16]byte{0x20, 1}
	if r.IntN(3) == 0 {
		b[0], b[1] = 0xff, 0xff
	}
	for i := 6; i < 16; i++ {
		b[i] = []byte{0, 1, 255}[r.IntN(3)]
	}
	return netip.AddrFrom16(b)
}

func randomRange(r *rand.Rand, now time.Time) Range {
	a := randomAddr(r)
	p, err := a.Prefix(r.IntN(a.BitLen() + 1))
	if err != nil {
		panic(err)
	}
	out := Range{Prefix: p}
	if r.IntN(4) == 0 {
		out.Until = now.Add(time.Duration(r.IntN(3)-1) * time.Hour)
	}
	return out
}

// edge is the first address of a range, the last, or a neighbour.
func edge(r *rand.Rand, p netip.Prefix) netip.Addr {
	first := p.Addr()
	last := first
	b := last.AsSlice()
	for i := p.Bits(); i < last.BitLen(); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	last, _ = netip.AddrFromSlice(b)
	return []netip.Addr{first, last, first.Prev(), last.Next()}[r.IntN(4)]
}

// TestMillionRanges holds what the documentation says of memory.
func TestMillionRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	list := make([]Range, 1_000_000)
	for i := range list {
		list[i].Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(r.IntN(224)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256) &^ 1)}), 31)
	}
	s, err := newSet("Deny", list)
	if err != nil {
		t.Fatal(err)
	}
	if bytes := 8 * cap(s.v4); bytes > 8<<20 {
		t.Errorf("a million ranges take %d bytes", bytes)
	}
	now := time.Now()
	for _, p := range list[:1000] {
		if !s.contains(p.Prefix.Addr(), now) {
			t.Fatalf("%v is not found", p)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { s.contains(list[0].Prefix.Addr(), now) }); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

// TestRangesEnd: of a range that is listed twice the later end counts, and one
// without an end stays.
func TestRangesEnd(t *testing.T) {
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	p, forever := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")
	s, err := newSet("Allow", []Range{{p, at.Add(time.Hour)}, {p, at}, {forever, at}, {Prefix: forever}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		addr string
		at   time.Time
		want bool
	}{
		{"192.0.2.1", at.Add(time.Minute), true},
		{"192.0.2.1", at.Add(time.Hour), false},
		{"198.51.100.1", at.Add(time.Hour), true},
	} {
		if got := s.contains(netip.MustParseAddr(tc.addr), tc.at); got != tc.want {
			t.Errorf("%s at %v: %v", tc.addr, tc.at, got)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("192.0.2.0/24\n2001:db8::/48 until 2027-01-31T00:00:00Z # x")
	f.Add("0.0.0.0/0")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseList(strings.NewReader(text))
		if err != nil {
			return
		}
		s, err := newSet("Deny", list)
		if err != nil {
			t.Fatalf("parsed and not usable: %v", err)
		}
		for _, r := range list {
			if r.Until.IsZero() && !s.contains(r.Prefix.Addr(), time.Now()) {
				t.Fatalf("%v is not in its own set", r)
			}
		}
	})
}
