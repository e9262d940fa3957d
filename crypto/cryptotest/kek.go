// Package cryptotest holds what tests of sealed data need: a KEK in memory
// that counts its calls and can be slow, throttled, unreachable or revoked,
// and the conformance suites of everything that is a crypto.KEK or a
// crypto.KeyStore.
//
// Nothing here works outside a test: in a production binary the KEK refuses
// every call, because a key that ends with the process loses the data.
package cryptotest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/crypto"
)

// Errors of the fake KEK.
var (
	// ErrOutsideTest answers every call in a production binary.
	ErrOutsideTest = errors.New("cryptotest: refused outside a test")
	// ErrRevoked answers calls after Revoke.
	ErrRevoked = errors.New("cryptotest: access to the KEK was revoked")
	// ErrThrottled answers as many calls as Throttle said.
	ErrThrottled = errors.New("cryptotest: the KEK is throttled")
	errUnwrap    = errors.New("cryptotest: the wrapped key is not one of this KEK and binding")
)

// A KEK is a crypto.KEK with AES-256-GCM and a random key in memory. Use
// NewKEK. It is safe for concurrent use.
type KEK struct {
	id       string
	aead     cipher.AEAD
	mu       sync.Mutex
	wraps    int
	unwraps  int
	err      error
	latency  time.Duration
	throttle int
}

// NewKEK returns a KEK with the ID.
func NewKEK(id string) *KEK {
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
	return &KEK{id: id, aead: aead}
}

// ID returns the ID given to NewKEK.
func (k *KEK) ID() string { return k.id }

// Wrap encrypts a key bound to b.
func (k *KEK) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	if err := k.call(ctx, &k.wraps); err != nil {
		return nil, err
	}
	return k.aead.Seal(nil, nil, key, b.AppendAAD(nil)), nil
}

// Unwrap reverses Wrap.
func (k *KEK) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	if err := k.call(ctx, &k.unwraps); err != nil {
		return nil, err
	}
	key, err := k.aead.Open(nil, nil, wrapped, b.AppendAAD(nil))
	if err != nil {
		return nil, errUnwrap
	}
	return key, nil
}

// call counts a call and applies the faults that were asked for.
func (k *KEK) call(ctx context.Context, counter *int) error {
	if !testing.Testing() {
		return ErrOutsideTest
	}
	k.mu.Lock()
	*counter++
	err, latency := k.err, k.latency
	if err == nil && k.throttle > 0 {
		k.throttle--
		err = ErrThrottled
	}
	k.mu.Unlock()
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Calls returns how many times Wrap and Unwrap were called.
func (k *KEK) Calls() (wraps, unwraps int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wraps, k.unwraps
}

// FailWith makes every following call return err; nil ends that.
func (k *KEK) FailWith(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// Revoke makes every following call fail with ErrRevoked, for good.
func (k *KEK) Revoke() { k.FailWith(ErrRevoked) }

// Delay makes every following call take d, or until its context ends.
func (k *KEK) Delay(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.latency = d
}

// Throttle makes the next n calls fail with ErrThrottled.
func (k *KEK) Throttle(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.throttle = n
}
