package oidc_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/authn/federation/oidc"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/authn/login"
)

// The tests named after OWASP ASVS 5.0 hold one requirement each.

func with(address string, change func(url.Values)) string {
	u := must(url.Parse(address))
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestSignIn(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.in("before", "")
	r := b.signIn()
	if r.StatusCode != http.StatusSeeOther || r.location != "/" {
		t.Fatalf("%d %s %s", r.StatusCode, r.location, r.body)
	}
	b.in("after", "a-1")
	e := w.rec.Want(t, "authn.oidc.verify", 1)
	if e.Tenant != "acme" || len(e.Targets) != 1 || e.Targets[0].ID != "a-1" {
		t.Errorf("%+v", e)
	}
}

func TestASVS_10_1_1_TokensStayHere(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	at := b.get("/login/with/corp")
	back := b.get(at.location)
	r := b.get(back.location)
	seen := fmt.Sprint(at.Header, at.body, back.Header, r.Header, r.body)
	for _, c := range b.client.Jar.Cookies(must(url.Parse(w.server.URL))) {
		seen += c.Value
	}
	for _, secret := range []string{"at-", "eyJ", w.idp.ClientSecret, "code_verifier", "id_token"} {
		if strings.Contains(seen, secret) {
			t.Errorf("the browser sees %q", secret)
		}
	}
	w.rec.WantWithout(t, "eyJ", "u-1", w.idp.ClientSecret)
}

func TestASVS_10_1_2_OnlyWhatThisBrowserAskedFor(t *testing.T) {
	w := newWorld(t, nil)
	victim, attacker := w.browser(), w.browser()
	victim.refused("the attacker's answer in the victim's browser", victim.get(attacker.answer()), "state")
	own := victim.answer()
	victim.refused("another state", victim.get(with(own, func(q url.Values) { q.Set("state", "ABCDEFGHIJKLMNOPQRSTUVWXYZ") })), "state")
	victim.refused("no state", victim.get(with(own, func(q url.Values) { q.Del("state") })), "state")
	victim.refused("two states", victim.get(with(own, func(q url.Values) { q.Add("state", q.Get("state")) })), "state")
	code := must(url.Parse(attacker.answer())).Query().Get("code")
	victim.refused("the attacker's code in the victim's transaction", victim.get(with(victim.answer(), func(q url.Values) { q.Set("code", code) })), "code")
	answer := victim.answer()
	if r := victim.get(answer); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	again := w.browser()
	again.refused("an answer in another browser", again.get(answer), "state")
	if r := victim.get(answer); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("the same answer again: %d", r.StatusCode)
	}
	late := w.browser()
	answer = late.answer()
	oidc.SetNow(w.rp, func() time.Time { return time.Now().Add(11 * time.Minute) })
	late.refused("an answer that took too long", late.get(answer), "state")
}

func TestASVS_10_2_1_CSRFAndPKCE(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	seen := map[string]bool{}
	for range 3 {
		b.answer()
		q := w.idp.Asked()
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if v := q.Get(name); len(v) < 26 || seen[v] {
				t.Errorf("%s %q: short, or used before", name, v)
			}
			seen[q.Get(name)] = true
		}
		if q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != w.server.URL+"/login/with/corp/callback" {
			t.Errorf("%v", q)
		}
	}
}

func TestASVS_10_2_2_MixUp(t *testing.T) {
	evil := oidctest.NewProvider(t)
	w := newWorld(t, nil, oidc.Provider{
		Name: "evil", Issuer: evil.Issuer, ClientID: evil.ClientID, ClientSecret: evil.ClientSecret, Tenant: "acme",
		Allow: evil.Allow, Ports: evil.Ports, RootCAs: evil.RootCAs,
	})
	b := w.browser()
	w.idp.Answer = map[string]string{"iss": evil.Issuer}
	b.refused("an answer in another's name", b.signIn(), "mix-up")
	w.idp.Answer = map[string]string{"iss": ""}
	b.refused("an answer without a name", b.signIn(), "mix-up")
	w.idp.Answer = nil
	b.refused("two names", b.get(with(b.answer(), func(q url.Values) { q.Add("iss", q.Get("iss")) })), "mix-up")
	other := strings.Replace(b.answer(), "/with/corp/", "/with/evil/", 1)
	b.refused("an answer at another provider's address", b.get(other), "state")
	silent := newWorld(t, nil)
	silent.idp.Metadata, silent.idp.Answer = claims{"authorization_response_iss_parameter_supported": nil}, map[string]string{"iss": ""}
	b = silent.browser()
	b.signIn()
	b.in("a provider that does not name itself", "a-1")
}

