package ratelimitredis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/ratelimit"
)

// Redis sends one command and returns its reply; a nil reply is (nil, nil).
// Strings may come back as string or []byte.
type Redis func(ctx context.Context, args ...any) (any, error)

// ErrUnavailable says that Redis failed less than a second ago.
var ErrUnavailable = errors.New("ratelimitredis: Redis is left alone after a failure")

// Options are the options of a [Store].
type Options struct {
	// Prefix begins each key and is the cluster's hash tag; empty is
	// "ratelimit". Without braces.
	Prefix string
	// Timeout is how long a decision may wait for Redis, 1 ms to 10 s; 0 is
	// 100 ms.
	Timeout time.Duration
	// Lease is how many units of a key an instance takes at once at most, 2
	// to 10,000; 0 asks Redis each time.
	Lease int
	// LeaseFor is how long leased units may be used, 10 ms to 10 s; 0 is
	// 100 ms.
	LeaseFor time.Duration
}

// A Store is a [ratelimit.Store] in Redis. It is safe for concurrent use.
type Store struct {
	do     Redis
	secret []byte
	rec    auditlog.Recorder
	o      Options
	leases leases

	mu     sync.Mutex
	down   bool      // the last call failed
	nextAt time.Time // when one may try again
}

// retryAfter is how long Redis is left alone after a failure.
const retryAfter = time.Second

// New makes a store. secret hides keys: 16 bytes or more, the same for all
// instances. rec records when Redis fails and when it is back.
func New(do Redis, secret []byte, rec auditlog.Recorder, o Options) (*Store, error) {
	if o.Prefix == "" {
		o.Prefix = "ratelimit"
	}
	if o.Timeout == 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.LeaseFor == 0 {
		o.LeaseFor = 100 * time.Millisecond
	}
	switch {
	case do == nil || rec == nil:
		return nil, errors.New("ratelimitredis: New needs a client and a recorder")
	case len(secret) < 16:
		return nil, fmt.Errorf("ratelimitredis: secret has %d bytes, want 16 or more", len(secret))
	case strings.ContainsAny(o.Prefix, "{}") || len(o.Prefix) > 64:
		return nil, errors.New("ratelimitredis: Options.Prefix: want at most 64 bytes without braces")
	case o.Timeout < time.Millisecond || o.Timeout > 10*time.Second:
		return nil, fmt.Errorf("ratelimitredis: Options.Timeout %v: want 1ms to 10s", o.Timeout)
	case o.Lease < 0 || o.Lease == 1 || o.Lease > 10_000:
		return nil, fmt.Errorf("ratelimitredis: Options.Lease %d: want 0, or 2 to 10000", o.Lease)
	case o.LeaseFor < 10*time.Millisecond || o.LeaseFor > 10*time.Second:
		return nil, fmt.Errorf("ratelimitredis: Options.LeaseFor %v: want 10ms to 10s", o.LeaseFor)
	}
	return &Store{do: do, secret: append([]byte(nil), secret...), rec: rec, o: o, leases: leases{held: make(map[name]*lease)}}, nil
}

// Take implements [ratelimit.Store].
func (s *Store) Take(ctx context.Context, cells []ratelimit.Cell) error {
	if s.o.Lease > 0 {
		return s.takeLeased(ctx, cells)
	}
	list := make([]question, len(cells))
	for i := range cells {
		list[i] = question{Cell: &cells[i], most: cells[i].Cost}
	}
	got, err := s.call(ctx, list)
	if err != nil {
		return err
	}
	for i := range got {
		cells[i].State = got[i].State
	}
	return nil
}

// call asks Redis, unless it failed a moment ago.
func (s *Store) call(ctx context.Context, list []question) ([]answer, error) {
	if !s.mayTry(time.Now()) {
		return nil, ErrUnavailable
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	got, err := s.ask(limited, list)
	if err != nil && ctx.Err() != nil {
		return nil, err // the caller went away; that says nothing of Redis
	}
	return got, errors.Join(err, s.note(ctx, err))
}

// mayTry lets one caller a second through while Redis is down.
func (s *Store) mayTry(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down {
		return true
	}
	if now.Before(s.nextAt) {
		return false
	}
	s.nextAt = now.Add(retryAfter)
	return true
}

// note records when Redis begins to fail, and when it is back.
func (s *Store) note(ctx context.Context, err error) error {
	s.mu.Lock()
	changed := s.down != (err != nil)
	if err != nil {
		s.nextAt = time.Now().Add(retryAfter)
	}
	s.down = err != nil
	s.mu.Unlock()
	if !changed {
		return nil
	}
	ev := auditlog.Event{Action: "ratelimit.store.recover", Outcome: auditlog.Success, Actor: auditlog.Actor{Kind: auditlog.System}}
	if err != nil {
		ev.Action, ev.Outcome, ev.Reason = "ratelimit.store.fail", auditlog.Failed, "ratelimit.store"
	}
	if err := s.rec.Record(context.WithoutCancel(ctx), ev); err != nil {
		return fmt.Errorf("ratelimitredis: record: %w", err)
	}
	return nil
}

// Controls describes the store. Its probe takes from a key of its own.
func (s *Store) Controls() []controls.Control {
	lease, leaseFor := s.o.Lease, s.o.LeaseFor
	if lease == 0 {
		leaseFor = 0
	}
	return []controls.Control{{
		ID: "ratelimit.store", Instance: s.o.Prefix,
		Parameters: []controls.Parameter{
			controls.Text("engine", "redis"), controls.Duration("timeout", s.o.Timeout),
			controls.Int("lease", lease), controls.Duration("lease_for", leaseFor),
		},
		Probe: s.probe,
	}}
}

func (s *Store) probe(ctx context.Context) controls.Result {
	cell := ratelimit.Cell{Policy: "probe", Key: fmt.Sprintf("\x00%d", time.Now().UnixNano()), Interval: time.Minute, Limit: 2, Cost: 2}
	for try := range 2 {
		list := []question{{Cell: &cell, most: 2}}
		got, err := s.call(ctx, list)
		switch {
		case err != nil:
			return controls.Errored("Redis can't be asked: %v", err)
		case got[0].Denied != (try == 1):
			return controls.Failed("request %d of an allowance of one was denied: %v", try+1, got[0].Denied)
		}
	}
	return controls.Passed("an allowance was admitted once, and denied when asked for again")
}
