package throttle

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// ErrLocked says that no attempt is admitted now. It is wrapped by every
// [LockedError].
var ErrLocked = errors.New("throttle: locked")

// ErrContention says that an account is under so many attempts at once that
// this one could not be counted. It is refused.
var ErrContention = errors.New("throttle: too many attempts at once")

// A LockedError says for how long no attempt is admitted.
type LockedError struct {
	// Reason is "account", "client", "disabled", or the reason given to Lock.
	Reason string
	// Until is when the next attempt is admitted; zero when disabled.
	Until time.Time
	// RetryAfter is how long that is from now.
	RetryAfter time.Duration
}

// Error says why and for how long.
func (e *LockedError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("%v: %s", ErrLocked, e.Reason)
	}
	return fmt.Sprintf("%v: %s: for %v", ErrLocked, e.Reason, e.RetryAfter.Round(time.Second))
}

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// Options are the options of a [Throttle].
type Options struct {
	// Free is how many failures in a row cost an account no wait; 0 is 4.
	Free int
	// ClientFree is the same for a client, over all accounts; 0 is 30.
	ClientFree int
	// Base is the first wait, doubled with each failure; 0 is 2 s.
	Base time.Duration
	// Max is the longest wait; 0 is 15 min.
	Max time.Duration
	// Disable is the number of failures in a row after which the account's
	// authenticator is disabled until Unlock; 0 is 100, which is also the
	// most (SP 800-63B-4, 3.2.2).
	Disable int
	// Forget is the time after which a client's failures are forgotten; 0 is
	// one day. An account's are only forgotten by a success.
	Forget time.Duration
}

// A Throttle counts attempts. It is safe for concurrent use.
type Throttle struct {
	store Store
	rec   auditlog.Recorder
	o     Options
	now   func() time.Time
}

// New makes a Throttle.
func New(store Store, rec auditlog.Recorder, o Options) (*Throttle, error) {
	if store == nil || rec == nil {
		return nil, errors.New("throttle: New needs a store and a recorder")
	}
	setDefault(&o.Free, 4)
	setDefault(&o.ClientFree, 30)
	setDefault(&o.Base, 2*time.Second)
	setDefault(&o.Max, 15*time.Minute)
	setDefault(&o.Disable, 100)
	setDefault(&o.Forget, 24*time.Hour)
	switch {
	case o.Disable < 1 || o.Disable > 100:
		return nil, errors.New("throttle: Options: Disable: want 1 to 100")
	case o.Free < 1 || o.Free > o.Disable:
		return nil, errors.New("throttle: Options: Free: want 1 to Disable")
	case o.ClientFree < 1 || o.ClientFree > 10_000:
		return nil, errors.New("throttle: Options: ClientFree: want 1 to 10000")
	case o.Base < 100*time.Millisecond || o.Max < o.Base || o.Max > 24*time.Hour:
		return nil, errors.New("throttle: Options: Base, Max: want 100 ms ≤ Base ≤ Max ≤ 24 h")
	case o.Forget < o.Max:
		return nil, errors.New("throttle: Options: Forget: want at least Max")
	}
	return &Throttle{store, rec, o, time.Now}, nil
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Unknown begins the ids that stand for accounts that do not exist. Their
// states may be forgotten; an account's failures may not.
const Unknown = "?"

// Begin counts an attempt on an account by a client, before the secret is
// looked at. It returns a *LockedError when the attempt must not be made, and
// another error, which denies as well, when that can't be known. The zero
// client, of a connection without an address, is not counted.
func (t *Throttle) Begin(ctx context.Context, tenant, account string, client netip.Addr) error {
	if client.IsValid() {
		if err := t.take(ctx, tenant, clientKey(client), t.o.ClientFree, "client"); err != nil {
			return t.refused(ctx, tenant, account, err)
		}
	}
	if err := t.take(ctx, tenant, accountKey(account), t.o.Free, "account"); err != nil {
		return t.refused(ctx, tenant, account, err)
	}
	return nil
}

func accountKey(id string) string { return "account:" + id }

// clientKey is a client's address; of IPv6, the network of 64 bits that one
// client has.
func clientKey(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "client:" + netip.PrefixFrom(a, 64).Masked().String()
	}
	return "client:" + a.String()
}

// take refuses an attempt that comes too early, or counts it.
func (t *Throttle) take(ctx context.Context, tenant, key string, free int, reason string) error {
	return t.change(ctx, tenant, key, func(s *State) error {
		now := t.now()
		switch {
		case s.Disabled:
			return &LockedError{Reason: "disabled"}
		case now.Before(s.Until):
			if s.Reason != "" {
				reason = s.Reason
			}
			return &LockedError{Reason: reason, Until: s.Until, RetryAfter: s.Until.Sub(now)}
		}
		if reason == "client" && now.Sub(s.Last) > t.o.Forget {
			s.Failures = 0
		}
		s.Failures++
		s.Last, s.Reason = now, ""
		if over := s.Failures - free; over >= 0 {
			s.Until = now.Add(t.wait(over))
		}
		s.Disabled = reason == "account" && s.Failures >= t.o.Disable
		s.Keep = reason == "account" && !strings.HasPrefix(key, accountKey(Unknown))
		return nil
	})
}

