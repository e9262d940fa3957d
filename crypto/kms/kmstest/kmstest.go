// Package kmstest is the conformance suite of drivers to key services: it
// runs them, with the vendor's own client, against a server that speaks the
// vendor's protocol and fails on demand.
//
//	kmstest.Test(t, kmstest.Vendor{Server: fake, New: connect, Throttled: …})
package kmstest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
	"github.com/surety-go/surety/crypto/kms"
)

// A Vendor is what the suite needs to know of one.
type Vendor struct {
	// Server answers as the service does, with one key. Several servers with
	// it are replicas.
	Server http.Handler
	// New connects to replicas at the addresses, with the vendor's client.
	New func(t *testing.T, addresses []string, o kms.Options) crypto.KEK
	// Calls is how many requests one Wrap makes; default 1.
	Calls int
	// Answers of the service in its own form.
	Throttled   http.HandlerFunc
	Unavailable http.HandlerFunc
	Denied      http.HandlerFunc
	Disabled    http.HandlerFunc // the key is disabled or gone
}

// A Replica is a server with faults.
type Replica struct {
	URL    string
	mu     sync.Mutex
	calls  int
	faults []http.HandlerFunc
	always http.HandlerFunc
}

// Serve starts a server in front of the vendor's. It ends with the test.
func (v *Vendor) Serve(t *testing.T) *Replica {
	t.Helper()
	r := &Replica{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if fault := r.next(); fault != nil {
			fault(w, req)
			return
		}
		v.Server.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *Replica) next() http.HandlerFunc {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if len(r.faults) > 0 {
		f := r.faults[0]
		r.faults = r.faults[1:]
		return f
	}
	return r.always
}

// Fail makes the next requests fail, one each, and counts from zero.
func (r *Replica) Fail(faults ...http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults, r.always, r.calls = faults, nil, 0
}

// FailAlways makes every following request fail, and counts from zero.
func (r *Replica) FailAlways(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults, r.always, r.calls = nil, f, 0
}

// Calls is how many requests came since Fail or FailAlways.
func (r *Replica) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// hang answers nothing until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second): // a client that never goes must not hang the test
	}
}

var place = crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "surety_keys", Row: "17", Purpose: "key v1"}

// fast are options that don't make the suite wait.
var fast = kms.Options{Backoff: time.Millisecond, Timeout: 5 * time.Second}

// Test runs the suite.
func Test(t *testing.T, v Vendor) {
	if v.Calls == 0 {
		v.Calls = 1
	}
	for _, rule := range []struct {
		name string
		test func(*testing.T, *Vendor)
	}{
		{"KEK", func(t *testing.T, v *Vendor) { cryptotest.TestKEK(t, v.New(t, []string{v.Serve(t).URL}, fast)) }},
		{"FaultsThatPass", testFaultsThatPass},
		{"RefusalsAreFinal", testRefusals},
		{"Tries", testTries},
		{"Budget", testBudget},
		{"Failover", testFailover},
		{"Timeouts", testTimeouts},
		{"NoSecretsInErrors", testErrors},
		{"Keeper", testKeeper},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, &v) })
	}
}

func wrap(t *testing.T, k crypto.KEK) []byte {
	t.Helper()
	wrapped, err := k.Wrap(t.Context(), []byte("0123456789abcdef0123456789abcdef"), place)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

// testFaultsThatPass: the vendor's client must not retry by itself, or tries
// would multiply: each fault is one request.
func testFaultsThatPass(t *testing.T, v *Vendor) {
	r := v.Serve(t)
	k := v.New(t, []string{r.URL}, fast)
	r.Fail(v.Throttled, v.Unavailable, v.Throttled)
	wrap(t, k)
	if n := r.Calls(); n != 3+v.Calls {
		t.Errorf("%d requests, want each fault to be tried again once: %d", n, 3+v.Calls)
	}
}

func testRefusals(t *testing.T, v *Vendor) {
	r := v.Serve(t)
	k := v.New(t, []string{r.URL}, fast)
	wrapped := wrap(t, k)
	for name, f := range map[string]http.HandlerFunc{"denied": v.Denied, "disabled": v.Disabled} {
		r.FailAlways(f)
		if _, err := k.Unwrap(t.Context(), wrapped, place); !errors.Is(err, kms.ErrRefused) || r.Calls() != 1 {
			t.Errorf("%s: %d requests, want one and ErrRefused: %v", name, r.Calls(), err)
		}
	}
}

func testTries(t *testing.T, v *Vendor) {
	r := v.Serve(t)
	o := fast
	o.Tries = 3
	k := v.New(t, []string{r.URL}, o)
	r.FailAlways(v.Unavailable)
	if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrUnavailable) || r.Calls() != 3 {
		t.Errorf("%d requests, want 3 and ErrUnavailable: %v", r.Calls(), err)
	}
}

