package authnredis

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/surety-go/surety/authn/session"
)

// SessionStore is a session.Store in Redis.
type SessionStore struct{ keyspace }

var _ session.Store = (*SessionStore)(nil)

// Sessions returns a store whose keys begin with the prefix.
//
//	<prefix>{tenant}:s:<key>     hash, a session; expires with it
//	<prefix>{tenant}:a:<account> set, the account's keys
//	<prefix>{tenant}:e:<account> number, the account's epoch
//	<prefix>{tenant}:x           sorted set, the keys by their end
func Sessions(do Redis, prefix string) *SessionStore {
	return &SessionStore{keyspace{do, prefix}}
}

// The scripts get the tenant's base name as KEYS[1] and build the others from
// it; the hash tag keeps them on the same node.
const (
	// put writes a row: key, account, id, rev, expires (µs), data.
	scriptPut = `
local function put(b, k, account, id, rev, expires, data)
	local s = b .. 's:' .. k
	redis.call('HSET', s, 'account', account, 'id', id, 'rev', rev, 'expires', expires, 'data', data)
	redis.call('PEXPIREAT', s, math.floor(tonumber(expires) / 1000) + 1)
	redis.call('SADD', b .. 'a:' .. account, k)
	redis.call('ZADD', b .. 'x', expires, k)
end
local function drop(b, k)
	local s = b .. 's:' .. k
	local account = redis.call('HGET', s, 'account')
	redis.call('ZREM', b .. 'x', k)
	if not account then return 0 end
	redis.call('SREM', b .. 'a:' .. account, k)
	return redis.call('DEL', s)
end
local b = KEYS[1]
`
	scriptInsert = scriptPut + `
if (redis.call('GET', b .. 'e:' .. ARGV[2]) or '0') ~= ARGV[7] or redis.call('EXISTS', b .. 's:' .. ARGV[1]) == 1 then return 0 end
put(b, ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1`
	scriptUpdate = scriptPut + `
local s = b .. 's:' .. ARGV[1]
if redis.call('HGET', s, 'rev') ~= ARGV[5] then return 0 end
redis.call('HSET', s, 'rev', ARGV[2], 'expires', ARGV[3], 'data', ARGV[4])
redis.call('PEXPIREAT', s, math.floor(tonumber(ARGV[3]) / 1000) + 1)
redis.call('ZADD', b .. 'x', ARGV[3], ARGV[1])
return 1`
	scriptReplace = scriptPut + `
if redis.call('EXISTS', b .. 's:' .. ARGV[1]) == 1 or redis.call('EXISTS', b .. 's:' .. ARGV[7]) == 0 then return 0 end
drop(b, ARGV[7])
put(b, ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1`
	scriptDelete = scriptPut + `return drop(b, ARGV[1])`
	scriptGet    = `return redis.call('HMGET', KEYS[1] .. 's:' .. ARGV[1], 'account', 'id', 'rev', 'expires', 'data')`
	scriptList   = `
local out = {}
for _, k in ipairs(redis.call('SMEMBERS', KEYS[1] .. 'a:' .. ARGV[1])) do
	local r = redis.call('HMGET', KEYS[1] .. 's:' .. k, 'account', 'id', 'rev', 'expires', 'data')
	if r[1] then
		table.insert(r, 1, k)
		table.insert(out, r)
	else
		redis.call('SREM', KEYS[1] .. 'a:' .. ARGV[1], k)
	end
end
return out`
	scriptDeleteAll = scriptPut + `
redis.call('INCR', b .. 'e:' .. ARGV[1])
local n = 0
for _, k in ipairs(redis.call('SMEMBERS', b .. 'a:' .. ARGV[1])) do
	if k ~= ARGV[2] then n = n + drop(b, k) end
end
return n`
	scriptPurge = scriptPut + `
local n = 0
for _, k in ipairs(redis.call('ZRANGEBYSCORE', b .. 'x', '-inf', '(' .. ARGV[1], 'LIMIT', 0, 1000)) do
	n = n + drop(b, k)
end
return n`
)

func (s *SessionStore) base(tenant string) []string { return []string{s.key(tenant, "")} }

func name(k session.Key) string { return hex.EncodeToString(k[:]) }

func fields(r session.Row) []any {
	return []any{name(r.Key), r.Account, r.ID, r.Rev, r.Expires.UnixMicro(), string(r.Data)}
}

