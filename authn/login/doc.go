// Package login is the way from nobody to a session: password, one-time code,
// first enrolment, forced change, and what people do with their account
// afterwards. It is a state machine and its HTTP routes.
//
//	flow, err := login.New(login.Parts{
//		Accounts: accounts, Passwords: hasher, Codes: codes, Sessions: sessions, Guesses: guesses,
//		Key: key, Recorder: log,
//	}, login.Options{})
//	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log), identify}, append(flow.Routes(), mine...)...)
//
// # The machine
//
// What is still missing follows from the account and from the factors proven
// so far, by one function, [Flow.Next]: a password, then a code or the
// enrolment of one, then a new password if a change is forced, and only then
// a session. Between the steps the caller holds a ticket: a MACed statement
// of what was proven, for ten minutes, void once the account's sessions are
// ended or its password changes. A ticket is not a session and opens nothing.
// Every other way of signing in (a passkey, an identity provider, a magic
// link) ends in [Flow.Resume], which asks the same function.
//
// A forgotten password is replaced by whoever opens a link that was sent to the
// account's address and then passes the account's second factor: a reset never
// removes one. A recovery code stands in for a one-time code, not for the
// password.
//
// # What an attacker learns
//
// An unknown account, a wrong password, a disabled account and an account
// without a password have one answer, and cost one password hash each.
// Attempts on accounts that don't exist are throttled as any others.
//
// # Over HTTP
//
// Every POST takes a form, as the plain pages send it, or JSON:
//
//	POST /login          {"tenant", "name", "password"}   → {"step": "code", "ticket": "…"}
//	POST /login/code     {"ticket", "code"}               → {"step": "done", "token": "acme.…"}
//	POST /login/enrol    {"ticket"} for a seed, {"ticket", "code"} to confirm it
//	POST /login/password {"ticket", "new"}
//	POST /login/forgot       {"tenant", "name"}  → {"handle"}, and a message   with Options.Mail
//	POST /login/forgot/open  {"handle", "code"}  → {"step", "ticket"}
//	POST /login/link, /login/link/open           the same, to sign in         with Options.MailLogin
//	POST /logout
//	GET  /account/security                                  sessions, whether codes are enrolled
//	POST /account/password {"current", "new"}
//	POST /account/totp     {"password"} for a seed, {"code"} to confirm it
//	POST /account/sessions {"end": "<id>" | "others" | "all"}
//	POST /account/recovery {"password"}                     new recovery codes, with Options.Recovery
//	POST /account/reauthenticate {"password", "code"}       a fresh session, for authn/stepup
//
// Programs get the token in the body, for "Authorization: Bearer"; forms get
// it in the cookie. Requests from other sites are refused by
// http.CrossOriginProtection.
package login
