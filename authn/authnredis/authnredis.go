// Package authnredis keeps sessions and throttling in Redis, through any
// client and without importing one.
//
//	do := func(ctx context.Context, args ...any) (any, error) {
//		v, err := client.Do(ctx, args...).Result() // go-redis
//		if errors.Is(err, redis.Nil) {
//			return nil, nil
//		}
//		return v, err
//	}
//	sessions, err := session.New(authnredis.Sessions(do, "auth:"), key, log, session.Options{})
//
// Every condition is one Lua script, which Redis runs alone. All keys of a
// tenant carry the same hash tag, so that a cluster keeps them on one node.
//
// Redis may lose its last writes in a crash, and a replica that takes over
// may lack them: a session that was ended a moment before can then stand until
// it times out. Where that matters, use SQL, or WAIT in do. Rows carry the
// session package's MAC: whoever can write Redis can't make a session.
package authnredis

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Redis sends one command and returns its reply; a nil reply is (nil, nil).
// Strings may come back as string or []byte, numbers as int64.
type Redis func(ctx context.Context, args ...any) (any, error)

var errNoTenant = errors.New("authnredis: the tenant is empty")

// errReply says that Redis, or who stands for it, answered in another form.
var errReply = errors.New("authnredis: unexpected form of reply")

// A keyspace names the keys of tenants.
type keyspace struct {
	do     Redis
	prefix string
}

// key is the name of a tenant's key. The tenant is escaped, so that none can
// name another's keys.
func (k keyspace) key(tenant string, parts ...string) string {
	return k.prefix + "{" + url.QueryEscape(tenant) + "}:" + strings.Join(parts, ":")
}

// eval runs a script.
func (k keyspace) eval(ctx context.Context, script string, keys []string, args ...any) (any, error) {
	command := append(make([]any, 0, 3+len(keys)+len(args)), "EVAL", script, len(keys))
	for _, key := range keys {
		command = append(command, key)
	}
	v, err := k.do(ctx, append(command, args...)...)
	if err != nil {
		return nil, fmt.Errorf("authnredis: %w", err)
	}
	return v, nil
}

// evalInt runs a script that returns a number.
func (k keyspace) evalInt(ctx context.Context, script string, keys []string, args ...any) (int64, error) {
	v, err := k.eval(ctx, script, keys, args...)
	if err != nil {
		return 0, err
	}
	return integer(v)
}

func (k keyspace) evalBool(ctx context.Context, script string, keys []string, args ...any) (bool, error) {
	n, err := k.evalInt(ctx, script, keys, args...)
	return n == 1, err
}

// text reads a string reply.
func text(v any) (string, error) {
	switch s := v.(type) {
	case string:
		return s, nil
	case []byte:
		return string(s), nil
	}
	return "", fmt.Errorf("%w: %T for a string", errReply, v)
}

// integer reads a number, or a string that is one.
func integer(v any) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: a string of %d bytes for a number", errReply, len(s))
	}
	return n, nil
}

// list reads an array of n strings; n < 0 is any number.
func list(v any, n int) ([]string, error) {
	items, ok := v.([]any)
	if !ok || n >= 0 && len(items) != n {
		return nil, fmt.Errorf("%w: %T for an array", errReply, v)
	}
	out := make([]string, len(items))
	for i, item := range items {
		var err error
		if out[i], err = text(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: a string of %d bytes for a time", errReply, len(s))
	}
	if n == 0 {
		return time.Time{}, nil
	}
	return time.UnixMicro(n).UTC(), nil
}
