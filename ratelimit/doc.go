// Package ratelimit keeps one caller from taking what others need: limits per
// client address, person, tenant or anything else, as guards over HTTP and
// gRPC.
//
//	perClient, err := ratelimit.New(ratelimit.Policy{Name: "client", Count: 300, Per: time.Minute, Burst: 60}, ratelimit.ByClient(), ratelimit.Options{})
//	base := []guard.Guard{guard.Audit(log), perClient, sessions, perUser, …}
//
// A limit is a generic cell rate algorithm (GCRA, ITU-T I.371): one number a
// key, the moment at which its allowance is whole again. Within any time t a
// key is admitted at most Burst + t × Count ÷ Per times, and never less than
// its due, however its requests interleave. The clock is monotonic and never
// read twice for one decision.
//
// # Under attack
//
// Memory is bounded: each of 64 shards keeps at most its part of
// Options.Keys. When a shard is full and none of its keys has a whole
// allowance, new keys share one allowance, so that a flood of invented keys
// neither grows the table nor pushes out a key that is over its limit.
//
// # Answers
//
// A denial is 429, or RESOURCE_EXHAUSTED, with Retry-After and the fields
// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10).
// Its control is ratelimit.limiter, which auditlog's default table counts per
// interval instead of writing each.
package ratelimit
