// Package auditlog records what happened so that an auditor can trust it
// without trusting the operator.
//
// An [Event] says who did what to which target with which outcome. A
// [Recorder] takes events; it is a required parameter wherever decisions are
// made, and a decision that must be audited and can't be is denied.
//
//	err := log.Record(ctx, auditlog.Event{
//		Action:  "records.update",
//		Outcome: auditlog.Success,
//		Targets: []auditlog.Target{{Type: "record", ID: "r-17"}},
//		Attrs:   []auditlog.Attr{auditlog.Int("fields", 2)},
//	})
//
// [Stamp] adds what the caller need not know: an identifier, the time, the
// trace, and the actor and tenant of the context where the event names none.
// The result is an [Entry], which has exactly one JSON form.
//
// # How sure a caller can be
//
// The level of acknowledgement follows from the event by one [Table]: changes,
// denials and exports are on disk before Record returns, ordinary reads are
// queued, and denials that a flood can cause at will are counted per interval
// instead of being written one by one.
//
// # Personal data
//
// An event never holds an email address or a name in a plain attribute:
// [Actor.ID], [Target.ID] and subjects are random account ids. What must be
// kept about a person goes into a [Personal] attribute, which [Sealing]
// encrypts under that person's key before anything is hashed; destroying the
// key erases the value and leaves every proof valid. A log refuses a personal
// attribute that was not sealed with [ErrUnsealed].
//
// # The log
//
// A [Log] keeps events in a directory, for one process:
//
//	signer, public, err := auditlog.KeyFile(keyPath, "example.org/audit")
//	log, err := auditlog.Open(dir, signer, auditlog.Options{Witnesses: witnesses})
//
// Its guarantees, each with the test that holds it:
//
//   - What was acknowledged as durable is on the disk, once, at the place the
//     receipt names, whenever the process or the power fails
//     (TestFaultAtEveryCall and TestCrashAnywhere of the engine, TestKill).
//   - A write or sync that failed is never taken back: [ErrPoisoned]
//     (TestFailedSyncPoisons).
//   - Damage inside acknowledged data, an old copy, another key, a second
//     process and a clock that went back are told when the log is opened, and
//     nothing is changed (TestBadDirectoriesAreRefusedAndLeftAlone,
//     TestAnOldCopyIsRefused, TestAnotherKeyIsRefused).
//   - Every entry is a leaf of a Merkle tree (RFC 6962) in C2SP tlog-tiles
//     layout with signed checkpoints, which other people's software reads
//     (TestProofChecksWithoutUs, TestConsistencyChecksWithoutUs).
//   - A flood of refusals costs memory and disk that are bounded
//     (TestAFloodOfDenialsIsOneEntry, TestReservedSpaceIsNeverTaken).
//   - A log whose checkpoints nobody else signs fails its own control
//     (TestControls); package witness has others sign them, and package verify
//     lets an auditor check a copy offline.
//   - Reading, searching and exporting leave an event of their own
//     (TestReadingLeavesATrace, TestSearchLimitAndTrace).
//
// What the directory holds is the operator's to read and copy: entries are not
// encrypted, save for personal attributes. Whoever can write to the directory
// can destroy the log, and is noticed; whoever has the signing key as well is
// noticed by witnesses alone.
//
// # Errors
//
// [ErrInvalid], [ErrTooLarge] and [ErrUnsealed] reject one event and say which
// field is wrong; [ErrErased] answers an attempt to read an erased value.
// [ErrPoisoned], [ErrFull] and [ErrClosed] say that the log takes no more;
// [ErrDamaged], [ErrKey], [ErrLocked] and [ErrClock] that it can't be opened.
package auditlog
