package bearer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/authn/federation/bearer"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/guard"
)

// The tests named after OWASP ASVS 5.0 hold one requirement each.

func TestASVS_9_1_1_SignatureBeforeContent(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(nil)
	w.accept("a good token", w.call(bearing(good)))
	head, rest, _ := strings.Cut(good, ".")
	_, signature, _ := strings.Cut(rest, ".")
	other := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":%q,"aud":%q,"sub":"admin","exp":%d}`, issuerURL, audience, w.now.Unix()+60))
	w.refuse("other claims under the signature", w.call(bearing(head+"."+other+"."+signature)), "signature")
	w.refuse("a cut signature", w.call(bearing(good[:len(good)-4])), "signature")
	w.refuse("no signature", w.call(bearing(head+"."+rest[:strings.IndexByte(rest, '.')]+".")), "signature")
	w.refuse("a signature of zeros", w.call(bearing(good[:len(good)-86]+strings.Repeat("A", 86))), "signature")
}

func TestASVS_9_1_2_AlgorithmAllowlist(t *testing.T) {
	w := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) { i.Algorithms = []jose.Algorithm{jose.ES256} })
	for _, alg := range []string{"none", "None", "NONE", "HS256", "HS512", "ES384", "RS256", "", "dir"} {
		w.refuse("alg "+alg, w.call(bearing(w.key.Sign(claims{"typ": "at+jwt", "alg": alg}, w.claims(nil)))), "signature")
	}
	if _, err := bearer.New(w.rec, []bearer.Issuer{{
		URL: issuerURL, Audience: audience, Tenant: "acme", Keys: keySet(t, w.key), Algorithms: []jose.Algorithm{"HS256"},
	}}, bearer.Options{}); err == nil {
		t.Error("a symmetric algorithm can be allowed")
	}
}

func TestASVS_9_1_3_KeysFromTrustedSources(t *testing.T) {
	w := newWorld(t, nil)
	mine := oidctest.NewKey("k", "ES256")
	for name, header := range map[string]claims{
		"jwk":        {"typ": "at+jwt", "jwk": mine.JWK()},
		"jku":        {"typ": "at+jwt", "jku": "https://evil.example/jwks"},
		"x5u":        {"typ": "at+jwt", "x5u": "https://evil.example/cert"},
		"x5c":        {"typ": "at+jwt", "x5c": []string{"MIIB"}},
		"our kid":    {"typ": "at+jwt"},
		"no kid":     {"typ": "at+jwt", "kid": nil},
		"a path kid": {"typ": "at+jwt", "kid": "../../dev/null"},
	} {
		cause := "signature"
		if name == "a path kid" {
			cause = "key"
		}
		w.refuse(name, w.call(bearing(mine.Sign(header, w.claims(nil)))), cause)
	}
}

func TestASVS_9_2_1_ValiditySpan(t *testing.T) {
	w := newWorld(t, nil)
	in := func(d time.Duration) int64 { return w.now.Add(d).Unix() }
	w.accept("within the leeway", w.call(bearing(w.token(claims{"exp": in(-29 * time.Second), "nbf": in(29 * time.Second)}))))
	for name, c := range map[string]claims{
		"no exp":         {"exp": nil},
		"expired":        {"exp": in(-30 * time.Second)},
		"not yet":        {"nbf": in(31 * time.Second)},
		"issued ahead":   {"iat": in(31 * time.Second)},
		"exp a year off": {"exp": in(365 * 24 * time.Hour)},
	} {
		w.refuse(name, w.call(bearing(w.token(c))), "time")
	}
	for name, c := range map[string]claims{"exp is text": {"exp": "9999999999"}, "exp is huge": {"exp": 1e300}, "exp is null": {"exp": []int{}}} {
		w.refuse(name, w.call(bearing(w.token(c))), "claims")
	}
	// A token that is remembered ends like any other.
	token := w.token(nil)
	w.accept("now", w.call(bearing(token)))
	w.now = w.now.Add(11 * time.Minute)
	w.refuse("later", w.call(bearing(token)), "time")
}

