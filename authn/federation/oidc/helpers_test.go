package oidc_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/federation/oidc"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/guard"
)

type claims = oidctest.Claims

// accounts is a login.Accounts with fixed people.
type accounts map[string]login.Account

func (a accounts) ByName(_ context.Context, tenant, name string) (login.Account, error) {
	for _, p := range a {
		if p.Tenant == tenant && p.Name == name {
			return p, nil
		}
	}
	return login.Account{}, login.ErrNoAccount
}

func (a accounts) ByID(_ context.Context, tenant, id string) (login.Account, error) {
	if p, ok := a[id]; ok && p.Tenant == tenant {
		return p, nil
	}
	return login.Account{}, login.ErrNoAccount
}

func (a accounts) SetPassword(context.Context, string, string, string, string, bool) (bool, error) {
	return false, nil
}

// A world is a service with one or two providers, and browsers.
type world struct {
	t        *testing.T
	idp      *oidctest.Provider
	rp       *oidc.RelyingParty
	links    *oidc.Memory
	sessions *session.Manager
	accounts accounts
	rec      *auditlogtest.Recorder
	server   *httptest.Server
	handler  http.Handler
}

func newWorld(t *testing.T, change func(*oidc.Parts, *oidc.Provider, *login.Options), others ...oidc.Provider) *world {
	t.Helper()
	w := &world{t: t, idp: oidctest.NewProvider(t), links: &oidc.Memory{}, rec: &auditlogtest.Recorder{}, accounts: accounts{
		"a-1": {Tenant: "acme", ID: "a-1", Name: "ada"}, "a-2": {Tenant: "acme", ID: "a-2", Name: "bob"}, "a-3": {Tenant: "acme", ID: "a-3", Name: "eve", Disabled: true},
	}}
	w.server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	key := bytes.Repeat([]byte{7}, 32)
	hasher := must(password.New(password.Options{Memory: 7168, Passes: 5}))
	codes := must(totp.New(&totp.Memory{}, authntest.Seeds{}, w.rec, totp.Options{Issuer: "Test"}))
	w.sessions = must(session.New(&session.Memory{}, key, w.rec, session.Options{}))
	guesses := must(throttle.New(&throttle.Memory{}, w.rec, throttle.Options{}))
	options := login.Options{SingleFactor: true}
	parts := oidc.Parts{Sessions: w.sessions, Links: w.links, Key: key, Recorder: w.rec}
	p := w.provider("corp")
	if change != nil {
		change(&parts, &p, &options)
	}
	parts.Flow = must(login.New(login.Parts{
		Accounts: w.accounts, Passwords: hasher, Codes: codes, Sessions: w.sessions, Guesses: guesses, Key: key, Recorder: w.rec,
	}, options))
	w.rp = must(oidc.New(parts, append([]oidc.Provider{p}, others...), oidc.Options{Origin: w.server.URL}))
	t.Cleanup(w.rp.Close)
	identify := must(authn.Identify(w.rec, w.sessions))
	w.handler = must(guard.NewMux([]guard.Guard{guard.Audit(w.rec), identify}, slices.Concat(parts.Flow.Routes(), w.rp.Routes(), []guard.Route{{
		Pattern: "GET /{$}", Action: "home.read", Guards: []guard.Guard{guard.Public("for the test")},
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			p, _ := authn.FromContext(r.Context())
			_, _ = io.WriteString(rw, "home of "+p.ID+" "+p.AAL.String())
		}),
	}})...))
	w.link("u-1", "a-1")
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) provider(name string) oidc.Provider {
	return oidc.Provider{
		Name: name, Issuer: w.idp.Issuer, ClientID: w.idp.ClientID, ClientSecret: w.idp.ClientSecret, Tenant: "acme",
		Allow: w.idp.Allow, Ports: w.idp.Ports, RootCAs: w.idp.RootCAs,
	}
}

func (w *world) link(subject, account string) {
	w.t.Helper()
	if ok, err := w.links.Add(w.t.Context(), oidc.Link{Tenant: "acme", Issuer: w.idp.Issuer, Subject: subject, Account: account}); !ok || err != nil {
		w.t.Fatal(ok, err)
	}
}

// A browser keeps cookies and follows redirects only when told to.
type browser struct {
	w      *world
	client *http.Client
}

func (w *world) browser() *browser {
	roots := w.idp.RootCAs.Clone()
	roots.AddCert(w.server.Certificate())
	transport := w.server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = roots
	return &browser{w, &http.Client{
		Transport: transport, Jar: must(cookiejar.New(nil)),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A response is an answer with its body read.
type response struct {
	*http.Response
	body, location string
}

func (b *browser) do(r *http.Request) response {
	b.w.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return response{resp, string(body), resp.Header.Get("Location")}
}

func (b *browser) get(address string) response {
	b.w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.w.server.URL + address
	}
	return b.do(must(http.NewRequestWithContext(b.w.t.Context(), http.MethodGet, address, nil)))
}

func (b *browser) post(path string, form url.Values, header ...string) response {
	b.w.t.Helper()
	r := must(http.NewRequestWithContext(b.w.t.Context(), http.MethodPost, b.w.server.URL+path, strings.NewReader(form.Encode())))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.do(r)
}

// answer goes to the provider and returns where that sends the browser.
func (b *browser) answer() string {
	b.w.t.Helper()
	at := b.get("/login/with/corp")
	if at.StatusCode != http.StatusSeeOther {
		b.w.t.Fatalf("to the provider: %d %s", at.StatusCode, at.body)
	}
	return b.get(at.location).location
}

// signIn goes the whole way and returns what the callback answers.
func (b *browser) signIn() response {
	b.w.t.Helper()
	return b.get(b.answer())
}

// home is what the service says to the browser's owner.
func (b *browser) home() string { b.w.t.Helper(); return b.get("/").body }

// in checks that the browser is signed in as an account; empty is nobody.
func (b *browser) in(what, account string) {
	b.w.t.Helper()
	if got := b.home(); !strings.HasPrefix(got, "home of "+account+" ") {
		b.w.t.Errorf("%s: %q, want %q", what, got, account)
	}
}

// refused checks that an answer turns the person away, for the cause.
func (b *browser) refused(what string, r response, cause string) {
	b.w.t.Helper()
	entries := b.w.rec.Find("authn.oidc.verify")
	got := ""
	if len(entries) > 0 {
		got, _ = auditlogtest.Attr(entries[len(entries)-1], "cause")
	}
	if r.StatusCode != http.StatusUnauthorized || got != cause {
		b.w.t.Errorf("%s: status %d because of %q, want 401 because of %q: %s", what, r.StatusCode, got, cause, r.body)
	}
	b.in(what, "")
	b.w.rec.Reset()
}
