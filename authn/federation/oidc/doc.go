// Package oidc signs people in at an OpenID Connect provider: this service is
// the relying party.
//
//	rp, err := oidc.New(oidc.Parts{
//		Flow: flow, Sessions: sessions, Links: links, Key: key, Recorder: log,
//	}, []oidc.Provider{
//		{Name: "corp", Issuer: "https://idp.example", ClientID: "records", ClientSecret: secret, Tenant: "acme"},
//	}, oidc.Options{Origin: "https://records.example"})
//	mux, err := guard.NewMux(base, slices.Concat(flow.Routes(), rp.Routes(), mine)...)
//
// # The way
//
//	GET  /login/with/{provider}           to the provider
//	GET  /login/with/{provider}/callback  and back: redirect URI of the registration
//	POST /login/with/{provider}/logout    back-channel logout URI of the registration
//	POST /account/links/{provider}        links a provider to the account that is signed in
//
// It is the code flow with PKCE. What the provider sends back counts only in
// the browser that asked for it, in the transaction it was asked for: state,
// nonce and code verifier are random for each, and travel in a sealed cookie
// of that browser. Every provider has a redirect URI of its own and must name
// itself in "iss" if it says that it does (RFC 9207), so that one can't answer
// in place of another. Tokens stay here: none is stored, none reaches the
// browser, and no scope beyond "openid" is asked for unless told.
//
// Who comes back is the issuer with the subject. [Links] says which account
// that is. The sign-in then ends in login.Flow.Resume like every other: the
// provider is one factor, unless its [federation.Assurance] says more, and
// the time of the proof is the provider's auth_time; without one it counts as
// long past.
//
// # Linking
//
// Nobody is taken for an account because of an email address. An identity
// becomes linked by its owner, signed in here with a fresh proof, or by
// [Parts.Provision] when it is new; an address counts as its owner's there
// only when the provider has verified it and is the authority for its domain
// ([Provider.Domains]).
//
// # Logout
//
// A logout token ends all sessions of the account, which may be more than the
// provider asked for and never is less. One that names only a session of the
// provider's ("sid" without "sub") is refused: register the client without
// backchannel_logout_session_required.
//
// # Errors
//
// A person who can't be signed in is told so, without the cause, which stands
// in the event "authn.oidc.verify".
package oidc