func TestASVS_9_2_2_TokenType(t *testing.T) {
	w := newWorld(t, nil)
	w.accept("the media type", w.call(bearing(w.key.Sign(claims{"typ": "application/AT+JWT"}, w.claims(nil)))))
	for _, typ := range []any{"JWT", "logout+jwt", "dpop+jwt", "secevent+jwt", nil} {
		w.refuse(fmt.Sprintf("typ %v", typ), w.call(bearing(w.key.Sign(claims{"typ": typ}, w.claims(nil)))), "signature")
	}
}

func TestASVS_9_2_3_Audience(t *testing.T) {
	w := newWorld(t, nil)
	w.accept("one of several", w.call(bearing(w.token(claims{"aud": []string{"https://other.example", audience}}))))
	for name, aud := range map[string]any{
		"none": nil, "another": "https://other.example", "a prefix": "https://api.exampl", "longer": audience + "/",
		"empty": []string{}, "in another case": strings.ToUpper(audience),
	} {
		w.refuse(name, w.call(bearing(w.token(claims{"aud": aud}))), "audience")
	}
}

func TestASVS_9_2_4_AudienceIsRequired(t *testing.T) {
	// The issuer signs tokens for everyone with one key, so the audience is
	// what keeps this service apart: it can't be left out on either side.
	w := newWorld(t, nil)
	w.refuse("a token without audience", w.call(bearing(w.token(claims{"aud": nil}))), "audience")
	if _, err := bearer.New(w.rec, []bearer.Issuer{{URL: issuerURL, Tenant: "acme", Keys: keySet(t, w.key)}}, bearer.Options{}); err == nil {
		t.Error("a Verifier without an audience")
	}
}

func TestASVS_10_3_1_AccessTokenForThisService(t *testing.T) {
	w := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) { i.Clients = []string{"web", "cli"} })
	w.accept("our client", w.call(bearing(w.token(nil))))
	w.accept("by azp", w.call(bearing(w.token(claims{"client_id": nil, "azp": "cli"}))))
	for name, c := range map[string]claims{
		"another client":   {"client_id": "evil"},
		"no client":        {"client_id": nil},
		"two, one of them": {"client_id": "web", "azp": "evil"},
	} {
		w.refuse(name, w.call(bearing(w.token(c))), "client")
	}
	w.refuse("a token for the client", w.call(bearing(w.token(claims{"aud": "web"}))), "audience")
}

