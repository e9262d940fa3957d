// Package firewall refuses callers by address: ranges that are denied, ranges
// that alone are allowed, and bans that end by themselves.
//
//	fw, err := firewall.New(firewall.Lists{Deny: prefixes}, log, firewall.Options{})
//	base := []guard.Guard{guard.Audit(log), behind, fw, …}
//	err = fw.Ban(ctx, addr, 15*time.Minute, "many failed sign-ins")   // from a detection
//	err = fw.Reload(ctx, lists)                                       // from a file that changed
//
// It looks at the client's address as guard/clientip left it. With an allow
// list, whatever is not on it is denied, also a caller without an address.
// Deny wins over allow. Lists are replaced as a whole, without a moment at
// which neither holds; a list that can't be used leaves the old one in force.
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

// Lists are the ranges of a firewall.
type Lists struct {
	Deny  []netip.Prefix
	Allow []netip.Prefix // empty allows every address that is not denied
}

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
	switch {
	case !key.IsValid():
		return errors.New("firewall: Ban: there is no address")
	case d < time.Second || d > 30*24*time.Hour:
		return fmt.Errorf("firewall: Ban: %v: want 1s to 720h", d)
	}
	until := time.Now().Add(d)
	f.mu.Lock()
	if until.After(f.banned[key]) {
		f.banned[key] = until
		f.makeRoom(key)
	}
	f.mu.Unlock()
	network := addr.Unmap()
	bits := 48
	if network.Is4() {
		bits = 24
	}
	wide, err := network.WithZone("").Prefix(bits)
	if err != nil {
		return fmt.Errorf("firewall: Ban: %w", err)
	}
	err = f.rec.Record(ctx, auditlog.Event{
		Action: "ratelimit.firewall.ban", Outcome: auditlog.Success,
		Attrs: []auditlog.Attr{auditlog.String("network", wide.String()), auditlog.Duration("for", d), auditlog.String("why", reason)},
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

// Unban ends a ban.
func (f *Firewall) Unban(addr netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.banned, clientip.Key(addr))
}

// Denied reports whether an address is refused now.
func (f *Firewall) Denied(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	c := f.lists.Load()
	if c.deny.contains(addr) || len(c.allow.lengths) > 0 && !c.allow.contains(addr) {
		return true
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	until, ok := f.banned[clientip.Key(addr)]
	return ok && until.After(time.Now())
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
	f.Unban(addr)
	if err == nil {
		return controls.Failed("a banned address was admitted")
	}
	return controls.Passed("a banned address was refused")
}

// compiled lists, immutable.
type compiled struct{ deny, allow set }

// A set finds the ranges that contain an address by one look-up per length
// that occurs.
type set struct {
	lengths []int // of IPv4 ranges as they are, of IPv6 ranges plus 1000
	ranges  map[netip.Prefix]struct{}
	size    int
}

func compile(l Lists) (*compiled, error) {
	deny, err := newSet("Deny", l.Deny)
	if err != nil {
		return nil, err
	}
	allow, err := newSet("Allow", l.Allow)
	if err != nil {
		return nil, err
	}
	return &compiled{deny, allow}, nil
}

const six = 1000

func newSet(name string, list []netip.Prefix) (set, error) {
	s := set{ranges: make(map[netip.Prefix]struct{}, len(list)), size: len(list)}
	seen := make(map[int]bool)
	for i, p := range list {
		if !p.IsValid() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			return set{}, fmt.Errorf("firewall: %s[%d]: %v: want a range such as 192.0.2.0/24 or 2001:db8::/32", name, i, p)
		}
		s.ranges[p.Masked()] = struct{}{}
		length := p.Bits()
		if p.Addr().Is6() {
			length += six
		}
		if !seen[length] {
			seen[length] = true
			s.lengths = append(s.lengths, length)
		}
	}
	return s, nil
}

func (s *set) contains(a netip.Addr) bool {
	for _, length := range s.lengths {
		if (length >= six) != a.Is6() {
			continue
		}
		if length >= six {
			length -= six
		}
		p, err := a.Prefix(length)
		if err != nil {
			continue
		}
		if _, ok := s.ranges[p]; ok {
			return true
		}
	}
	return false
}
