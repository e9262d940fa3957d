// Package ratelimitredis keeps a limiter's allowances in Redis, for all
// instances of a program, through any client and without importing one.
//
//	do := func(ctx context.Context, args ...any) (any, error) {
//		v, err := client.Do(ctx, args...).Result() // go-redis
//		if errors.Is(err, redis.Nil) {
//			return nil, nil
//		}
//		return v, err
//	}
//	store, err := ratelimitredis.New(do, secret, log, ratelimitredis.Options{})
//	perUser, err := ratelimit.New(policies, ratelimit.Options{Store: store, OnFailure: ratelimit.Local})
//
// All policies of a request are one Lua script, hence one round trip, which
// takes from all of them or from none. Time is Redis' own, so that instances
// need not agree on it; a clock that is set back, or a replica whose clock
// lags, makes limits stricter for as long and never looser. Nothing is stored
// for a key whose allowance is whole.
//
// Keys in Redis are keyed hashes: who reads Redis learns no address and no
// account. Who can write it can change limits; it is no place for what must
// not be forged.
//
// All keys of a store carry one hash tag, so that a cluster keeps them on one
// node, which is what a script needs. To spread load over nodes use a store
// with a prefix of its own for each limiter.
//
// # Leases
//
// With Options.Lease an instance takes up to so many units of a key at once
// and decides about the next requests by itself. A key is then admitted at
// most one lease more for each instance than its limit allows, since units may
// be used up to Options.LeaseFor later than they were taken; and up to as many
// less, since units may lie with an instance that the key no longer calls. A
// lease is never more than a tenth of a policy's allowance.
//
// # Failures
//
// A store that fails or doesn't answer within Options.Timeout is left alone
// for a second, in which each decision is the limiter's Options.OnFailure at
// once; one call then tries again. The events ratelimit.store.fail and
// ratelimit.store.recover tell of both. Redis may lose its last writes in a
// crash, and with them what was used of allowances.
package ratelimitredis
