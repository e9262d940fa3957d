package crypto

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
)

// MaxPlain is the largest value that Seal takes, in bytes. Use a stream for
// more.
const MaxPlain = 64 << 20

// Overhead is the number of bytes a sealed value is longer than the plain one
// at most, with any algorithm.
const Overhead = HeaderSize + infoSize + 12 + 16

const infoSize = 16

// aadPool keeps scratch space for associated data, which the cipher's
// interface would otherwise move to the heap.
var aadPool = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// seal appends the sealed value to dst.
func (m *material) seal(dst, plain []byte, b *Binding) ([]byte, error) {
	scratch := aadPool.Get().(*[]byte)
	aad := b.AppendAAD(append((*scratch)[:0], version1, byte(m.alg)))
	dst = append(dst, m.header[:]...)
	var err error
	switch m.alg {
	case AES256GCM:
		dst = m.gcm.Seal(dst, nil, plain, aad)
	case AES256GCMDerived:
		dst, err = m.sealDerived(dst, plain, aad)
	case AES256SIV:
		var body []byte
		body, err = m.siv.EncryptDeterministically(plain, aad)
		dst = append(dst, body...)
	default:
		err = fmt.Errorf("crypto: a key of %v seals no values", m.alg)
	}
	*scratch = aad
	aadPool.Put(scratch)
	return dst, err
}

func (m *material) sealDerived(dst, plain, aad []byte) ([]byte, error) {
	var info [infoSize]byte
	var mk [32]byte
	rand.Read(info[:]) // never fails
	m.derive(&mk, labelValue, info[:])
	gcm, err := newGCM(mk[:])
	if err != nil {
		return nil, fmt.Errorf("crypto: derived key: %w", err)
	}
	return gcm.Seal(append(dst, info[:]...), nil, plain, aad), nil
}

// open appends the plain value to dst. sealed has a header with the key's id
// and algorithm: that is all a header says beside its version, so the header
// needs no other authentication.
func (m *material) open(dst, sealed []byte, b *Binding) (plain []byte, err error) {
	scratch := aadPool.Get().(*[]byte)
	aad := b.AppendAAD(append((*scratch)[:0], version1, byte(m.alg)))
	body := sealed[HeaderSize:]
	switch m.alg {
	case AES256GCM:
		plain, err = m.gcm.Open(dst, nil, body, aad)
	case AES256GCMDerived:
		plain, err = m.openDerived(dst, body, aad)
	case AES256SIV:
		if plain, err = m.siv.DecryptDeterministically(body, aad); err == nil {
			plain = append(dst, plain...)
		}
	default:
		err = fmt.Errorf("crypto: a key of %v opens no values", m.alg)
	}
	*scratch = aad
	aadPool.Put(scratch)
	return plain, err
}

func (m *material) openDerived(dst, body, aad []byte) ([]byte, error) {
	if len(body) < infoSize {
		return nil, ErrTampered
	}
	var mk [32]byte
	m.derive(&mk, labelValue, body[:infoSize])
	gcm, err := newGCM(mk[:])
	if err != nil {
		return nil, fmt.Errorf("crypto: derived key: %w", err)
	}
	return gcm.Open(dst, nil, body[infoSize:], aad)
}

// Seal encrypts plain for the place b, appends the result to dst, and returns
// the extended slice. plain and dst must not overlap. Where the scope has no
// key yet, or its key is due for rotation, one is made and recorded.
//
// An error means that nothing was sealed: ErrBinding, ErrTooLarge,
// ErrShredded for an erased subject, ErrKeyUnavailable.
func (k *Keeper) Seal(ctx context.Context, dst, plain []byte, b Binding) ([]byte, error) {
	return k.sealAs(ctx, dst, plain, &b, "")
}

func (k *Keeper) sealAs(ctx context.Context, dst, plain []byte, b *Binding, use string) ([]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if len(plain) > MaxPlain {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(plain), MaxPlain)
	}
	e, err := k.current(ctx, Scope{b.Tenant, b.Subject, use}, len(plain))
	if err != nil {
		return nil, err
	}
	return e.mat.seal(dst, plain, b)
}

// Open decrypts what Seal returned for the same place b, appends the plain
// value to dst, and returns the extended slice. A value that does not open is
// ErrTampered and leaves an event of action crypto.open.
func (k *Keeper) Open(ctx context.Context, dst, sealed []byte, b Binding) ([]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	h, err := Inspect(sealed)
	if err != nil {
		return nil, k.tampered(ctx, b, nil, err)
	}
	e, err := k.keyByID(ctx, b.Tenant, h.Key, len(sealed))
	if err != nil {
		return nil, k.notOpened(ctx, b, &h, err)
	}
	if e.scope.Subject != b.Subject || e.mat.alg != h.Algorithm || !e.serves(&b) {
		return nil, k.tampered(ctx, b, &h, ErrTampered)
	}
	plain, err := e.mat.open(dst, sealed, &b)
	if err != nil {
		return nil, k.tampered(ctx, b, &h, ErrTampered)
	}
	return plain, nil
}

// serves reports whether values of the place are sealed with the key.
func (e *entry) serves(b *Binding) bool {
	return e.scope.Use == "" || e.scope.Use == deterministicUse(b)
}