func TestASVS_10_3_2_ScopesDecide(t *testing.T) {
	w := newWorld(t, nil)
	ask := func(scope any, session string) error {
		p := w.accept("a token", w.call(bearing(w.token(claims{"scope": scope}))))
		p.SessionID = session
		g := bearer.RequireScope("records.write")
		if session != "" {
			g, p.Scopes = g.OrSession(), nil
		}
		_, err := g.Admit(authn.NewContext(t.Context(), p), w.call(""))
		return err
	}
	if err := ask("records.read records.write", ""); err != nil {
		t.Error(err)
	}
	if err := ask("", "s-1"); err != nil {
		t.Errorf("a session: %v", err)
	}
	for _, scope := range []any{nil, "", "records.read", "records.write.all", "RECORDS.WRITE", "records"} {
		var d *guard.Denial
		if err := ask(scope, ""); !errors.As(err, &d) || d.Code != guard.PermissionDenied || d.Challenge[0] != `Bearer error="insufficient_scope", scope="records.write"` {
			t.Errorf("scope %v: %v", scope, err)
		}
	}
	var d *guard.Denial
	if _, err := bearer.RequireScope("x").OrSession().Admit(t.Context(), w.call("")); !errors.As(err, &d) || d.Code != guard.Unauthenticated {
		t.Errorf("nobody: %v", err)
	}
	for _, bad := range [][]string{{}, {""}, {"a b"}, {`a"`}, {"ü"}} {
		if bearer.RequireScope(bad...).Validate() == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, c := range bearer.RequireScope("x").Controls() {
		if r := c.Run(t.Context()); r.State.String() != "pass" || c.Validate() != nil {
			t.Errorf("%+v, %v", r, c.Validate())
		}
	}
}

func TestASVS_10_3_3_IssuerAndSubject(t *testing.T) {
	rec, a, b := &auditlogtest.Recorder{}, oidctest.NewKey("a", "ES256"), oidctest.NewKey("a", "ES256")
	v, err := bearer.New(rec, []bearer.Issuer{
		{URL: "https://a.example", Audience: audience, Tenant: "acme", Keys: keySet(t, a)},
		{URL: "https://b.example", Audience: audience, Tenant: "acme", Keys: keySet(t, b)},
	}, bearer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, v: v, rec: rec, now: time.Now()}
	token := func(k *oidctest.Key, issuer string) string {
		return k.Sign(claims{"typ": "at+jwt"}, w.claims(claims{"iss": issuer, "email": "ada@example.org", "preferred_username": "ada"}))
	}
	one := w.accept("a", w.call(bearing(token(a, "https://a.example"))))
	two := w.accept("b", w.call(bearing(token(b, "https://b.example"))))
	if one.ID == two.ID || one.ID != federation.AccountID("https://a.example", "u-1") {
		t.Errorf("the same subject of two issuers: %q and %q", one.ID, two.ID)
	}
	w.refuse("one issuer's token in the other's name", w.call(bearing(token(b, "https://a.example"))), "signature")
	w.refuse("an unknown issuer", w.call(bearing(token(a, "https://c.example"))), "issuer")
	w.refuse("nearly the issuer", w.call(bearing(token(a, "https://a.example/"))), "issuer")
	single := newWorld(t, nil)
	single.refuse("another issuer", single.call(bearing(single.token(claims{"iss": "https://evil.example"}))), "issuer")
	single.refuse("no subject", single.call(bearing(single.token(claims{"sub": nil}))), "subject")
}

func TestASVS_10_3_4_StrengthAndRecency(t *testing.T) {
	assurance := federation.Assurance{ACR: map[string]authn.AAL{"phr": authn.AAL2}, AMR: map[string]authn.AAL{"mfa": authn.AAL2}}
	w := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) { i.Assurance = assurance })
	for name, c := range map[string]struct {
		claims claims
		want   authn.AAL
	}{
		"nothing":     {claims{}, authn.AAL1},
		"acr":         {claims{"acr": "phr"}, authn.AAL2},
		"another acr": {claims{"acr": "0"}, authn.AAL1},
		"amr":         {claims{"amr": []string{"pwd", "mfa"}}, authn.AAL2},
		"one factor":  {claims{"amr": []string{"pwd"}}, authn.AAL1},
	} {
		p := w.accept(name, w.call(bearing(w.token(c.claims))))
		if p.AAL != c.want || !p.AuthenticatedAt.IsZero() {
			t.Errorf("%s: %+v", name, p)
		}
		admitted := admit(t, p, authn.Required(authn.AAL2, authn.RequiredOptions{}))
		if admitted != (c.want == authn.AAL2) {
			t.Errorf("%s: admitted to a route for AAL2: %t", name, admitted)
		}
	}
	p := w.accept("auth_time", w.call(bearing(w.token(claims{"auth_time": w.now.Unix() - 60}))))
	if !p.AuthenticatedAt.Equal(w.now.Add(-time.Minute)) {
		t.Errorf("%v", p.AuthenticatedAt)
	}
	deaf := newWorld(t, nil)
	if p := deaf.accept("claims of an issuer nobody trusts for them", deaf.call(bearing(deaf.token(claims{"acr": "phr", "amr": []string{"mfa", "hwk"}})))); p.AAL != authn.AAL1 || p.Has("hwk") {
		t.Errorf("%+v", p)
	}
}

func admit(t *testing.T, p authn.Principal, g guard.Guard) bool {
	t.Helper()
	_, err := g.Admit(authn.NewContext(t.Context(), p), guard.Synthetic("t", "t.read", nil))
	return err == nil
}

