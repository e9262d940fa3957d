package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A Provider is an identity provider on loopback. Its fields may be changed
// between requests, under no lock: not while one is under way.
type Provider struct {
	// Issuer is its URL.
	Issuer string
	// ClientID and ClientSecret are the one registration it has.
	ClientID, ClientSecret string
	// Subject is who signs in next.
	Subject string
	// ID are further members of the next ID tokens; nil removes one.
	ID Claims
	// Header are further members of their headers.
	Header Claims
	// Metadata are further members of its metadata.
	Metadata Claims
	// Answer are further parameters of the redirect back; an empty one is
	// left out.
	Answer map[string]string
	// Down has it answer nothing but status 503.
	Down bool

	// RootCAs, Allow and Ports are what a client needs to reach it.
	RootCAs *x509.CertPool
	Allow   []netip.Prefix
	Ports   []uint16

	tb  testing.TB
	key *Key

	mu    sync.Mutex
	codes map[string]url.Values // the authorisation request of each code
	asked url.Values            // the last authorisation request
}

// NewProvider starts a provider, which stops with the test.
func NewProvider(tb testing.TB) *Provider {
	tb.Helper()
	mustTest()
	p := &Provider{
		ClientID: "records", ClientSecret: "a secret: with % and +", Subject: "u-1", tb: tb,
		key: NewKey("key-1", "ES256"), codes: map[string]url.Values{}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.metadata)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	p.Issuer, p.RootCAs = server.URL, x509.NewCertPool()
	p.RootCAs.AddCert(server.Certificate())
	u, err := url.Parse(server.URL)
	if err != nil {
		tb.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		tb.Fatal(err)
	}
	p.Ports = []uint16{uint16(port)}
	return p
}

// Rotate replaces the signing key.
func (p *Provider) Rotate(id, alg string) { p.key = NewKey(id, alg) }

// Key returns the signing key.
func (p *Provider) Key() *Key { return p.key }

// Asked returns the parameters of the last authorisation request.
func (p *Provider) Asked() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encode(Claims{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/jwks", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{p.key.Alg}, "authorization_response_iss_parameter_supported": true,
	}.with(p.Metadata)))
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(JWKS(p.key)) }

// authorize signs the subject in and sends the browser back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "not an authorisation request of this client with PKCE", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code], p.asked = q, q
	p.mu.Unlock()
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer}}
	for k, v := range p.Answer {
		if answer.Set(k, v); v == "" {
			answer.Del(k)
		}
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther) //nolint:gosec // a test double sends people where its test says
}

// token redeems a code, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id) // RFC 6749, section 2.3.1
	secret, _ = url.QueryUnescape(secret)
	p.mu.Lock()
	q := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != p.ClientID || subtle.ConstantTimeCompare([]byte(secret), []byte(p.ClientSecret)) != 1:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	case q == nil || q.Get("redirect_uri") != r.PostFormValue("redirect_uri") || q.Get("code_challenge") != b64(sum[:]):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	_, _ = w.Write(encode(Claims{
		"access_token": "at-" + rand.Text(), "token_type": "Bearer", "expires_in": 60, "id_token": p.IDToken(q.Get("nonce")),
	}))
}

// IDToken signs an ID token for the client.
func (p *Provider) IDToken(nonce string) string {
	now := time.Now().Unix()
	return p.key.Sign(p.Header, Claims{
		"iss": p.Issuer, "sub": p.Subject, "aud": p.ClientID, "iat": now, "exp": now + 300, "nonce": nonce, "auth_time": now,
	}.with(p.ID))
}

// Token signs an access token (RFC 9068) for an audience and a subject.
func (p *Provider) Token(audience, subject string, more Claims) string {
	now := time.Now().Unix()
	return p.key.Sign(Claims{"typ": "at+jwt"}, Claims{
		"iss": p.Issuer, "sub": subject, "aud": audience, "client_id": p.ClientID, "jti": rand.Text(), "iat": now, "exp": now + 300,
	}.with(more))
}

// LogoutToken signs a logout token for a subject.
func (p *Provider) LogoutToken(subject string, header, more Claims) string {
	now := time.Now().Unix()
	return p.key.Sign(Claims{"typ": "logout+jwt"}.with(header), Claims{
		"iss": p.Issuer, "sub": subject, "aud": p.ClientID, "jti": rand.Text(), "iat": now, "exp": now + 120,
		"events": Claims{"http://schemas.openid.net/event/backchannel-logout": Claims{}},
	}.with(more))
}

// TLS is the configuration with which an HTTP client reaches the provider.
func (p *Provider) TLS() *tls.Config {
	return &tls.Config{RootCAs: p.RootCAs, MinVersion: tls.VersionTLS12}
}
