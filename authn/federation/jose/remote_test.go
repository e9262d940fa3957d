package jose_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/federation/oidctest"
)

// A host serves a key set and counts how often.
type host struct {
	url     string
	body    atomic.Pointer[[]byte]
	status  atomic.Int32
	fetches atomic.Int32
	options jose.FetchOptions
}

func newHost(t *testing.T, body []byte) *host {
	h := &host{}
	h.body.Store(&body)
	h.status.Store(200)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.fetches.Add(1)
		w.WriteHeader(int(h.status.Load()))
		_, _ = w.Write(*h.body.Load())
	}))
	t.Cleanup(s.Close)
	h.url = s.URL
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	h.options = jose.FetchOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ports: []uint16{uint16(port)}, RootCAs: roots}
	return h
}

// remote returns the host's keys with a clock that the test moves.
func (h *host) remote(t *testing.T) (*jose.Remote, func(time.Duration)) {
	t.Helper()
	r, err := jose.Fetch(h.url, h.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	var offset atomic.Int64
	jose.SetNow(r, func() time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(offset.Load())) })
	return r, func(d time.Duration) { offset.Add(int64(d)) }
}

func (h *host) serve(keys ...*oidctest.Key) {
	body := oidctest.JWKS(keys...)
	h.body.Store(&body)
}

func TestRemoteRotation(t *testing.T) {
	old, fresh := oidctest.NewKey("old", "ES256"), oidctest.NewKey("new", "ES256")
	h := newHost(t, oidctest.JWKS(old))
	r, pass := h.remote(t)
	first, err := r.Key(t.Context(), "old", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	has := func(id string, want bool) {
		t.Helper()
		_, err := r.Key(t.Context(), id, jose.ES256)
		if (err == nil) != want || err != nil && !errors.Is(err, jose.ErrNoKey) {
			t.Errorf("%s: %v, want %t", id, err, want)
		}
	}
	h.serve(old, fresh)
	has("new", false) // fetched a moment ago
	pass(30 * time.Second)
	has("new", true)
	if again, err := r.Key(t.Context(), "old", jose.ES256); err != nil || again != first {
		t.Errorf("the key that stays is another one: %v", err)
	}
	h.serve(fresh)
	has("old", true)
	pass(15 * time.Minute)
	has("old", false)
}

// Strangers can make up key ids: they must not make us call the issuer.
func TestRemoteFlood(t *testing.T) {
	h := newHost(t, oidctest.JWKS(oidctest.NewKey("k", "ES256")))
	r, pass := h.remote(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if _, err := r.Key(t.Context(), "made-up", jose.ES256); !errors.Is(err, jose.ErrNoKey) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := h.fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	pass(30 * time.Second)
	for range 20 {
		_, _ = r.Key(t.Context(), "made-up", jose.ES256)
	}
	if n := h.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestRemoteOutage(t *testing.T) {
	h := newHost(t, oidctest.JWKS(oidctest.NewKey("k", "ES256")))
	r, pass := h.remote(t)
	h.status.Store(500)
	if _, err := r.Key(t.Context(), "k", jose.ES256); err == nil || errors.Is(err, jose.ErrNoKey) {
		t.Errorf("never fetched: %v: want an error that decides nothing", err)
	}
	h.status.Store(200)
	if _, err := r.Key(t.Context(), "k", jose.ES256); err != nil {
		t.Fatal(err)
	}
	h.status.Store(500)
	pass(15 * time.Minute)
	before := h.fetches.Load()
	for range 5 {
		if _, err := r.Key(t.Context(), "k", jose.ES256); err != nil {
			t.Errorf("the last set does not count: %v", err)
		}
	}
	if n := h.fetches.Load() - before; n != 1 {
		t.Errorf("%d fetches during the outage, want 1", n)
	}
	pass(time.Hour)
	if _, err := r.Key(t.Context(), "k", jose.ES256); err == nil || errors.Is(err, jose.ErrNoKey) {
		t.Errorf("stale: %v", err)
	}
	answering, silent := r.Bound()
	if answering != 15*time.Minute || silent != 75*time.Minute {
		t.Error(answering, silent)
	}
}

func TestRemoteRefusals(t *testing.T) {
	h := newHost(t, []byte(`{"keys":[]}`))
	r, _ := h.remote(t)
	if _, err := r.Key(t.Context(), "k", jose.ES256); !errors.Is(err, jose.ErrKey) {
		t.Errorf("an empty set: %v", err)
	}
	closed, err := jose.Fetch(h.url, jose.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := closed.Key(t.Context(), "k", jose.ES256); err == nil {
		t.Error("loopback was reached without being allowed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.serve(oidctest.NewKey("k", "ES256"))
	if _, err := r.Key(ctx, "k", jose.ES256); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has gone: %v", err)
	}
	for _, o := range []jose.FetchOptions{{Refresh: -1}, {Refresh: 25 * time.Hour}, {Stale: 25 * time.Hour}, {Again: -1}} {
		if _, err := jose.Fetch(h.url, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := jose.Fetch("https://a b", jose.FetchOptions{}); err == nil {
		t.Error("no URL was taken")
	}
}
