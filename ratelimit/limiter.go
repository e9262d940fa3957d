package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/guard"
)

// Options are the options of a [Limiter].
type Options struct {
	// Memory is how many bytes allowances take, 64 KiB to 16 GiB, all at once;
	// 0 is 4 MiB. A place for a key takes 16 bytes; count on 24 for each key
	// that is limited at one time, since not every place can be filled. The
	// size is rounded down to a power of two, and a sixteenth is added.
	Memory int64
	// NoHeaders leaves RateLimit fields out of admitted responses.
	NoHeaders bool
	// Legacy adds X-RateLimit-Limit, -Remaining and -Reset (seconds) of the
	// policy with the least left, for clients that know only these.
	Legacy bool
	// Store keeps the allowances of several instances; nil keeps them here.
	Store Store
	// OnFailure is what happens while Store can't be reached.
	OnFailure Failure
	// Meter gets surety.ratelimit.denied by policy, and
	// surety.ratelimit.store.failures by what was done instead; nil is otel's
	// global provider.
	Meter metric.MeterProvider
}

// A Limiter limits keys. It is safe for concurrent use.
type Limiter struct {
	o       Options
	phase   guard.Phase
	start   time.Time
	seed    maphash.Seed
	table   *table
	set     atomic.Pointer[set]
	metrics *metrics
}

// A set is the policies in force.
type set struct {
	policies []*policy
	quotas   bool   // one of them is a quota
	header   string // RateLimit-Policy
}

// New makes a limiter of 1 to 8 policies. What their keys are decides when the
// guard runs: in the latest phase of them.
func New(policies []Policy, o Options) (*Limiter, error) {
	if o.Memory == 0 {
		o.Memory = 4 << 20
	}
	switch {
	case o.Memory < 64<<10 || o.Memory > 16<<30:
		return nil, fmt.Errorf("ratelimit: Options.Memory %d bytes: want 65536 to 17179869184", o.Memory)
	case o.OnFailure > Allow:
		return nil, fmt.Errorf("ratelimit: Options.OnFailure %d is unknown", o.OnFailure)
	case o.OnFailure != Deny && o.Store == nil:
		return nil, errors.New("ratelimit: Options.OnFailure has no meaning without a Store")
	}
	l := &Limiter{o: o, start: time.Now(), seed: maphash.MakeSeed()}
	s, phase, err := l.compile(policies)
	if err != nil {
		return nil, err
	}
	if l.metrics, err = newMetrics(o.Meter, s); err != nil {
		return nil, err
	}
	l.phase, l.table = phase, newTable(o.Memory, l.seed)
	l.set.Store(s)
	return l, nil
}

func (l *Limiter) compile(policies []Policy) (*set, guard.Phase, error) {
	if len(policies) == 0 || len(policies) > maxPolicies {
		return nil, 0, fmt.Errorf("ratelimit: %d policies, want 1 to %d", len(policies), maxPolicies)
	}
	s, phase := &set{}, guard.Phase(0)
	for i := range policies {
		p := &policies[i]
		if err := p.validate(); err != nil {
			return nil, 0, err
		}
		for _, other := range s.policies {
			if other.Name == p.Name {
				return nil, 0, fmt.Errorf("ratelimit: policy %q is there twice", p.Name)
			}
		}
		c := p.compile(maphash.String(l.seed, p.Name+"/"+p.Key.name))
		s.policies = append(s.policies, c)
		s.quotas = s.quotas || p.Calendar != None
		if s.header != "" {
			s.header += ", "
		}
		s.header += c.header
		phase = max(phase, p.Key.phase)
	}
	return s, phase, nil
}

// Reload puts other policies in force, at once and for all. Allowances of
// policies with the same name and key go on. A mistake, or keys that would
// change the limiter's phase, are an error, and nothing changes.
func (l *Limiter) Reload(policies []Policy) error {
	s, phase, err := l.compile(policies)
	if err != nil {
		return err
	}
	if phase != l.phase {
		return fmt.Errorf("ratelimit: Reload: the keys belong to phase %v, and the limiter runs in phase %v", phase, l.phase)
	}
	l.metrics.add(s)
	l.set.Store(s)
	return nil
}