func TestASVS_10_3_5_SenderConstrained(t *testing.T) {
	t.Run("required", func(t *testing.T) {
		w := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) { i.Bound = true })
		w.refuse("an unbound token", w.call(bearing(w.token(nil))), "unbound")
	})
	t.Run("mtls", mutualTLS)
	t.Run("dpop", dpop)
	t.Run("confirmations that are not understood", func(t *testing.T) {
		w := newWorld(t, nil)
		sum := strings.Repeat("A", 43)
		for name, cnf := range map[string]any{
			"unknown": claims{"kid": sum}, "empty": claims{}, "two": claims{"jkt": sum, "x5t#S256": sum},
			"a number": claims{"jkt": 1}, "short": claims{"jkt": "AA"}, "no object": "x", "null": []int{},
		} {
			w.refuse(name, w.call(bearing(w.token(claims{"cnf": cnf}))), "confirmation")
		}
	})
}

func certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mutualTLS(t *testing.T) {
	w, cert := newWorld(t, nil), certificate(t)
	sum := sha256.Sum256(cert.Raw)
	token := w.token(claims{"cnf": claims{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	state := func(certs ...*x509.Certificate) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: certs}
	}
	w.accept("with its certificate", connection(w.call(bearing(token)), state(cert)))
	w.refuse("without TLS", w.call(bearing(token)), "certificate")
	w.refuse("without a certificate", connection(w.call(bearing(token)), state()), "certificate")
	w.refuse("with another certificate", connection(w.call(bearing(token)), state(certificate(t), cert)), "certificate")
	w.refuse("as DPoP", connection(w.call("DPoP "+token), state(cert)), "scheme")
}

func dpop(t *testing.T) {
	w, mine := newWorld(t, nil), oidctest.NewKey("mine", "ES256")
	token := w.token(claims{"cnf": claims{"jkt": mine.Thumbprint()}})
	url, now := audience+"/records", w.now.Unix()
	with := func(proof string) *guard.Call { return w.call("DPoP "+token, "DPoP", proof) }
	proof := mine.Proof("GET", url, token, now, nil)
	w.accept("with a proof", with(proof))
	w.refuse("the same proof again", with(proof), "proof")
	w.accept("with another proof", with(mine.Proof("GET", url+"?page=3#x", token, now, nil)))
	w.accept("in another spelling", with(mine.Proof("GET", "HTTPS://API.example:443/records", token, now-59, nil)))
	w.refuse("as a bearer token", w.call(bearing(token), "DPoP", mine.Proof("GET", url, token, now, nil)), "scheme")
	w.refuse("an unbound token as DPoP", w.call("DPoP "+w.token(nil), "DPoP", mine.Proof("GET", url, w.token(nil), now, nil)), "scheme")
	w.refuse("without a proof", w.call("DPoP "+token), "proof")
	w.refuse("with two", w.call("DPoP "+token, "DPoP", mine.Proof("GET", url, token, now, nil), "DPoP", mine.Proof("GET", url, token, now, nil)), "proof")
	for name, p := range map[string]string{
		"another method":    mine.Proof("POST", url, token, now, nil),
		"another path":      mine.Proof("GET", audience+"/admin", token, now, nil),
		"another host":      mine.Proof("GET", "https://evil.example/records", token, now, nil),
		"plain HTTP":        mine.Proof("GET", "http://api.example/records", token, now, nil),
		"another token":     mine.Proof("GET", url, w.token(nil), now, nil),
		"too old":           mine.Proof("GET", url, token, now-61, nil),
		"ahead":             mine.Proof("GET", url, token, now+31, nil),
		"another's key":     oidctest.NewKey("theirs", "ES256").Proof("GET", url, token, now, nil),
		"without an id":     mine.Proof("GET", url, token, now, claims{"jti": nil}),
		"without a time":    mine.Proof("GET", url, token, now, claims{"iat": nil}),
		"without the token": mine.Proof("GET", url, token, now, claims{"ath": nil}),
		"a number for htm":  mine.Proof("GET", url, token, now, claims{"htm": 1}),
		"no URL":            mine.Proof("GET", "records", token, now, nil),
		"no token at all":   "x",
		"another type":      mine.Sign(claims{"typ": "jwt", "jwk": mine.JWK()}, claims{}),
	} {
		w.refuse(name, with(p), "proof")
	}
	grpc := guard.Synthetic("/records.v1.Records/Get", "records.read", http.Header{
		"Authorization": {"DPoP " + token}, "Dpop": {mine.Proof("POST", audience+"/records.v1.Records/Get", token, now, nil)},
	})
	w.accept("over gRPC", grpc)
	closed := newWorld(t, func(_ *bearer.Issuer, o *bearer.Options) { o.Origin = "" })
	token = closed.token(claims{"cnf": claims{"jkt": mine.Thumbprint()}})
	closed.refuse("without Origin", closed.call("DPoP "+token, "DPoP", mine.Proof("GET", url, token, now, nil)), "proof")
}

func TestPrincipal(t *testing.T) {
	w := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) { i.Groups = "groups" })
	p := w.accept("a person", w.call(bearing(w.token(claims{"groups": []string{"a", "b"}}))))
	if p.Kind != auditlog.User || p.Tenant != "acme" || len(p.Groups) != 2 || p.SessionID != "" || len(p.Scopes) != 2 {
		t.Errorf("%+v", p)
	}
	if strings.Contains(p.ID, "u-1") {
		t.Errorf("the pseudonym tells the subject: %q", p.ID)
	}
	if p := w.accept("a program", w.call(bearing(w.token(claims{"sub": "web"})))); p.Kind != auditlog.Service {
		t.Errorf("%+v", p)
	}
	if p := w.accept("groups of another type", w.call(bearing(w.token(claims{"groups": claims{}})))); p.Groups != nil {
		t.Errorf("%+v", p)
	}
}

