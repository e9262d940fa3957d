package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/guard"
)

// An Issuer is a party whose tokens are taken.
type Issuer struct {
	// URL is the value of "iss", exactly.
	URL string
	// Audience is what the issuer calls this service in "aud".
	Audience string
	// Tenant is whose principals the issuer speaks of.
	Tenant string
	// Keys are the issuer's, from jose.Fetch or jose.ParseSet.
	Keys jose.Keys

	// Algorithms are those the issuer signs with. Empty is ES256, EdDSA,
	// PS256 and RS256.
	Algorithms []jose.Algorithm
	// Types are the values of "typ" of its access tokens. Empty is "at+jwt"
	// alone (RFC 9068). An issuer that has no type for access tokens needs
	// "jwt" or "" here, and its ID tokens must have another audience.
	Types []string
	// Clients are the clients whose tokens are taken, by "azp" or
	// "client_id"; a token that names one must name one of these. Empty is
	// any client.
	Clients []string
	// Bound refuses tokens that are not bound to a key of the caller's.
	Bound bool
	// Assurance is what the issuer's "acr" and "amr" are worth.
	Assurance federation.Assurance
	// Groups is the claim with the groups of the caller; empty for none.
	Groups string
	// Account completes the principal of a verified token, such as with the
	// id and the tenant of the account that it stands for. An error that
	// wraps authn.ErrCredential refuses the token: the account has ended. It
	// is asked on every call. Nil leaves the principal with
	// federation.AccountID.
	Account func(context.Context, Token, *authn.Principal) error
}

// Options are the options of a [Verifier].
type Options struct {
	// MaxLifetime is how far ahead "exp" may be; 0 is 24 h. A stolen token is
	// good for at most as long.
	MaxLifetime time.Duration
	// Leeway is how much clocks may differ; 0 is 30 s, at most 2 min.
	Leeway time.Duration
	// Origin is how callers reach this service, such as "https://api.example":
	// what DPoP proofs are for. Empty takes no DPoP.
	Origin string
	// Proofs remembers the DPoP proofs that were used. Nil remembers them in
	// memory, which is for one instance.
	Proofs federation.Replay
	// Cache is how many verified signatures are remembered; 0 is 8192,
	// negative is none.
	Cache int
}

// A Token is an access token that was verified.
type Token struct {
	*jose.Claims
	// Scopes are the words of "scope".
	Scopes []string
	// Bound says to what the token is bound: "", "dpop" or "mtls".
	Bound string
}

// A Verifier takes access tokens. It is an authn.Authenticator and safe for
// concurrent use.
type Verifier struct {
	rec     auditlog.Recorder
	issuers map[string]*issuer
	single  *issuer
	o       Options
	cache   *cache
	now     func() time.Time
}

type issuer struct {
	Issuer
	verifier *jose.Verifier
}

var _ authn.Revalidator = (*Verifier)(nil)

// New makes a Verifier of tokens of one or more issuers.
func New(rec auditlog.Recorder, issuers []Issuer, o Options) (*Verifier, error) {
	if rec == nil || len(issuers) == 0 {
		return nil, errors.New("bearer: New needs a recorder and at least one issuer")
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("bearer: Options: %w", err)
	}
	v := &Verifier{rec: rec, issuers: map[string]*issuer{}, o: o, now: time.Now}
	if o.Cache > 0 {
		v.cache = newCache(o.Cache)
	}
	for i := range issuers {
		in, err := newIssuer(issuers[i])
		if err == nil && v.issuers[in.URL] != nil {
			err = errors.New("URL: another has the same")
		}
		if err != nil {
			return nil, fmt.Errorf("bearer: issuer %d: %w", i, err)
		}
		v.issuers[in.URL], v.single = in, in
	}
	if len(issuers) > 1 {
		v.single = nil
	}
	return v, nil
}

func (o *Options) complete() error {
	if o.MaxLifetime == 0 {
		o.MaxLifetime = 24 * time.Hour
	}
	if o.Leeway == 0 {
		o.Leeway = 30 * time.Second
	}
	if o.Cache == 0 {
		o.Cache = 8192
	}
	if o.MaxLifetime < time.Minute || o.Leeway < 0 || o.Leeway > 2*time.Minute {
		return errors.New("MaxLifetime and Leeway: want at least 1 min, and at most 2 min")
	}
	if o.Origin != "" {
		u, err := url.Parse(o.Origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("field Origin: want a scheme and a host and nothing else")
		}
		o.Origin = origin(u)
	}
	if o.Proofs == nil {
		o.Proofs = federation.NewMemory()
	}
	return nil
}