// A Decision is the answer for one request.
type Decision struct {
	Allowed bool
	// Policy is the one that denied, or else the one with the least left.
	Policy string
	State
}

// Take takes cost from what all policies allow a key, or nothing: a limiter
// without calls, such as one for what an account may send. The policies' own
// keys and costs don't matter. An error says that the store can't be reached,
// and that Options.OnFailure is Deny.
func (l *Limiter) Take(ctx context.Context, key string, cost int) (Decision, error) {
	if cost < 0 {
		return Decision{}, fmt.Errorf("ratelimit: cost %d: want 0 or more", cost)
	}
	s := l.set.Load()
	if len(s.policies) == 1 {
		var one [1]taking // to clear more of them would cost more than to decide
		return l.takeAll(ctx, s, one[:], key, int64(cost))
	}
	var few [usual]taking // on the stack
	list := few[:]
	if len(s.policies) > usual {
		list = make([]taking, len(s.policies))
	}
	return l.takeAll(ctx, s, list[:len(s.policies)], key, int64(cost))
}

// takeAll fills the list, one for each policy, and decides.
func (l *Limiter) takeAll(ctx context.Context, s *set, list []taking, key string, cost int64) (Decision, error) {
	for i := range list {
		t := &list[i]
		t.policy, t.index, t.who.text, t.cost = s.policies[i], i, key, cost
	}
	ok, err := l.take(ctx, s, list)
	if err != nil {
		return Decision{}, err
	}
	tight := tightest(list)
	return Decision{Allowed: ok, Policy: tight.policy.Name, State: tight.State}, nil
}

// usual is how many policies cost no allocation.
const usual = 3

// take decides, in the store if there is one.
func (l *Limiter) take(ctx context.Context, s *set, list []taking) (bool, error) {
	if l.o.Store != nil {
		ok, err := l.takeShared(ctx, list)
		if err == nil || l.o.OnFailure == Deny || ctx.Err() != nil {
			return ok, err
		}
		if l.o.OnFailure == Allow {
			for i := range list { // nothing is counted, so nobody is told to slow down
				list[i].State = State{Remaining: list[i].policy.limit}
			}
			return true, nil
		}
	}
	var wall time.Time
	var now int64
	if s.quotas {
		wall = time.Now()
		now = int64(wall.Sub(l.start))
	} else {
		now = int64(time.Since(l.start))
	}
	for i := range list {
		list[i].hash = list[i].who.hash(l.seed, list[i].policy.salt, 0)
	}
	return l.table.take(list, now, wall), nil
}

func (l *Limiter) takeShared(ctx context.Context, list []taking) (ok bool, err error) {
	cells := make([]Cell, len(list))
	wall := time.Now()
	for i := range list {
		cells[i] = list[i].cell(wall)
	}
	if err := l.o.Store.Take(ctx, cells); err != nil {
		if ctx.Err() == nil {
			l.metrics.storeFailed(ctx, l.o.OnFailure)
		}
		return false, fmt.Errorf("ratelimit: store: %w", err)
	}
	ok = true
	for i := range list {
		list[i].State = cells[i].State
		ok = ok && !list[i].Denied
	}
	return ok, nil
}

// tightest is what denied for longest, or else has the least left.
func tightest(list []taking) *taking {
	best := &list[0]
	for i := range list[1:] {
		l := &list[1+i]
		switch {
		case l.Denied != best.Denied:
			if l.Denied {
				best = l
			}
		case l.Denied:
			// What is never admitted says 0.
			if l.RetryAfter == 0 || best.RetryAfter != 0 && l.RetryAfter > best.RetryAfter {
				best = l
			}
		case l.Remaining < best.Remaining:
			best = l
		}
	}
	return best
}
