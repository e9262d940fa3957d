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
// # Errors
//
// [ErrInvalid], [ErrTooLarge] and [ErrUnsealed] reject one event and say which
// field is wrong; [ErrErased] answers an attempt to read an erased value.
package auditlog
