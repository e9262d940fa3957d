package vaultkms_test

import (
	"context"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
	"github.com/surety-go/surety/crypto/kms/kmstest"
	"github.com/surety-go/surety/crypto/kms/vaultkms"
)

const testToken = "hvs.test-token"

// transit speaks Transit's protocol with one key.
type transit struct{ aead cipher.AEAD }

func refuse(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
}

func answer(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, code, "fault") }
}

type body struct {
	Plaintext  string `json:"plaintext"`
	Ciphertext string `json:"ciphertext"`
	AAD        string `json:"associated_data"`
}

func (s transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in body
	switch {
	case r.Method != http.MethodPost || r.Header.Get("X-Vault-Token") != testToken || r.Header.Get("X-Vault-Request") != "true":
		refuse(w, http.StatusForbidden, "permission denied")
		return
	case json.NewDecoder(r.Body).Decode(&in) != nil:
		refuse(w, http.StatusBadRequest, "bad json")
		return
	}
	aad, err := base64.StdEncoding.DecodeString(in.AAD)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad associated_data")
		return
	}
	data := map[string]string{}
	switch r.URL.Path {
	case "/v1/transit/encrypt/records":
		var plain []byte
		plain, err = base64.StdEncoding.DecodeString(in.Plaintext)
		data["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, aad))
	case "/v1/transit/decrypt/records":
		var blob []byte
		if blob, err = base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:")); err == nil {
			blob, err = s.aead.Open(nil, nil, blob, aad)
		}
		data["plaintext"] = base64.StdEncoding.EncodeToString(blob)
	default:
		refuse(w, http.StatusNotFound, "no handler")
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "cipher: message authentication failed: "+in.Ciphertext)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func token(context.Context) (string, error) { return testToken, nil }

func newKEK(t *testing.T, addresses []string, o kms.Options) crypto.KEK {
	t.Helper()
	k, err := vaultkms.New(&http.Client{}, vaultkms.Key{Addresses: addresses, Mount: "transit", Name: "records"}, token, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func vendor() kmstest.Vendor {
	return kmstest.Vendor{
		Server: transit{kmstest.NewAEAD()}, New: newKEK,
		Throttled: answer(http.StatusTooManyRequests), Unavailable: answer(http.StatusServiceUnavailable),
		Denied: answer(http.StatusForbidden), Disabled: answer(http.StatusNotFound),
	}
}

func TestConforms(t *testing.T) { kmstest.Test(t, vendor()) }

var place = crypto.Binding{Tenant: "acme", Purpose: "p"}

// A redirect would carry the token to whoever it names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	v := vendor()
	r := v.Serve(t)
	r.FailAlways(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://192.0.2.1/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	if _, err := newKEK(t, []string{r.URL}, kms.Options{}).Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrRefused) || r.Calls() != 1 {
		t.Errorf("%d requests, %v", r.Calls(), err)
	}
}

func TestStatuses(t *testing.T) {
	v := vendor()
	r := v.Serve(t)
	k := newKEK(t, []string{r.URL}, kms.Options{Tries: 2, Backoff: time.Millisecond, Budget: 100})
	for code, want := range map[int]error{
		400: kms.ErrRefused, 403: kms.ErrRefused, 404: kms.ErrRefused, 405: kms.ErrRefused,
		412: kms.ErrUnavailable, 429: kms.ErrUnavailable, 472: kms.ErrUnavailable, 473: kms.ErrUnavailable, 500: kms.ErrUnavailable, 503: kms.ErrUnavailable,
	} {
		r.FailAlways(answer(code))
		if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, want) {
			t.Errorf("status %d: %v, want %v", code, err, want)
		}
	}
}

// Answers that are no answers of Transit are tried again, and never taken for
// a key.
func TestStrangeAnswers(t *testing.T) {
	v := vendor()
	r := v.Serve(t)
	k := newKEK(t, []string{r.URL}, kms.Options{Tries: 1})
	for name, text := range map[string]string{
		"no JSON": "<html>", "empty": "{}", "no ciphertext": `{"data":{"ciphertext":"x"}}`,
		"too long": `{"data":{"ciphertext":"vault:v1:` + strings.Repeat("A", 1<<17) + `"}}`,
	} {
		r.FailAlways(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("wrap, %s: %v", name, err)
		}
		if name == "no ciphertext" {
			continue
		}
		if got, err := k.Unwrap(t.Context(), []byte("vault:v1:AAAA"), place); err == nil {
			t.Errorf("unwrap, %s: %q", name, got)
		}
	}
	if _, err := k.Unwrap(t.Context(), []byte("rubbish"), place); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("%v", err)
	}
}

func TestTokenFails(t *testing.T) {
	v := vendor()
	down := func(context.Context) (string, error) { return "", errors.New("agent is down") }
	k, err := vaultkms.New(&http.Client{}, vaultkms.Key{Addresses: []string{v.Serve(t).URL}, Mount: "transit", Name: "records"}, down, kms.Options{Tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Wrap(t.Context(), make([]byte, 32), place); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	good := vaultkms.Key{Addresses: []string{"https://vault.example:8200"}, Mount: "transit", Name: "records", Namespace: "eu"}
	for name, change := range map[string]func(*vaultkms.Key, *kms.Options){
		"no address":      func(k *vaultkms.Key, _ *kms.Options) { k.Addresses = nil },
		"plain http":      func(k *vaultkms.Key, _ *kms.Options) { k.Addresses = []string{"http://vault.example:8200"} },
		"password in URL": func(k *vaultkms.Key, _ *kms.Options) { k.Addresses = []string{"https://u:p@vault.example"} },
		"path in URL":     func(k *vaultkms.Key, _ *kms.Options) { k.Addresses = []string{"https://vault.example/v1"} },
		"no URL":          func(k *vaultkms.Key, _ *kms.Options) { k.Addresses = []string{"::"} },
		"no mount":        func(k *vaultkms.Key, _ *kms.Options) { k.Mount = "" },
		"mount upwards":   func(k *vaultkms.Key, _ *kms.Options) { k.Mount = "../sys" },
		"no name":         func(k *vaultkms.Key, _ *kms.Options) { k.Name = "" },
		"path as name":    func(k *vaultkms.Key, _ *kms.Options) { k.Name = "a/../b" },
		"tries":           func(_ *vaultkms.Key, o *kms.Options) { o.Tries = 11 },
	} {
		key, o := good, kms.Options{}
		change(&key, &o)
		if _, err := vaultkms.New(&http.Client{}, key, token, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := vaultkms.New(nil, good, token, kms.Options{}); err == nil {
		t.Error("no client")
	}
	k, err := vaultkms.New(&http.Client{}, good, token, kms.Options{Version: 3})
	if err != nil || k.ID() != "vault:eu/transit/records:3" {
		t.Errorf("%v, %v", k, err)
	}
}
