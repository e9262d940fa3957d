package oidc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/authn/federation/oidc"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
)

// cert is the certificate of a provider's server.
func (w *world) cert(p *oidctest.Provider) (*x509.Certificate, error) {
	u := must(url.Parse(p.Issuer))
	d := tls.Dialer{Config: &tls.Config{RootCAs: p.RootCAs, ServerName: "127.0.0.1"}}
	conn, err := d.DialContext(w.t.Context(), "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// The failure of Better Auth: the second factor skipped on the way by a
// provider.
func TestSecondFactorIsNotSkipped(t *testing.T) {
	w := newWorld(t, func(_ *oidc.Parts, _ *oidc.Provider, o *login.Options) { o.SingleFactor = false })
	b := w.browser()
	if r := b.signIn(); r.location != "/login/enrol" {
		t.Errorf("%d %s", r.StatusCode, r.location)
	}
	b.in("after one factor", "")
}

func TestDisabledAccount(t *testing.T) {
	w := newWorld(t, nil)
	w.link("u-3", "a-3")
	w.link("u-4", "a-gone")
	for _, subject := range []string{"u-3", "u-4"} {
		w.idp.Subject = subject
		b := w.browser()
		b.refused(subject, b.signIn(), "account")
	}
}

func TestProviderRefuses(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	w.idp.Answer = map[string]string{"error": "access_denied<script>", "code": ""}
	r := b.signIn()
	if strings.Contains(r.body, "script>alert") || strings.Contains(r.body, "access_denied") {
		t.Errorf("the page repeats what the provider said: %s", r.body)
	}
	b.refused("access denied", r, "provider")
	w.idp.Answer = map[string]string{"code": ""}
	b.refused("no code", b.signIn(), "answer")
	w.idp.Answer = map[string]string{"code": "made-up"}
	b.refused("a code that is none", b.signIn(), "code")
	w.idp.Answer = nil
	w.idp.ClientSecret = "another"
	b.refused("a secret that is wrong", b.signIn(), "code")
	if r := b.get("/login/with/none"); r.StatusCode != http.StatusNotFound {
		t.Errorf("no such provider: %d", r.StatusCode)
	}
}

func TestProviderIsDown(t *testing.T) {
	w := newWorld(t, nil)
	w.idp.Down = true
	b := w.browser()
	if r := b.get("/login/with/corp"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", r.StatusCode)
	}
	w.idp.Down = false
	if r := b.get("/login/with/corp"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("asked again at once: %d", r.StatusCode)
	}
	now := time.Now().Add(11 * time.Second)
	oidc.SetNow(w.rp, func() time.Time { return now })
	b.signIn()
	b.in("it is back", "a-1")
	now = now.Add(25 * time.Hour)
	w.idp.Down = true
	answer := b.get("/login/with/corp")
	if answer.StatusCode != http.StatusSeeOther {
		t.Errorf("metadata of before don't count: %d", answer.StatusCode)
	}
}

func TestProvision(t *testing.T) {
	var asked []oidc.Identity
	give, fail := "", error(nil)
	w := newWorld(t, func(p *oidc.Parts, idp *oidc.Provider, _ *login.Options) {
		idp.Domains = []string{"example.org"}
		p.Provision = func(_ context.Context, i oidc.Identity) (string, error) {
			asked = append(asked, i)
			return give, fail
		}
	})
	w.idp.Subject = "u-new"
	email := func(c claims) string {
		t.Helper()
		give, fail = "", oidc.ErrNotLinked
		w.idp.ID = c
		b := w.browser()
		b.refused("turned away", b.signIn(), "unlinked")
		return asked[len(asked)-1].Email
	}
	for want, list := range map[string][]claims{
		"ada@example.org": {{"email": "ada@example.org", "email_verified": true}},
		"ada@Example.ORG": {{"email": "ada@Example.ORG", "email_verified": true}},
		"": {
			{"email": "ada@example.org"},
			{"email": "ada@example.org", "email_verified": false},
			{"email": "ada@example.org", "email_verified": "true"},
			{"email": "ada@example.com", "email_verified": true},
			{"email": "ada@sub.example.org", "email_verified": true},
			{"email": "example.org", "email_verified": true},
			{"email": "@example.org", "email_verified": true},
		},
	} {
		for _, c := range list {
			if got := email(c); got != want {
				t.Errorf("%v: %q, want %q", c, got, want)
			}
		}
	}
	give, fail = "", errors.New("the directory does not answer")
	if r := w.browser().signIn(); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", r.StatusCode)
	}
	give, fail = "a-2", nil
	b := w.browser()
	b.signIn()
	b.in("provisioned", "a-2")
	n := len(asked)
	w.browser().signIn()
	if len(asked) != n {
		t.Error("asked again about a linked identity")
	}
	w.rec.Want(t, "authn.oidc.link", 1)
}

// As a person who is signed in.
func (b *browser) as(account string) string {
	b.w.t.Helper()
	ctx := b.w.t.Context()
	p := authn.Principal{AAL: authn.AAL1, Methods: []string{"pwd"}}
	p.ID, p.Tenant, p.Kind = account, "acme", 1
	epoch := must(b.w.sessions.Epoch(ctx, "acme", account))
	token := must(b.w.sessions.Create(ctx, p, epoch, session.Device{}))
	b.client.Jar.SetCookies(must(url.Parse(b.w.server.URL)), []*http.Cookie{{Name: "__Host-session", Value: token, Path: "/", Secure: true}})
	return token
}

func TestLinking(t *testing.T) {
	w := newWorld(t, nil)
	b, other := w.browser(), w.browser()
	b.as("a-2")
	other.as("a-2")
	w.idp.Subject = "u-2"
	at := b.post("/account/links/corp", nil)
	r := b.get(b.get(at.location).location)
	if r.StatusCode != http.StatusSeeOther || r.location != "/account/security" {
		t.Fatalf("%d %s %s", r.StatusCode, r.location, r.body)
	}
	b.in("who linked", "a-2")
	other.in("another session of the account", "")
	fresh := w.browser()
	fresh.signIn()
	fresh.in("by the new way", "a-2")
	if list, err := w.links.List(t.Context(), "acme", "a-2"); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if ok, err := w.rp.Unlink(t.Context(), "acme", w.idp.Issuer, "u-2", "a-2"); !ok || err != nil {
		t.Error(ok, err)
	}
	fresh.in("after unlinking", "")
	w.rec.Want(t, "authn.oidc.unlink", 1)
	if ok, err := w.rp.Unlink(t.Context(), "acme", w.idp.Issuer, "u-2", "a-2"); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestLinkingIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	if r := b.post("/account/links/corp", nil); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %d", r.StatusCode)
	}
	b.as("a-2")
	if r := b.post("/account/links/corp", nil, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("from another site: %d", r.StatusCode)
	}
	if r := b.post("/account/links/none", nil); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("no such provider: %d", r.StatusCode)
	}
	taken := b.post("/account/links/corp", nil) // u-1 is a-1's
	if r := b.get(b.get(taken.location).location); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("an identity of another account: %d", r.StatusCode)
	}
	// Begun as one account, ended as another: the victim's browser must not
	// link the attacker's identity.
	w.idp.Subject = "u-2"
	back := b.get(b.post("/account/links/corp", nil).location).location
	b.as("a-1")
	if r := b.get(back); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("another account is signed in: %d", r.StatusCode)
	}
	if list, err := w.links.List(t.Context(), "acme", "a-2"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestKeyRotationAtTheProvider(t *testing.T) {
	w := newWorld(t, nil)
	w.browser().signIn()
	w.idp.Rotate("key-2", "RS256")
	b := w.browser()
	b.refused("a key of a moment ago", b.signIn(), "id-token")
	for _, alg := range []string{"ES256", "EdDSA", "PS256"} {
		w := newWorld(t, nil)
		w.idp.Rotate("k", alg)
		b := w.browser()
		b.signIn()
		b.in(alg, "a-1")
	}
}

func TestTransactionsAreSealed(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	answer := b.answer()
	at := must(url.Parse(w.server.URL))
	for _, c := range b.client.Jar.Cookies(at) {
		if !strings.HasPrefix(c.Name, "__Host-oidc-") {
			continue
		}
		forged := []byte(c.Value)
		forged[len(forged)/2] ^= 1
		b.client.Jar.SetCookies(at, []*http.Cookie{{Name: c.Name, Value: string(forged), Path: "/", Secure: true}})
	}
	b.refused("a changed transaction", b.get(answer), "state")
	// Several tabs at once don't disturb each other.
	one, two := b.answer(), b.answer()
	b.get(one)
	b.in("the first", "a-1")
	if r := b.get(two); r.StatusCode != http.StatusSeeOther {
		t.Errorf("the second: %d", r.StatusCode)
	}
}

func TestConcurrentSignIns(t *testing.T) {
	w := newWorld(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			b := w.browser()
			if r := b.signIn(); r.StatusCode != http.StatusSeeOther {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
	wg.Wait()
}

func TestEventsThatCannotBeRecorded(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	answer := b.answer()
	w.rec.FailWith(errors.New("the log is full"))
	if r := b.get(answer); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", r.StatusCode)
	}
	w.rec.FailWith(nil)
	b.in("without an event", "")
}

func TestMemoryConforms(t *testing.T) {
	oidctest.TestLinks(t, func(*testing.T) oidc.Links { return &oidc.Memory{} })
	oidctest.TestReplay(t, func(*testing.T) federation.Replay { return federation.NewMemory() })
}

func TestControls(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range w.rp.Controls() {
		if r := c.Run(t.Context()); r.State.String() != "pass" || c.Validate() != nil {
			t.Errorf("%s: %+v, %v", c.Key(), r, c.Validate())
		}
	}
	w.rec.WantNone(t)
	w = newWorld(t, nil)
	w.idp.Down = true
	if r := w.rp.Controls()[0].Run(t.Context()); r.State.String() != "error" {
		t.Errorf("%+v", r)
	}
}

func TestMistakes(t *testing.T) {
	w := newWorld(t, nil)
	good, parts := w.provider("corp"), oidc.Parts{
		Flow: new(login.Flow), Sessions: w.sessions, Links: w.links, Key: bytes.Repeat([]byte{1}, 32), Recorder: w.rec,
	}
	for name, f := range map[string]func(*oidc.Provider){
		"name":    func(p *oidc.Provider) { p.Name = "Corp/x" },
		"issuer":  func(p *oidc.Provider) { p.Issuer = "http://idp.example" },
		"query":   func(p *oidc.Provider) { p.Issuer = "https://idp.example?x" },
		"client":  func(p *oidc.Provider) { p.ClientID = "" },
		"tenant":  func(p *oidc.Provider) { p.Tenant = "" },
		"age":     func(p *oidc.Provider) { p.MaxAge = time.Second },
		"level":   func(p *oidc.Provider) { p.Assurance = federation.Assurance{ACR: map[string]authn.AAL{"x": 9}} },
		"scope":   func(p *oidc.Provider) { p.Scopes = []string{"a b"} },
		"timeout": func(p *oidc.Provider) { p.Ports, p.Name = []uint16{1}, "" },
	} {
		p := good
		f(&p)
		if _, err := oidc.New(parts, []oidc.Provider{p}, oidc.Options{Origin: "https://a.example"}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	twin := good
	twin.Name, twin.Tenant = "twin", "globex"
	for name, list := range map[string][]oidc.Provider{"none": nil, "twice": {good, good}, "two tenants": {good, twin}} {
		if _, err := oidc.New(parts, list, oidc.Options{Origin: "https://a.example"}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, o := range []oidc.Options{{}, {Origin: "http://a.example"}, {Origin: "https://a.example/x"}, {Origin: "https://a.example", TransactionFor: time.Second}} {
		if _, err := oidc.New(parts, []oidc.Provider{good}, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	short := parts
	short.Key = nil
	for _, p := range []oidc.Parts{{}, short} {
		if _, err := oidc.New(p, []oidc.Provider{good}, oidc.Options{Origin: "https://a.example"}); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}
