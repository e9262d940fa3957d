package authn

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/surety-go/surety/authn/authnredis"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/internal/integration/servers"
)

func redisDo(t *testing.T) authnredis.Redis {
	t.Helper()
	client := servers.Redis(t)
	return func(ctx context.Context, args ...any) (any, error) {
		v, err := client.Do(ctx, args...).Result()
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return v, err
	}
}

func TestRedisStoresConform(t *testing.T) {
	t.Run("sessions", func(t *testing.T) {
		authntest.TestSessions(t, func(t *testing.T) session.Store { return authnredis.Sessions(redisDo(t), "auth:") })
	})
	t.Run("throttle", func(t *testing.T) {
		authntest.TestThrottle(t, func(t *testing.T) throttle.Store { return authnredis.Throttle(redisDo(t), "auth:") })
	})
}
