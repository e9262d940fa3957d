package crypto

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// A Keeper seals and opens values and keeps their keys. It is safe for
// concurrent use; any number of keepers in any number of processes may share
// one store. It starts no goroutine.
type Keeper struct {
	kek    KEK
	keks   map[string]KEK
	store  KeyStore
	rec    auditlog.Recorder
	o      Options
	cache  cache
	scopes flights[Scope]
	ids    flights[idKey]
	limits map[Algorithm]uint64
	closed atomic.Bool
}

// reserveBatch is how many uses an instance takes at once, so that the limit
// of a key holds over all instances and restarts.
const reserveBatch = 1 << 14

// NewKeeper returns a keeper of the keys in store, which kek wraps. Its events
// go to rec, which must be the log itself and not [auditlog.Sealing] with this
// keeper.
func NewKeeper(kek KEK, store KeyStore, rec auditlog.Recorder, o Options) (*Keeper, error) {
	if kek == nil || store == nil || rec == nil {
		return nil, errors.New("crypto: NewKeeper needs a KEK, a store and a recorder")
	}
	if err := o.settle(); err != nil {
		return nil, err
	}
	k := &Keeper{
		kek: kek, store: store, rec: rec, o: o, keks: map[string]KEK{},
		cache: cache{ids: map[idKey]*entry{}, scopes: map[Scope]*entry{}, max: o.Cache.MaxEntries},
		// NIST SP 800-38D, section 8.3: 2^32 values under one key with random
		// nonces. Of 2^48 values under derived keys, two share key and nonce
		// with a probability below 2^-32, see derivedUses.
		limits: map[Algorithm]uint64{AES256GCM: 1 << 32, AES256GCMDerived: 1 << 48, AES256SIV: 1 << 48, HMACSHA256: 1 << 62},
	}
	for _, kk := range append([]KEK{kek}, o.Previous...) {
		if kk == nil || kk.ID() == "" || len(kk.ID()) > auditlog.MaxName {
			return nil, fmt.Errorf("crypto: a KEK is nil, or its ID is not 1 to %d bytes", auditlog.MaxName)
		}
		if _, twice := k.keks[kk.ID()]; twice {
			return nil, fmt.Errorf("crypto: two KEKs have the ID %q", kk.ID())
		}
		k.keks[kk.ID()] = kk
	}
	return k, nil
}

// Close forgets all unwrapped keys. Afterwards every call is ErrClosed.
func (k *Keeper) Close() error {
	k.closed.Store(true)
	k.cache.clear()
	return nil
}

// current returns the key that seals values of the scope, with a use of n
// bytes taken.
func (k *Keeper) current(ctx context.Context, s Scope, n int) (*entry, error) {
	if e := k.cache.byScope(&s); e != nil && e.seal(n) {
		return e, nil
	}
	return k.fetchForSeal(ctx, s, n)
}

