package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/controls"
)

type desk struct {
	*throttle.Throttle
	rec   *auditlogtest.Recorder
	store *throttle.Memory
	now   time.Time
}

func newDesk(t testing.TB, o throttle.Options) *desk {
	t.Helper()
	d := &desk{rec: &auditlogtest.Recorder{}, store: &throttle.Memory{}, now: time.Unix(1_800_000_000, 0)}
	th, err := throttle.New(d.store, d.rec, o)
	if err != nil {
		t.Fatal(err)
	}
	throttle.SetNow(th, func() time.Time { return d.now })
	d.Throttle = th
	return d
}

var here = netip.MustParseAddr("203.0.113.7")

// locked fails on an account and returns how long it then has to wait.
func (d *desk) locked(t *testing.T, account string, client netip.Addr) *throttle.LockedError {
	t.Helper()
	err := d.Begin(t.Context(), "acme", account, client)
	var l *throttle.LockedError
	if err != nil && (!errors.As(err, &l) || !errors.Is(err, throttle.ErrLocked)) {
		t.Fatal(err)
	}
	return l
}

func TestASVS_6_3_1_WaitsDouble(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	for n := range 4 {
		if l := d.locked(t, "u-1", netip.Addr{}); l != nil {
			t.Fatalf("failure %d: %v", n+1, l)
		}
	}
	var waits []time.Duration
	for range 12 {
		l := d.locked(t, "u-1", netip.Addr{})
		if l == nil {
			t.Fatal("no wait")
		}
		waits = append(waits, l.RetryAfter)
		d.now = d.now.Add(l.RetryAfter - time.Nanosecond)
		if d.locked(t, "u-1", netip.Addr{}) == nil {
			t.Fatal("admitted before the end of the wait")
		}
		d.now = d.now.Add(time.Nanosecond)
		if l := d.locked(t, "u-1", netip.Addr{}); l != nil {
			t.Fatalf("after the wait: %v", l)
		}
	}
	want := "[2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 8m32s 15m0s 15m0s 15m0s]"
	if got := fmt.Sprint(waits); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if l := d.locked(t, "u-2", netip.Addr{}); l != nil {
		t.Errorf("another account: %v", l)
	}
}

func TestSuccessForgives(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	for range 3 {
		for range 4 {
			if l := d.locked(t, "u-1", netip.Addr{}); l != nil {
				t.Fatal(l)
			}
		}
		if err := d.Succeed(t.Context(), "acme", "u-1"); err != nil {
			t.Fatal(err)
		}
	}
}