// Insert implements session.Store.
func (s *SessionStore) Insert(ctx context.Context, r session.Row, epoch int64) (bool, error) {
	if r.Tenant == "" {
		return false, errNoTenant
	}
	return s.evalBool(ctx, scriptInsert, s.base(r.Tenant), append(fields(r), epoch)...)
}

// Get implements session.Store.
func (s *SessionStore) Get(ctx context.Context, tenant string, key session.Key) (session.Row, error) {
	if tenant == "" {
		return session.Row{}, errNoTenant
	}
	v, err := s.eval(ctx, scriptGet, s.base(tenant), name(key))
	if err != nil {
		return session.Row{}, err
	}
	items, ok := v.([]any)
	if !ok || len(items) != 5 {
		return session.Row{}, fmt.Errorf("%w: %T for a session", errReply, v)
	}
	if items[0] == nil {
		return session.Row{}, session.ErrNotFound
	}
	return parse(tenant, key, v)
}

func parse(tenant string, key session.Key, v any) (session.Row, error) {
	f, err := list(v, 5)
	if err != nil {
		return session.Row{}, err
	}
	r := session.Row{Tenant: tenant, Key: key, Account: f[0], ID: f[1], Data: []byte(f[4])}
	if r.Rev, err = strconv.ParseInt(f[2], 10, 64); err != nil {
		return session.Row{}, fmt.Errorf("%w: the revision is not a number", errReply)
	}
	r.Expires, err = fromMicro(f[3])
	return r, err
}

// Update implements session.Store.
func (s *SessionStore) Update(ctx context.Context, r session.Row) (bool, error) {
	if r.Tenant == "" {
		return false, errNoTenant
	}
	return s.evalBool(ctx, scriptUpdate, s.base(r.Tenant), name(r.Key), r.Rev, r.Expires.UnixMicro(), string(r.Data), r.Rev-1)
}

// Replace implements session.Store.
func (s *SessionStore) Replace(ctx context.Context, old session.Key, r session.Row) (bool, error) {
	if r.Tenant == "" {
		return false, errNoTenant
	}
	return s.evalBool(ctx, scriptReplace, s.base(r.Tenant), append(fields(r), name(old))...)
}

// Delete implements session.Store.
func (s *SessionStore) Delete(ctx context.Context, tenant string, key session.Key) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	return s.evalBool(ctx, scriptDelete, s.base(tenant), name(key))
}

// List implements session.Store.
func (s *SessionStore) List(ctx context.Context, tenant, account string) ([]session.Row, error) {
	if tenant == "" {
		return nil, errNoTenant
	}
	v, err := s.eval(ctx, scriptList, s.base(tenant), account)
	if err != nil {
		return nil, err
	}
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: %T for a list of sessions", errReply, v)
	}
	var rows []session.Row
	for _, item := range items {
		row, ok := item.([]any)
		if !ok || len(row) != 6 {
			return nil, fmt.Errorf("%w: %T for a session", errReply, item)
		}
		hexed, err := text(row[0])
		if err != nil {
			return nil, err
		}
		var key session.Key
		if n, err := hex.Decode(key[:], []byte(hexed[:min(len(hexed), 2*len(key))])); err != nil || n != len(key) {
			return nil, fmt.Errorf("%w: a key of %d digits", errReply, len(hexed))
		}
		r, err := parse(tenant, key, row[1:])
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// DeleteAll implements session.Store.
func (s *SessionStore) DeleteAll(ctx context.Context, tenant, account string, keep session.Key) (int, error) {
	if tenant == "" {
		return 0, errNoTenant
	}
	n, err := s.evalInt(ctx, scriptDeleteAll, s.base(tenant), account, name(keep))
	return int(n), err
}

// Epoch implements session.Store.
func (s *SessionStore) Epoch(ctx context.Context, tenant, account string) (int64, error) {
	if tenant == "" {
		return 0, errNoTenant
	}
	v, err := s.do(ctx, "GET", s.key(tenant, "e", account))
	if err != nil {
		return 0, fmt.Errorf("authnredis: %w", err)
	}
	if v == nil {
		return 0, nil
	}
	return integer(v)
}

// Purge implements session.Store, 1000 rows at a time. Redis itself drops
// rows that have expired; this also clears the index.
func (s *SessionStore) Purge(ctx context.Context, tenant string, t time.Time) (int, error) {
	if tenant == "" {
		return 0, errNoTenant
	}
	n, err := s.evalInt(ctx, scriptPurge, s.base(tenant), t.UnixMicro())
	return int(n), err
}
