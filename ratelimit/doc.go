// Package ratelimit keeps one caller from taking what others need: limits and
// quotas per client address, person, tenant or anything else, as guards over
// HTTP and gRPC.
//
//	perUser, err := ratelimit.New([]ratelimit.Policy{
//		{Name: "burst", Key: ratelimit.ByActor(), Count: 300, Per: time.Minute, Burst: 60},
//		{Name: "exports", Key: ratelimit.ByTenant(), Count: 5000, Calendar: ratelimit.Day},
//	}, ratelimit.Options{})
//	base := []guard.Guard{guard.Audit(log), perClient, sessions, perUser, …}
//
// All policies of a limiter decide together: a call takes from each of them,
// or from none.
//
// # What is admitted
//
// A rate is a generic cell rate algorithm (GCRA, ITU-T I.371): one number a
// key, the moment at which its allowance is whole again. Within any time t a
// key is admitted at most Burst + t ÷ interval times, and at least one less
// than that if it asks often enough, however its requests interleave; the
// interval is Per ÷ Count, rounded up to whole nanoseconds. The clock is
// monotonic and is read once for a decision. A quota counts within a calendar
// hour, day or month of a time zone.
//
// # Under attack
//
// Memory is allocated once, and is all there ever is. A key whose allowance is
// whole takes no place; one that is over its limit is never pushed out. When
// an attacker has filled the table, newcomers share an allowance with their
// neighbours: IPv4 addresses with their /24, then /16, IPv6 subscribers with
// their /48, then /32, people with their tenant, and at last with everyone
// else who found no place. So a flood of invented keys takes nothing from keys
// that are known, and newcomers from elsewhere don't share with the attacker's
// networks. Sharing never admits a key more often than by itself.
//
// Keys are hashed with a random seed to 64 bits. Two keys that collide share an
// allowance: among a million keys that happens once in ten million runs.
//
// # Several instances
//
// Options.Store keeps allowances for all instances; ratelimit/ratelimitredis
// is one. What happens while it can't be reached is Options.OnFailure.
// Without a store each instance has allowances of its own, quotas start anew
// with the process, and behind n instances a key may get n times as much.
//
// # Answers
//
// A denial is 429, or RESOURCE_EXHAUSTED with RetryInfo, with Retry-After, the
// fields RateLimit-Policy and RateLimit and the problem types of
// draft-ietf-httpapi-ratelimit-headers-10. Its control is ratelimit.limiter,
// which auditlog's default table counts per interval instead of writing each.
package ratelimit
