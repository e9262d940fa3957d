// Package awskms is a key-encryption key in AWS KMS.
//
//	eu, us := awskmsapi.NewFromConfig(cfgEU), awskmsapi.NewFromConfig(cfgUS)
//	kek, err := awskms.New([]awskms.Key{
//		{Client: eu, ID: "arn:aws:kms:eu-north-1:111122223333:key/mrk-…"},
//		{Client: us, ID: "arn:aws:kms:us-east-1:111122223333:key/mrk-…"},
//	}, kms.Options{})
//
// The key is symmetric; several are replicas of one multi-Region key, tried
// in turn. The principal needs kms:Encrypt and kms:Decrypt on it and nothing
// else. Decrypt names the key, so that no other key of the account, or of an
// attacker's, can answer.
//
// The encryption context, which stands in CloudTrail in the clear and can be
// a condition of a policy, has two members: "surety:tenant", the tenant's
// name, and "surety:binding", the SHA-256 of the [crypto.Binding]'s encoding.
// Subjects don't stand in it.
//
// The client's own retries are turned off for these calls, see kms.
package awskms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskmsapi "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
)

// A Client is a *kms.Client of the AWS SDK, made by the caller with region and
// credentials.
type Client interface {
	Encrypt(context.Context, *awskmsapi.EncryptInput, ...func(*awskmsapi.Options)) (*awskmsapi.EncryptOutput, error)
	Decrypt(context.Context, *awskmsapi.DecryptInput, ...func(*awskmsapi.Options)) (*awskmsapi.DecryptOutput, error)
}

// A Key is a key in one Region.
type Key struct {
	Client Client
	ID     string // the key's ARN: an alias may be pointed elsewhere
}

// New returns the KEK of a key and its replicas. Its ID is "aws:", the first
// key's ARN, and the version.
func New(keys []Key, o kms.Options) (*kms.KEK, error) {
	var replicas []kms.Driver
	for _, k := range keys {
		if k.Client == nil || !strings.HasPrefix(k.ID, "arn:") || !strings.Contains(k.ID, ":key/") {
			return nil, errors.New("awskms: New needs clients and the ARNs of keys")
		}
		replicas = append(replicas, &region{k.Client, k.ID})
	}
	if len(keys) == 0 {
		return nil, errors.New("awskms: New needs a key")
	}
	return kms.New("aws:"+keys[0].ID, replicas, o)
}

type region struct {
	client Client
	key    string
}

func encryptionContext(b *crypto.Binding) map[string]string {
	sum := sha256.Sum256(b.AppendAAD(nil))
	return map[string]string{"surety:tenant": b.Tenant, "surety:binding": hex.EncodeToString(sum[:])}
}

func once(o *awskmsapi.Options) { o.Retryer = aws.NopRetryer{} }

// Wrap encrypts a data key bound to b.
func (r *region) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	out, err := r.client.Encrypt(ctx, &awskmsapi.EncryptInput{KeyId: &r.key, Plaintext: key, EncryptionContext: encryptionContext(&b)}, once)
	if err != nil {
		return nil, failure(err)
	}
	return out.CiphertextBlob, nil
}

// Unwrap reverses Wrap.
func (r *region) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	if len(wrapped) == 0 || len(wrapped) > 6144 { // the service's own limit
		return nil, fmt.Errorf("%w: a wrapped key of %d bytes", crypto.ErrTampered, len(wrapped))
	}
	out, err := r.client.Decrypt(ctx, &awskmsapi.DecryptInput{KeyId: &r.key, CiphertextBlob: wrapped, EncryptionContext: encryptionContext(&b)}, once)
	if err != nil {
		return nil, failure(err)
	}
	return out.Plaintext, nil
}

// passing are the codes of failures that may be different next time. All
// others of the service's are refusals.
var passing = map[string]bool{
	"ThrottlingException": true, "LimitExceededException": true, "RequestLimitExceeded": true, "TooManyRequestsException": true,
	"DependencyTimeoutException": true, "KeyUnavailableException": true, "KMSInternalException": true,
	"InternalFailure": true, "InternalServerError": true, "ServiceUnavailable": true, "ServiceUnavailableException": true, "RequestTimeout": true,
	"ExpiredToken": true, "ExpiredTokenException": true, // the credentials are renewed meanwhile
}

// failure keeps the service's code and leaves out its text.
func failure(err error) error {
	var api smithy.APIError
	switch {
	case !errors.As(err, &api):
		return errors.New("no answer of the service")
	case passing[api.ErrorCode()] || api.ErrorFault() == smithy.FaultServer:
		return fmt.Errorf("code %s", clean(api.ErrorCode()))
	}
	return fmt.Errorf("%w: code %s", kms.ErrRefused, clean(api.ErrorCode()))
}

// clean keeps a code that is one.
func clean(code string) string {
	if code == "" || len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return r < '0' || r > 'z' }) {
		return "unknown"
	}
	return code
}
