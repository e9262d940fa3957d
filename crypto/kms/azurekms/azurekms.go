// Package azurekms is a key-encryption key in Azure Key Vault or Managed HSM.
//
//	client, err := azkeys.NewClient("https://records.vault.azure.net", credential, nil)
//	kek, err := azurekms.New([]azurekms.Key{{Client: client,
//		Wrap: azurekms.Version{Name: "records", Version: "0123…"},
//		Sign: azurekms.Version{Name: "records-sign", Version: "4567…"},
//	}}, kms.Options{})
//
// Wrap is an RSA key with the operations wrapKey and unwrapKey; Sign is a
// P-256 key with sign and verify. The principal needs those four and nothing
// else. Versions are named, because only the version that wrapped can unwrap:
// after a rotation, make a new KEK with the new versions and keep this one in
// crypto.Options.Previous until crypto.Keeper.Rewrap is done. Several keys are
// the same one in replicas of a Managed HSM, tried in turn.
//
// # Why two keys
//
// RSA-OAEP-256 has no associated data and takes little more than a hundred
// bytes: so the data key is encrypted with AES-256-GCM under a random key,
// bound to the Binding, and that random key is wrapped together with the
// Binding's hash. And it is public-key encryption: whoever knows the public
// half, which is no secret, can wrap. Without a signature, a writer of the
// database could plant a data key that they know, under which the application
// would then seal. So every wrapped key is signed by the vault (ES256) and
// verified by it before it is unwrapped.
//
// The client's own retries are turned off for these calls, see kms.
package azurekms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
)

// A Client is an *azkeys.Client, made by the caller with vault and credential.
type Client interface {
	WrapKey(ctx context.Context, name, version string, p azkeys.KeyOperationParameters, o *azkeys.WrapKeyOptions) (azkeys.WrapKeyResponse, error)
	UnwrapKey(ctx context.Context, name, version string, p azkeys.KeyOperationParameters, o *azkeys.UnwrapKeyOptions) (azkeys.UnwrapKeyResponse, error)
	Sign(ctx context.Context, name, version string, p azkeys.SignParameters, o *azkeys.SignOptions) (azkeys.SignResponse, error)
	Verify(ctx context.Context, name, version string, p azkeys.VerifyParameters, o *azkeys.VerifyOptions) (azkeys.VerifyResponse, error)
}

// A Version is one version of a key in a vault.
type Version struct{ Name, Version string }

func (v Version) valid() bool {
	return v.Name != "" && v.Version != "" && !strings.ContainsAny(v.Name+v.Version, "/?#%.")
}

// A Key is the two keys by one client.
type Key struct {
	Client Client
	Wrap   Version // RSA, 2048 bits or more
	Sign   Version // P-256
}

// New returns the KEK. Its ID is "azure:", the first Wrap key's name and
// version, and the version of the options.
func New(keys []Key, o kms.Options) (*kms.KEK, error) {
	var replicas []kms.Driver
	for _, k := range keys {
		if k.Client == nil || !k.Wrap.valid() || !k.Sign.valid() || k.Wrap.Name == k.Sign.Name {
			return nil, errors.New("azurekms: New needs clients, and names and versions of two keys")
		}
		replicas = append(replicas, &vault{k})
	}
	if len(keys) == 0 {
		return nil, errors.New("azurekms: New needs a key")
	}
	return kms.New("azure:"+keys[0].Wrap.Name+"/"+keys[0].Wrap.Version, replicas, o)
}

type vault struct{ Key }

var (
	oaep  = azkeys.EncryptionAlgorithmRSAOAEP256
	es256 = azkeys.SignatureAlgorithmES256
)

// once turns the client's own retries off.
func once(ctx context.Context) context.Context {
	return policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1})
}

// A wrapped key is: the form's version; the wrapped random key, the signature
// and the sealed data key, each after its length as two bytes.
const form = 1

type parts struct{ wrapped, signature, sealed []byte }

func (p *parts) encode() []byte {
	out := []byte{form}
	for _, b := range [][]byte{p.wrapped, p.signature, p.sealed} {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(b))), b...)
	}
	return out
}

