package ratelimitredis_test

import (
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/ratelimit"
	"github.com/surety-go/surety/ratelimit/ratelimitredis"
)

// One allowance for all instances. While Redis is away each instance limits
// by itself.
func Example() {
	_ = func(do ratelimitredis.Redis, secret []byte, log auditlog.Recorder) (*ratelimit.Limiter, error) {
		store, err := ratelimitredis.New(do, secret, log, ratelimitredis.Options{})
		if err != nil {
			return nil, err
		}
		return ratelimit.New([]ratelimit.Policy{
			{Name: "user", Key: ratelimit.ByActor(), Count: 600, Per: time.Minute, Burst: 100},
			{Name: "tenant", Key: ratelimit.ByTenant(), Count: 100_000, Calendar: ratelimit.Day},
		}, ratelimit.Options{Store: store, OnFailure: ratelimit.Local})
	}
}
