// Package controls is the vocabulary in which every other package states what
// it enforces: a [Control] has an identity, the parameters in force and a
// probe that tries the control on the live object.
//
// The package holds no behaviour on purpose. What a control is called for
// people, who owns it, how often it is to be tested and which criteria it
// serves is data in controls/catalogue, keyed by the control's ID; running
// probes and keeping their results is controls/monitor. A package that
// enforces a control therefore depends on a few types only.
//
// # Writing a probe
//
// A probe drives the mounted object as a caller would (a wrong password, an
// expired session, a synthetic denied request) and says what it observed. It
// must not change what users see, must respect its context, and must tell two
// failures apart: [Fail] when the control answered wrongly, [Error] when the
// answer could not be had. The zero [Result] is [Inconclusive], so a probe
// that forgets to decide never counts as a pass.
package controls
