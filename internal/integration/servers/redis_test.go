package servers_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestRedisDatabasesAreSeparate(t *testing.T) {
	first, second := servers.Redis(t), servers.Redis(t)
	if err := first.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := second.Exists(t.Context(), "key").Val(); n != 0 {
		t.Error("a key of one test's database is visible in another's")
	}
}

func TestRedisAsksForThePassword(t *testing.T) {
	options := servers.StartRedis(t).Options()
	options.Password = ""
	c := redis.NewClient(options)
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v, want NOAUTH", err)
	}
}

func TestRedisSettings(t *testing.T) {
	c := servers.StartRedis(t, "maxmemory 3mb").Client(t)
	if got := c.ConfigGet(t.Context(), "maxmemory").Val()["maxmemory"]; got != "3145728" {
		t.Errorf("maxmemory = %q", got)
	}
}

func TestRedisPauseAndResume(t *testing.T) {
	server := servers.StartRedis(t)
	options := server.Options()
	options.ReadTimeout = 200 * time.Millisecond
	c := redis.NewClient(options)
	defer c.Close()
	if err := c.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}

	server.Pause()
	var timeout net.Error
	if err := c.Get(t.Context(), "key").Err(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("command to a paused server: %v, want a timeout", err)
	}
	server.Resume()
	if got, err := c.Get(t.Context(), "key").Result(); got != "value" || err != nil {
		t.Errorf("after Resume: %q, %v", got, err)
	}
}

func TestRedisKilledKeepsWhatItAcknowledged(t *testing.T) {
	server := servers.StartRedis(t)
	c := server.Client(t)
	if err := c.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := c.Get(t.Context(), "key").Err(); err == nil {
		t.Error("a killed server answers")
	}
	server.Restart()
	if got, err := c.Get(t.Context(), "key").Result(); got != "value" || err != nil {
		t.Errorf("after kill and restart: %q, %v", got, err)
	}
}

func TestCommand(t *testing.T) {
	client := servers.Redis(t)
	do := servers.Command(client)
	for _, c := range []struct {
		args []any
		want any
	}{
		{[]any{"GET", "absent"}, nil},
		{[]any{"SET", "key", []byte("value")}, "OK"},
		{[]any{"GET", "key"}, "value"},
		{[]any{"SET", "key", "other", "NX"}, nil},
		{[]any{"STRLEN", "key"}, int64(5)},
	} {
		if got, err := do(t.Context(), c.args...); got != c.want || err != nil {
			t.Errorf("%v = %#v, %v; want %#v", c.args, got, err, c.want)
		}
	}
	if reply, err := do(t.Context(), "INCR", "key"); reply != nil || err == nil || !strings.HasPrefix(err.Error(), "ERR") {
		t.Errorf("an error reply gives %#v, %v", reply, err)
	}
	got, err := do(t.Context(), "MGET", "key", "absent")
	if list, ok := got.([]any); err != nil || !ok || len(list) != 2 || list[0] != "value" || list[1] != nil {
		t.Errorf("MGET = %#v, %v; want a list with a nil in it", got, err)
	}
}
