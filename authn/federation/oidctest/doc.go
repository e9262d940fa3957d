// Package oidctest is an identity provider for tests: it signs people in
// without asking, issues tokens, rotates keys, and misbehaves when told to.
//
//	idp := oidctest.NewProvider(t)
//	token := idp.Token("api", "u-1", oidctest.Claims{"scope": "records.read"})
//
// Nothing here works outside a test.
package oidctest

import "testing"

// mustTest stops a program that is no test.
func mustTest() {
	if !testing.Testing() {
		panic("oidctest: used outside a test")
	}
}