// wait is Base doubled n times, at most Max.
func (t *Throttle) wait(n int) time.Duration {
	d := t.o.Base
	for range n {
		if d *= 2; d >= t.o.Max {
			return t.o.Max
		}
	}
	return d
}

// change applies f to a state, again when somebody else was faster.
func (t *Throttle) change(ctx context.Context, tenant, key string, f func(*State) error) error {
	for range 64 {
		s, err := t.store.Get(ctx, tenant, key)
		if err != nil {
			return fmt.Errorf("throttle: store: %w", err)
		}
		next := s
		if err := f(&next); err != nil {
			return err
		}
		ok, err := t.store.Swap(ctx, tenant, key, s.Rev, next)
		if err != nil {
			return fmt.Errorf("throttle: store: %w", err)
		}
		if ok {
			return nil
		}
	}
	return ErrContention
}

// refused records a refusal. Its reason begins with "ratelimit." so that a
// log counts a flood of them instead of writing each.
func (t *Throttle) refused(ctx context.Context, tenant, account string, cause error) error {
	var l *LockedError
	if !errors.As(cause, &l) {
		return cause
	}
	err := t.rec.Record(ctx, auditlog.Event{
		Action: "authn.throttle.admit", Outcome: auditlog.Denied, Reason: "ratelimit.authn", Tenant: tenant,
		Targets: []auditlog.Target{{Type: "account", ID: account}},
		Attrs:   []auditlog.Attr{auditlog.String("lock", l.Reason)},
	})
	if err != nil {
		return errors.Join(cause, fmt.Errorf("throttle: record: %w", err))
	}
	return cause
}

// Succeed ends the account's row of failures. Call it when all factors were
// proven and not before: otherwise whoever knows the password could guess
// codes for ever.
func (t *Throttle) Succeed(ctx context.Context, tenant, account string) error {
	return t.change(ctx, tenant, accountKey(account), func(s *State) error {
		// A lock that was set meanwhile stays.
		if s.Reason == "" {
			s.Until = time.Time{}
		}
		s.Failures, s.Disabled, s.Keep, s.Last = 0, false, false, t.now()
		return nil
	})
}

// Lock refuses attempts on an account until the given time, at most 24 hours
// from now. Detections use it; the reason is a code for the audit log and for
// Locked. An earlier, longer lock stays.
func (t *Throttle) Lock(ctx context.Context, tenant, account string, until time.Time, reason string) error {
	if reason == "" || len(reason) > 64 {
		return errors.New("throttle: Lock: want a reason of 1 to 64 bytes")
	}
	if limit := t.now().Add(24 * time.Hour); until.After(limit) {
		until = limit
	}
	err := t.change(ctx, tenant, accountKey(account), func(s *State) error {
		if s.Until.Before(until) {
			s.Until, s.Reason = until, reason
		}
		s.Last = t.now()
		return nil
	})
	if err != nil {
		return err
	}
	return t.record(ctx, "authn.throttle.lock", tenant, account, reason, auditlog.Time("until", until))
}

// Unlock forgets the account's failures and locks: after its authenticator
// was bound anew, or by an administrator.
func (t *Throttle) Unlock(ctx context.Context, tenant, account, reason string) error {
	if err := t.record(ctx, "authn.throttle.unlock", tenant, account, reason); err != nil {
		return err
	}
	return t.change(ctx, tenant, accountKey(account), func(s *State) error {
		*s = State{Rev: s.Rev, Last: t.now()}
		return nil
	})
}

// Locked reports whether attempts on the account are refused now, as a
// *LockedError, without counting one.
func (t *Throttle) Locked(ctx context.Context, tenant, account string) (*LockedError, error) {
	s, err := t.store.Get(ctx, tenant, accountKey(account))
	now := t.now()
	switch {
	case err != nil:
		return nil, fmt.Errorf("throttle: store: %w", err)
	case s.Disabled:
		return &LockedError{Reason: "disabled"}, nil
	case !now.Before(s.Until):
		return nil, nil
	}
	reason := "account"
	if s.Reason != "" {
		reason = s.Reason
	}
	return &LockedError{Reason: reason, Until: s.Until, RetryAfter: s.Until.Sub(now)}, nil
}

// Purge forgets what has not mattered for the time of Options.Forget.
func (t *Throttle) Purge(ctx context.Context, tenant string) (int, error) {
	n, err := t.store.Purge(ctx, tenant, t.now().Add(-t.o.Forget))
	if err != nil {
		return n, fmt.Errorf("throttle: store: %w", err)
	}
	return n, nil
}

func (t *Throttle) record(ctx context.Context, action, tenant, account, reason string, attrs ...auditlog.Attr) error {
	err := t.rec.Record(ctx, auditlog.Event{
		Action: action, Outcome: auditlog.Success, Reason: reason, Tenant: tenant,
		Targets: []auditlog.Target{{Type: "account", ID: account}}, Attrs: attrs,
	})
	if err != nil {
		return fmt.Errorf("throttle: record: %w", err)
	}
	return nil
}
