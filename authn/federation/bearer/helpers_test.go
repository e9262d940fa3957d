package bearer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation/bearer"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/guard"
)

type claims = oidctest.Claims

const (
	issuerURL = "https://idp.example"
	audience  = "https://api.example"
)

// A world has one issuer with one key, and a clock.
type world struct {
	t   *testing.T
	key *oidctest.Key
	rec *auditlogtest.Recorder
	v   *bearer.Verifier
	now time.Time
}

func newWorld(t *testing.T, change func(*bearer.Issuer, *bearer.Options)) *world {
	t.Helper()
	w := &world{t: t, key: oidctest.NewKey("k", "ES256"), rec: &auditlogtest.Recorder{}, now: time.Unix(1_800_000_000, 0)}
	in := bearer.Issuer{URL: issuerURL, Audience: audience, Tenant: "acme", Keys: keySet(t, w.key)}
	o := bearer.Options{Origin: audience}
	if change != nil {
		change(&in, &o)
	}
	v, err := bearer.New(w.rec, []bearer.Issuer{in}, o)
	if err != nil {
		t.Fatal(err)
	}
	bearer.SetNow(v, func() time.Time { return w.now })
	w.v = v
	return w
}

func keySet(t *testing.T, keys ...*oidctest.Key) *jose.Set {
	t.Helper()
	s, err := jose.ParseSet(oidctest.JWKS(keys...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// claims are those of a good token, changed.
func (w *world) claims(more claims) claims {
	c := claims{
		"iss": issuerURL, "aud": audience, "sub": "u-1", "client_id": "web", "scope": "records.read records.write",
		"jti": "1", "iat": w.now.Unix(), "exp": w.now.Add(10 * time.Minute).Unix(),
	}
	for k, v := range more {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func (w *world) token(more claims) string {
	return w.key.Sign(claims{"typ": "at+jwt"}, w.claims(more))
}

// call is a request with a header Authorization.
func (w *world) call(authorization string, header ...string) *guard.Call {
	h := http.Header{}
	if authorization != "" {
		h.Set("Authorization", authorization)
	}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	c := guard.Synthetic("GET /records", "records.read", h)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, audience+"/records?page=2", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Request = r
	return c
}

func (w *world) accept(what string, call *guard.Call) authn.Principal {
	w.t.Helper()
	p, err := w.v.Authenticate(w.t.Context(), call)
	if err != nil {
		w.t.Fatalf("%s was refused: %v", what, err)
	}
	return p
}

// refuse checks that a call is refused for the cause, and that the refusal is
// an event.
func (w *world) refuse(what string, call *guard.Call, cause string) {
	w.t.Helper()
	before := len(w.rec.Entries())
	p, err := w.v.Authenticate(w.t.Context(), call)
	if !errors.Is(err, authn.ErrCredential) || p.Authenticated() {
		w.t.Errorf("%s: %+v, %v", what, p, err)
		return
	}
	events := w.rec.Entries()
	if len(events) != before+1 {
		w.t.Errorf("%s: %d events", what, len(events)-before)
		return
	}
	got, _ := auditlogtest.Attr(events[before], "cause")
	if events[before].Action != "authn.bearer.verify" || got != cause {
		w.t.Errorf("%s: %s because of %q, want %q (%v)", what, events[before].Action, got, cause, err)
	}
}

func bearing(token string) string { return "Bearer " + token }

func connection(c *guard.Call, state *tls.ConnectionState) *guard.Call {
	c.TLS = state
	return c
}
