package ratelimit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/ratelimit"
	"github.com/surety-go/surety/ratelimit/ratelimitredis"
)

// BenchmarkRedis compares decisions with one INCR, which is the least that any
// limit in Redis costs.
func BenchmarkRedis(b *testing.B) {
	client := servers.Redis(b)
	store := func(o ratelimitredis.Options) *ratelimitredis.Store {
		o.Timeout = 10 * time.Second
		s, err := ratelimitredis.New(through(client), secret, new(auditlogtest.Recorder), o)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	cells := func(n int) []ratelimit.Cell {
		list := make([]ratelimit.Cell, n)
		for i := range list {
			list[i] = rate(fmt.Sprint("p", i), "k", time.Nanosecond, 1_000_000_000, 1)
		}
		return list
	}
	incr := func() error { return client.Incr(context.Background(), "k").Err() }
	b.Run("one caller/INCR", func(b *testing.B) {
		for b.Loop() {
			if err := incr(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("one caller/%d policies", n), func(b *testing.B) {
			s, list := store(ratelimitredis.Options{}), cells(n)
			for b.Loop() {
				if err := s.Take(context.Background(), list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	many := func(name string, take func() error) {
		b.Run("64 callers/"+name, func(b *testing.B) {
			b.SetParallelism(32) // times two cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := take(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	each, leased := store(ratelimitredis.Options{}), store(ratelimitredis.Options{Lease: 10_000})
	many("INCR", incr)
	many("one policy", func() error { return each.Take(context.Background(), cells(1)) })
	many("one policy, leases of 10,000", func() error { return leased.Take(context.Background(), cells(1)) })
}
