// Package totp is the second factor of RFC 6238: six digits from an
// authenticator app, each accepted once.
//
//	codes, err := totp.New(store, sealer, log, totp.Options{Issuer: "Acme"})
//	e, err := codes.Enrol(ctx, "acme", account, "ada@example.org") // show e.URI and e.SVG()
//	err = codes.Confirm(ctx, "acme", account, code)                // now it counts
//	err = codes.Verify(ctx, "acme", account, code)                 // at each login
//
// The time step of an accepted code is stored by compare-and-swap, "greater
// than the last one", before Verify returns: a code works once, also when it
// is sent twice at the same moment, and a code of an earlier step is refused
// after a later one. Seeds are 160 random bits and leave the package only
// sealed, bound to their tenant, account and enrolment.
//
// Verify does not count failures; authn/throttle does.
//
// # Errors
//
// [ErrCode] is a wrong code, [ErrUsed] a right one that was used before,
// [ErrNotEnrolled] an account without confirmed codes. To a caller who is not
// yet authenticated these are all the same answer.
package totp