// A withdrawn key and an ended account count at once, whatever is remembered.
func TestRevocation(t *testing.T) {
	ended := error(nil)
	keys := &swap{}
	w := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) {
		keys.Keys = i.Keys
		i.Keys = keys
		i.Account = func(_ context.Context, _ bearer.Token, p *authn.Principal) error {
			p.ID = "u-77"
			return ended
		}
	})
	call := w.call(bearing(w.token(nil)))
	if p := w.accept("a token", call); p.ID != "u-77" {
		t.Errorf("%+v", p)
	}
	ctx := guard.WithCall(t.Context(), call)
	if err := w.v.Revalidate(ctx, authn.Principal{}); err != nil {
		t.Errorf("a stream: %v", err)
	}
	ended = fmt.Errorf("left: %w", authn.ErrCredential)
	w.refuse("an ended account", call, "account")
	if err := w.v.Revalidate(ctx, authn.Principal{}); !errors.Is(err, authn.ErrCredential) {
		t.Errorf("a stream of an ended account: %v", err)
	}
	ended = errors.New("the directory does not answer")
	if _, err := w.v.Authenticate(t.Context(), call); err == nil || errors.Is(err, authn.ErrCredential) {
		t.Errorf("a directory that does not answer: %v", err)
	}
	ended = nil
	keys.Keys = keySet(t, oidctest.NewKey("k2", "ES256"))
	w.refuse("a withdrawn key", call, "key")
	keys.Keys = down{}
	if _, err := w.v.Authenticate(t.Context(), call); err == nil || errors.Is(err, authn.ErrCredential) {
		t.Errorf("keys that can't be had: %v", err)
	}
	if err := w.v.Revalidate(t.Context(), authn.Principal{}); err != nil {
		t.Errorf("no call: %v", err)
	}
}

type swap struct{ jose.Keys }

type down struct{}

func (down) Key(context.Context, string, jose.Algorithm) (*jose.Key, error) {
	return nil, errors.New("no answer")
}