func TestASVS_10_2_3_OnlyNeededScopes(t *testing.T) {
	w := newWorld(t, nil)
	w.browser().answer()
	if got := w.idp.Asked().Get("scope"); got != "openid" {
		t.Errorf("scope %q", got)
	}
	w = newWorld(t, func(_ *oidc.Parts, p *oidc.Provider, _ *login.Options) { p.Scopes = []string{"openid", "email"} })
	w.browser().answer()
	if got := w.idp.Asked().Get("scope"); got != "openid email" {
		t.Errorf("scope %q", got)
	}
}

func TestASVS_10_5_1_IDTokenReplay(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	for name, nonce := range map[string]any{"another": "x", "none": nil} {
		w.idp.ID = claims{"nonce": nonce}
		b.refused("nonce: "+name, b.signIn(), "nonce")
	}
}

func TestASVS_10_5_2_SubjectNotEmail(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	w.idp.Subject, w.idp.ID = "u-2", claims{"email": "ada@example.org", "email_verified": true, "preferred_username": "ada", "upn": "ada"}
	b.refused("another subject with the same address", b.signIn(), "unlinked")
	w.idp.Subject, w.idp.ID = "u-1", claims{"email": "renamed@example.org"}
	b.signIn()
	b.in("the same subject with another address", "a-1")
	w.idp.ID = claims{"sub": ""}
	b = w.browser()
	b.refused("no subject", b.signIn(), "id-token")
}

func TestASVS_10_5_3_MetadataOfAnotherIssuer(t *testing.T) {
	for name, metadata := range map[string]claims{
		"another issuer":       {"issuer": "https://evil.example"},
		"with a slash":         {"issuer": "x/"},
		"plain HTTP for keys":  {"jwks_uri": "http://127.0.0.1/jwks"},
		"plain HTTP for codes": {"token_endpoint": "http://127.0.0.1/token"},
		"no authorisation":     {"authorization_endpoint": nil},
		"credentials":          {"jwks_uri": "https://a:b@127.0.0.1/jwks"},
	} {
		w := newWorld(t, nil)
		if w.idp.Metadata = metadata; name == "with a slash" {
			w.idp.Metadata = claims{"issuer": w.idp.Issuer + "/"}
		}
		if r := w.browser().get("/login/with/corp"); r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.location)
		}
	}
}

func TestASVS_10_5_4_IDTokenForThisClient(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	for name, c := range map[string]claims{
		"another":          {"aud": "other"},
		"ours and another": {"aud": []string{"records", "other"}},
		"none":             {"aud": nil},
		"another azp":      {"azp": "other"},
	} {
		w.idp.ID = c
		b.refused(name, b.signIn(), "audience")
	}
	w.idp.ID = claims{"aud": []string{"records"}, "azp": "records"}
	b.signIn()
	b.in("as a list", "a-1")
}

