package ratelimit

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/netip"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// A Key says what is limited, and when that is known.
type Key struct {
	name  string
	phase guard.Phase
	of    func(context.Context, *guard.Call) (subject, bool)
}

// A subject is whose allowance it is: an address with the prefixes it belongs
// to, or a text with a wider one.
type subject struct {
	addr netip.Addr
	bits [levels]uint8 // of the prefixes, narrowest first
	text string
	wide string
}

// levels is how many allowances a subject may fall back to, its own included.
const levels = 3

// hash is that of the subject at level 0, and of the wider ones it falls back
// to at the others; 0 says that there is nothing wider.
func (s *subject) hash(seed maphash.Seed, salt uint64, level int) uint64 {
	switch {
	case s.bits[0] != 0:
		p, _ := s.addr.Prefix(int(s.bits[level]))
		b := p.Addr().As16()
		return mix(maphash.Bytes(seed, b[:]), salt+uint64(s.bits[level]))
	case level == 0 && s.wide == "":
		return mix(maphash.String(seed, s.text), salt)
	case level == 0:
		return mix(mix(maphash.String(seed, s.text), maphash.String(seed, s.wide)), salt)
	case level == 1 && s.wide != "":
		return mix(maphash.String(seed, s.wide), salt+1)
	default:
		return 0
	}
}

// mix combines two hashes (the finaliser of SplitMix64).
func mix(a, b uint64) uint64 {
	z := a + b*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) | 1 // never 0
}

// String is the subject as a store gets it, without ambiguity.
func (s *subject) String() string {
	if s.bits[0] != 0 {
		p, _ := s.addr.Prefix(int(s.bits[0]))
		return p.String()
	}
	return fmt.Sprintf("%d:%s%s", len(s.wide), s.wide, s.text)
}

// ByClient limits client addresses: single IPv4 addresses, and the /64 ranges
// of IPv6 that one subscriber is given. Callers without an address are one.
func ByClient() Key { return ByPrefix(32, 64) }

// ByPrefix limits the networks that clients are in: v4 is 8 to 32 bits of an
// IPv4 address, v6 16 to 64 bits of an IPv6 address. Other lengths panic,
// because they are the program's own text.
func ByPrefix(v4, v6 int) Key {
	if v4 < 8 || v4 > 32 || v6 < 16 || v6 > 64 {
		panic(fmt.Sprintf("ratelimit: ByPrefix(%d, %d): want 8 to 32 and 16 to 64", v4, v6))
	}
	narrow := [levels]uint8{uint8(v4), uint8(min(v4, 24)), uint8(min(v4, 16))}
	broad := [levels]uint8{uint8(v6), uint8(min(v6, 48)), uint8(min(v6, 32))}
	return Key{"client", guard.Network, func(_ context.Context, call *guard.Call) (subject, bool) {
		a := call.Client.Unmap()
		switch {
		case a.Is4():
			return subject{addr: a, bits: narrow}, true
		case a.Is6():
			return subject{addr: a.WithZone(""), bits: broad}, true
		default:
			return subject{text: "no address"}, true
		}
	}}
}

// ByActor limits identified callers by tenant and account.
func ByActor() Key {
	return Key{"actor", guard.Limit, func(_ context.Context, call *guard.Call) (subject, bool) {
		a := &call.Actor
		return subject{text: a.ID, wide: a.Tenant}, a.Kind != auditlog.Anonymous
	}}
}

// ByTenant limits all callers of a tenant together.
func ByTenant() Key {
	return Key{"tenant", guard.Limit, func(_ context.Context, call *guard.Call) (subject, bool) {
		return subject{text: call.Actor.Tenant}, call.Actor.Tenant != ""
	}}
}

// ByOperation limits each route or method for all callers together.
func ByOperation() Key {
	return Key{"operation", guard.Network, func(_ context.Context, call *guard.Call) (subject, bool) {
		return subject{text: call.Operation}, true
	}}
}

// By limits what f returns, in the phase in which f can know it: network,
// identify, limit, authorise or purpose. Without a key a call is not limited.
func By(name string, phase guard.Phase, f func(context.Context, *guard.Call) (key string, ok bool)) Key {
	return Key{name, phase, func(ctx context.Context, call *guard.Call) (subject, bool) {
		key, ok := f(ctx, call)
		return subject{text: key}, ok
	}}
}
