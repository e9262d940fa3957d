// Package bearer takes access tokens that are JSON Web Tokens (RFC 9068) as
// credentials of calls, over HTTP and gRPC.
//
//	keys, err := jose.Fetch("https://idp.example/jwks", jose.FetchOptions{})
//	tokens, err := bearer.New(log, []bearer.Issuer{
//		{URL: "https://idp.example", Audience: "https://api.example", Tenant: "acme", Keys: keys},
//	}, bearer.Options{})
//	identify, err := authn.Identify(log, sessions, tokens)
//	guard.Route{…, Guards: []guard.Guard{bearer.RequireScope("records.read"), policy}}
//
// # What is checked
//
// The signature, as package jose does it, with the keys of the issuer that
// "iss" names exactly; "typ", so that an ID token is no access token; "exp",
// which is required and bounded, "nbf" and "iat"; that "aud" names this
// service; and "azp" and "client_id", where the clients are listed. The
// caller is the issuer together with the subject.
//
// A token that is bound to a key ("cnf") is taken only from who proves to
// hold it: by the certificate of the connection (RFC 8705) or by a DPoP proof
// (RFC 9449), which is for this method and URL, a moment old, and used once.
// [Issuer.Bound] refuses tokens that whoever steals them can use.
//
// # How long a token stands
//
// Until "exp", at most [Options.MaxLifetime] ahead. A verified signature is
// remembered for as long as its key stays in the issuer's set, and nothing
// else is: time, the proof of the binding, and [Issuer.Account], which can
// say that an account has ended, are checked on every call, and on streams
// about once a second.
//
// # Errors
//
// Refusals wrap authn.ErrCredential and are events "authn.bearer.verify" with
// the cause; anything else means that it could not be found out, and denies
// too.
package bearer
