// Package passkey signs people in by WebAuthn (Level 3): as the only factor,
// as a second one, and without typing a name.
//
//	keys, err := passkey.New(store, macKey, log, passkey.RelyingParty{ID: "example.org", Name: "Example", Origins: []string{"https://example.org"}}, passkey.Options{})
//	flow, err := login.New(parts, login.Options{Factors: []login.Factor{keys}})
//	routes := append(flow.Routes(), keys.Routes(flow, sessions)...)
//
// Ceremonies go in two steps. Begin returns the options for
// navigator.credentials and a handle; Finish takes the handle and what the
// browser answered. A ceremony is good once, for five minutes, and only for
// the session or login it was begun for: keep the handle in a cookie.
//
// # Assurance
//
// User verification decides: with it a passkey is two factors in one ("mfa",
// AAL2), without it something that one has, a second factor beside a password.
// As the only factor it has to verify its user. AAL3 takes an authenticator
// that Options.Trust knows by its attestation to keep keys in hardware, and
// one that can be backed up never has it.
//
// The backup-eligible flag should never change; some authenticators change it
// all the same. That doesn't lock anybody out: it is recorded, and the passkey
// counts as one that can be backed up from then on. A signature counter that
// goes back is refused, unless Options.AcceptCounter says otherwise.
//
// # Untrusted stores
//
// Rows carry an HMAC over everything in them and the place they stand in:
// whoever can write the table can't give an account a passkey of his own.
//
// # Errors
//
// [ErrRefused] is a ceremony that failed, for whatever reason; the reason is in
// the event. go-webauthn verifies; none of its types shows.
package passkey
