// Package session keeps who is signed in on the server, so that a session
// ends when it is told to.
//
//	sessions, err := session.New(store, key, log, session.Options{})
//	epoch, err := sessions.Epoch(ctx, tenant, account)       // before the password is verified
//	token, err := sessions.Create(ctx, principal, epoch, session.Device{})
//	sessions.SetCookie(w, token)
//	identify, err := authn.Identify(log, sessions)           // a Manager is an authn.Revalidator
//
// A token is "<tenant>.<secret>" with 256 random bits of secret; the store has
// only its SHA-256. It travels in the cookie __Host-session or, from programs,
// in "Authorization: Bearer".
//
// A cookie whose session has ended is no credential: browsers send it
// without being asked, and whoever holds it must be able to reach the login
// page. The call is anonymous and the cookie is taken back. A bearer token
// that is no good is refused.
//
// # What never comes back
//
// No operation writes a session without the condition that it is still there:
// an ended or rotated session can't be brought back by a request that was in
// flight, and a login that began before all sessions of an account were ended
// creates none. Sessions are read from the store on every call; nothing is
// cached.
//
// # Untrusted stores
//
// Rows carry an HMAC over everything in them and the place they stand in.
// Whoever can write the database can end sessions, and can restore a row that
// was deleted until its absolute timeout; he can't make one, raise its
// assurance or prolong it.
//
// # Errors
//
// [ErrEnded] is a session that does not stand, for whatever reason; it wraps
// authn.ErrCredential. [ErrOverrun] is a login that was overtaken by the end
// of all the account's sessions.
package session
