package crypto

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"sync/atomic"
)

const (
	infoSize = 16
	// derivedUses is how many values an instance seals under one derived key.
	// With random nonces, two of 2^16 values share one with a probability of
	// 2^-65, and of 2^48 values under 2^32 derived keys with 2^-33.
	derivedUses = 1 << 16
	openedSlots = 8
)

// derivedKey is a key derived from a data key and the random info that stands
// in front of the body. The info decides the key, so that the data key's
// commitment covers it.
type derivedKey struct {
	info [infoSize]byte
	gcm  cipher.AEAD
	left atomic.Int64
}

// derivedKeys are those in use: one that seals, and a few that opened lately,
// by a byte of their info. Deriving one costs ten times what it costs to seal
// a field with it.
type derivedKeys struct {
	sealing atomic.Pointer[derivedKey]
	opened  [openedSlots]atomic.Pointer[derivedKey]
}

func (m *material) newDerived(info [infoSize]byte) (*derivedKey, error) {
	var mk [32]byte
	m.derive(&mk, labelValue, info[:])
	gcm, err := newGCM(mk[:])
	clear(mk[:])
	if err != nil {
		return nil, fmt.Errorf("crypto: derived key: %w", err)
	}
	return &derivedKey{info: info, gcm: gcm}, nil
}

// sealingKey returns the derived key that seals, with a use taken.
func (m *material) sealingKey() (*derivedKey, error) {
	if d := m.derived.sealing.Load(); d != nil && d.left.Add(-1) >= 0 {
		return d, nil
	}
	var info [infoSize]byte
	rand.Read(info[:]) // never fails
	d, err := m.newDerived(info)
	if err != nil {
		return nil, err
	}
	d.left.Store(derivedUses - 1)
	m.derived.sealing.Store(d) // another's that comes at the same moment is used once
	return d, nil
}

func (m *material) sealDerived(dst, plain, aad []byte) ([]byte, error) {
	d, err := m.sealingKey()
	if err != nil {
		return nil, err
	}
	return d.gcm.Seal(append(dst, d.info[:]...), nil, plain, aad), nil
}

func (m *material) openDerived(dst, body, aad []byte) ([]byte, error) {
	if len(body) < infoSize {
		return nil, ErrTampered
	}
	info := (*[infoSize]byte)(body)
	slot := &m.derived.opened[info[0]%openedSlots]
	d := slot.Load()
	if d == nil || d.info != *info {
		var err error
		if d, err = m.newDerived(*info); err != nil {
			return nil, err
		}
		slot.Store(d)
	}
	return d.gcm.Open(dst, nil, body[infoSize:], aad)
}