// fetchForSeal is current for a key that is not at hand.
func (k *Keeper) fetchForSeal(ctx context.Context, s Scope, n int) (*entry, error) {
	for range 3 {
		e, err := k.scopes.do(ctx, s, func() (*entry, error) { return k.fetchCurrent(ctx, s) })
		if err != nil {
			return nil, fmt.Errorf("crypto: seal: %w", err)
		}
		if e.seal(n) {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: fetching takes longer than the key may be used", ErrKeyUnavailable)
}

// keyByID returns the key with the id, with a use of n bytes taken.
func (k *Keeper) keyByID(ctx context.Context, tenant string, id KeyID, n int) (*entry, error) {
	if e := k.cache.byID(tenant, &id); e != nil && e.open(n) {
		return e, nil
	}
	return k.fetchByID(ctx, tenant, id, n)
}

// fetchByID is keyByID for a key that is not at hand.
func (k *Keeper) fetchByID(ctx context.Context, tenant string, id KeyID, n int) (*entry, error) {
	for range 3 {
		e, err := k.ids.do(ctx, idKey{tenant, id}, func() (*entry, error) { return k.fetchID(ctx, tenant, id) })
		if err != nil {
			return nil, err
		}
		if e.open(n) {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: fetching takes longer than the key may be used", ErrKeyUnavailable)
}

func (k *Keeper) fetchID(ctx context.Context, tenant string, id KeyID) (*entry, error) {
	if k.closed.Load() {
		return nil, ErrClosed
	}
	start := time.Now()
	r, err := k.store.Get(ctx, tenant, id)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("%w: its key is unknown here", ErrTampered)
		}
		return nil, unavailable(err)
	}
	if r.Tenant != tenant || r.ID != id {
		return nil, fmt.Errorf("%w: the store answered with another key", ErrTampered)
	}
	if !r.Destroyed.IsZero() {
		k.cache.forget(tenant, id)
		return nil, ErrShredded
	}
	e, err := k.load(ctx, &r, start)
	if err != nil {
		return nil, err
	}
	e.stands.set(start, k.o.Cache.RevokeCheck)
	return e, nil
}

// fetchCurrent finds or makes the scope's key and reserves uses of it.
func (k *Keeper) fetchCurrent(ctx context.Context, s Scope) (*entry, error) {
	if k.closed.Load() {
		return nil, ErrClosed
	}
	for range 5 { // other instances may win the race for a version
		start := time.Now()
		r, err := k.store.Latest(ctx, s)
		switch {
		case errors.Is(err, ErrShredded):
			return nil, ErrShredded
		case errors.Is(err, ErrNotFound):
			err = k.create(ctx, s, r.Version+1)
		case err != nil:
			return nil, unavailable(err)
		case r.Scope != s || !r.Destroyed.IsZero():
			return nil, fmt.Errorf("%w: the store answered with another key", ErrTampered)
		case start.Sub(r.Created) > k.o.RotateAfter:
			err = k.create(ctx, s, r.Version+1)
		default:
			e, full, err := k.ready(ctx, &r, start)
			if err != nil || !full {
				return e, err
			}
			if err := k.create(ctx, s, r.Version+1); err != nil && !errors.Is(err, ErrExists) {
				return nil, err
			}
			continue
		}
		if err != nil && !errors.Is(err, ErrExists) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: other instances keep replacing it", ErrKeyUnavailable)
}

// ready makes the record's key the one that seals, unless its uses are full.
func (k *Keeper) ready(ctx context.Context, r *Record, start time.Time) (e *entry, full bool, err error) {
	if e, err = k.load(ctx, r, start); err != nil {
		return nil, false, err
	}
	if e.seals.Load() <= 0 {
		total, err := k.store.Reserve(ctx, r.Tenant, r.ID, reserveBatch)
		if errors.Is(err, ErrShredded) {
			return nil, false, ErrShredded
		}
		if err != nil {
			return nil, false, unavailable(err)
		}
		if total > k.limits[r.Algorithm] {
			return nil, true, nil
		}
		e.seals.Store(reserveBatch)
	}
	e.stands.set(start, k.o.Cache.RevokeCheck)
	e.current.set(start, k.o.Cache.RevokeCheck)
	k.cache.setCurrent(e)
	return e, false, nil
}

// load returns the cached key of a record, or unwraps it.
func (k *Keeper) load(ctx context.Context, r *Record, start time.Time) (*entry, error) {
	if e := k.cache.byID(r.Tenant, &r.ID); e != nil && e.within() {
		return e, nil
	}
	kek := k.keks[r.KEK]
	if kek == nil {
		return nil, fmt.Errorf("%w: it is wrapped by a KEK that is not configured", ErrKeyUnavailable)
	}
	_, m, err := unwrap(ctx, kek, r)
	if err != nil {
		return nil, errors.Join(err, k.keyEvent(ctx, "crypto.key.unwrap", auditlog.Failed, r))
	}
	if err := k.keyEvent(ctx, "crypto.key.unwrap", auditlog.Success, r); err != nil {
		return nil, err
	}
	return k.admit(r, m, start), nil
}

// admit puts an unwrapped key into the cache.
func (k *Keeper) admit(r *Record, m *material, start time.Time) *entry {
	e := &entry{scope: r.Scope, mat: m}
	e.left.Store(k.o.Cache.MaxUses)
	e.bytes.Store(k.o.Cache.MaxBytes)
	e.alive.ended = func() { k.cache.expired(e) }
	e.alive.set(start, k.o.Cache.MaxAge)
	k.cache.put(e)
	return e
}

func unavailable(err error) error {
	if errors.Is(err, ErrKeyUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrKeyUnavailable, err)
}
