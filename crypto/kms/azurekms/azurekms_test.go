package azurekms_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
	"github.com/surety-go/surety/crypto/kms/azurekms"
	"github.com/surety-go/surety/crypto/kms/kmstest"
)

var (
	wrapKey = azurekms.Version{Name: "records", Version: "0123"}
	signKey = azurekms.Version{Name: "records-sign", Version: "4567"}
)

// service speaks Key Vault's protocol with an RSA key and a P-256 key.
type service struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newService(t *testing.T) *service {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &service{r, e}
}

func answer(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": "no"}})
	}
}

// b64 is base64url in JSON.
type b64 []byte

func (b b64) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

func (b *b64) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

type message struct {
	Alg    string `json:"alg"`
	Value  b64    `json:"value"`
	Digest b64    `json:"digest"`
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer token" { // the client finds out so where to ask for a token
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.example/tenant", resource="https://vault.azure.net"`)
		answer(http.StatusUnauthorized, "Unauthorized")(w, r)
		return
	}
	var in message
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(http.StatusBadRequest, "BadParameter")(w, r)
		return
	}
	out, err := s.do(r.URL.Path, &in)
	if err != nil {
		answer(http.StatusBadRequest, "BadParameter")(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (s *service) do(path string, in *message) (out map[string]any, err error) {
	var value b64
	switch path + " " + in.Alg {
	case "/keys/records/0123/wrapkey RSA-OAEP-256":
		value, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &s.rsa.PublicKey, in.Value, nil)
	case "/keys/records/0123/unwrapkey RSA-OAEP-256":
		value, err = rsa.DecryptOAEP(sha256.New(), nil, s.rsa, in.Value, nil)
	case "/keys/records-sign/4567/sign ES256":
		var r, ss *big.Int
		if r, ss, err = ecdsa.Sign(rand.Reader, s.ec, in.Value); err == nil {
			value = append(r.FillBytes(make([]byte, 32)), ss.FillBytes(make([]byte, 32))...)
		}
	case "/keys/records-sign/4567/verify ES256":
		if len(in.Value) != 64 {
			return nil, errors.New("signature")
		}
		r, ss := new(big.Int).SetBytes(in.Value[:32]), new(big.Int).SetBytes(in.Value[32:])
		return map[string]any{"value": ecdsa.Verify(&s.ec.PublicKey, in.Digest, r, ss)}, nil
	default:
		return nil, errors.New("operation")
	}
	return map[string]any{"kid": path, "value": value}, err
}

type credential struct{}

func (credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// plain is a transport to servers without TLS for a client that insists on it.
type plain struct{}

func (plain) Do(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return http.DefaultClient.Do(r)
}

// client is the vendor's, with its default retries. It has asked once, so that
// it knows how to authenticate.
func client(t *testing.T, address string) *azkeys.Client {
	t.Helper()
	o := &azkeys.ClientOptions{DisableChallengeResourceVerification: true}
	o.Transport = plain{}
	c, err := azkeys.NewClient(strings.Replace(address, "http:", "https:", 1), credential{}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := policy.WithRetryOptions(t.Context(), policy.RetryOptions{MaxRetries: -1})
	_, _ = c.GetKey(ctx, "records", "", nil)
	return c
}

func newKEK(t *testing.T, addresses []string, o kms.Options) crypto.KEK {
	t.Helper()
	var keys []azurekms.Key
	for _, a := range addresses {
		keys = append(keys, azurekms.Key{Client: client(t, a), Wrap: wrapKey, Sign: signKey})
	}
	k, err := azurekms.New(keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestConforms(t *testing.T) {
	kmstest.Test(t, kmstest.Vendor{
		Server: newService(t), New: newKEK, Calls: 2,
		Throttled: answer(http.StatusTooManyRequests, "Throttled"), Unavailable: answer(http.StatusServiceUnavailable, "ServiceUnavailable"),
		Denied: answer(http.StatusForbidden, "Forbidden"), Disabled: answer(http.StatusForbidden, "KeyDisabled"),
	})
}

var place = crypto.Binding{Tenant: "acme", Purpose: "p"}

// Whoever knows the public key and writes the database plants a data key of
// their own. Without the vault's signature it is refused.
func TestPlantedKey(t *testing.T) {
	s, mallory := newService(t), newService(t)
	v, w := kmstest.Vendor{Server: s}, kmstest.Vendor{Server: mallory}
	mallory.rsa.PublicKey = s.rsa.PublicKey // what is public, and a signature of their own
	planted, err := newKEK(t, []string{w.Serve(t).URL}, kms.Options{}).Wrap(t.Context(), bytes.Repeat([]byte{7}, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newKEK(t, []string{v.Serve(t).URL}, kms.Options{}).Unwrap(t.Context(), planted, place); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("%x, %v", got, err)
	}
	mallory.ec = s.ec // the same with the vault's signature opens: that is what it depends on
	planted, err = newKEK(t, []string{w.Serve(t).URL}, kms.Options{}).Wrap(t.Context(), bytes.Repeat([]byte{7}, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newKEK(t, []string{v.Serve(t).URL}, kms.Options{}).Unwrap(t.Context(), planted, place); err != nil {
		t.Error(err)
	}
}

func FuzzUnwrap(f *testing.F) {
	f.Add([]byte{1, 0, 1, 2, 0, 1, 3, 0, 1, 4})
	f.Add([]byte{1, 0xFF, 0xFF})
	f.Add([]byte{})
	k, err := azurekms.New([]azurekms.Key{{Client: refusing{}, Wrap: wrapKey, Sign: signKey}}, kms.Options{Tries: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := k.Unwrap(t.Context(), in, place); !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("%v", err)
		}
	})
}

// refusing says of every signature that it is wrong.
type refusing struct{ azurekms.Client }

func (refusing) Verify(context.Context, string, string, azkeys.VerifyParameters, *azkeys.VerifyOptions) (azkeys.VerifyResponse, error) {
	no := false
	return azkeys.VerifyResponse{KeyVerifyResult: azkeys.KeyVerifyResult{Value: &no}}, nil
}

func TestNewRefuses(t *testing.T) {
	for name, keys := range map[string][]azurekms.Key{
		"none": nil, "no client": {{Wrap: wrapKey, Sign: signKey}}, "no version": {{Client: refusing{}, Wrap: azurekms.Version{Name: "records"}, Sign: signKey}},
		"no sign key": {{Client: refusing{}, Wrap: wrapKey}}, "one key": {{Client: refusing{}, Wrap: wrapKey, Sign: wrapKey}},
		"path": {{Client: refusing{}, Wrap: azurekms.Version{Name: "a/b", Version: "1"}, Sign: signKey}},
	} {
		if _, err := azurekms.New(keys, kms.Options{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	k, err := azurekms.New([]azurekms.Key{{Client: refusing{}, Wrap: wrapKey, Sign: signKey}}, kms.Options{})
	if err != nil || !strings.HasPrefix(k.ID(), "azure:records/0123:") {
		t.Errorf("%v", err)
	}
}
