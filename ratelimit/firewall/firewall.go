// Package firewall refuses callers by address: ranges that are denied, ranges
// that alone are allowed, and bans that end by themselves.
//
//	fw, err := firewall.New(firewall.Lists{Deny: ranges}, log, firewall.Options{})
//	base := []guard.Guard{guard.Audit(log), behind, fw, …}
//	err = fw.Ban(ctx, addr, 15*time.Minute, "many failed sign-ins")   // from a detection
//	lists.Deny, err = firewall.ParseList(file)                        // when the file has changed
//	err = fw.Reload(ctx, lists)
//
// It looks at the client's address as guard/clientip left it. With an allow
// list, whatever is not on it is denied, also a caller without an address.
// Deny wins over allow. Lists are replaced as a whole, without a moment at
// which neither holds; a list that can't be used leaves the old one in force.
// A million ranges take 8 MiB for IPv4 and 32 MiB for IPv6.
//
// [Requests] is a guard for what a request may look like, and [SlowClients]
// ends connections that send or read too slowly. What the host's own packet
// filter does is checked by ratelimit/hostcheck.
package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/clientip"
)

// Options are the options of a [Firewall].
type Options struct {
	// MaxBans is how many bans stand at the same time at most; 0 is 10,000.
	// When there are as many, the one that ends first makes room.
	MaxBans int
}

// A Firewall refuses callers by address. It is safe for concurrent use.
type Firewall struct {
	rec     auditlog.Recorder
	o       Options
	lists   atomic.Pointer[compiled]
	mu      sync.RWMutex
	banned  map[netip.Prefix]time.Time // until when
	version atomic.Int64
}

// New makes a firewall.
func New(lists Lists, rec auditlog.Recorder, o Options) (*Firewall, error) {
	if rec == nil {
		return nil, errors.New("firewall: New needs a recorder")
	}
	if o.MaxBans == 0 {
		o.MaxBans = 10_000
	}
	if o.MaxBans < 1 || o.MaxBans > 1_000_000 {
		return nil, fmt.Errorf("firewall: MaxBans %d: want 1 to 1000000", o.MaxBans)
	}
	c, err := compile(lists)
	if err != nil {
		return nil, err
	}
	f := &Firewall{rec: rec, o: o, banned: make(map[netip.Prefix]time.Time)}
	f.lists.Store(c)
	f.version.Store(1)
	return f, nil
}

// Reload replaces the lists. The change is recorded before it takes effect.
func (f *Firewall) Reload(ctx context.Context, lists Lists) error {
	c, err := compile(lists)
	if err != nil {
		return err
	}
	err = f.rec.Record(ctx, auditlog.Event{
		Action: "ratelimit.firewall.reload", Outcome: auditlog.Success,
		Attrs: []auditlog.Attr{auditlog.Int("deny", len(lists.Deny)), auditlog.Int("allow", len(lists.Allow))},
	})
	if err != nil {
		return fmt.Errorf("firewall: reload: %w", err)
	}
	f.lists.Store(c)
	f.version.Add(1)
	return nil
}

// Ban denies an address, or the /64 around it for IPv6, for 1 s to 30 days.
// Banning again makes the longer time count. The reason stands in the log. A
// ban that can't be recorded stands all the same: the error says so.
func (f *Firewall) Ban(ctx context.Context, addr netip.Addr, d time.Duration, reason string) error {
	key := clientip.Key(addr)
	if !key.IsValid() {
		return errors.New("firewall: Ban: there is no address")
	}
	return f.ban(ctx, key, d, reason)
}

// BanNetwork denies the network that audit events name, a /24 or for IPv6 a
// /48, as Ban does an address. It also hits neighbours who did nothing: choose
// the time accordingly.
func (f *Firewall) BanNetwork(ctx context.Context, network netip.Prefix, d time.Duration, reason string) error {
	if !network.IsValid() || network != wideKey(network.Addr()) {
		return errors.New("firewall: BanNetwork: want a network such as 192.0.2.0/24 or 2001:db8::/48")
	}
	return f.ban(ctx, network, d, reason)
}

