package gcpkms_test

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	gcpapi "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
	"github.com/surety-go/surety/crypto/kms/gcpkms"
	"github.com/surety-go/surety/crypto/kms/kmstest"
)

const key = "projects/p/locations/europe/keyRings/r/cryptoKeys/records"

// service is Cloud KMS with one key, over gRPC or REST.
type service struct {
	kmspb.UnimplementedKeyManagementServiceServer
	aead   cipher.AEAD
	damage bool // flips a bit of what it answers
	err    error
}

func sum(b []byte) int64 { return int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) }

func (s *service) check(name string, data, aad []byte, dataSum, aadSum *wrapperspb.Int64Value) error {
	switch {
	case s.err != nil:
		return s.err
	case name != key:
		return status.Error(codes.NotFound, "no such key")
	case dataSum.GetValue() != sum(data) || aadSum.GetValue() != sum(aad):
		return status.Error(codes.InvalidArgument, "checksum")
	}
	return nil
}

func (s *service) Encrypt(_ context.Context, r *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	if err := s.check(r.Name, r.Plaintext, r.AdditionalAuthenticatedData, r.PlaintextCrc32C, r.AdditionalAuthenticatedDataCrc32C); err != nil {
		return nil, err
	}
	out := &kmspb.EncryptResponse{
		Name: key + "/cryptoKeyVersions/1", VerifiedPlaintextCrc32C: true, VerifiedAdditionalAuthenticatedDataCrc32C: true,
		Ciphertext: s.aead.Seal(nil, nil, r.Plaintext, r.AdditionalAuthenticatedData),
	}
	out.CiphertextCrc32C = wrapperspb.Int64(sum(out.Ciphertext))
	if s.damage {
		out.Ciphertext[0] ^= 1
	}
	return out, nil
}

func (s *service) Decrypt(_ context.Context, r *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	if err := s.check(r.Name, r.Ciphertext, r.AdditionalAuthenticatedData, r.CiphertextCrc32C, r.AdditionalAuthenticatedDataCrc32C); err != nil {
		return nil, err
	}
	plain, err := s.aead.Open(nil, nil, r.Ciphertext, r.AdditionalAuthenticatedData)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "decryption failed")
	}
	out := &kmspb.DecryptResponse{Plaintext: plain, PlaintextCrc32C: wrapperspb.Int64(sum(plain))}
	if s.damage {
		out.Plaintext[0] ^= 1
	}
	return out, nil
}

func answer(code int, name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":{"code":%d,"message":"no","status":%q}}`, code, name)
	}
}

// ServeHTTP is the REST form of the service.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var out proto.Message
	switch name, op, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), ":"); op {
	case "encrypt":
		in := &kmspb.EncryptRequest{}
		if err = protojson.Unmarshal(body, in); err == nil {
			in.Name = name
			out, err = s.Encrypt(r.Context(), in)
		}
	case "decrypt":
		in := &kmspb.DecryptRequest{}
		if err = protojson.Unmarshal(body, in); err == nil {
			in.Name = name
			out, err = s.Decrypt(r.Context(), in)
		}
	}
	if err != nil || out == nil {
		answer(http.StatusBadRequest, "INVALID_ARGUMENT")(w, r)
		return
	}
	text, err := protojson.Marshal(out)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

func newKEK(t *testing.T, addresses []string, o kms.Options) crypto.KEK {
	t.Helper()
	var keys []gcpkms.Key
	for _, a := range addresses {
		c, err := gcpapi.NewKeyManagementRESTClient(t.Context(), option.WithEndpoint(a), option.WithHTTPClient(&http.Client{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		keys = append(keys, gcpkms.Key{Client: c, Name: key})
	}
	k, err := gcpkms.New(keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestConforms(t *testing.T) {
	kmstest.Test(t, kmstest.Vendor{
		Server: &service{aead: kmstest.NewAEAD()}, New: newKEK,
		Throttled: answer(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED"), Unavailable: answer(http.StatusServiceUnavailable, "UNAVAILABLE"),
		Denied: answer(http.StatusForbidden, "PERMISSION_DENIED"), Disabled: answer(http.StatusBadRequest, "FAILED_PRECONDITION"),
	})
}

// overGRPC starts the service and connects to it with the default client.
func overGRPC(t *testing.T, s *service, o kms.Options) *kms.KEK {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	kmspb.RegisterKeyManagementServiceServer(server, s)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	c, err := gcpapi.NewKeyManagementClient(t.Context(), option.WithEndpoint(l.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	k, err := gcpkms.New([]gcpkms.Key{{Client: c, Name: key}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var place = crypto.Binding{Tenant: "acme", Purpose: "p"}

func TestOverGRPC(t *testing.T) {
	s := &service{aead: kmstest.NewAEAD()}
	k := overGRPC(t, s, kms.Options{Tries: 2, Backoff: time.Millisecond})
	wrapped, err := k.Wrap(t.Context(), make([]byte, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(t.Context(), wrapped, place); err != nil || len(got) != 32 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for code, want := range map[codes.Code]error{
		codes.PermissionDenied: kms.ErrRefused, codes.FailedPrecondition: kms.ErrRefused, codes.NotFound: kms.ErrRefused,
		codes.ResourceExhausted: kms.ErrUnavailable, codes.Unavailable: kms.ErrUnavailable, codes.Internal: kms.ErrUnavailable,
	} {
		s.err = status.Error(code, "quotes the request")
		_, err := k.Wrap(t.Context(), make([]byte, 32), place)
		if !errors.Is(err, want) || strings.Contains(err.Error(), "quotes") {
			t.Errorf("%v: %v, want %v", code, err, want)
		}
	}
}

// A key that was damaged on its way is not kept: nothing could ever be opened.
func TestDamage(t *testing.T) {
	s := &service{aead: kmstest.NewAEAD()}
	k := overGRPC(t, s, kms.Options{Tries: 1})
	wrapped, err := k.Wrap(t.Context(), make([]byte, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	s.damage = true
	if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("wrap: %v", err)
	}
	if _, err := k.Unwrap(t.Context(), wrapped, place); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("unwrap: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	c := &gcpapi.KeyManagementClient{}
	for name, keys := range map[string][]gcpkms.Key{
		"none": nil, "no client": {{nil, key}}, "no name": {{c, ""}}, "a version": {{c, key + "/cryptoKeyVersions/1"}},
	} {
		if _, err := gcpkms.New(keys, kms.Options{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	k, err := gcpkms.New([]gcpkms.Key{{c, key}}, kms.Options{})
	if err != nil || k.ID() != "gcp:"+key+":1" {
		t.Errorf("%v", err)
	}
}
