// Package auditlogsql is a transactional outbox for the audit log, in SQLite
// and PostgreSQL: an event written in the transaction of the change it speaks
// of. The change can't commit without its event, nor the event without the
// change, and several instances of a service share one log.
//
//	err := auditlogsql.Migrate(ctx, owner)
//	box, err := auditlogsql.New(ctx, pool, key, auditlogsql.Options{Sealer: keeper})
//	…
//	err = box.RecordTx(ctx, tx, event) // in the caller's transaction
//
// In one process, the one that has the log open, a [Sequencer] moves the rows
// into the log:
//
//	seq, err := auditlogsql.NewSequencer(ctx, pool, key, log)
//	err = seq.Run(ctx)
//
// # Exactly once
//
// Before rows are appended they are claimed, with the size the log has. After
// a crash of the sequencer or of the database, claimed rows are looked for in
// the log from that size on: those that are there are removed, the others are
// appended. A transaction that commits later comes later in the log, whatever
// its row's number.
//
// # Who is not trusted
//
// Whoever can write to the database but has no key can't add or change an
// event: each row carries an HMAC-SHA256, and a row that fails it is kept,
// marked, and reported in the log as auditlog.outbox.reject. Removing a row
// before it is sequenced leaves no trace here; the sequencer runs at once, and
// heartbeats tell how many events each instance has handed over, see
// [Outbox.Heartbeat].
package auditlogsql
