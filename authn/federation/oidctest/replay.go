package oidctest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/federation"
)

// TestReplay checks what remembers proofs against the contract of
// [federation.Replay]. Each failure names the rule.
func TestReplay(t *testing.T, open func(*testing.T) federation.Replay) {
	t.Helper()
	run := func(rule string, f func(*testing.T, federation.Replay)) {
		t.Run(rule, func(t *testing.T) { f(t, open(t)) })
	}
	run("a key is new once", replayOnce)
	run("of many at once one is the first", replayRace)
	run("a key is new again when its time is over", replayOver)
	run("what is forgotten is new", replayForget)
	run("keeps tenants apart, and refuses none", replayTenants)
}

func use(t *testing.T, r federation.Replay, tenant, key string, until time.Time, want bool) {
	t.Helper()
	if fresh, err := r.Use(t.Context(), tenant, key, until); fresh != want || err != nil {
		t.Errorf("Use of %.20q by %s: %t, %v: want %t", key, tenant, fresh, err, want)
	}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

func replayOnce(t *testing.T, r federation.Replay) {
	for _, key := range []string{"a", "A", "a ", "ü' -- \x00", strings.Repeat("k", 5000)} {
		use(t, r, "acme", key, soon(), true)
		use(t, r, "acme", key, soon(), false)
	}
}

func replayRace(t *testing.T, r federation.Replay) {
	var first atomic.Int32
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			fresh, err := r.Use(t.Context(), "acme", fmt.Sprint("key ", i%4), soon())
			if err != nil {
				t.Error(err)
			}
			if fresh {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if n := first.Load(); n != 4 {
		t.Errorf("4 keys were new %d times", n)
	}
}

func replayOver(t *testing.T, r federation.Replay) {
	use(t, r, "acme", "a", time.Now().Add(-time.Second), true)
	use(t, r, "acme", "a", soon(), true)
	use(t, r, "acme", "a", soon(), false)
}

func replayForget(t *testing.T, r federation.Replay) {
	use(t, r, "acme", "a", soon(), true)
	use(t, r, "acme", "b", soon(), true)
	for range 2 { // the second time there is nothing to forget
		if err := r.Forget(t.Context(), "acme", "a"); err != nil {
			t.Error(err)
		}
	}
	use(t, r, "acme", "a", soon(), true)
	use(t, r, "acme", "b", soon(), false)
}

func replayTenants(t *testing.T, r federation.Replay) {
	use(t, r, "acme", "a", soon(), true)
	use(t, r, "globex", "a", soon(), true)
	if err := r.Forget(t.Context(), "globex", "a"); err != nil {
		t.Error(err)
	}
	use(t, r, "acme", "a", soon(), false)
	if _, err := r.Use(t.Context(), "", "a", soon()); err == nil {
		t.Error("Use without a tenant")
	}
	if err := r.Forget(t.Context(), "", "a"); err == nil {
		t.Error("Forget without a tenant")
	}
}
