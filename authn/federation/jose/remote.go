package jose

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/internal/outbound"
)

// FetchOptions are the options of [Fetch].
type FetchOptions struct {
	// Refresh is after how long the set is fetched again; 0 is 15 min, at
	// most 24 h. A key that the issuer withdraws is trusted no longer than
	// that.
	Refresh time.Duration
	// Stale is for how long beyond Refresh the last set counts while the
	// issuer does not answer; 0 is 1 h, negative is not at all, at most 24 h.
	Stale time.Duration
	// Again is how soon an id that is not in the set may have it fetched
	// again; 0 is 30 s. Strangers can make up ids.
	Again time.Duration
	// Allow are internal address ranges where the issuer may be, Ports its
	// ports if not 443 alone, and RootCAs its certificates' roots if not the
	// system's.
	Allow   []netip.Prefix
	Ports   []uint16
	RootCAs *x509.CertPool
}

// A Remote is the key set at an address, which is fetched when first needed
// and kept. It is safe for concurrent use, and starts no goroutine. Callers
// who find the set too old wait for one fetch among them.
type Remote struct {
	url    string
	o      FetchOptions
	client *outbound.Client
	now    func() time.Time

	busy  chan struct{} // holds one token: who has it may fetch
	state atomic.Pointer[fetched]

	mu    sync.Mutex
	tried time.Time // when a fetch last began
}

type fetched struct {
	set *Set
	at  time.Time
}

var _ Keys = (*Remote)(nil)

// Fetch returns the set at an HTTPS address. Nothing is fetched yet.
func Fetch(url string, o FetchOptions) (*Remote, error) {
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{{"Refresh", &o.Refresh, 15 * time.Minute}, {"Stale", &o.Stale, time.Hour}, {"Again", &o.Again, 30 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
		if *d.value > 24*time.Hour || *d.value < 0 && d.name != "Stale" {
			return nil, fmt.Errorf("jose: FetchOptions: %s: want at most 24 h", d.name)
		}
	}
	o.Stale = max(0, o.Stale)
	client, err := outbound.New(outbound.Options{Allow: o.Allow, Ports: o.Ports, RootCAs: o.RootCAs, MaxBody: 256 << 10})
	if err != nil {
		return nil, fmt.Errorf("jose: %w", err)
	}
	if _, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil); err != nil {
		return nil, errors.New("jose: Fetch: not a URL")
	}
	return &Remote{url: url, o: o, client: client, now: time.Now, busy: make(chan struct{}, 1)}, nil
}

// Close closes idle connections.
func (r *Remote) Close() { r.client.Close() }

// Bound is how long a withdrawn key can be trusted: while the issuer answers,
// and while it does not.
func (r *Remote) Bound() (answering, silent time.Duration) {
	return r.o.Refresh, r.o.Refresh + r.o.Stale
}

// Key implements [Keys].
func (r *Remote) Key(ctx context.Context, id string, alg Algorithm) (*Key, error) {
	s := r.state.Load()
	if s == nil || r.now().Sub(s.at) >= r.o.Refresh {
		if err := r.refresh(ctx, s, !r.stands(s)); err != nil {
			return nil, err
		}
		s = r.state.Load()
	}
	k, err := s.set.Key(ctx, id, alg)
	if err == nil || !r.again() {
		return k, err
	}
	// The issuer may have a new key since.
	if err := r.refresh(ctx, s, true); err != nil {
		return nil, err
	}
	return r.state.Load().set.Key(ctx, id, alg)
}

// again reports whether a missing id may have the set fetched.
func (r *Remote) again() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Sub(r.tried) >= r.o.Again
}

// stands reports whether a set may still be used if there is no newer one.
func (r *Remote) stands(s *fetched) bool {
	return s != nil && r.now().Sub(s.at) < r.o.Refresh+r.o.Stale
}

// acquire takes the right to fetch. Who does not wait for it may not get it.
func (r *Remote) acquire(ctx context.Context, wait bool) (bool, error) {
	if !wait {
		select {
		case r.busy <- struct{}{}:
			return true, nil
		default:
			return false, nil
		}
	}
	select {
	case r.busy <- struct{}{}:
		return true, nil
	case <-ctx.Done():
		return false, fmt.Errorf("jose: keys: %w", context.Cause(ctx))
	}
}

// refresh replaces the set that the caller has seen, unless somebody else has
// done so already. While the issuer does not answer, the old set counts until
// it is stale.
func (r *Remote) refresh(ctx context.Context, seen *fetched, wait bool) error {
	if ok, err := r.acquire(ctx, wait); !ok {
		return err
	}
	defer func() { <-r.busy }()
	if r.state.Load() != seen {
		return nil
	}
	stands := r.stands(seen)
	if stands && !r.again() {
		return nil // it failed a moment ago
	}
	r.mu.Lock()
	r.tried = r.now()
	r.mu.Unlock()
	// The set is for everyone: one caller who goes away must not stop it.
	set, err := r.fetch(context.WithoutCancel(ctx))
	if err != nil {
		if stands {
			return nil
		}
		return fmt.Errorf("jose: keys: %w", err)
	}
	if seen != nil {
		set.keep(seen.set)
	}
	r.state.Store(&fetched{set, r.now()})
	return nil
}

func (r *Remote) fetch(ctx context.Context) (*Set, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	q.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(q)
	if err != nil {
		return nil, err //nolint:wrapcheck // says where it comes from
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answers with status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	return ParseSet(body)
}
