// Package gcpkms is a key-encryption key in Google Cloud KMS.
//
//	client, err := gcpapi.NewKeyManagementClient(ctx)
//	kek, err := gcpkms.New([]gcpkms.Key{
//		{Client: client, Name: "projects/p/locations/europe/keyRings/r/cryptoKeys/records"},
//	}, kms.Options{})
//
// The key's purpose is ENCRYPT_DECRYPT. The principal needs
// roles/cloudkms.cryptoKeyEncrypterDecrypter on it and nothing else. Several
// keys are one key by several clients, such as of several endpoints of a
// multi-region. The Binding is passed as additional authenticated data.
// Checksums (CRC32C) of what was sent and received are compared, as Google
// advises: a key that was damaged on its way is not kept.
//
// The client's own retries are turned off for these calls, see kms.
package gcpkms

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
)

// A Client is a *KeyManagementClient of Google's SDK, over gRPC or REST, made
// by the caller.
type Client interface {
	Encrypt(context.Context, *kmspb.EncryptRequest, ...gax.CallOption) (*kmspb.EncryptResponse, error)
	Decrypt(context.Context, *kmspb.DecryptRequest, ...gax.CallOption) (*kmspb.DecryptResponse, error)
}

// A Key is a key by one client.
type Key struct {
	Client Client
	Name   string // projects/…/locations/…/keyRings/…/cryptoKeys/…
}

// New returns the KEK. Its ID is "gcp:", the first key's name, and the
// version.
func New(keys []Key, o kms.Options) (*kms.KEK, error) {
	var replicas []kms.Driver
	for _, k := range keys {
		if parts := strings.Split(k.Name, "/"); k.Client == nil || len(parts) != 8 || parts[0] != "projects" || parts[6] != "cryptoKeys" {
			return nil, errors.New("gcpkms: New needs clients and names of keys, as in projects/…/locations/…/keyRings/…/cryptoKeys/…")
		}
		replicas = append(replicas, &endpoint{k.Client, k.Name})
	}
	if len(keys) == 0 {
		return nil, errors.New("gcpkms: New needs a key")
	}
	return kms.New("gcp:"+keys[0].Name, replicas, o)
}

type endpoint struct {
	client Client
	key    string
}

// once turns the client's own retries off.
var once = gax.WithRetry(func() gax.Retryer { return nil })

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, castagnoli)))
}

var errDamaged = errors.New("a checksum differs: the key was damaged on its way")

// Wrap encrypts a data key bound to b.
func (e *endpoint) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	aad := b.AppendAAD(nil)
	out, err := e.client.Encrypt(ctx, &kmspb.EncryptRequest{
		Name: e.key, Plaintext: key, PlaintextCrc32C: sum(key),
		AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: sum(aad),
	}, once)
	if err != nil {
		return nil, failure(err)
	}
	if !out.VerifiedPlaintextCrc32C || !out.VerifiedAdditionalAuthenticatedDataCrc32C || out.CiphertextCrc32C.GetValue() != sum(out.Ciphertext).Value {
		return nil, errDamaged
	}
	return out.Ciphertext, nil
}

// Unwrap reverses Wrap.
func (e *endpoint) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	if len(wrapped) == 0 || len(wrapped) > 1<<16 {
		return nil, fmt.Errorf("%w: a wrapped key of %d bytes", crypto.ErrTampered, len(wrapped))
	}
	aad := b.AppendAAD(nil)
	out, err := e.client.Decrypt(ctx, &kmspb.DecryptRequest{
		Name: e.key, Ciphertext: wrapped, CiphertextCrc32C: sum(wrapped),
		AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: sum(aad),
	}, once)
	if err != nil {
		return nil, failure(err)
	}
	if out.PlaintextCrc32C.GetValue() != sum(out.Plaintext).Value {
		return nil, errDamaged
	}
	return out.Plaintext, nil
}

// failure keeps the service's code and leaves out its text.
func failure(err error) error {
	var api *apierror.APIError
	if !errors.As(err, &api) {
		return errors.New("no answer of the service")
	}
	if s := api.GRPCStatus(); s != nil && s.Code() != codes.Unknown && s.Code() != codes.OK {
		return byCode(s.Code())
	}
	return byStatus(api.HTTPCode())
}

func byCode(c codes.Code) error {
	switch c {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.FailedPrecondition, codes.Unimplemented, codes.OutOfRange, codes.AlreadyExists:
		return fmt.Errorf("%w: code %v", kms.ErrRefused, c)
	}
	return fmt.Errorf("code %v", c)
}

func byStatus(status int) error {
	if status >= 400 && status < 500 && status != 401 && status != 408 && status != 429 {
		return fmt.Errorf("%w: status %d", kms.ErrRefused, status)
	}
	return fmt.Errorf("status %d", status)
}
