// Package authn says who is calling: a [Principal] with the assurance of its
// authentication, carried by the context.
//
// An [Identifier] is the guard that finds the principal out. It asks
// [Authenticator]s in turn, each for one kind of credential (authn/session,
// authn/apikey, authn/mtls …); the first that recognises its credential
// decides. A credential that is recognised and wrong is refused at once and
// never falls through to the next, and a call without any is anonymous:
// routes that need a caller say so with [Required], with authn/stepup, or
// with a policy.
//
//	identify, err := authn.Identify(recorder, sessions, keys)
//	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log), identify}, routes...)
//
// Assurance levels are those of NIST SP 800-63-4: AAL1 one factor, AAL2 two,
// AAL3 two of which one is a hardware key that resists phishing. Methods are
// the values of RFC 8176: "pwd", "otp", "hwk", "swk", "mfa" …
package authn
