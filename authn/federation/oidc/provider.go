package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/internal/outbound"
)

// A provider is a Provider with what it says about itself.
type provider struct {
	Provider
	redirect string
	http     *outbound.Client
	now      func() time.Time

	mu    sync.Mutex
	meta  *metadata
	tried time.Time
}

// metadata are a provider's, as fetched at some time.
type metadata struct {
	at     time.Time
	config oauth2.Config
	named  bool // it names itself in responses: RFC 9207
	id     *jose.Verifier
	logout *jose.Verifier
	check  *gooidc.IDTokenVerifier
}

// How long metadata count, and how soon they are asked for again when that
// failed.
const (
	metadataFor   = 24 * time.Hour
	metadataAgain = 10 * time.Second
)

func newProvider(p Provider, origin string, now func() time.Time) (*provider, error) {
	client, err := outbound.New(outbound.Options{Allow: p.Allow, Ports: p.Ports, RootCAs: p.RootCAs})
	if err != nil {
		return nil, err //nolint:wrapcheck // says where it comes from
	}
	return &provider{Provider: p, redirect: origin + "/login/with/" + p.Name + "/callback", http: client, now: now}, nil
}

// client has x/oauth2 and go-oidc send through the outbound client.
func (p *provider) client(ctx context.Context) context.Context {
	return gooidc.ClientContext(ctx, &http.Client{
		Transport:     p.http,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// ErrProvider says that a provider could not be asked, or says things of
// itself that can't be used.
var ErrProvider = errors.New("oidc: provider")

// load returns the provider's metadata. While it does not answer, those that
// were fetched before count.
func (p *provider) load(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.meta != nil && now.Sub(p.meta.at) < metadataFor {
		return p.meta, nil
	}
	if now.Sub(p.tried) < metadataAgain {
		if p.meta != nil {
			return p.meta, nil
		}
		return nil, fmt.Errorf("%w %s: it did not answer a moment ago", ErrProvider, p.Name)
	}
	p.tried = now
	meta, err := p.fetch(ctx)
	if err == nil {
		p.meta = meta
		return meta, nil
	}
	if p.meta != nil {
		return p.meta, nil
	}
	return nil, fmt.Errorf("%w %s: metadata: %w", ErrProvider, p.Name, err)
}

func (p *provider) fetch(ctx context.Context) (*metadata, error) {
	// go-oidc compares the issuer of the metadata with ours.
	found, err := gooidc.NewProvider(p.client(ctx), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var raw json.RawMessage
	if err := found.Claims(&raw); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	said, err := jose.ParseClaims(raw) // an object without repeated members
	if err != nil {
		return nil, err //nolint:wrapcheck // says where it comes from
	}
	if name, _ := said.Text("issuer"); name != p.Issuer {
		return nil, errors.New("issuer: the metadata are another's")
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri"} {
		address, _ := said.Text(name)
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return nil, fmt.Errorf("%s: want an https URL", name)
		}
	}
	return p.describe(said)
}

func (p *provider) describe(said *jose.Claims) (*metadata, error) {
	text := func(name string) string { s, _ := said.Text(name); return s }
	keys, err := jose.Fetch(text("jwks_uri"), jose.FetchOptions{Allow: p.Allow, Ports: p.Ports, RootCAs: p.RootCAs})
	if err != nil {
		return nil, err //nolint:wrapcheck // says where it comes from
	}
	m := &metadata{at: p.now()}
	m.config = oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: p.redirect,
		Scopes:   append([]string{gooidc.ScopeOpenID}, p.Scopes...),
		Endpoint: oauth2.Endpoint{AuthURL: text("authorization_endpoint"), TokenURL: text("token_endpoint"), AuthStyle: style(said)},
	}
	if said.Has("authorization_response_iss_parameter_supported") {
		if err := said.Decode("authorization_response_iss_parameter_supported", &m.named); err != nil {
			return nil, err //nolint:wrapcheck // says where it comes from
		}
	}
	if m.id, err = jose.NewVerifier(keys, jose.Policy{Algorithms: p.Algorithms, Types: []string{"", "jwt"}}); err != nil {
		return nil, err //nolint:wrapcheck // names the field
	}
	if m.logout, err = jose.NewVerifier(keys, jose.Policy{Algorithms: p.Algorithms, Types: []string{"logout+jwt"}}); err != nil {
		return nil, err //nolint:wrapcheck // likewise
	}
	algorithms := make([]string, len(p.Algorithms))
	for i, a := range p.Algorithms {
		algorithms[i] = string(a)
	}
	m.check = gooidc.NewVerifier(p.Issuer, strict{m.id}, &gooidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: p.now})
	return m, nil
}

// style is how the client's secret travels: in the header, unless the provider
// takes it in the body alone.
func style(said *jose.Claims) oauth2.AuthStyle {
	methods, ok := said.Texts("token_endpoint_auth_methods_supported")
	if ok && !slices.Contains(methods, "client_secret_basic") && slices.Contains(methods, "client_secret_post") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// strict is the key set that go-oidc verifies signatures with.
type strict struct{ v *jose.Verifier }

func (s strict) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	m, err := s.v.Verify(ctx, token)
	return m.Payload, err //nolint:wrapcheck // says where it comes from
}

// address is where a browser goes to sign in.
func (p *provider) address(m *metadata, t *transaction) string {
	options := []oauth2.AuthCodeOption{gooidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)}
	if len(p.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(p.ACR, " ")))
	}
	if p.MaxAge > 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(p.MaxAge/time.Second))))
	}
	return m.config.AuthCodeURL(t.State, options...)
}
