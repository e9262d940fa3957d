package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// A Policy is a limit: Count requests per Per, of which Burst may come at
// once.
type Policy struct {
	// Name tells limits apart in headers, evidence and metrics: 1 to 64
	// lower-case letters, digits and "-".
	Name string
	// Count and Per are the rate: Count from 1, Per from 1 ms to 24 h.
	Count int
	Per   time.Duration
	// Burst is how many may come at once; 0 is Count.
	Burst int
}

func (p Policy) validate() error {
	valid := p.Name != "" && len(p.Name) <= 64
	for _, c := range p.Name {
		valid = valid && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	switch {
	case !valid:
		return fmt.Errorf("ratelimit: Name: want 1 to 64 lower-case letters, digits and -")
	case p.Count < 1:
		return fmt.Errorf("ratelimit: %s: Count %d: want at least 1", p.Name, p.Count)
	case p.Per < time.Millisecond || p.Per > 24*time.Hour:
		return fmt.Errorf("ratelimit: %s: Per %v: want 1ms to 24h", p.Name, p.Per)
	case p.Per/time.Duration(p.Count) < 1:
		return fmt.Errorf("ratelimit: %s: Count %d in %v: want at most one a nanosecond", p.Name, p.Count, p.Per)
	case p.Burst < 0 || p.Burst > math.MaxInt32:
		return fmt.Errorf("ratelimit: %s: Burst %d: want 0 to %d", p.Name, p.Burst, math.MaxInt32)
	case time.Duration(p.Burst) > math.MaxInt64/4/(p.Per/time.Duration(p.Count)):
		return fmt.Errorf("ratelimit: %s: Burst %d: would take centuries to refill", p.Name, p.Burst)
	}
	return nil
}

// Options are the options of a [Limiter].
type Options struct {
	// Keys is how many keys are remembered at most, 64 to 100 million; 0 is
	// 65,536. A key takes about 40 bytes.
	Keys int
	// NoHeaders leaves RateLimit fields out of admitted responses.
	NoHeaders bool
}

const shards = 64

// A Limiter limits keys. It is safe for concurrent use.
type Limiter struct {
	policy   Policy
	key      Key
	o        Options
	interval int64 // nanoseconds a request costs
	capacity int64 // interval × burst: how far ahead a key may get
	start    time.Time
	seed     maphash.Seed
	shards   [shards]shard
	header   string // RateLimit-Policy
}

type shard struct {
	mu    sync.Mutex
	limit int
	tat   map[uint64]int64 // theoretical arrival times, by hashed key
	rest  int64            // of the keys that found no place
	_     [64]byte         // shards are used side by side
}

// New makes a limiter. What a key is also decides when the guard runs.
func New(p Policy, key Key, o Options) (*Limiter, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	if key.of == nil {
		return nil, errors.New("ratelimit: " + p.Name + ": the key is missing")
	}
	if p.Burst == 0 {
		p.Burst = p.Count
	}
	if o.Keys == 0 {
		o.Keys = 1 << 16
	}
	if o.Keys < shards || o.Keys > 100_000_000 {
		return nil, fmt.Errorf("ratelimit: %s: Keys %d: want %d to 100000000", p.Name, o.Keys, shards)
	}
	interval := int64(p.Per) / int64(p.Count)
	l := &Limiter{
		policy: p, key: key, o: o, interval: interval, capacity: interval * int64(p.Burst),
		start: time.Now(), seed: maphash.MakeSeed(),
		header: strconv.Quote(p.Name) + ";q=" + strconv.Itoa(p.Count) + ";w=" + strconv.Itoa(int(math.Ceil(p.Per.Seconds()))),
	}
	for i := range l.shards {
		l.shards[i].limit = o.Keys / shards
		l.shards[i].tat = make(map[uint64]int64)
	}
	return l, nil
}

// A Decision is the answer for one request.
type Decision struct {
	Allowed    bool
	Remaining  int           // how many more may come at once
	RetryAfter time.Duration // until a denied request would be admitted
	Reset      time.Duration // until the allowance is whole again
}

// Take decides about a request of a key and counts it if it is allowed.
func (l *Limiter) Take(key string) Decision {
	return l.take(key, time.Since(l.start).Nanoseconds())
}

func (l *Limiter) take(key string, now int64) Decision {
	h := maphash.String(l.seed, key)
	s := &l.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	tat, known := s.tat[h]
	shared := false
	if !known && len(s.tat) >= s.limit && !s.sweep(now) {
		tat, shared = s.rest, true
	}
	next := max(tat, now) + l.interval
	if ahead := next - now; ahead > l.capacity {
		return Decision{RetryAfter: time.Duration(ahead - l.capacity), Reset: time.Duration(max(tat-now, 0))}
	}
	if shared {
		s.rest = next
	} else {
		s.tat[h] = next
	}
	return Decision{Allowed: true, Remaining: int((l.capacity - (next - now)) / l.interval), Reset: time.Duration(next - now)}
}

// sweep forgets keys whose allowance is whole, which changes no decision, and
// reports whether there is room now. It looks at 32 keys, in the map's random
// order, so that no request pays for a whole table.
func (s *shard) sweep(now int64) bool {
	looked := 0
	for h, tat := range s.tat {
		if tat <= now {
			delete(s.tat, h)
		}
		if looked++; looked == 32 {
			break
		}
	}
	return len(s.tat) < s.limit
}

// Phase returns the phase of the limiter's key.
func (l *Limiter) Phase() guard.Phase { return l.key.phase }

// Admit counts the call. One that has no key, such as an anonymous call at a
// limit per person, passes: other guards decide about it.
func (l *Limiter) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	key, ok := l.key.of(ctx, call)
	if !ok {
		return ctx, nil
	}
	d := l.Take(key)
	if d.Allowed && l.o.NoHeaders {
		return ctx, nil
	}
	call.AddHeader("RateLimit-Policy", l.header)
	call.AddHeader("RateLimit", strconv.Quote(l.policy.Name)+";r="+strconv.Itoa(d.Remaining)+";t="+strconv.Itoa(seconds(d.Reset)))
	if d.Allowed {
		return ctx, nil
	}
	return ctx, &guard.Denial{
		Control: "ratelimit.limiter", Code: guard.ResourceExhausted, RetryAfter: d.RetryAfter,
		Type:    "https://iana.org/assignments/http-problem-types#quota-exceeded",
		Public:  "Too many requests.",
		Details: map[string]any{"violated-policies": []string{l.policy.Name}},
	}
}

