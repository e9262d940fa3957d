package authnredis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/surety-go/surety/authn/throttle"
)

// ThrottleStore is a throttle.Store in Redis.
type ThrottleStore struct{ keyspace }

var _ throttle.Store = (*ThrottleStore)(nil)

// Throttle returns a store whose keys begin with the prefix.
//
//	<prefix>{tenant}:t:<key> hash, a state
//	<prefix>{tenant}:tx      sorted set, what may be forgotten, by time
func Throttle(do Redis, prefix string) *ThrottleStore {
	return &ThrottleStore{keyspace{do, prefix}}
}

const (
	scriptState = `return redis.call('HMGET', KEYS[1] .. 't:' .. ARGV[1], 'rev', 'failures', 'last', 'until', 'reason', 'disabled', 'keep')`
	scriptSwap  = `
local t = KEYS[1] .. 't:' .. ARGV[1]
if (redis.call('HGET', t, 'rev') or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', t, 'rev', ARGV[3], 'failures', ARGV[4], 'last', ARGV[5], 'until', ARGV[6], 'reason', ARGV[7], 'disabled', ARGV[8], 'keep', ARGV[9])
if ARGV[8] == '1' or ARGV[9] == '1' then
	redis.call('ZREM', KEYS[1] .. 'tx', ARGV[1])
else
	redis.call('ZADD', KEYS[1] .. 'tx', math.max(tonumber(ARGV[5]), tonumber(ARGV[6])), ARGV[1])
end
return 1`
	scriptForget = `
local n = 0
for _, k in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. 'tx', '-inf', '(' .. ARGV[1], 'LIMIT', 0, 1000)) do
	n = n + redis.call('DEL', KEYS[1] .. 't:' .. k)
	redis.call('ZREM', KEYS[1] .. 'tx', k)
end
return n`
)

func (s *ThrottleStore) base(tenant string) []string { return []string{s.key(tenant, "")} }

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Get implements throttle.Store.
func (s *ThrottleStore) Get(ctx context.Context, tenant, key string) (throttle.State, error) {
	var st throttle.State
	if tenant == "" {
		return st, errNoTenant
	}
	v, err := s.eval(ctx, scriptState, s.base(tenant), key)
	if err != nil {
		return st, err
	}
	if items, ok := v.([]any); ok && len(items) == 7 && items[0] == nil {
		return st, nil
	}
	f, err := list(v, 7)
	if err != nil {
		return st, err
	}
	if st.Rev, err = strconv.ParseInt(f[0], 10, 64); err != nil {
		return st, fmt.Errorf("%w: the revision is not a number", errReply)
	}
	if st.Failures, err = strconv.Atoi(f[1]); err != nil {
		return st, fmt.Errorf("%w: the failures are not a number", errReply)
	}
	if st.Last, err = fromMicro(f[2]); err != nil {
		return st, err
	}
	if st.Until, err = fromMicro(f[3]); err != nil {
		return st, err
	}
	st.Reason, st.Disabled, st.Keep = f[4], f[5] == "1", f[6] == "1"
	return st, nil
}

// Swap implements throttle.Store.
func (s *ThrottleStore) Swap(ctx context.Context, tenant, key string, rev int64, next throttle.State) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	return s.evalBool(ctx, scriptSwap, s.base(tenant), key, rev, rev+1, next.Failures,
		micro(next.Last), micro(next.Until), next.Reason, digit(next.Disabled), digit(next.Keep))
}

// Purge implements throttle.Store, 1000 states at a time.
func (s *ThrottleStore) Purge(ctx context.Context, tenant string, t time.Time) (int, error) {
	if tenant == "" {
		return 0, errNoTenant
	}
	n, err := s.evalInt(ctx, scriptForget, s.base(tenant), t.UnixMicro())
	return int(n), err
}
