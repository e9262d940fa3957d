package firewall

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Range is a range of addresses, until a time if there is one.
type Range struct {
	Prefix netip.Prefix
	Until  time.Time // from then on the range is as if it were not listed; zero: never
}

// Lists are the ranges of a firewall.
type Lists struct {
	Deny  []Range
	Allow []Range // empty allows every address that is not denied
}

// ParseList reads a list: a range or an address a line, then "until" and a time
// (RFC 3339) if it has an end, then "#" and a comment if there is one.
//
//	192.0.2.0/24
//	2001:db8::/48  until 2027-01-31T00:00:00Z  # ticket 1234
//	198.51.100.7   # a scanner
//
// Anything else is an error that names the line, and nothing is returned: half
// a list is not what its author meant.
func ParseList(r io.Reader) ([]Range, error) {
	var list []Range
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		entry, err := parseRange(fields)
		if err != nil {
			return nil, fmt.Errorf("firewall: line %d: %w", n, err)
		}
		list = append(list, entry)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("firewall: list: %w", err)
	}
	return list, nil
}

var errRange = errors.New("want a range such as 192.0.2.0/24 or 2001:db8::/32, or an address")

func parseRange(fields []string) (r Range, err error) {
	if addr, addrErr := netip.ParseAddr(fields[0]); addrErr == nil && addr.Zone() == "" {
		r.Prefix = netip.PrefixFrom(addr, addr.BitLen())
	} else if r.Prefix, err = netip.ParsePrefix(fields[0]); err != nil {
		return Range{}, errRange
	}
	if err := r.validate(); err != nil {
		return Range{}, err
	}
	switch {
	case len(fields) == 1:
		return r, nil
	case len(fields) != 3 || fields[1] != "until":
		return Range{}, errors.New("want nothing behind the range, or until and a time")
	}
	if r.Until, err = time.Parse(time.RFC3339, fields[2]); err != nil {
		return Range{}, errors.New("want a time such as 2027-01-31T00:00:00Z behind until")
	}
	return r, nil
}

func (r Range) validate() error {
	switch {
	case !r.Prefix.IsValid() || r.Prefix.Addr().Is4In6() || r.Prefix.Addr().Zone() != "":
		return errRange
	case r.Prefix.Masked() != r.Prefix:
		return fmt.Errorf("%v has bits behind its length: want %v", r.Prefix, r.Prefix.Masked())
	}
	return nil
}

// compiled lists, immutable.
type compiled struct{ deny, allow set }

func compile(l Lists) (*compiled, error) {
	deny, err := newSet("Deny", l.Deny)
	if err != nil {
		return nil, err
	}
	allow, err := newSet("Allow", l.Allow)
	if err != nil {
		return nil, err
	}
	return &compiled{deny, allow}, nil
}

// A set finds whether an address is in one of many ranges: by a binary search
// among those that stay, which are joined and sorted, and among the few that
// end by one look-up for each length that occurs.
type set struct {
	v4      []span[uint32]
	v6      []span[wide]
	ending  map[netip.Prefix]time.Time
	lengths []length
	size    int // ranges, as they were listed
}

type length struct {
	bits int
	v6   bool
}

// A span is from an address to another, both included.
type span[A any] struct{ first, last A }

// wide is an IPv6 address.
type wide struct{ high, low uint64 }

func (w wide) compare(o wide) int {
	switch {
	case w == o:
		return 0
	case w.high < o.high || w.high == o.high && w.low < o.low:
		return -1
	default:
		return 1
	}
}

func (w wide) next() (n wide, ok bool) {
	n = wide{w.high, w.low + 1}
	if n.low == 0 {
		n.high++
	}
	return n, n != wide{}
}

func newSet(name string, list []Range) (set, error) {
	s := set{size: len(list), ending: make(map[netip.Prefix]time.Time)}
	for i, r := range list {
		if err := r.validate(); err != nil {
			return set{}, fmt.Errorf("firewall: %s[%d]: %w", name, i, err)
		}
		switch {
		case !r.Until.IsZero():
			s.end(r)
		case r.Prefix.Addr().Is4():
			first := v4(r.Prefix.Addr())
			s.v4 = append(s.v4, span[uint32]{first, first | uint32(uint64(1)<<(32-r.Prefix.Bits())-1)})
		default:
			s.v6 = append(s.v6, wideSpan(r.Prefix))
		}
	}
	s.v4 = join(s.v4, func(a, b uint32) int { return int(int64(a) - int64(b)) }, func(a uint32) (uint32, bool) { return a + 1, a+1 != 0 })
	s.v6 = join(s.v6, wide.compare, wide.next)
	return s, nil
}

// end notes a range that ends. Of one that is listed twice the later end counts.
func (s *set) end(r Range) {
	if r.Until.After(s.ending[r.Prefix]) {
		s.ending[r.Prefix] = r.Until
	}
	if l := (length{r.Prefix.Bits(), r.Prefix.Addr().Is6()}); !slices.Contains(s.lengths, l) {
		s.lengths = append(s.lengths, l)
	}
}

func v4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func v6(a netip.Addr) wide {
	b := a.As16()
	return wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func wideSpan(p netip.Prefix) span[wide] {
	first := v6(p.Addr())
	last := first
	if bits := p.Bits(); bits <= 64 {
		last.low = ^uint64(0)
		if bits < 64 {
			last.high |= ^uint64(0) >> bits
		}
	} else if bits < 128 {
		last.low |= ^uint64(0) >> (bits - 64)
	}
	return span[wide]{first, last}
}

// join sorts spans and joins those that overlap or touch.
func join[A any](list []span[A], compare func(A, A) int, next func(A) (A, bool)) []span[A] {
	slices.SortFunc(list, func(a, b span[A]) int { return compare(a.first, b.first) })
	out := list[:0]
	for _, s := range list {
		if n := len(out); n > 0 {
			after, more := next(out[n-1].last)
			if !more || compare(s.first, after) <= 0 {
				if compare(s.last, out[n-1].last) > 0 {
					out[n-1].last = s.last
				}
				continue
			}
		}
		out = append(out, s)
	}
	return slices.Clip(out)
}

func (s *set) contains(a netip.Addr, now time.Time) bool {
	switch {
	case a.Is4():
		if within(s.v4, v4(a), func(a, b uint32) int { return int(int64(a) - int64(b)) }) {
			return true
		}
	case a.Is6():
		if within(s.v6, v6(a), wide.compare) {
			return true
		}
	default:
		return false
	}
	for _, l := range s.lengths {
		if l.v6 != a.Is6() {
			continue
		}
		if p, err := a.Prefix(l.bits); err == nil && s.ending[p].After(now) {
			return true
		}
	}
	return false
}

// within reports whether the last span that begins at or before a reaches it.
func within[A any](list []span[A], a A, compare func(A, A) int) bool {
	low, high := 0, len(list)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if compare(list[middle].first, a) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low > 0 && compare(list[low-1].last, a) >= 0
}
