package ratelimit

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/ratelimit"
	"github.com/surety-go/surety/ratelimit/ratelimitredis"
)

// TestRedisKilled kills Redis in the middle of many decisions. Every one of
// them is a decision or an error, none hangs; after the restart the allowance
// that was used up still is, and the script is sent again.
func TestRedisKilled(t *testing.T) {
	for name, o := range map[string]ratelimitredis.Options{"each time": {}, "leases": {Lease: 10}} {
		t.Run(name, func(t *testing.T) {
			server := servers.StartRedis(t) // each write is on disk before it is answered
			log := new(auditlogtest.Recorder)
			o.Timeout = time.Second
			store, err := ratelimitredis.New(through(server.Client(t)), secret, log, o)
			if err != nil {
				t.Fatal(err)
			}
			const limit = 200
			ask := func() (allowed bool, err error) {
				cells := []ratelimit.Cell{rate("p", "k", time.Hour, limit, 1)}
				err = store.Take(t.Context(), cells)
				return err == nil && !cells[0].Denied, err
			}
			var admitted, failed atomic.Int64
			killed := make(chan struct{})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 200 {
						switch ok, err := ask(); {
						case err != nil:
							failed.Add(1)
						case ok:
							switch n := admitted.Add(1); {
							case n == limit/2:
								server.Kill()
								close(killed)
							case n > limit*3/4:
								<-killed // or the rest is used up before the kill has an effect
							}
						}
					}
				})
			}
			wg.Wait()
			if failed.Load() == 0 || admitted.Load() > limit {
				t.Fatalf("%d admitted and %d errors around the kill", admitted.Load(), failed.Load())
			}
			log.Want(t, "ratelimit.store.fail", auditlog.Failed)
			server.Restart()
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				ok, err := ask()
				if ok {
					admitted.Add(1)
				}
				if err == nil && !ok {
					break // used up
				}
				if time.Now().After(end) {
					t.Fatalf("20 s after the restart: %v", err)
				}
			}
			log.Want(t, "ratelimit.store.recover", auditlog.Success)
			if n := admitted.Load(); n > limit {
				t.Errorf("%d admitted, %d are allowed: a crash gave allowances back", n, limit)
			}
		})
	}
}
