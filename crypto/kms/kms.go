// Package kms is what the key-encryption keys of its sub-packages have in
// common: a time limit for each try, retries within a budget, replicas that
// are tried in turn, and a KEK for each tenant.
//
//	kek, err := awskms.New([]awskms.Key{{eu, arnEU}, {us, arnUS}}, kms.Options{})
//	keeper, err := crypto.NewKeeper(kek, store, log, crypto.Options{})
//
// All of them take the vendor's client, with its credentials, from the
// caller, and call it only for keys that are not in the keeper's cache. While
// a service is away, the keeper serves from its cache within its policy and
// then fails closed.
//
// # What is tried again
//
// A refusal (missing permission, a disabled or unknown key, a changed blob)
// is final at once: trying again would refuse again, and other replicas say
// the same. Throttling, time-outs and unavailability are tried again at the
// next replica after a pause that doubles and is half random. Every try that
// is not the first takes from a budget that successes refill, so that a
// service that is on its knees is not given Options.Tries times the load.
//
// # Errors
//
// [ErrRefused] and [ErrUnavailable]; the keeper wraps both in
// crypto.ErrKeyUnavailable. They hold the vendor's code, never its text,
// which may quote the request.
package kms

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
)

// Errors of a KEK.
var (
	// ErrRefused says that the service understood and refused.
	ErrRefused = errors.New("kms: refused")
	// ErrUnavailable says that no replica answered as it should within the
	// tries, the time and the budget.
	ErrUnavailable = errors.New("kms: unavailable")
)

// A Driver calls one replica of a key, once, without retries. An error that
// will not change by trying again wraps ErrRefused. The sub-packages have one
// each; kmstest holds the rules.
type Driver interface {
	Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error)
	Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error)
}

// Options are the options of a KEK.
type Options struct {
	// Timeout of one try; default 2 s, at most 1 min.
	Timeout time.Duration
	// Tries of one call over all replicas; default 4, at most 10.
	Tries int
	// Backoff is the pause before the second try, half of it random; it
	// doubles with every further one. Default 50 ms, at most 1 s.
	Backoff time.Duration
	// Budget is how many tries beyond the first of calls may follow each
	// other without a success; default 20, at most 1000. Ten successes give
	// one try back.
	Budget int
	// Version is part of the KEK's ID. Raise it after rotating the service's
	// key to have crypto.Keeper.Rewrap wrap all keys anew; default 1.
	Version int
}

func (o *Options) settle() error {
	for _, f := range []struct {
		v    *int
		d    int
		most int
		name string
	}{{&o.Tries, 4, 10, "Tries"}, {&o.Budget, 20, 1000, "Budget"}, {&o.Version, 1, 1 << 30, "Version"}} {
		if *f.v == 0 {
			*f.v = f.d
		}
		if *f.v < 1 || *f.v > f.most {
			return fmt.Errorf("kms: Options.%s: want 1 to %d", f.name, f.most)
		}
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Backoff == 0 {
		o.Backoff = 50 * time.Millisecond
	}
	if o.Backoff < 0 || o.Backoff > time.Second {
		return errors.New("kms: Options.Backoff: want more than 0 and at most 1s")
	}
	if o.Timeout < 0 || o.Timeout > time.Minute {
		return errors.New("kms: Options.Timeout: want more than 0 and at most 1m")
	}
	return nil
}

// A KEK is a [crypto.KEK] over the replicas of one key. It is safe for
// concurrent use.
type KEK struct {
	id       string
	replicas []Driver
	o        Options
	budget   budget
}

var _ crypto.KEK = (*KEK)(nil)

// New returns a KEK over replicas of one key, in the order to try them: each
// must unwrap what another wrapped. Its ID is id, a colon and Options.Version.
func New(id string, replicas []Driver, o Options) (*KEK, error) {
	if id == "" || len(id) > auditlog.MaxName-12 || len(replicas) == 0 {
		return nil, fmt.Errorf("kms: New needs a replica and an id of at most %d bytes", auditlog.MaxName-12)
	}
	for _, r := range replicas {
		if r == nil {
			return nil, errors.New("kms: New: a replica is nil")
		}
	}
	if err := o.settle(); err != nil {
		return nil, err
	}
	return &KEK{
		id: fmt.Sprintf("%s:%d", id, o.Version), replicas: replicas, o: o,
		budget: budget{left: 10 * o.Budget, max: 10 * o.Budget},
	}, nil
}

// ID names the key and Options.Version.
func (k *KEK) ID() string { return k.id }

// Wrap encrypts a data key bound to b.
func (k *KEK) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	return k.call(ctx, "wrap", func(ctx context.Context, d Driver) ([]byte, error) { return d.Wrap(ctx, key, b) })
}

// Unwrap reverses Wrap.
func (k *KEK) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	return k.call(ctx, "unwrap", func(ctx context.Context, d Driver) ([]byte, error) { return d.Unwrap(ctx, wrapped, b) })
}

// call tries the replicas in turn until one answers, or the tries, the budget
// or the context are at an end.
func (k *KEK) call(ctx context.Context, op string, f func(context.Context, Driver) ([]byte, error)) ([]byte, error) {
	var last error
	for try := range k.o.Tries {
		if try > 0 {
			if !k.budget.take() {
				return nil, fmt.Errorf("%w: %s: no budget to try again: %w", ErrUnavailable, op, last)
			}
			if err := pause(ctx, k.backoff(try)); err != nil {
				return nil, fmt.Errorf("%w: %s: %w (last: %w)", ErrUnavailable, op, err, last)
			}
		}
		out, err := k.once(ctx, k.replicas[try%len(k.replicas)], f)
		if err == nil {
			k.budget.refill()
			return out, nil
		}
		if errors.Is(err, ErrRefused) || errors.Is(err, crypto.ErrTampered) {
			return nil, fmt.Errorf("kms: %s: %w", op, err)
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, op, last)
}

func (k *KEK) once(ctx context.Context, d Driver, f func(context.Context, Driver) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, k.o.Timeout)
	defer cancel()
	out, err := f(ctx, d)
	switch {
	case err != nil && ctx.Err() != nil: // the vendor's error may hide whose time it was
		return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
	case err == nil && len(out) == 0:
		return nil, errors.New("the answer is empty")
	}
	return out, err
}

// backoff is half random, so that instances don't come back all at once.
func (k *KEK) backoff(try int) time.Duration {
	d := k.o.Backoff << (try - 1)
	return d/2 + rand.N(d/2+1)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// budget counts tries in tenths.
type budget struct {
	mu        sync.Mutex
	left, max int
}

func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 10 {
		return false
	}
	b.left -= 10
	return true
}

func (b *budget) refill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+1, b.max)
}