func TestASVS_10_5_5_BackChannelLogout(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.signIn()
	b.in("signed in", "a-1")
	send := func(token string) response {
		return w.browser().post("/login/with/corp/logout", url.Values{"logout_token": {token}})
	}
	now := time.Now().Unix()
	for name, token := range map[string]string{
		"another type":       w.idp.LogoutToken("u-1", claims{"typ": "jwt"}, nil),
		"no type":            w.idp.LogoutToken("u-1", claims{"typ": nil}, nil),
		"an ID token":        w.idp.IDToken("x"),
		"with a nonce":       w.idp.LogoutToken("u-1", nil, claims{"nonce": "x"}),
		"without the event":  w.idp.LogoutToken("u-1", nil, claims{"events": claims{"x": claims{}}}),
		"an event of text":   w.idp.LogoutToken("u-1", nil, claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": "x"}}),
		"without events":     w.idp.LogoutToken("u-1", nil, claims{"events": nil}),
		"without id":         w.idp.LogoutToken("u-1", nil, claims{"jti": nil}),
		"without subject":    w.idp.LogoutToken("u-1", nil, claims{"sub": nil, "sid": "s"}),
		"for another client": w.idp.LogoutToken("u-1", nil, claims{"aud": "other"}),
		"of another issuer":  w.idp.LogoutToken("u-1", nil, claims{"iss": "https://evil.example"}),
		"without exp":        w.idp.LogoutToken("u-1", nil, claims{"exp": nil}),
		"for a day":          w.idp.LogoutToken("u-1", nil, claims{"exp": now + 86400}),
		"old":                w.idp.LogoutToken("u-1", nil, claims{"iat": now - 600, "exp": now + 60}),
		"by another key":     oidctest.NewKey("key-1", "ES256").Sign(claims{"typ": "logout+jwt"}, claims{"sub": "u-1"}),
		"not a token":        "x",
	} {
		if r := send(token); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
	b.in("after bad logout tokens", "a-1")
	good := w.idp.LogoutToken("u-1", nil, nil)
	w.rec.FailWith(errors.New("disk full"))
	if r := send(good); r.StatusCode < 500 {
		t.Errorf("nothing could be ended: %d %s", r.StatusCode, r.body)
	}
	w.rec.FailWith(nil) // and the provider sends it again
	if r := send(good); r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	b.in("after the logout", "")
	b.signIn()
	if r := send(good); r.StatusCode != http.StatusBadRequest {
		t.Errorf("the same logout token again: %d", r.StatusCode)
	}
	b.in("after a replay", "a-1")
	if r := send(w.idp.LogoutToken("nobody", nil, nil)); r.StatusCode != http.StatusOK {
		t.Errorf("somebody unknown: %d", r.StatusCode)
	}
	if r := w.browser().post("/login/with/none/logout", nil); r.StatusCode != http.StatusBadRequest {
		t.Errorf("no such provider: %d", r.StatusCode)
	}
}

func TestASVS_6_8_1_OneProviderCannotSpeakForAnother(t *testing.T) {
	other := oidctest.NewProvider(t)
	w := newWorld(t, nil, oidc.Provider{
		Name: "other", Issuer: other.Issuer, ClientID: other.ClientID, ClientSecret: other.ClientSecret, Tenant: "acme",
		Allow: other.Allow, Ports: other.Ports, RootCAs: other.RootCAs,
	})
	other.ID = claims{"email": "ada@example.org", "email_verified": true}
	b := w.browser()
	b.client.Transport.(*http.Transport).TLSClientConfig.RootCAs.AddCert(must(b.w.cert(other)))
	back := b.get(b.get("/login/with/other").location).location
	b.refused("the same subject at another provider", b.get(back), "unlinked")
	other.ID = claims{"iss": w.idp.Issuer}
	back = b.get(b.get("/login/with/other").location).location
	b.refused("in the other's name", b.get(back), "id-token")
}

func TestASVS_6_8_2_SignaturesAreAlwaysChecked(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	for name, header := range map[string]claims{
		"none":        {"alg": "none"},
		"HS256":       {"alg": "HS256"},
		"unknown kid": {"kid": "other"},
		"jwk":         {"jwk": oidctest.NewKey("key-1", "ES256").JWK()},
		"another typ": {"typ": "at+jwt"},
	} {
		w.idp.Header = header
		b.refused(name, b.signIn(), "id-token")
	}
	w.idp.Header = nil
	for name, c := range map[string]claims{
		"expired": {"exp": time.Now().Add(-time.Minute).Unix()}, "without exp": {"exp": nil}, "without iat": {"iat": nil},
		"issued long ago": {"iat": time.Now().Add(-time.Hour).Unix()}, "proof ahead": {"auth_time": time.Now().Add(time.Hour).Unix()},
		"wrong at_hash": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash of another type": {"at_hash": 1}, "sub of another type": {"sub": 1},
	} {
		w.idp.ID = c
		b.refused(name, b.signIn(), "id-token")
	}
}

func TestASVS_6_8_4_StrengthAndRecencyOfTheProvider(t *testing.T) {
	assurance := federation.Assurance{ACR: map[string]authn.AAL{"gold": authn.AAL3}, AMR: map[string]authn.AAL{"mfa": authn.AAL2}}
	level := func(a federation.Assurance, id claims) string {
		w := newWorld(t, func(_ *oidc.Parts, p *oidc.Provider, _ *login.Options) { p.Assurance, p.ACR = a, []string{"gold"} })
		w.idp.ID = id
		b := w.browser()
		b.signIn()
		if w.idp.Asked().Get("acr_values") != "gold" {
			t.Errorf("asked for %v", w.idp.Asked())
		}
		return b.home()
	}
	for name, c := range map[string]struct {
		a    federation.Assurance
		id   claims
		want string
	}{
		"untrusted":        {federation.Assurance{}, claims{"acr": "gold", "amr": []string{"mfa", "hwk"}}, "home of a-1 AAL1"},
		"says nothing":     {assurance, nil, "home of a-1 AAL1"},
		"says too little":  {assurance, claims{"acr": "bronze", "amr": []string{"pwd"}}, "home of a-1 AAL1"},
		"several":          {assurance, claims{"amr": []string{"pwd", "mfa"}}, "home of a-1 AAL2"},
		"several, one hwk": {assurance, claims{"amr": []string{"hwk", "mfa"}}, "home of a-1 AAL2"},
		"hardware":         {assurance, claims{"acr": "gold"}, "home of a-1 AAL3"},
	} {
		if got := level(c.a, c.id); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	w := newWorld(t, func(_ *oidc.Parts, p *oidc.Provider, _ *login.Options) { p.MaxAge = 5 * time.Minute })
	b := w.browser()
	for name, at := range map[string]any{"too long ago": time.Now().Add(-6 * time.Minute).Unix(), "not said": nil} {
		w.idp.ID = claims{"auth_time": at}
		b.refused(name, b.signIn(), "age")
	}
	if got := w.idp.Asked().Get("max_age"); got != "300" {
		t.Errorf("asked for max_age %q", got)
	}
}
