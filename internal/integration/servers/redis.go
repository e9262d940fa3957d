package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	redisInstall   = "apt-get install -y redis-server"
	redisDatabases = 4096
)

// A RedisServer is a Redis of the test's own.
type RedisServer struct {
	*Process
	password string
}

// StartRedis starts a Redis for one test, which may pause, kill and restart
// it. Every write is on disk before it is answered (appendfsync always);
// settings are lines of redis.conf such as "maxmemory 1mb" and win over that.
func StartRedis(t testing.TB, settings ...string) *RedisServer {
	t.Helper()
	spec, password := redisSpec(settings)
	return &RedisServer{Process: Start(t, spec), password: password}
}

// Options are the options of a client of the server, new with each call. They
// turn the client's retries off.
func (s *RedisServer) Options() *redis.Options { return redisOptions(s.Addr, s.password, 0) }

// Client is a new client of the server's database 0. It is closed at the end
// of the test.
func (s *RedisServer) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(s.Options())
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Redis makes a client of an empty database on the server that all tests of
// this test binary share. The database is emptied again at the end of the
// test. More clients of it: redis.NewClient(client.Options()). Scripts,
// channels and settings are the server's, hence shared.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	require(t, "redis-server", redisInstall)
	server, err := sharedRedis()
	if err != nil {
		t.Fatal(err)
	}
	number := int(redisNumber.Add(1)) % redisDatabases
	c := redis.NewClient(redisOptions(server.Addr, server.password, number))
	if err := c.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.FlushDB(context.Background()).Err(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

var redisNumber atomic.Int64

// sharedRedis is started by the first test that asks and ends with the
// process.
var sharedRedis = sync.OnceValues(func() (*RedisServer, error) {
	path, _ := find("redis-server") // Redis has looked
	spec, password := redisSpec(nil)
	p, err := launch(path, spec)
	return &RedisServer{Process: p, password: password}, err
})

// redisSpec also returns the password.
func redisSpec(settings []string) (Spec, string) {
	password := rand.Text()
	return Spec{
		Program: "redis-server",
		Install: redisInstall,
		Prepare: func(_ context.Context, site Site) error {
			return site.WriteFile("redis.conf", redisConfig(site, password, settings))
		},
		Args: func(site Site) []string { return []string{site.Path("redis.conf")} },
		Ready: func(ctx context.Context, site Site) error {
			if err := dial(ctx, site.Addr); err != nil {
				return err // the client would write it to the terminal
			}
			c := redis.NewClient(redisOptions(site.Addr, password, 0))
			defer c.Close()
			return c.Ping(ctx).Err()
		},
	}, password
}

func redisConfig(site Site, password string, settings []string) string {
	return strings.Join(append([]string{
		"bind 127.0.0.1",
		fmt.Sprintf("port %d", site.Port),
		"dir " + site.Dir,
		"requirepass " + password,
		fmt.Sprintf("databases %d", redisDatabases),
		`save ""`,
		"appendonly yes",
		"appendfsync always",
	}, settings...), "\n") + "\n"
}

// redisOptions turn retries off: a test that breaks its server wants to see
// the first failure, and each command sent once.
func redisOptions(addr, password string, database int) *redis.Options {
	return &redis.Options{
		Addr: addr, Password: password, DB: database,
		DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
	}
}

// Command turns a client into the one function by which this library's stores
// speak to Redis. A nil reply is (nil, nil); an error reply is an error.
func Command(c interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
},
) func(ctx context.Context, args ...any) (any, error) {
	return func(ctx context.Context, args ...any) (any, error) {
		reply, err := c.Do(ctx, args...).Result()
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return reply, err
	}
}
