// Package authztest tests policies: decisions by table, the rules that no
// test reaches, mistakes that a policy can contain, and what a change would
// change. It also has the conformance suite of stores.
package authztest