// testBudget: a service on its knees gets one request per call, not four.
func testBudget(t *testing.T, v *Vendor) {
	r := v.Serve(t)
	o := fast
	o.Budget = 2
	k := v.New(t, []string{r.URL}, o)
	r.FailAlways(v.Throttled)
	for range 5 {
		if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
	if r.Calls() != 5+2 {
		t.Errorf("%d requests, want 5 and a budget of 2", r.Calls())
	}
	r.Fail()
	for range 10 {
		wrap(t, k)
	}
	r.Fail(v.Throttled)
	wrap(t, k) // ten successes gave one try back
}

// testFailover: with one region gone, or answering with errors, another takes
// over, and unwraps what the first one wrapped.
func testFailover(t *testing.T, v *Vendor) {
	first, second := v.Serve(t), v.Serve(t)
	k := v.New(t, []string{first.URL, second.URL}, fast)
	wrapped := wrap(t, k)
	first.FailAlways(v.Unavailable)
	if _, err := k.Unwrap(t.Context(), wrapped, place); err != nil || first.Calls() != 1 {
		t.Errorf("after %d requests to the first region: %v", first.Calls(), err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := v.New(t, []string{gone.URL, second.URL}, fast).Unwrap(t.Context(), wrapped, place); err != nil {
		t.Errorf("with the first region gone: %v", err)
	}
}

func testTimeouts(t *testing.T, v *Vendor) {
	slow, quick := v.Serve(t), v.Serve(t)
	o := fast
	o.Timeout = 300 * time.Millisecond
	o.Tries = 2
	k := v.New(t, []string{slow.URL}, o)
	slow.FailAlways(hang)
	if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrUnavailable) || slow.Calls() != 2 {
		t.Errorf("a hanging service: %d requests, %v", slow.Calls(), err)
	}

	slow.Fail()
	o.Timeout = time.Second // for the quick one, on a busy machine
	k = v.New(t, []string{slow.URL, quick.URL}, o)
	slow.FailAlways(hang)
	if _, err := k.Wrap(t.Context(), make([]byte, 32), place); err != nil {
		t.Errorf("a hanging region: %v", err)
	}

	slow.Fail()
	k = v.New(t, []string{slow.URL}, fast)
	slow.FailAlways(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := k.Wrap(ctx, make([]byte, 32), place)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 4*time.Second {
		t.Errorf("the caller's time ended, after %v: %v", time.Since(start), err)
	}
}

// testErrors: what a service says about a request, which may quote it, stays
// out of errors and logs.
func testErrors(t *testing.T, v *Vendor) {
	key := []byte("secret-secret-secret-secret-1234")
	echo := func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"ValidationException","message":"bad request: ` + base64.StdEncoding.EncodeToString(key) + `","error":{"code":"BadParameter","status":"INVALID_ARGUMENT","message":"bad request: ` + base64.StdEncoding.EncodeToString(key) + `"}}`))
	}
	r := v.Serve(t)
	k := v.New(t, []string{r.URL}, fast)
	r.FailAlways(echo)
	_, err := k.Wrap(t.Context(), key, place)
	if err == nil {
		t.Fatal("a bad request is an error")
	}
	for _, bad := range []string{string(key), base64.StdEncoding.EncodeToString(key), hex.EncodeToString(key), "bad request:"} {
		if strings.Contains(err.Error(), bad) {
			t.Errorf("the error quotes the request: %v", err)
		}
	}
}

// testKeeper seals and opens through a keeper, while the service goes away.
func testKeeper(t *testing.T, v *Vendor) {
	r := v.Serve(t)
	keeper := func() *crypto.Keeper { return newKeeper(t, v.New(t, []string{r.URL}, fast)) }
	k := keeper()
	b := crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "people", Column: "email", Row: "1"}
	sealed, err := k.Seal(t.Context(), nil, []byte("v"), b)
	if err != nil {
		t.Fatal(err)
	}
	r.FailAlways(v.Unavailable)
	if got, err := k.Open(t.Context(), nil, sealed, b); err != nil || string(got) != "v" {
		t.Errorf("a cached key serves while the service is away: %v", err)
	}
	b.Subject = "u-2"
	if _, err := k.Seal(t.Context(), nil, nil, b); !errors.Is(err, crypto.ErrKeyUnavailable) || !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("a new key can't be had: %v", err)
	}
}

// NewAEAD returns AES-256-GCM with a random key and nonce: what a service with
// a symmetric key does inside.
func NewAEAD() cipher.AEAD {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return aead
}
