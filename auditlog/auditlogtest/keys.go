package auditlogtest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
)

// Keys is an [auditlog.Sealer] and [auditlog.Opener] with one AES-256-GCM key
// per tenant and data subject, in memory. The zero Keys is ready, and safe
// for concurrent use.
type Keys struct {
	mu        sync.Mutex
	aeads     map[string]cipher.AEAD
	destroyed map[string]bool
	fail      error
}

// FailWith makes every following call return err; nil ends that.
func (k *Keys) FailWith(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

// Destroy destroys a subject's key: what was sealed under it is erased, and
// nothing more can be sealed.
func (k *Keys) Destroy(tenant, subject string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.destroyed == nil {
		k.destroyed = make(map[string]bool)
	}
	id := tenant + "\x00" + subject
	delete(k.aeads, id)
	k.destroyed[id] = true
}

// SealPersonal seals a value under its subject's key.
func (k *Keys) SealPersonal(_ context.Context, tenant, subject, key string, value []byte) ([]byte, error) {
	aead, err := k.aead(tenant, subject, true)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(value)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, value, bind(tenant, subject, key)), nil
}

// OpenPersonal reads a sealed value.
func (k *Keys) OpenPersonal(_ context.Context, tenant, subject, key string, sealed []byte) ([]byte, error) {
	aead, err := k.aead(tenant, subject, false)
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("auditlogtest: sealed value of %d bytes is too short", len(sealed))
	}
	return aead.Open(nil, sealed[:n], sealed[n:], bind(tenant, subject, key))
}

func bind(parts ...string) []byte { return []byte(strings.Join(parts, "\x00")) }

func (k *Keys) aead(tenant, subject string, create bool) (cipher.AEAD, error) {
	if !testing.Testing() {
		return nil, ErrOutsideTest
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id := tenant + "\x00" + subject
	switch {
	case k.fail != nil:
		return nil, k.fail
	case k.destroyed[id]:
		return nil, fmt.Errorf("auditlogtest: key of a subject: %w", auditlog.ErrErased)
	case k.aeads[id] != nil:
		return k.aeads[id], nil
	case !create:
		return nil, errors.New("auditlogtest: subject has no key")
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if k.aeads == nil {
		k.aeads = make(map[string]cipher.AEAD)
	}
	k.aeads[id] = aead
	return aead, nil
}