// SP 800-63B-4, 3.2.2: no more than 100 consecutive failed attempts.
func TestDisabledAfterAHundred(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	n := 0
	for ; n < 1000; n++ {
		l := d.locked(t, "u-1", netip.Addr{})
		if l == nil {
			continue
		}
		if l.Until.IsZero() {
			break
		}
		d.now = d.now.Add(l.RetryAfter)
		n--
	}
	if n != 100 {
		t.Errorf("disabled after %d failures", n)
	}
	d.now = d.now.AddDate(1, 0, 0)
	if _, err := d.Purge(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if l := d.locked(t, "u-1", netip.Addr{}); l == nil || l.Reason != "disabled" {
		t.Errorf("a year later: %v", l)
	}
	if err := d.Unlock(t.Context(), "acme", "u-1", "rebound"); err != nil {
		t.Fatal(err)
	}
	if l := d.locked(t, "u-1", netip.Addr{}); l != nil {
		t.Errorf("after Unlock: %v", l)
	}
}

// Failures in a row are not forgotten because an attacker is patient.
func TestPatienceDoesNotForgetFailures(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	for range 5 {
		_ = d.locked(t, "u-1", netip.Addr{})
		_ = d.locked(t, "?nobody", netip.Addr{})
		d.now = d.now.Add(48 * time.Hour)
	}
	n, err := d.Purge(t.Context(), "acme")
	if n != 1 || err != nil {
		t.Errorf("%d states forgotten, %v: want only the account that does not exist", n, err)
	}
	_ = d.locked(t, "u-1", netip.Addr{})
	if l, err := d.Locked(t.Context(), "acme", "u-1"); l == nil || err != nil {
		t.Errorf("%v, %v", l, err)
	}
}

// The attack: one guess at each of many accounts from one address.
func TestASVS_6_3_1_StuffingFromOneClient(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	for n := range 30 {
		if l := d.locked(t, fmt.Sprint("u-", n), here); l != nil {
			t.Fatalf("account %d: %v", n, l)
		}
		// A success on his own account does not forgive the client.
		if err := d.Succeed(t.Context(), "acme", fmt.Sprint("u-", n)); err != nil {
			t.Fatal(err)
		}
	}
	l := d.locked(t, "u-99", here)
	if l == nil || l.Reason != "client" {
		t.Fatalf("the 31st: %v", l)
	}
	if l := d.locked(t, "u-99", netip.MustParseAddr("203.0.113.8")); l != nil {
		t.Errorf("the owner, from elsewhere: %v", l)
	}
	d.now = d.now.Add(25 * time.Hour)
	if l := d.locked(t, "u-99", here); l != nil {
		t.Errorf("a day later: %v", l)
	}
}

func TestOneClientIsOneNetwork(t *testing.T) {
	key := func(s string) string { return throttle.ClientKey(netip.MustParseAddr(s)) }
	for _, same := range [][2]string{{"2001:db8::1", "2001:db8::ffff:0:1"}, {"::ffff:203.0.113.7", "203.0.113.7"}, {"fe80::1%eth0", "fe80::2%eth1"}} {
		if key(same[0]) != key(same[1]) {
			t.Errorf("%v are two clients", same)
		}
	}
	if key("2001:db8::1") == key("2001:db8:0:1::1") || key("203.0.113.7") == key("203.0.113.8") {
		t.Error("two clients are one")
	}
}

// The attack: a thousand guesses at once, all looking before any is counted.
func TestGuessesAtOnceAreCountedEach(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	var admitted atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			switch err := d.Begin(context.Background(), "acme", "u-1", netip.Addr{}); {
			case err == nil:
				admitted.Add(1)
			case !errors.Is(err, throttle.ErrLocked) && !errors.Is(err, throttle.ErrContention):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if admitted.Load() > 4 {
		t.Errorf("%d guesses at once were admitted", admitted.Load())
	}
}

func TestLock(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	until := d.now.Add(time.Hour)
	if err := d.Lock(t.Context(), "acme", "u-1", until, "detect.bruteforce"); err != nil {
		t.Fatal(err)
	}
	if err := d.Lock(t.Context(), "acme", "u-1", until.Add(-time.Minute), "shorter"); err != nil {
		t.Fatal(err)
	}
	if l := d.locked(t, "u-1", here); l == nil || l.Reason != "detect.bruteforce" || !l.Until.Equal(until) {
		t.Errorf("%+v", l)
	}
	if err := d.Succeed(t.Context(), "acme", "u-1"); err != nil { // a login that was under way
		t.Fatal(err)
	}
	if l, err := d.Locked(t.Context(), "acme", "u-1"); l == nil || err != nil {
		t.Errorf("a success lifts a detection's lock: %v, %v", l, err)
	}
	if l, err := d.Locked(t.Context(), "globex", "u-1"); l != nil || err != nil {
		t.Errorf("another tenant's account: %v, %v", l, err)
	}
	d.now = until
	if l := d.locked(t, "u-1", here); l != nil {
		t.Errorf("afterwards: %v", l)
	}
	if err := d.Lock(t.Context(), "acme", "u-1", d.now.AddDate(10, 0, 0), "forever"); err != nil {
		t.Fatal(err)
	}
	if l, err := d.Locked(t.Context(), "acme", "u-1"); err != nil || l.RetryAfter > 24*time.Hour {
		t.Errorf("locked for %v, %v: a lock is temporary", l.RetryAfter, err)
	}
	if err := d.Lock(t.Context(), "acme", "u-1", until, ""); err == nil {
		t.Error("a lock without a reason")
	}
	if n := len(d.rec.Find("authn.throttle.lock")); n != 3 {
		t.Errorf("%d lock events", n)
	}
}

func TestRefusalsAreRecordedByTheCount(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	for range 5 {
		_ = d.locked(t, "u-1", here)
	}
	e := d.rec.Want(t, "authn.throttle.admit", auditlog.Denied)
	if auditlog.DefaultTable().Ack(&e.Event) != auditlog.Aggregated {
		t.Error("a flood of refusals is written one by one")
	}
}

type down struct{ throttle.Store }

func (down) Get(context.Context, string, string) (throttle.State, error) {
	return throttle.State{}, errors.New("down")
}

func TestUnreachableStoreDenies(t *testing.T) {
	th, err := throttle.New(down{}, &auditlogtest.Recorder{}, throttle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := th.Begin(t.Context(), "acme", "u-1", here); err == nil || errors.Is(err, throttle.ErrLocked) {
		t.Errorf("%v", err)
	}
	if _, err := th.Locked(t.Context(), "acme", "u-1"); err == nil {
		t.Error("Locked answers")
	}
	if r := th.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%+v", r)
	}
}

// amnesia is a store that forgets.
type amnesia struct{}

func (amnesia) Get(context.Context, string, string) (throttle.State, error) {
	return throttle.State{}, nil
}

func (amnesia) Swap(context.Context, string, string, int64, throttle.State) (bool, error) {
	return true, nil
}
func (amnesia) Purge(context.Context, string, time.Time) (int, error) { return 0, nil }

func TestProbe(t *testing.T) {
	d := newDesk(t, throttle.Options{})
	c := d.Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for range 3 {
		if r := c.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("%+v", r)
		}
	}
	d.rec.WantNone(t)
	th, err := throttle.New(amnesia{}, d.rec, throttle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r := th.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("a store that forgets: %+v", r)
	}
}

func TestBadOptions(t *testing.T) {
	for what, o := range map[string]throttle.Options{
		"disable": {Disable: 101}, "free": {Free: -1}, "free over disable": {Free: 50, Disable: 10}, "client": {ClientFree: -1},
		"base": {Base: time.Millisecond}, "max": {Max: time.Second}, "long": {Max: 48 * time.Hour}, "forget": {Forget: time.Minute},
	} {
		if _, err := throttle.New(&throttle.Memory{}, &auditlogtest.Recorder{}, o); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if _, err := throttle.New(nil, &auditlogtest.Recorder{}, throttle.Options{}); err == nil {
		t.Error("no store was accepted")
	}
}

func Example() {
	ctx := context.Background()
	guesses, err := throttle.New(&throttle.Memory{}, &auditlogtest.Recorder{}, throttle.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 5 {
		fmt.Println(guesses.Begin(ctx, "acme", "u-1", netip.MustParseAddr("203.0.113.7")))
	}
	fmt.Println(guesses.Succeed(ctx, "acme", "u-1")) // all factors were proven
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// throttle: locked: account: for 2s
	// <nil>
}