// wideKey is the network of an address as audit events name it.
func wideKey(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits) // no address has no prefix, which is in no map
	return p
}

func (f *Firewall) ban(ctx context.Context, key netip.Prefix, d time.Duration, reason string) error {
	if d < time.Second || d > 30*24*time.Hour {
		return fmt.Errorf("firewall: Ban: %v: want 1s to 720h", d)
	}
	until := time.Now().Add(d)
	f.mu.Lock()
	if until.After(f.banned[key]) {
		f.banned[key] = until
		f.makeRoom(key)
	}
	f.mu.Unlock()
	err := f.rec.Record(ctx, auditlog.Event{
		Action: "ratelimit.firewall.ban", Outcome: auditlog.Success,
		Attrs: []auditlog.Attr{auditlog.String("network", wideKey(key.Addr()).String()), auditlog.Duration("for", d), auditlog.String("why", reason)},
	})
	if err != nil {
		return fmt.Errorf("firewall: the ban stands and could not be recorded: %w", err)
	}
	return nil
}

// makeRoom drops what has ended, and if that is not enough the ban that ends
// first, but never the one just made.
func (f *Firewall) makeRoom(keep netip.Prefix) {
	if len(f.banned) <= f.o.MaxBans {
		return
	}
	now := time.Now()
	var first netip.Prefix
	for k, until := range f.banned {
		if !until.After(now) {
			delete(f.banned, k)
		} else if k != keep && (!first.IsValid() || until.Before(f.banned[first])) {
			first = k
		}
	}
	if len(f.banned) > f.o.MaxBans {
		delete(f.banned, first)
	}
}

// Unban ends the bans of an address and of its network.
func (f *Firewall) Unban(addr netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.banned, clientip.Key(addr))
	delete(f.banned, wideKey(addr))
}

// Denied reports whether an address is refused now.
func (f *Firewall) Denied(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	c := f.lists.Load()
	now := time.Now()
	if c.deny.contains(addr, now) || c.allow.size > 0 && !c.allow.contains(addr, now) {
		return true
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.banned[clientip.Key(addr)].After(now) || f.banned[wideKey(addr)].After(now)
}

// Phase returns [guard.Network].
func (f *Firewall) Phase() guard.Phase { return guard.Network }

// Admit refuses callers by address, without saying why.
func (f *Firewall) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	if !f.Denied(call.Client) {
		return ctx, nil
	}
	return ctx, &guard.Denial{Control: "ratelimit.firewall", Code: guard.PermissionDenied, Public: "Access is not allowed from here."}
}

// Readmit ends streams of callers that were banned since.
func (f *Firewall) Readmit(ctx context.Context, call *guard.Call) error {
	_, err := f.Admit(ctx, call)
	return err
}

// Middleware returns a handler behind the firewall alone.
func (f *Firewall) Middleware(next http.Handler) http.Handler { return guard.Alone(f, next) }

// Controls describes the firewall. The probe bans a documentation address
// (RFC 5737), looks whether it is refused, and lifts the ban.
func (f *Firewall) Controls() []controls.Control {
	c := f.lists.Load()
	return []controls.Control{{
		ID: "ratelimit.firewall",
		Parameters: []controls.Parameter{
			controls.Int("deny", c.deny.size), controls.Int("allow", c.allow.size),
			controls.Int("version", f.version.Load()), controls.Int("max_bans", f.o.MaxBans),
		},
		Probe: f.probe,
	}}
}

func (f *Firewall) probe(ctx context.Context) controls.Result {
	addr := netip.MustParseAddr("192.0.2.254")
	call := guard.Synthetic("ratelimit.firewall", "ratelimit.probe", nil)
	call.Client = addr
	f.mu.Lock()
	f.banned[clientip.Key(addr)] = time.Now().Add(time.Minute)
	f.mu.Unlock()
	_, err := f.Admit(ctx, call)
	f.mu.Lock()
	delete(f.banned, clientip.Key(addr))
	f.mu.Unlock()
	if err == nil {
		return controls.Failed("a banned address was admitted")
	}
	return controls.Passed("a banned address was refused")
}
