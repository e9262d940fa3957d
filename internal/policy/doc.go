// Package policy holds no code, only the tests that keep the house standing:
// which module a package may reach, and which of our packages it may import.
//
// The rules are in rules_test.go. A package needs a line there only when it
// imports a module that its family may not. When a test here fails, move the
// code to where the import is allowed; don't widen the list. A line that no
// package needs any more fails too.
package policy
