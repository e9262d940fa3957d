// Package jose verifies JSON Web Signatures (RFC 7515) in the compact form,
// strictly, with keys that were named beforehand.
//
//	keys, err := jose.Fetch("https://idp.example/jwks", jose.FetchOptions{})
//	v, err := jose.NewVerifier(keys, jose.Policy{Algorithms: []jose.Algorithm{jose.ES256}, Types: []string{"at+jwt"}})
//	message, err := v.Verify(ctx, token)
//
// What the token says about its own verification counts for nothing but a
// choice among what the policy allows: the algorithm must be on the list and
// the one of the key; the key is found by kid in the issuer's own set; and a
// header that brings a key or points to one (jwk, jku, x5c, x5u), or has
// extensions (crit, b64), is refused. There are no symmetric algorithms here,
// so that a public key can't be taken for a secret, and no "none".
//
// Keys are checked when they are read: what they are for (use, key_ops, alg),
// points on their curve, moduli of 2048 to 8192 bits that don't carry the
// fingerprint of the ROCA flaw. PSS salts have exactly the length of the
// hash (RFC 7518, section 3.5).
//
// # Errors
//
// [ErrToken] is a token that is no good, whatever the cause, which the message
// names; [ErrNoKey] is wrapped beside it when the set has no key for it.
// [ErrKey] is a key or a set that can't be used. Other errors mean that the
// keys could not be fetched: nothing is known about the token.
package jose
