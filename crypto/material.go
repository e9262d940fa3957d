package crypto

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/daead/aessiv"
	sivsubtle "github.com/tink-crypto/tink-go/v2/daead/subtle"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/key"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkhmac "github.com/tink-crypto/tink-go/v2/mac/hmac"
	"github.com/tink-crypto/tink-go/v2/secretdata"
)

// material is a data key ready for use. It is safe for concurrent use.
type material struct {
	alg    Algorithm
	id     KeyID
	header [HeaderSize]byte
	raw    []byte
	gcm    cipher.AEAD       // AES256GCM
	siv    *sivsubtle.AESSIV // AES256SIV
	macs   sync.Pool         // *macState keyed with raw

	tenant, subject string                  // whose values it seals
	derived         derivedKeys             // AES256GCMDerived
	scratch         atomic.Pointer[scratch] // see takeScratch
	scratches       sync.Pool               // *scratch
}

// macState is an HMAC that is reset instead of being keyed again, and its
// scratch space.
type macState struct {
	mac hash.Hash
	buf []byte
}

// Labels keep the uses of one key apart. Each ends in a zero byte, so that
// none is the beginning of another.
const (
	labelCommit = "surety key commitment v1\x00"
	labelValue  = "surety value key v1\x00"
	labelStream = "surety stream key v1\x00"
)

// commitment returns the id that a key must have.
func commitment(a Algorithm, raw []byte) KeyID {
	m := hmac.New(sha256.New, raw)
	m.Write([]byte(labelCommit))
	m.Write([]byte{byte(a)})
	return KeyID(m.Sum(nil))
}

// newMaterial readies a key's bytes, which it keeps, for values of a tenant and
// subject.
func newMaterial(a Algorithm, raw []byte, tenant, subject string) (*material, error) {
	m := &material{alg: a, raw: raw, id: commitment(a, raw), tenant: tenant, subject: subject}
	appendHeader(m.header[:0], a, m.id)
	m.macs.New = func() any { return &macState{mac: hmac.New(sha256.New, raw)} }
	var err error
	switch a {
	case AES256GCM:
		m.gcm, err = newGCM(raw)
	case AES256SIV:
		if fips140.Enforced() {
			return nil, fmt.Errorf("%w: %v", ErrFIPS, a)
		}
		m.siv, err = sivsubtle.NewAESSIV(raw)
	case AES256GCMDerived, HMACSHA256:
		if len(raw) != 32 {
			err = errors.New("key has the wrong size")
		}
	default:
		err = errors.New("unknown algorithm")
	}
	if err != nil {
		return nil, fmt.Errorf("crypto: %v: %w", a, err)
	}
	return m, nil
}

