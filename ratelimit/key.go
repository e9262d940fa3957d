package ratelimit

import (
	"context"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/clientip"
)

// A Key says what is limited, and when that is known.
type Key struct {
	name  string
	phase guard.Phase
	of    func(context.Context, *guard.Call) (string, bool)
}

// ByClient limits client addresses: single IPv4 addresses, and the /64 ranges
// of IPv6 that one subscriber is given. Callers without an address are one.
func ByClient() Key {
	return Key{"client", guard.Network, func(_ context.Context, call *guard.Call) (string, bool) {
		return clientip.Key(call.Client).String(), true
	}}
}

// ByActor limits identified callers by tenant and account.
func ByActor() Key {
	return Key{"actor", guard.Limit, func(_ context.Context, call *guard.Call) (string, bool) {
		a := call.Actor
		return a.Tenant + "\x00" + a.ID, a.Kind != auditlog.Anonymous
	}}
}

// ByTenant limits all callers of a tenant together.
func ByTenant() Key {
	return Key{"tenant", guard.Limit, func(_ context.Context, call *guard.Call) (string, bool) {
		return call.Actor.Tenant, call.Actor.Tenant != ""
	}}
}

// By limits what f returns, in the phase in which f can know it: network,
// identify, limit, authorise or purpose. Without a key a call is not limited.
func By(name string, phase guard.Phase, f func(context.Context, *guard.Call) (key string, ok bool)) Key {
	return Key{name, phase, f}
}
