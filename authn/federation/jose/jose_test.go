package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/federation/oidctest"
)

type claims = oidctest.Claims

var all = []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.Ed25519, jose.RS256, jose.PS256}

func verifier(t *testing.T, keys jose.Keys) *jose.Verifier {
	t.Helper()
	v, err := jose.NewVerifier(keys, jose.Policy{Algorithms: all, Types: []string{"at+jwt"}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func set(t *testing.T, keys ...*oidctest.Key) *jose.Set {
	t.Helper()
	s, err := jose.ParseSet(oidctest.JWKS(keys...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var typ = claims{"typ": "at+jwt"}

func TestEveryAlgorithmVerifies(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		t.Run(alg, func(t *testing.T) {
			k := oidctest.NewKey("k", alg)
			v := verifier(t, set(t, k))
			token := k.Sign(typ, claims{"sub": "u"})
			for range 2 { // the second time the header is known
				m, err := v.Verify(t.Context(), token)
				if err != nil || string(m.Payload) != `{"sub":"u"}` || m.Key.Thumbprint() != k.Thumbprint() || m.Header.KeyID != "k" {
					t.Fatalf("%+v, %v", m, err)
				}
			}
			for i := range len(token) {
				forged := []byte(token)
				if forged[i] ^= 1; forged[i] == '\n' {
					continue
				}
				if _, err := v.Verify(t.Context(), string(forged)); !errors.Is(err, jose.ErrToken) {
					t.Fatalf("byte %d changed: %v", i, err)
				}
			}
		})
	}
}

// Signatures whose numbers begin with zeros must verify too: one in 128 does.
func TestShortNumbersVerify(t *testing.T) {
	k := oidctest.NewKey("k", "ES256")
	v := verifier(t, set(t, k))
	for i := range 600 {
		if _, err := v.Verify(t.Context(), k.Sign(typ, claims{"n": i})); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	k, other := oidctest.NewKey("k", "ES256"), oidctest.NewKey("o", "ES256")
	v := verifier(t, set(t, k))
	body := claims{"sub": "u"}
	raw := func(header string) string { return k.SignRaw([]byte(header), []byte(`{}`)) }
	for name, token := range map[string]string{
		"another key under our id":     other.Sign(claims{"typ": "at+jwt", "kid": "k"}, body),
		"an unknown id":                other.Sign(typ, body),
		"its own key":                  other.Sign(claims{"typ": "at+jwt", "kid": nil, "jwk": other.JWK()}, body),
		"its own key, rightly signed":  k.Sign(claims{"typ": "at+jwt", "jwk": k.JWK()}, body),
		"jku":                          k.Sign(claims{"typ": "at+jwt", "jku": "https://evil.example"}, body),
		"x5u":                          k.Sign(claims{"typ": "at+jwt", "x5u": "https://evil.example"}, body),
		"x5c":                          k.Sign(claims{"typ": "at+jwt", "x5c": []string{"AA"}}, body),
		"crit":                         k.Sign(claims{"typ": "at+jwt", "crit": []string{"exp"}, "exp": 1}, body),
		"b64":                          k.Sign(claims{"typ": "at+jwt", "b64": false}, body),
		"another type":                 k.Sign(claims{"typ": "jwt"}, body),
		"no type":                      k.Sign(claims{}, body),
		"none":                         k.Sign(claims{"typ": "at+jwt", "alg": "none"}, body),
		"NONE":                         k.Sign(claims{"typ": "at+jwt", "alg": "NoNe"}, body),
		"a symmetric algorithm":        k.Sign(claims{"typ": "at+jwt", "alg": "HS256"}, body),
		"another curve's algorithm":    k.Sign(claims{"typ": "at+jwt", "alg": "ES384"}, body),
		"no algorithm":                 k.Sign(claims{"typ": "at+jwt", "alg": nil}, body),
		"an id that is a number":       k.Sign(claims{"typ": "at+jwt", "kid": 1}, body),
		"alg twice":                    raw(`{"alg":"ES256","alg":"ES256","kid":"k","typ":"at+jwt"}`),
		"ALG":                          raw(`{"ALG":"ES256","kid":"k","typ":"at+jwt"}`),
		"an escaped name":              raw(`{"a\u006cg":"ES256","alg":"ES256","kid":"k","typ":"at+jwt"}`),
		"text after the header":        raw(`{"alg":"ES256","kid":"k","typ":"at+jwt"} {}`),
		"an array":                     raw(`["alg"]`),
		"bytes that are no text":       raw("{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"at+jwt\",\"x\":\"\xff\"}"),
		"four parts":                   k.Sign(typ, body) + ".",
		"two parts":                    strings.TrimSuffix(k.Sign(typ, body), ".")[:20] + ".e30",
		"an empty signature":           k.Sign(typ, body)[:strings.LastIndexByte(k.Sign(typ, body), '.')+1],
		"padding":                      k.Sign(typ, body) + "=",
		"a line break":                 k.Sign(typ, body) + "\n",
		"a token that is far too long": strings.Repeat("a", jose.MaxToken+1),
		"nothing":                      "",
	} {
		if m, err := v.Verify(t.Context(), token); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// A peer's failure: an RSA key's text taken as the secret of HS256, or an RSA
// key used with an algorithm its set does not name.
func TestAlgorithmConfusion(t *testing.T) {
	k := oidctest.NewKey("k", "PS256")
	v := verifier(t, set(t, k))
	k.Alg = "RS256"
	if _, err := v.Verify(t.Context(), k.Sign(typ, claims{})); !errors.Is(err, jose.ErrToken) {
		t.Errorf("RS256 with a key for PS256: %v", err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	ec, rs := oidctest.NewKey("k", "ES256").JWK(), oidctest.NewKey("k", "RS256").JWK()
	ed := oidctest.NewKey("k", "EdDSA").JWK()
	change := func(from claims, name string, value any) []byte {
		c := claims{}
		for k, v := range from {
			c[k] = v
		}
		if c[name] = value; value == nil {
			delete(c, name)
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, data := range map[string][]byte{
		"for encryption":            change(ec, "use", "enc"),
		"not for verifying":         change(ec, "key_ops", []string{"encrypt"}),
		"an algorithm that is none": change(ec, "alg", "ES256K"),
		"of another curve":          change(ec, "alg", "ES384"),
		"an algorithm of RSA":       change(ec, "alg", "RS256"),
		"with a secret":             change(ec, "d", "AAAA"),
		"not on the curve":          change(ec, "y", ec["x"]),
		"short":                     change(ec, "x", "AAAA"),
		"padded":                    change(ec, "x", ec["x"].(string)+"="),
		"a curve that is none":      change(ec, "crv", "secp256k1"),
		"a kind that is none":       change(ec, "kty", "XX"),
		"symmetric":                 change(ec, "kty", "oct"),
		"a small modulus":           change(rs, "n", base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(3), 1022).Bytes())),
		"an even exponent":          change(rs, "e", "BA"),
		"a zero before the modulus": change(rs, "n", "AA"+rs["n"].(string)[:2]),
		"without exponent":          change(rs, "e", nil),
		"X25519":                    change(ed, "crv", "X25519"),
		"short Ed25519":             change(ed, "x", "AAAA"),
		"no object":                 []byte(`[]`),
	} {
		if _, err := jose.ParseKey(data); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string]string{
		"empty":              `{"keys":[]}`,
		"no keys":            `{}`,
		"no object":          `[]`,
		"a symmetric key":    `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
		"only a useless key": `{"keys":[{"kty":"EC"}]}`,
		"repeated member":    `{"keys":[],"keys":[]}`,
	} {
		if _, err := jose.ParseSet([]byte(data)); !errors.Is(err, jose.ErrKey) {
			t.Errorf("set: %s: %v", name, err)
		}
	}
	if _, err := jose.ParseSet(oidctest.JWKS(oidctest.NewKey("k", "ES256"), oidctest.NewKey("k", "ES256"))); !errors.Is(err, jose.ErrKey) {
		t.Errorf("two keys with one id: %v", err)
	}
}

func TestNewKey(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "PS256"} {
		k := oidctest.NewKey("k", alg)
		got, err := jose.NewKey("k", jose.Algorithm(alg), k.Public())
		if err != nil || got.Thumbprint() != k.Thumbprint() || got.ID() != "k" {
			t.Errorf("%s: %v", alg, err)
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), nil)
	if err == nil {
		if _, err := jose.NewKey("", "", &p224.PublicKey); !errors.Is(err, jose.ErrKey) {
			t.Errorf("P-224: %v", err)
		}
	}
	for name, public := range map[string]any{
		"nil": nil, "a string": "x", "short": ed25519.PublicKey("x"),
		"weak": &rsa.PublicKey{N: big.NewInt(15), E: 3},
	} {
		if _, err := jose.NewKey("", "", public); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The thumbprint of RFC 7638, section 3.1.
func TestThumbprintOfRFC7638(t *testing.T) {
	k, err := jose.ParseKey([]byte(`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`))
	if err != nil || k.Thumbprint() != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%v, %v", k, err)
	}
}

// The example of RFC 8037, appendix A.4.
func TestEdDSAOfRFC8037(t *testing.T) {
	s, err := jose.ParseSet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jose.NewVerifier(s, jose.Policy{Algorithms: []jose.Algorithm{jose.EdDSA}, Types: []string{""}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := v.Verify(t.Context(), "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
	if err != nil || string(m.Payload) != "Example of Ed25519 signing" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestEmbeddedKeys(t *testing.T) {
	k, other := oidctest.NewKey("k", "ES256"), oidctest.NewKey("o", "ES256")
	p := jose.Policy{Algorithms: all, Types: []string{"dpop+jwt"}}
	m, err := jose.VerifyEmbedded(k.Proof("GET", "https://a.example", "t", 1, nil), p)
	if err != nil || m.Key.Thumbprint() != k.Thumbprint() {
		t.Errorf("%+v, %v", m, err)
	}
	secret := k.JWK()
	secret["d"] = "AAAA"
	for name, token := range map[string]string{
		"another's key":  k.Sign(claims{"typ": "dpop+jwt", "jwk": other.JWK()}, claims{}),
		"no key":         k.Sign(claims{"typ": "dpop+jwt"}, claims{}),
		"a secret key":   k.Sign(claims{"typ": "dpop+jwt", "jwk": secret}, claims{}),
		"a text for key": k.Sign(claims{"typ": "dpop+jwt", "jwk": "x"}, claims{}),
		"another type":   k.Sign(claims{"typ": "at+jwt", "jwk": k.JWK()}, claims{}),
		"another alg":    k.Sign(claims{"typ": "dpop+jwt", "alg": "ES384", "jwk": other.JWK()}, claims{}),
	} {
		if _, err := jose.VerifyEmbedded(token, p); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	s := set(t, oidctest.NewKey("k", "ES256"))
	for name, p := range map[string]jose.Policy{
		"nothing":        {},
		"no types":       {Algorithms: all},
		"HS256":          {Algorithms: []jose.Algorithm{"HS256"}, Types: []string{"jwt"}},
		"none":           {Algorithms: []jose.Algorithm{jose.ES256, "none"}, Types: []string{"jwt"}},
		"a type in caps": {Algorithms: all, Types: []string{"JWT"}},
		"a media type":   {Algorithms: all, Types: []string{"application/jwt"}},
	} {
		if _, err := jose.NewVerifier(s, p); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := jose.VerifyEmbedded("", p); err == nil || errors.Is(err, jose.ErrToken) {
			t.Errorf("embedded: %s: %v", name, err)
		}
	}
	if _, err := jose.NewVerifier(nil, jose.Policy{Algorithms: all, Types: []string{"jwt"}}); err == nil {
		t.Error("no keys were taken")
	}
}

func TestClaims(t *testing.T) {
	c, err := jose.ParseClaims([]byte(`{"iss":"i","sub":"s\u0020x","aud":["a","b"],"exp":2e9,"nbf":1.5,"amr":["pwd"],"x":{"y":[1,"}"]},"z":"w" }`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "s x" || len(c.Audience) != 2 || c.Expires.Unix() != 2e9 || c.Since.Unix() != 1 || !c.Has("x") {
		t.Errorf("%+v", c)
	}
	var x struct{ Y []any }
	if err := c.Decode("x", &x); err != nil || len(x.Y) != 2 {
		t.Errorf("%+v, %v", x, err)
	}
	if z, ok := c.Text("z"); !ok || z != "w" {
		t.Error(z, ok)
	}
	if _, ok := c.Text("none"); ok {
		t.Error("a claim that is not there")
	}
	for _, bad := range []string{
		``, `null`, `[]`, `{"iss":1}`, `{"aud":[1]}`, `{"aud":null}`, `{"aud":[null]}`, `{"exp":"1"}`, `{"exp":-1}`, `{"exp":1e300}`,
		`{"exp":null}`, `{"sub":"a","sub":"b"}`, `{"sub":"a",}`, `{"amr":{}}`, `{} {}`, `{"s\u0075b":"x"}`,
	} {
		if _, err := jose.ParseClaims([]byte(bad)); !errors.Is(err, jose.ErrClaims) || !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTimely(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	for name, c := range map[string]struct {
		claims jose.Claims
		ok     bool
	}{
		"in time":          {jose.Claims{Expires: at(time.Minute)}, true},
		"within leeway":    {jose.Claims{Expires: at(-9 * time.Second)}, true},
		"without exp":      {jose.Claims{}, false},
		"expired":          {jose.Claims{Expires: at(-10 * time.Second)}, false},
		"too far ahead":    {jose.Claims{Expires: at(time.Hour + 11*time.Second)}, false},
		"not yet":          {jose.Claims{Expires: at(time.Minute), Since: at(11 * time.Second)}, false},
		"issued tomorrow":  {jose.Claims{Expires: at(time.Minute), Issued: at(11 * time.Second)}, false},
		"issued yesterday": {jose.Claims{Expires: at(time.Minute), Issued: at(-24 * time.Hour)}, true},
	} {
		if err := c.claims.Timely(now, 10*time.Second, time.Hour); (err == nil) != c.ok || err != nil && !errors.Is(err, jose.ErrClaims) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseClaims(f *testing.F) {
	for _, s := range []string{`{}`, `{"iss":"i","aud":["a"],"exp":1}`, `{"a":{"b":[{}]},"c":"\"}"}`, `{"a":1,"a":2}`, ` { "x" : [ ] } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := jose.ParseClaims(data)
		if err != nil {
			return
		}
		var other map[string]json.RawMessage
		if err := json.Unmarshal(data, &other); err != nil {
			t.Fatalf("encoding/json does not read it: %v", err)
		}
		for name, value := range other {
			if c.Has(name) {
				var a, b any
				if json.Unmarshal(value, &a) != nil || c.Decode(name, &b) != nil {
					t.Errorf("%q: another value", name)
				}
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	s, err := jose.ParseSet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	if err != nil {
		f.Fatal(err)
	}
	v, err := jose.NewVerifier(s, jose.Policy{Algorithms: all, Types: []string{""}})
	if err != nil {
		f.Fatal(err)
	}
	good := "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	f.Add(good)
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.Verify(t.Context(), token); err == nil && token != good {
			t.Errorf("accepted: %q", token)
		}
		_, _ = jose.UnverifiedIssuer(token)
	})
}