func newIssuer(i Issuer) (*issuer, error) {
	switch {
	case i.URL == "" || i.Audience == "" || i.Keys == nil:
		return nil, errors.New("want URL, Audience and Keys")
	case !session.ValidTenant(i.Tenant):
		return nil, errors.New("field Tenant: want letters, digits, - and _")
	}
	if err := i.Assurance.Validate(); err != nil {
		return nil, err //nolint:wrapcheck // names the field
	}
	if len(i.Algorithms) == 0 {
		i.Algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
	}
	if len(i.Types) == 0 {
		i.Types = []string{"at+jwt"}
	}
	v, err := jose.NewVerifier(i.Keys, jose.Policy{Algorithms: i.Algorithms, Types: i.Types})
	if err != nil {
		return nil, err //nolint:wrapcheck // names the field
	}
	return &issuer{i, v}, nil
}

// Verify checks a token, but not whether the caller holds the key it is bound
// to: that takes the call, and [Verifier.Authenticate] does it. Refusals wrap
// authn.ErrCredential.
func (v *Verifier) Verify(ctx context.Context, raw string) (Token, error) {
	t, _, err := v.verify(ctx, raw)
	return t, err
}

func (v *Verifier) verify(ctx context.Context, raw string) (Token, *issuer, error) {
	e, found := v.cache.get(raw)
	if found {
		k, err := e.issuer.Keys.Key(ctx, e.key.ID(), e.alg)
		if err != nil && !errors.Is(err, jose.ErrNoKey) {
			return Token{}, nil, fmt.Errorf("bearer: keys: %w", err)
		}
		found = k == e.key // else the issuer has withdrawn it
	}
	if !found {
		var err error
		if e, err = v.open(ctx, raw); err != nil {
			return Token{}, nil, err
		}
	}
	if err := v.timely(e.token.Claims); err != nil {
		return Token{}, e.issuer, err
	}
	if !found {
		v.cache.put(raw, e)
	}
	return e.token, e.issuer, nil
}

// open verifies what about a token never changes.
func (v *Verifier) open(ctx context.Context, raw string) (entry, error) {
	in, err := v.issuerOf(raw)
	if err != nil {
		return entry{}, err
	}
	m, err := in.verifier.Verify(ctx, raw)
	switch {
	case errors.Is(err, jose.ErrNoKey):
		return entry{}, refuse("key", err)
	case errors.Is(err, jose.ErrToken):
		return entry{}, refuse("signature", err)
	case err != nil:
		return entry{}, fmt.Errorf("bearer: %w", err)
	}
	c, err := jose.ParseClaims(m.Payload)
	if err != nil {
		return entry{}, refuse("claims", err)
	}
	t := Token{Claims: c, Scopes: strings.Fields(c.Scope)}
	if err := in.accepts(c); err != nil {
		return entry{}, err
	}
	if t.Bound, err = binding(c); err != nil {
		return entry{}, err
	}
	if in.Bound && t.Bound == "" {
		return entry{}, refuse("unbound", errors.New("the token is not bound to a key"))
	}
	return entry{token: t, issuer: in, key: m.Key, alg: m.Header.Algorithm}, nil
}

// issuerOf finds whose keys to try. What is read here is not verified yet.
func (v *Verifier) issuerOf(raw string) (*issuer, error) {
	if v.single != nil {
		return v.single, nil // and accepts compares
	}
	name, err := jose.UnverifiedIssuer(raw)
	if err != nil {
		return nil, refuse("malformed", err)
	}
	in := v.issuers[name]
	if in == nil {
		return nil, refuse("issuer", errors.New("iss is none of the issuers"))
	}
	return in, nil
}

// accepts checks whom the token is from, about and for.
func (i *issuer) accepts(c *jose.Claims) error {
	switch {
	case c.Issuer != i.URL:
		return refuse("issuer", errors.New("iss is another issuer"))
	case c.Subject == "" || len(c.Subject) > 255:
		return refuse("subject", errors.New("sub is missing or too long"))
	case !slices.Contains(c.Audience, i.Audience):
		return refuse("audience", errors.New("aud does not name this service"))
	case len(i.Clients) > 0 && !i.client(c):
		return refuse("client", errors.New("azp or client_id is not among the clients"))
	}
	return nil
}

// client reports whether the token names a client, and all that it names are
// on the list.
func (i *issuer) client(c *jose.Claims) bool {
	known := func(s string) bool { return s == "" || slices.Contains(i.Clients, s) }
	return (c.Authorised != "" || c.Client != "") && known(c.Authorised) && known(c.Client)
}

