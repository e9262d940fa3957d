package ratelimitredis

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/ratelimit"
)

// script decides about all cells at once. Each has one key and five arguments:
// the interval in nanoseconds (0 is a quota), when a quota's period ends (Unix
// seconds), the limit, how much is asked for at least and at most, and how
// much is given back first.
//
// A rate's value is its theoretical arrival time as two numbers, seconds and
// nanoseconds, because Lua's numbers are exact to 2^53 only. The reply has for
// each cell: how much was granted, or -1; how much is left; and nanoseconds
// until it could be granted and until the allowance is whole. If one cell
// can't grant, none does, and what was granted says 0.
const script = `
local t = redis.call('TIME')
local ns, nn = tonumber(t[1]), tonumber(t[2]) * 1000
local cells, denied = {}, false
for i = 1, #KEYS do
	local a = (i - 1) * 6
	local c = {interval = tonumber(ARGV[a+1]), ends = tonumber(ARGV[a+2]), limit = tonumber(ARGV[a+3]),
		least = tonumber(ARGV[a+4]), most = tonumber(ARGV[a+5]), back = tonumber(ARGV[a+6])}
	local v = redis.call('GET', KEYS[i])
	if c.interval > 0 then
		c.ahead = 0
		if v then
			local s, n = string.match(v, '^(%d+) (%d+)$')
			if s then c.ahead = math.max((tonumber(s) - ns) * 1e9 + tonumber(n) - nn, 0) end
		end
		c.ahead = math.max(c.ahead - c.back * c.interval, 0)
		c.room = math.floor((c.limit * c.interval - c.ahead) / c.interval)
		c.retry = c.ahead + c.least * c.interval - c.limit * c.interval
	else
		c.used = math.max((tonumber(v or '0') or 0) - c.back, 0)
		c.room = c.limit - c.used
		c.retry = (c.ends - ns) * 1e9 - nn
	end
	if c.room < c.least then c.no, denied = true, true end
	cells[i] = c
end
local reply = {}
for i, c in ipairs(cells) do
	local granted = 0
	if c.no then granted = -1 elseif not denied then granted = math.min(c.most, c.room) end
	local take = math.max(granted, 0)
	if c.interval > 0 then
		c.ahead = c.ahead + take * c.interval
		if take > 0 or c.back > 0 then
			local total = nn + c.ahead
			redis.call('SET', KEYS[i], string.format('%.0f %.0f', ns + math.floor(total / 1e9), total % 1e9),
				'PX', string.format('%.0f', math.floor(c.ahead / 1e6) + 1))
		end
	else
		if take > 0 or c.back > 0 then
			redis.call('SET', KEYS[i], string.format('%.0f', c.used + take), 'EXAT', string.format('%.0f', math.max(c.ends, ns + 1)))
		end
		c.ahead = math.max((c.ends - ns) * 1e9 - nn, 0)
	end
	if not c.no or c.least > c.limit then c.retry = 0 end
	reply[#reply+1] = string.format('%.0f %.0f %.0f %.0f', granted, math.max(c.room - take, 0), math.max(c.retry, 0), c.ahead)
end
return reply
`

var scriptName = func() string {
	sum := sha1.Sum([]byte(script)) //nolint:gosec // the name of a script, not a defence
	return hex.EncodeToString(sum[:])
}()

// A question is a cell as it is sent.
type question struct {
	*ratelimit.Cell
	most, back int64
}

// An answer is what Redis said of it.
type answer struct {
	granted int64 // -1 when it could not be
	ratelimit.State
}

// errReply says that Redis, or who stands for it, answered in another form.
var errReply = errors.New("ratelimitredis: unexpected form of reply")

// ask sends the questions in one round trip.
func (s *Store) ask(ctx context.Context, list []question) ([]answer, error) {
	args := make([]any, 0, 3+7*len(list))
	args = append(args, "EVALSHA", scriptName, len(list))
	for _, q := range list {
		args = append(args, s.key(q.Cell))
	}
	for _, q := range list {
		ends := int64(0)
		if q.Interval == 0 {
			ends = q.Until.Unix()
		}
		args = append(args, int64(q.Interval), ends, q.Limit, q.Cost, q.most, q.back)
	}
	v, err := s.do(ctx, args...)
	if err != nil && strings.Contains(err.Error(), "NOSCRIPT") {
		args[0], args[1] = "EVAL", script
		v, err = s.do(ctx, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("ratelimitredis: %w", err)
	}
	return answers(v, len(list))
}

// key names a cell's key. What is personal in it stays with us.
func (s *Store) key(c *ratelimit.Cell) string {
	h := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(h, "%d:%s%s", len(c.Policy), c.Policy, c.Key)
	if c.Interval == 0 {
		fmt.Fprintf(h, "\x00%d", c.Until.Unix()) // a period of its own
	}
	return s.o.Prefix + "{" + s.o.Prefix + "}" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// answers reads the reply. Redis is not trusted to be well.
func answers(v any, n int) ([]answer, error) {
	items, ok := v.([]any)
	if !ok || len(items) != n {
		return nil, fmt.Errorf("%w: %T, want an array of %d", errReply, v, n)
	}
	list := make([]answer, n)
	for i, item := range items {
		var text string
		switch t := item.(type) {
		case string:
			text = t
		case []byte:
			text = string(t)
		}
		var numbers [4]int64
		fields := strings.Split(text, " ")
		if len(fields) != len(numbers) {
			return nil, fmt.Errorf("%w: an item of %d fields", errReply, len(fields))
		}
		for j, f := range fields {
			x, err := strconv.ParseInt(f, 10, 64)
			if err != nil || x < 0 && (j != 0 || x != -1) {
				return nil, fmt.Errorf("%w: field %d is no number", errReply, j)
			}
			numbers[j] = x
		}
		list[i] = answer{granted: numbers[0], State: ratelimit.State{
			Denied: numbers[0] < 0, Remaining: numbers[1],
			RetryAfter: time.Duration(numbers[2]), Reset: time.Duration(numbers[3]),
		}}
	}
	return list, nil
}
