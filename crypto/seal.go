package crypto

import (
	"context"
	"fmt"
)

// MaxPlain is the largest value that Seal takes, in bytes. Use a stream for
// more.
const MaxPlain = 64 << 20

// Overhead is the number of bytes a sealed value is longer than the plain one
// at most, with any algorithm.
const Overhead = HeaderSize + infoSize + 12 + 16

// scratch is space for a value's associated data, which the cipher's interface
// would otherwise move to the heap. It belongs to one key: what is the same
// for all of that key's values, the first prefix bytes, stays in it.
type scratch struct {
	buf    []byte
	prefix int
}

// newScratch returns scratch space of a key whose values are all of one
// tenant and subject.
func (m *material) newScratch() *scratch {
	s := &scratch{buf: make([]byte, 0, 192)}
	s.buf = append(s.buf, version1, byte(m.alg))
	s.buf = appendField(appendField(s.buf, m.tenant), m.subject)
	s.prefix = len(s.buf)
	return s
}

// takeScratch returns what was put back last, if nobody else has it.
func (m *material) takeScratch() *scratch {
	if s := m.scratch.Swap(nil); s != nil {
		return s
	}
	if s, ok := m.scratches.Get().(*scratch); ok {
		return s
	}
	return m.newScratch()
}

func (m *material) putScratch(s *scratch) {
	if !m.scratch.CompareAndSwap(nil, s) {
		m.scratches.Put(s)
	}
}

// aad returns the associated data of a value at b, which is of the key's
// tenant and subject.
func (s *scratch) aad(b *Binding) []byte {
	s.buf = b.appendPlace(s.buf[:s.prefix])
	return s.buf
}

// seal appends the sealed value to dst. b is of the key's tenant and subject,
// by which the key was found.
func (m *material) seal(dst, plain []byte, b *Binding) ([]byte, error) {
	s := m.takeScratch()
	aad := s.aad(b)
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
	m.putScratch(s)
	return dst, err
}

// open appends the plain value to dst. b is of the key's tenant and subject,
// which the caller compared. sealed has a header with the key's id
// and algorithm: that is all a header says beside its version, so the header
// needs no other authentication.
func (m *material) open(dst, sealed []byte, b *Binding) (plain []byte, err error) {
	s := m.takeScratch()
	aad := s.aad(b)
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
	m.putScratch(s)
	return plain, err
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
	e := k.cache.byPlace(b.Tenant, b.Subject, use)
	if e == nil || !e.seal(len(plain)) {
		var err error
		if e, err = k.fetchForSeal(ctx, Scope{b.Tenant, b.Subject, use}, len(plain)); err != nil {
			return nil, err
		}
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
	if !hasHeader(sealed) {
		_, err := Inspect(sealed)
		return nil, k.tampered(ctx, b, nil, err)
	}
	// The header is not copied: every value takes this path.
	id, alg := (*KeyID)(sealed[4:HeaderSize]), Algorithm(sealed[3])
	e := k.cache.byID(b.Tenant, id)
	if e == nil || !e.open(len(sealed)) {
		var err error
		if e, err = k.fetchByID(ctx, b.Tenant, *id, len(sealed)); err != nil {
			return nil, k.notOpened(ctx, b, headerOf(sealed), err)
		}
	}
	if e.scope.Subject != b.Subject || e.mat.alg != alg || !e.serves(&b) {
		return nil, k.tampered(ctx, b, headerOf(sealed), ErrTampered)
	}
	plain, err := e.mat.open(dst, sealed, &b)
	if err != nil {
		return nil, k.tampered(ctx, b, headerOf(sealed), ErrTampered)
	}
	return plain, nil
}

// serves reports whether values of the place are sealed with the key.
func (e *entry) serves(b *Binding) bool {
	return e.scope.Use == "" || e.scope.Use == deterministicUse(b)
}