// timely checks the token's own limits.
func (v *Verifier) timely(c *jose.Claims) error {
	if err := c.Timely(v.now(), v.o.Leeway, v.o.MaxLifetime); err != nil {
		return refuse("time", err)
	}
	return nil
}

// principal is who the token speaks of.
func (i *issuer) principal(ctx context.Context, t Token) (authn.Principal, error) {
	p := authn.Principal{
		Actor:           auditlog.Actor{ID: federation.AccountID(i.URL, t.Subject), Tenant: i.Tenant, Kind: auditlog.User},
		Scopes:          slices.Clip(t.Scopes),
		AuthenticatedAt: t.AuthTime,
	}
	if t.Client != "" && t.Client == t.Subject {
		p.Kind = auditlog.Service // RFC 9068, section 2.2
	}
	p.AAL, p.Methods = i.Assurance.Judge(t.ACR, t.AMR)
	if i.Groups != "" {
		p.Groups, _ = t.Texts(i.Groups)
	}
	if i.Account == nil {
		return p, nil
	}
	if err := i.Account(ctx, t, &p); err != nil {
		if errors.Is(err, authn.ErrCredential) {
			return p, refuse("account", err)
		}
		return p, fmt.Errorf("bearer: account: %w", err)
	}
	return p, nil
}

// A refusal is authn.ErrCredential with its cause.
type refusal struct {
	cause string // a word for events
	err   error
}

func refuse(cause string, err error) error { return &refusal{cause, err} }

func (r *refusal) Error() string   { return "bearer: " + r.cause + ": " + r.err.Error() }
func (r *refusal) Unwrap() []error { return []error{authn.ErrCredential, r.err} }

// Authenticate takes the token of a call's header Authorization. It
// implements authn.Authenticator. Bearer tokens that are no JSON Web Tokens
// are left to other authenticators.
func (v *Verifier) Authenticate(ctx context.Context, call *guard.Call) (authn.Principal, error) {
	scheme, raw := credential(call)
	if raw == "" {
		return authn.Principal{}, authn.ErrNoCredential
	}
	p, in, err := v.authenticate(ctx, call, scheme, raw)
	var r *refusal
	if !errors.As(err, &r) {
		return p, err
	}
	return authn.Principal{}, errors.Join(r, v.refused(ctx, call, in, r))
}

func (v *Verifier) authenticate(ctx context.Context, call *guard.Call, scheme, raw string) (authn.Principal, *issuer, error) {
	t, in, err := v.verify(ctx, raw)
	if err != nil {
		return authn.Principal{}, in, err
	}
	if err := v.holds(ctx, call, scheme, raw, t, in); err != nil {
		return authn.Principal{}, in, err
	}
	p, err := in.principal(ctx, t)
	return p, in, err
}

// refused records a refusal and tells the caller, with as much as RFC 6750,
// section 3.1, has for it.
func (v *Verifier) refused(ctx context.Context, call *guard.Call, in *issuer, r *refusal) error {
	scheme, problem := "Bearer", "invalid_token"
	if r.cause == "proof" {
		scheme, problem = "DPoP", "invalid_dpop_proof"
	}
	call.AddHeader("WWW-Authenticate", scheme+` error="`+problem+`"`)
	ev := auditlog.Event{
		Action: "authn.bearer.verify", Outcome: auditlog.Denied, Reason: "authn.required",
		Attrs: []auditlog.Attr{auditlog.String("cause", r.cause)},
	}
	if in != nil {
		ev.Tenant = in.Tenant
	}
	if err := v.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("bearer: record: %w", err)
	}
	return nil
}

// Revalidate reports whether the token of the call that the context belongs
// to still stands. It implements authn.Revalidator: streams end with their
// token, or its account.
func (v *Verifier) Revalidate(ctx context.Context, _ authn.Principal) error {
	call := guard.CallFrom(ctx)
	if call == nil {
		return nil
	}
	_, raw := credential(call)
	if raw == "" {
		return nil
	}
	t, in, err := v.verify(ctx, raw)
	if err != nil {
		return err
	}
	_, err = in.principal(ctx, t)
	return err
}

// credential returns the call's JSON Web Token and the scheme it came with:
// "bearer" or "dpop". A header that is given twice counts for neither.
func credential(call *guard.Call) (scheme, raw string) {
	values := call.Header("Authorization")
	if len(values) != 1 {
		return "", ""
	}
	scheme, raw, _ = strings.Cut(values[0], " ")
	scheme = strings.ToLower(scheme)
	if scheme != "bearer" && scheme != "dpop" || strings.Count(raw, ".") != 2 {
		return "", ""
	}
	return scheme, raw
}
