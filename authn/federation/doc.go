// Package federation is what signing in elsewhere has in common: who somebody
// is, and how surely, when another party says so.
//
// The work is done below it: oidc signs people in at an identity provider,
// bearer takes access tokens, jose verifies the signatures of both, and
// oidctest is a provider for tests.
//
// Somebody is an issuer and a subject, never an email address: addresses are
// given away and given again, and any issuer can claim one ([AccountID]). How
// surely is what an [Assurance] says about that issuer, and one factor when it
// says nothing.
package federation
