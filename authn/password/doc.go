// Package password hashes, verifies and judges passwords.
//
//	hasher, err := password.New(password.Options{})
//	encoded, err := hasher.Hash(ctx, "correct horse battery staple")
//	upgraded, err := hasher.Verify(ctx, encoded, attempt)
//
// Hashes are argon2id (RFC 9106) in the PHC string format. Verify also reads
// bcrypt, scrypt, PBKDF2 and weaker argon2, and then returns a hash of the
// current kind to store instead. Under FIPS 140-3 mode (crypto/fips140) new
// hashes are PBKDF2-HMAC-SHA-512, because argon2 is not an approved function.
//
// # Who controls the input
//
// The password comes from an attacker: it is limited to [MaxLength] bytes. The
// encoded hash comes from a database that an attacker may write: its
// parameters are capped, so that no row can make a login cost gigabytes or
// minutes. At most Options.Concurrency hashes run at once; others wait until
// their context ends and then fail with [ErrBusy].
//
// An account that does not exist is verified with an empty encoded hash: that
// costs the same time and always fails.
//
// # Errors
//
// [ErrMismatch] is the wrong password, [ErrEncoding] a stored hash that can't
// be read, [ErrBusy] a full queue, [ErrPepper] a hash under an unknown pepper,
// and [RefusedError] a new password that the [Policy] does not accept.
package password
