// Package auditlogtest holds what tests of audited code need: a [Recorder]
// that keeps events in memory and can be told to fail, [Keys] that seal
// personal values and can be destroyed, and [TestRecorder], the conformance
// suite of everything that stores events.
//
// Nothing here works outside a test: in a production binary a Recorder refuses
// every event, because events kept in memory are no evidence.
package auditlogtest
