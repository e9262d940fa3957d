// Package authntest holds what tests of authentication need: an authenticator
// app that reads otpauth URIs, seeds that are not sealed, a ready-made world
// of accounts, and the conformance suites of the stores.
//
// Nothing here works outside a test: what the doubles make up would be a way
// in.
package authntest

import "testing"

// mustTest stops a program that is no test.
func mustTest() {
	if !testing.Testing() {
		panic("authntest: used outside a test")
	}
}