func TestCredentialsOfOthersAreLeftAlone(t *testing.T) {
	w := newWorld(t, nil)
	for _, header := range []string{"", "Bearer acme.secret", "Bearer sk_1234", "Basic YTpi", "Bearer", "bearer a.b.c.d"} {
		if _, err := w.v.Authenticate(t.Context(), w.call(header)); !errors.Is(err, authn.ErrNoCredential) {
			t.Errorf("%q: %v", header, err)
		}
	}
	if _, err := w.v.Authenticate(t.Context(), w.call(bearing(w.token(nil)), "Authorization", bearing(w.token(nil)))); !errors.Is(err, authn.ErrNoCredential) {
		t.Errorf("two headers: %v", err)
	}
	w.accept("another spelling of the scheme", w.call("bEARER "+w.token(nil)))
}

// A refusal that can't be recorded denies, and the caller learns no cause.
func TestRefusalsAreEvents(t *testing.T) {
	w := newWorld(t, nil)
	w.rec.FailWith(errors.New("the log is full"))
	if _, err := w.v.Authenticate(t.Context(), w.call(bearing(w.token(claims{"exp": nil})))); err == nil {
		t.Error("accepted")
	}
	w.rec.FailWith(nil)
	w.refuse("an expired token", w.call(bearing(w.token(claims{"exp": 1}))), "time")
	e := w.rec.Want(t, "authn.bearer.verify", auditlog.Denied)
	if e.Reason != "authn.required" || e.Tenant != "acme" {
		t.Errorf("%+v", e)
	}
	w.rec.WantWithout(t, "u-1")
}

func TestCacheIsBounded(t *testing.T) {
	w := newWorld(t, func(_ *bearer.Issuer, o *bearer.Options) { o.Cache = 8 })
	first := w.token(nil)
	for i := range 50 {
		w.accept("a token", w.call(bearing(w.token(claims{"jti": fmt.Sprint(i)}))))
		w.accept("one that is asked for", w.call(bearing(first)))
	}
	if n := bearer.Cached(w.v); n > 8 {
		t.Errorf("%d tokens are remembered, want at most 8", n)
	}
	off := newWorld(t, func(_ *bearer.Issuer, o *bearer.Options) { o.Cache = -1 })
	off.accept("a token", off.call(bearing(off.token(nil))))
}

func TestControls(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range w.v.Controls() {
		if r := c.Run(t.Context()); r.State.String() != "pass" || c.Validate() != nil {
			t.Errorf("%s: %+v, %v", c.Key(), r, c.Validate())
		}
	}
	broken := newWorld(t, func(i *bearer.Issuer, _ *bearer.Options) { i.Keys = down{} })
	if r := broken.v.Controls()[0].Run(t.Context()); r.State.String() != "error" {
		t.Errorf("keys that can't be had: %+v", r)
	}
}

func TestMistakesInTheOptions(t *testing.T) {
	k := oidctest.NewKey("k", "ES256")
	good := bearer.Issuer{URL: issuerURL, Audience: audience, Tenant: "acme", Keys: keySet(t, k)}
	change := func(f func(*bearer.Issuer)) []bearer.Issuer {
		i := good
		f(&i)
		return []bearer.Issuer{i}
	}
	rec := &auditlogtest.Recorder{}
	for name, list := range map[string][]bearer.Issuer{
		"none": nil, "no URL": change(func(i *bearer.Issuer) { i.URL = "" }), "no tenant": change(func(i *bearer.Issuer) { i.Tenant = "" }),
		"no keys": change(func(i *bearer.Issuer) { i.Keys = nil }), "twice": {good, good},
		"no level": change(func(i *bearer.Issuer) { i.Assurance.ACR = map[string]authn.AAL{"x": 4} }),
		"types":    change(func(i *bearer.Issuer) { i.Types = []string{"JWT"} }),
	} {
		if _, err := bearer.New(rec, list, bearer.Options{}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, o := range []bearer.Options{{MaxLifetime: time.Second}, {Leeway: time.Hour}, {Leeway: -1}, {Origin: "api.example"}, {Origin: "https://api.example/x"}} {
		if _, err := bearer.New(rec, []bearer.Issuer{good}, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := bearer.New(nil, []bearer.Issuer{good}, bearer.Options{}); err == nil {
		t.Error("without a recorder")
	}
}