// seconds rounds up, so that whoever waits that long is not too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Middleware returns a handler behind the limiter alone.
func (l *Limiter) Middleware(next http.Handler) http.Handler { return guard.Alone(l, next) }

// Controls describes the limit. The probe uses up the allowance of a key of
// its own on the live limiter.
func (l *Limiter) Controls() []controls.Control {
	return []controls.Control{{
		ID:       "ratelimit.limiter",
		Instance: l.policy.Name,
		Parameters: []controls.Parameter{
			controls.Text("key", l.key.name), controls.Int("count", l.policy.Count), controls.Duration("per", l.policy.Per),
			controls.Int("burst", l.policy.Burst), controls.Int("keys", l.o.Keys),
		},
		Probe: l.probe,
	}}
}

// probe asks at one moment, so that the allowance does not refill meanwhile.
func (l *Limiter) probe(context.Context) controls.Result {
	key := "\x00probe " + time.Now().String() // no caller's key begins with a zero byte
	now := time.Since(l.start).Nanoseconds()
	tries := min(l.policy.Burst, 100_000)
	for range tries {
		if !l.take(key, now).Allowed {
			return controls.Passed("a key was denied within its burst: the table is full and the key shares an allowance")
		}
	}
	if tries < l.policy.Burst {
		return controls.Passed("%d of a burst of %d were admitted", tries, l.policy.Burst)
	}
	if l.take(key, now).Allowed {
		return controls.Failed("request %d of a burst of %d was admitted", tries+1, l.policy.Burst)
	}
	return controls.Passed("request %d of a burst of %d was denied", tries+1, l.policy.Burst)
}
