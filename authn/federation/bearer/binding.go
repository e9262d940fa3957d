package bearer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/guard"
)

const (
	boundDPoP = "dpop"
	boundTLS  = "mtls"

	proofAge = time.Minute // how old a proof may be
)

// binding reads to what a token is bound. A confirmation that is not
// understood is not passed over: whoever put it there wanted it checked.
func binding(c *jose.Claims) (string, error) {
	if !c.Has("cnf") {
		return "", nil
	}
	kind, n := "", 0
	err := c.Members("cnf", func(name, value string) error {
		var s string
		if n++; json.Unmarshal([]byte(value), &s) != nil || len(s) != 43 {
			return errors.New("want a SHA-256 in base64url")
		}
		switch name {
		case "jkt":
			kind = boundDPoP
		case "x5t#S256":
			kind = boundTLS
		default:
			return errors.New("a method that is not known")
		}
		return nil
	})
	if err == nil && n != 1 {
		err = errors.New("cnf: want one method")
	}
	if err != nil {
		return "", refuse("confirmation", err)
	}
	return kind, nil
}

// confirmation is the hash that a bound token carries.
func confirmation(c *jose.Claims, name string) (sum string) {
	_ = c.Members("cnf", func(n, value string) error { // binding has read it already
		if n == name {
			return json.Unmarshal([]byte(value), &sum) //nolint:wrapcheck // likewise
		}
		return nil
	})
	return sum
}

// holds checks that the caller holds the key that the token is bound to.
func (v *Verifier) holds(ctx context.Context, call *guard.Call, scheme, raw string, t Token, in *issuer) error {
	if (scheme == "dpop") != (t.Bound == boundDPoP) {
		// A bound token as a plain bearer token would be good for a thief
		// (RFC 9449, section 7.2); the reverse proves nothing.
		return refuse("scheme", errors.New("the scheme does not fit the token's binding"))
	}
	switch t.Bound {
	case boundTLS:
		return holdsCertificate(call, confirmation(t.Claims, "x5t#S256"))
	case boundDPoP:
		return v.holdsKey(ctx, call, raw, confirmation(t.Claims, "jkt"), in)
	}
	return nil
}

// holdsCertificate compares with the certificate of the connection, whose key
// the handshake has proven (RFC 8705, section 3). Whether an authority has
// issued it does not matter.
func holdsCertificate(call *guard.Call, want string) error {
	if call.TLS == nil || len(call.TLS.PeerCertificates) == 0 {
		return refuse("certificate", errors.New("the connection has no client certificate"))
	}
	if !equal(hash(call.TLS.PeerCertificates[0].Raw), want) {
		return refuse("certificate", errors.New("the client certificate is another one"))
	}
	return nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

var proofPolicy = jose.Policy{
	Algorithms: []jose.Algorithm{jose.ES256, jose.EdDSA, jose.Ed25519, jose.PS256, jose.RS256, jose.ES384},
	Types:      []string{"dpop+jwt"},
}

// holdsKey checks a DPoP proof (RFC 9449, section 4.3).
func (v *Verifier) holdsKey(ctx context.Context, call *guard.Call, raw, want string, in *issuer) error {
	if v.o.Origin == "" {
		return refuse("proof", errors.New("Options.Origin is not set"))
	}
	proofs := call.Header("DPoP")
	if len(proofs) != 1 {
		return refuse("proof", fmt.Errorf("%d headers DPoP: want one", len(proofs)))
	}
	m, err := jose.VerifyEmbedded(proofs[0], proofPolicy)
	if err != nil {
		return refuse("proof", err)
	}
	if !equal(m.Key.Thumbprint(), want) {
		return refuse("proof", errors.New("the key is not the one the token is bound to"))
	}
	c, err := jose.ParseClaims(m.Payload)
	if err != nil {
		return refuse("proof", err)
	}
	if err := v.fits(c, call, raw); err != nil {
		return refuse("proof", err)
	}
	until := c.Issued.Add(proofAge + v.o.Leeway)
	fresh, err := v.o.Proofs.Use(ctx, in.Tenant, want+"."+hash([]byte(c.ID)), until)
	switch {
	case err != nil:
		return fmt.Errorf("bearer: proofs: %w", err)
	case !fresh:
		return refuse("proof", errors.New("the proof was used before"))
	}
	return nil
}

// fits reports what about a proof is not of this call and moment.
func (v *Verifier) fits(c *jose.Claims, call *guard.Call, raw string) error {
	method, target := v.target(call)
	htm, _ := c.Text("htm")
	htu, _ := c.Text("htu")
	ath, _ := c.Text("ath")
	age := v.now().Sub(c.Issued)
	switch {
	case c.ID == "" || len(c.ID) > 256:
		return errors.New("jti: want 1 to 256 bytes")
	case htm != method || target == "" || sameTarget(htu) != target:
		return errors.New("htm and htu: another method or URL")
	case c.Issued.IsZero() || age > proofAge || age < -v.o.Leeway:
		return errors.New("iat: too long ago, or ahead")
	case !equal(ath, hash([]byte(raw))):
		return errors.New("ath: another token")
	}
	return nil
}

// target is what a proof of this call must be for: the URL as callers know
// it, not what the request says about its host, and without query.
func (v *Verifier) target(call *guard.Call) (method, target string) {
	if r, ok := call.Request.(*http.Request); ok {
		return r.Method, v.o.Origin + path(r.URL)
	}
	return http.MethodPost, v.o.Origin + call.Operation // gRPC: "/package.Service/Method"
}

func path(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

// sameTarget brings "htu" into the form of target; empty if it is no URL.
func sameTarget(htu string) string {
	u, err := url.Parse(htu)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil {
		return ""
	}
	return origin(u) + path(u)
}

// origin is scheme and host in lower case, without the scheme's own port.
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}
