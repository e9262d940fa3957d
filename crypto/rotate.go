package crypto

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// algorithmOf is the algorithm of new keys for a use.
func (k *Keeper) algorithmOf(use string) Algorithm {
	switch {
	case strings.HasPrefix(use, "siv "):
		return AES256SIV
	case strings.HasPrefix(use, "index "):
		return HMACSHA256
	}
	return k.o.Algorithm
}

// create makes a version of a scope's key. The event comes first: there is no
// key that the log does not know. If the key then can't be stored, a second
// event says so. The key is then read back and unwrapped before its first use:
// nothing is sealed under a key whose wrapped form does not open.
func (k *Keeper) create(ctx context.Context, s Scope, version int) error {
	r := Record{Scope: s, Version: version, Algorithm: k.algorithmOf(s.Use), Created: time.Now().UTC().Truncate(time.Microsecond)}
	h, err := generate(r.Algorithm)
	if err != nil {
		return err
	}
	raw, err := keyBytes(r.Algorithm, h)
	if err != nil {
		return err
	}
	r.ID = commitment(r.Algorithm, raw)
	clear(raw)
	if err := wrap(ctx, k.kek, h, &r); err != nil {
		return err
	}
	action := "crypto.key.create"
	if version > 1 {
		action = "crypto.key.rotate"
	}
	if err := k.keyEvent(ctx, action, auditlog.Success, &r); err != nil {
		return err
	}
	err = k.store.Insert(ctx, r)
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrExists) && !errors.Is(err, ErrShredded) {
		err = unavailable(err)
	}
	return errors.Join(err, k.keyEvent(ctx, action, auditlog.Failed, &r))
}

// Rotate makes a new version of the scope's key for values sealed from now
// on; other instances follow within CachePolicy.RevokeCheck. Old values stay
// readable, and NeedsRotation reports them.
func (k *Keeper) Rotate(ctx context.Context, s Scope) error {
	if k.closed.Load() {
		return ErrClosed
	}
	r, err := k.store.Latest(ctx, s)
	if err != nil && !errors.Is(err, ErrNotFound) {
		if errors.Is(err, ErrShredded) {
			return err
		}
		return unavailable(err)
	}
	// ErrExists: another instance has just rotated, which is as good.
	if err := k.create(ctx, s, r.Version+1); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	if e := k.cache.byScope(&s); e != nil {
		e.current.lower()
	}
	return nil
}

// lower ends a flag now; it may be raised again.
func (f *timedFlag) lower() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = time.Now()
	f.on.Store(false)
}

// RewrapOptions are the options of Rewrap.
type RewrapOptions struct {
	// After is where to go on: the Last of an earlier run.
	After KeyID
	// Batch is how many keys are read from the store at once; default 100.
	Batch int
	// Progress is called after every batch; returning an error stops.
	Progress func(RewrapReport) error
}

// A RewrapReport says how far Rewrap has come.
type RewrapReport struct {
	Last      KeyID // the last key that is done
	Seen      int   // keys looked at
	Rewrapped int   // of these, keys wrapped anew
}

// Rewrap wraps a tenant's keys that a previous KEK wraps with the present one.
// Sealed values are not touched. After an error, calling it with the report's
// Last as RewrapOptions.After resumes; calling it from the start does no harm.
func (k *Keeper) Rewrap(ctx context.Context, tenant string, o RewrapOptions) (RewrapReport, error) {
	rep := RewrapReport{Last: o.After}
	if k.closed.Load() {
		return rep, ErrClosed
	}
	orDefault(&o.Batch, 100)
	if o.Batch < 1 || o.Batch > 10_000 {
		return rep, errors.New("crypto: RewrapOptions.Batch: want 1 to 10000")
	}
	for {
		list, err := k.store.List(ctx, tenant, rep.Last, o.Batch)
		if err != nil {
			return rep, unavailable(err)
		}
		for i := range list {
			if err := k.rewrap(ctx, &list[i], &rep); err != nil {
				return rep, err
			}
		}
		if o.Progress != nil && len(list) > 0 {
			if err := o.Progress(rep); err != nil {
				return rep, err
			}
		}
		if len(list) < o.Batch {
			return rep, nil
		}
	}
}

func (k *Keeper) rewrap(ctx context.Context, r *Record, rep *RewrapReport) error {
	if r.KEK != k.kek.ID() {
		old := k.keks[r.KEK]
		if old == nil {
			return fmt.Errorf("%w: key %v is wrapped by a KEK that is not configured", ErrKeyUnavailable, r.ID)
		}
		h, _, err := unwrap(ctx, old, r)
		if err != nil {
			return err
		}
		was := r.Wrapped
		if err := wrap(ctx, k.kek, h, r); err != nil {
			return err
		}
		if err := k.keyEvent(ctx, "crypto.key.rewrap", auditlog.Success, r); err != nil {
			return err
		}
		// A conflict means that another instance did it, or the key is gone.
		err = k.store.Rewrap(ctx, r.Tenant, r.ID, was, r.KEK, r.Wrapped)
		if err != nil && !errors.Is(err, ErrConflict) {
			return errors.Join(unavailable(err), k.keyEvent(ctx, "crypto.key.rewrap", auditlog.Failed, r))
		}
		rep.Rewrapped++
	}
	rep.Seen++
	rep.Last = r.ID
	return nil
}