// newGCM returns AES-256-GCM that puts a random nonce in front.
func newGCM(raw []byte) (cipher.AEAD, error) {
	if len(raw) != 32 {
		return nil, errors.New("key has the wrong size")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive writes HMAC-SHA256 of a label and parts to out, which has 32 bytes.
func (m *material) derive(out *[32]byte, label string, info []byte) {
	s := m.macs.Get().(*macState)
	s.mac.Reset()
	s.buf = append(append(s.buf[:0], label...), info...)
	s.mac.Write(s.buf)
	s.buf = s.mac.Sum(s.buf[:0])
	copy(out[:], s.buf)
	clear(s.buf)
	m.macs.Put(s)
}

// Tink keysets.

// generate returns a keyset with one new key of the algorithm.
func generate(a Algorithm) (*keyset.Handle, error) {
	size := 32
	if a == AES256SIV {
		size = 64
	}
	raw := make([]byte, size)
	rand.Read(raw) // never fails
	defer clear(raw)
	k, err := tinkKey(a, raw)
	if err != nil {
		return nil, fmt.Errorf("crypto: new %v key: %w", a, err)
	}
	m := keyset.NewManager()
	id, err := m.AddKey(k)
	if err != nil {
		return nil, fmt.Errorf("crypto: new keyset: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("crypto: new keyset: %w", err)
	}
	return m.Handle()
}

func tinkKey(a Algorithm, raw []byte) (key.Key, error) {
	secret := secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{})
	switch a {
	case AES256GCM:
		p, err := aesgcm.NewParameters(aesgcm.ParametersOpts{KeySizeInBytes: 32, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantNoPrefix})
		if err != nil {
			return nil, err
		}
		return aesgcm.NewKey(secret, 0, p)
	case AES256SIV:
		p, err := aessiv.NewParameters(64, aessiv.VariantNoPrefix)
		if err != nil {
			return nil, err
		}
		return aessiv.NewKey(secret, 0, p)
	case AES256GCMDerived, HMACSHA256:
		p, err := tinkhmac.NewParameters(tinkhmac.ParametersOpts{KeySizeInBytes: 32, TagSizeInBytes: 32, HashType: tinkhmac.SHA256, Variant: tinkhmac.VariantNoPrefix})
		if err != nil {
			return nil, err
		}
		return tinkhmac.NewKey(secret, p, 0)
	}
	return nil, errors.New("unknown algorithm")
}

// keyBytes returns a copy of the primary key's bytes, if the keyset is one key
// of the kind that the algorithm uses.
func keyBytes(a Algorithm, h *keyset.Handle) ([]byte, error) {
	entry, err := h.Primary()
	if err != nil {
		return nil, err
	}
	var secret secretdata.Bytes
	var prefix []byte
	kind := HMACSHA256
	switch k := entry.Key().(type) {
	case *aesgcm.Key:
		kind, secret, prefix = AES256GCM, k.KeyBytes(), k.OutputPrefix()
	case *aessiv.Key:
		kind, secret, prefix = AES256SIV, k.KeyBytes(), k.OutputPrefix()
	case *tinkhmac.Key:
		secret, prefix = k.KeyBytes(), k.OutputPrefix()
		if a == AES256GCMDerived {
			kind = a
		}
	default:
		return nil, errors.New("keyset holds a key of another type")
	}
	if kind != a || len(prefix) > 0 || h.Len() != 1 {
		return nil, fmt.Errorf("keyset of %d keys is not one %v key without prefix", h.Len(), a)
	}
	return secret.Data(insecuresecretdataaccess.Token{}), nil
}

// wrapBinding is what a wrapped key is bound to: everything about it that
// never changes.
func wrapBinding(r *Record) Binding {
	return Binding{
		Tenant: r.Tenant, Subject: r.Subject, Table: "surety_keys", Column: r.Use, Row: r.ID.String(),
		Purpose: "key v" + strconv.Itoa(r.Version) + " alg " + strconv.Itoa(int(r.Algorithm)) + " at " + strconv.FormatInt(r.Created.UnixMicro(), 10),
	}
}

// kekAEAD lets Tink write and read encrypted keysets with a KEK. It keeps the
// KEK's error, of which Tink passes on the text only.
type kekAEAD struct {
	kek KEK
	b   Binding
	err error
}

func (k *kekAEAD) EncryptWithContext(ctx context.Context, plain, _ []byte) (out []byte, err error) {
	out, k.err = k.kek.Wrap(ctx, plain, k.b)
	return out, k.err
}

func (k *kekAEAD) DecryptWithContext(ctx context.Context, wrapped, _ []byte) (out []byte, err error) {
	out, k.err = k.kek.Unwrap(ctx, wrapped, k.b)
	return out, k.err
}

// cause is the KEK's error if it had one, else Tink's.
func (k *kekAEAD) cause(err error) error {
	if k.err != nil {
		return k.err
	}
	return err
}

// wrap fills in the record's KEK and Wrapped.
func wrap(ctx context.Context, kek KEK, h *keyset.Handle, r *Record) error {
	var buf bytes.Buffer
	k := &kekAEAD{kek: kek, b: wrapBinding(r)}
	if err := h.WriteWithContext(ctx, keyset.NewBinaryWriter(&buf), k, nil); err != nil {
		return fmt.Errorf("%w: wrap: %w", ErrKeyUnavailable, k.cause(err))
	}
	r.KEK, r.Wrapped = kek.ID(), buf.Bytes()
	return nil
}

// unwrap returns the keyset and its one key. The store is not trusted: a key
// that does not have the id it is filed under is refused.
func unwrap(ctx context.Context, kek KEK, r *Record) (*keyset.Handle, *material, error) {
	k := &kekAEAD{kek: kek, b: wrapBinding(r)}
	h, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(r.Wrapped)), k, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: unwrap: %w", ErrKeyUnavailable, k.cause(err))
	}
	raw, err := keyBytes(r.Algorithm, h)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	m, err := newMaterial(r.Algorithm, raw, r.Tenant, r.Subject)
	if err != nil {
		return nil, nil, err
	}
	if m.id != r.ID {
		return nil, nil, fmt.Errorf("%w: a stored key is not the one its id commits to", ErrTampered)
	}
	return h, m, nil
}
