package awskms_test

import (
	"context"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskmsapi "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
	"github.com/surety-go/surety/crypto/kms/awskms"
	"github.com/surety-go/surety/crypto/kms/kmstest"
)

const arn = "arn:aws:kms:eu-north-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"

// service speaks AWS KMS's JSON 1.1 protocol with one key.
type service struct {
	aead     cipher.AEAD
	contexts chan map[string]string // those of Encrypt, if not nil
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-RequestId", "1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no"})
}

func answer(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, code) }
}

type message struct {
	KeyId             string            `json:",omitempty"` //nolint:staticcheck // the service's spelling
	Plaintext         []byte            `json:",omitempty"`
	CiphertextBlob    []byte            `json:",omitempty"`
	EncryptionContext map[string]string `json:",omitempty"`
}

// aad encodes a context in one way.
func aad(c map[string]string) []byte {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c)) {
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(k)) + "=" + base64.StdEncoding.EncodeToString([]byte(c[k])) + ";")
	}
	return []byte(b.String())
}

func (s service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in, out message
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(r.Header.Get("Authorization"), "/eu-north-1/kms/aws4_request"):
		refuse(w, http.StatusBadRequest, "MissingAuthenticationTokenException")
		return
	case json.NewDecoder(r.Body).Decode(&in) != nil:
		refuse(w, http.StatusBadRequest, "SerializationException")
		return
	case in.KeyId != arn:
		refuse(w, http.StatusBadRequest, "NotFoundException")
		return
	}
	switch r.Header.Get("X-Amz-Target") {
	case "TrentService.Encrypt":
		if s.contexts != nil {
			s.contexts <- in.EncryptionContext
		}
		out.CiphertextBlob = s.aead.Seal(nil, nil, in.Plaintext, aad(in.EncryptionContext))
	case "TrentService.Decrypt":
		plain, err := s.aead.Open(nil, nil, in.CiphertextBlob, aad(in.EncryptionContext))
		if err != nil {
			refuse(w, http.StatusBadRequest, "InvalidCiphertextException")
			return
		}
		out.Plaintext = plain
	default:
		refuse(w, http.StatusBadRequest, "UnknownOperationException")
		return
	}
	out.KeyId = in.KeyId
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out)
}

// client is the vendor's, with its default retries.
func client(address string) *awskmsapi.Client {
	return awskmsapi.NewFromConfig(aws.Config{
		Region: "eu-north-1", BaseEndpoint: &address, HTTPClient: &http.Client{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "the-forty-characters-of-a-secret-key-0000"}, nil
		}),
	})
}

func newKEK(t *testing.T, addresses []string, o kms.Options) crypto.KEK {
	t.Helper()
	var keys []awskms.Key
	for _, a := range addresses {
		keys = append(keys, awskms.Key{Client: client(a), ID: arn})
	}
	k, err := awskms.New(keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestConforms(t *testing.T) {
	kmstest.Test(t, kmstest.Vendor{
		Server: service{aead: kmstest.NewAEAD()}, New: newKEK,
		Throttled: answer(http.StatusBadRequest, "ThrottlingException"), Unavailable: answer(http.StatusInternalServerError, "KMSInternalException"),
		Denied: answer(http.StatusBadRequest, "AccessDeniedException"), Disabled: answer(http.StatusBadRequest, "DisabledException"),
	})
}

// The encryption context stands in CloudTrail: no subject, no row.
func TestEncryptionContextHoldsNoSubject(t *testing.T) {
	s := service{kmstest.NewAEAD(), make(chan map[string]string, 1)}
	v := kmstest.Vendor{Server: s}
	k := newKEK(t, []string{v.Serve(t).URL}, kms.Options{})
	if _, err := k.Wrap(t.Context(), make([]byte, 32), crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "surety_keys", Row: "r-17"}); err != nil {
		t.Fatal(err)
	}
	c := <-s.contexts
	if len(c) != 2 || c["surety:tenant"] != "acme" || len(c["surety:binding"]) != 64 {
		t.Errorf("context %v", c)
	}
}

func TestNewRefuses(t *testing.T) {
	c := client("http://127.0.0.1:1")
	for name, keys := range map[string][]awskms.Key{
		"none": nil, "no client": {{nil, arn}}, "an alias": {{c, "alias/records"}}, "an alias's ARN": {{c, "arn:aws:kms:eu-north-1:111122223333:alias/records"}},
	} {
		if _, err := awskms.New(keys, kms.Options{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	k, err := awskms.New([]awskms.Key{{c, arn}}, kms.Options{Version: 2})
	if err != nil || k.ID() != "aws:"+arn+":2" {
		t.Errorf("%v", err)
	}
}
