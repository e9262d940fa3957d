package throttle_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/throttle"
)

func client(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)}) }

// Many clients, each with a few guesses at many accounts.
func TestASVS_6_3_1_StuffingFromManyClients(t *testing.T) {
	d := newDesk(t, throttle.Options{Stuffing: 100})
	account := 0
	guesses := func(c netip.Addr) int {
		for n := range 40 {
			account++
			if d.locked(t, fmt.Sprint("u-", account), c) != nil {
				return n
			}
		}
		return 40
	}
	if n := guesses(client(1)); n != 30 {
		t.Errorf("before the flood a client had %d guesses", n)
	}
	for c := 2; account < 110; c++ {
		guesses(client(c))
	}
	for c := 100; c < 110; c++ {
		if n := guesses(client(c)); n != 3 {
			t.Errorf("during the flood a client had %d guesses", n)
		}
	}
	if e := d.rec.Find("authn.throttle.alert"); len(e) != 1 || e[0].Outcome != auditlog.Success {
		t.Errorf("%d alerts", len(e))
	}
	d.now = d.now.Add(10 * time.Minute)
	if n := guesses(client(200)); n != 30 {
		t.Errorf("after the flood a client had %d guesses", n)
	}
}

// People who sign in are no flood, and signing in to one's own account hides
// no guesses at others.
func TestLoginsAreNoFlood(t *testing.T) {
	d := newDesk(t, throttle.Options{Stuffing: 20})
	for n := range 100 {
		u := fmt.Sprint("u-", n)
		for range 2 { // password and code
			if l := d.locked(t, u, netip.Addr{}); l != nil {
				t.Fatal(l)
			}
		}
		if err := d.Succeed(t.Context(), "acme", u); err != nil {
			t.Fatal(err)
		}
	}
	d.rec.WantNone(t, "authn.throttle.alert")
	for n := range 30 {
		_ = d.locked(t, fmt.Sprint("victim-", n), netip.Addr{})
		for range 3 {
			if err := d.Succeed(t.Context(), "acme", "mine"); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.rec.Want(t, "authn.throttle.alert", auditlog.Success)
}

func TestUnrecordedAlertDenies(t *testing.T) {
	d := newDesk(t, throttle.Options{Stuffing: 10})
	for n := range 10 {
		_ = d.locked(t, fmt.Sprint("u-", n), netip.Addr{})
	}
	down := errors.New("disk full")
	d.rec.FailWith(down)
	if err := d.Begin(t.Context(), "acme", "u-11", netip.Addr{}); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	d.rec.FailWith(nil)
	if err := d.Begin(t.Context(), "acme", "u-12", netip.Addr{}); err != nil {
		t.Error(err)
	}
	d.rec.Want(t, "authn.throttle.alert", auditlog.Success)
	if _, err := throttle.New(d.store, d.rec, throttle.Options{Stuffing: 9}); err == nil {
		t.Error("a limit of 9 was accepted")
	}
}
