package oidctest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/surety-go/surety/authn/federation/oidctest"
)

// The provider is as strict as a real one: what it lets through counts for
// something.
func TestProviderRefuses(t *testing.T) {
	p := oidctest.NewProvider(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: p.TLS()}}
	post := func(form url.Values, id, secret string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if got := post(url.Values{"code": {"x"}}, p.ClientID, p.ClientSecret); got != http.StatusBadRequest {
		t.Errorf("a made-up code: %d", got)
	}
	if got := post(nil, p.ClientID, "wrong"); got != http.StatusUnauthorized {
		t.Errorf("a wrong secret: %d", got)
	}
	for _, q := range []string{"", "client_id=records&response_type=token", "client_id=records&response_type=code", "client_id=x&response_type=code&code_challenge_method=S256"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer+"/authorize?"+q, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", q, resp.StatusCode)
		}
	}
}

func TestKeysOfEveryKind(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		if k := oidctest.NewKey("k", alg); strings.Count(k.Sign(nil, nil), ".") != 2 || k.Thumbprint() == "" {
			t.Errorf("%s", alg)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a key for nothing")
		}
	}()
	oidctest.NewKey("k", "none")
}