// parse reads what encode wrote. The input is whatever the database holds.
func parse(in []byte) (p parts, err error) {
	if len(in) < 1 || in[0] != form {
		return p, fmt.Errorf("%w: a wrapped key of %d bytes in no known form", crypto.ErrTampered, len(in))
	}
	rest := in[1:]
	for _, b := range []*[]byte{&p.wrapped, &p.signature, &p.sealed} {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return p, fmt.Errorf("%w: a wrapped key cut to %d bytes", crypto.ErrTampered, len(in))
		}
		n := int(binary.BigEndian.Uint16(rest))
		*b, rest = rest[2:2+n], rest[2+n:]
	}
	if len(rest) > 0 {
		return p, fmt.Errorf("%w: a wrapped key with %d bytes behind it", crypto.ErrTampered, len(rest))
	}
	return p, nil
}

// digest is what is signed. All before the sealed key has a length of its own.
func (p *parts) digest(aad []byte) []byte {
	h := sha256.New()
	h.Write([]byte("surety azurekms v1\x00"))
	for _, b := range [][]byte{aad, p.wrapped, p.sealed} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		h.Write(b)
	}
	return h.Sum(nil)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Wrap encrypts a data key bound to b.
func (v *vault) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	if len(key) > 1024 {
		return nil, fmt.Errorf("%w: a key of %d bytes", kms.ErrRefused, len(key))
	}
	aad := b.AppendAAD(nil)
	bound := sha256.Sum256(aad)
	random := make([]byte, 32, 64)
	rand.Read(random) // never fails
	defer clear(random)
	gcm, err := newGCM(random)
	if err != nil {
		return nil, err
	}
	p := parts{sealed: gcm.Seal(nil, nil, key, aad)}
	w, err := v.Client.WrapKey(once(ctx), v.Key.Wrap.Name, v.Key.Wrap.Version,
		azkeys.KeyOperationParameters{Algorithm: &oaep, Value: append(random, bound[:]...)}, nil)
	if err != nil {
		return nil, failure(err)
	}
	p.wrapped = w.Result
	s, err := v.Client.Sign(once(ctx), v.Sign.Name, v.Sign.Version, azkeys.SignParameters{Algorithm: &es256, Value: p.digest(aad)}, nil)
	if err != nil {
		return nil, failure(err)
	}
	if p.signature = s.Result; len(p.wrapped) == 0 || len(p.wrapped) > 1024 || len(p.signature) != 64 {
		return nil, fmt.Errorf("a wrapped key of %d bytes and a signature of %d", len(p.wrapped), len(p.signature))
	}
	return p.encode(), nil
}

// Unwrap reverses Wrap.
func (v *vault) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	p, err := parse(wrapped)
	if err != nil {
		return nil, err
	}
	aad := b.AppendAAD(nil)
	ok, err := v.Client.Verify(once(ctx), v.Sign.Name, v.Sign.Version,
		azkeys.VerifyParameters{Algorithm: &es256, Digest: p.digest(aad), Signature: p.signature}, nil)
	if err != nil {
		return nil, failure(err)
	}
	if ok.Value == nil || !*ok.Value {
		return nil, fmt.Errorf("%w: the signature is wrong", crypto.ErrTampered)
	}
	u, err := v.Client.UnwrapKey(once(ctx), v.Key.Wrap.Name, v.Key.Wrap.Version, azkeys.KeyOperationParameters{Algorithm: &oaep, Value: p.wrapped}, nil)
	if err != nil {
		return nil, failure(err)
	}
	defer clear(u.Result)
	bound := sha256.Sum256(aad)
	if len(u.Result) != 64 || subtle.ConstantTimeCompare(u.Result[32:], bound[:]) != 1 {
		return nil, fmt.Errorf("%w: the wrapped key is bound elsewhere", crypto.ErrTampered)
	}
	gcm, err := newGCM(u.Result[:32])
	if err != nil {
		return nil, err
	}
	key, err := gcm.Open(nil, nil, p.sealed, aad)
	if err != nil {
		return nil, fmt.Errorf("%w: the data key does not open", crypto.ErrTampered)
	}
	return key, nil
}

// failure keeps the service's status and leaves out its text.
func failure(err error) error {
	var r *azcore.ResponseError
	if !errors.As(err, &r) {
		return errors.New("no answer of the service")
	}
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return fmt.Errorf("status %d", r.StatusCode)
	}
	if r.StatusCode >= 400 && r.StatusCode < 500 {
		return fmt.Errorf("%w: status %d", kms.ErrRefused, r.StatusCode)
	}
	return fmt.Errorf("status %d", r.StatusCode)
}
