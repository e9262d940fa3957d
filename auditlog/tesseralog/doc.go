// Package tesseralog puts audit events into a log of transparency-dev/tessera,
// for services whose instances share one log: in a cloud's object store and
// database, or on a POSIX file system.
//
//	driver, err := posix.New(ctx, posix.Config{Path: dir}) // or aws, gcp, mysql
//	log, err := tesseralog.New(ctx, driver, signer, tesseralog.Options{})
//	defer log.Close()
//	recorder, err := auditlog.Sealing(log, keys)
//
// Entries are those of auditlog: the same canonical JSON, the same refusal of
// personal values in the clear, the same C2SP tlog-tiles and checkpoints, so
// that auditverify checks a copy of the log, and any reader of tiles reads it.
//
// What differs from auditlog.Log: an event is as durable as the driver makes
// it; every acknowledgement is at least [auditlog.Durable], so that nothing is
// queued in memory alone and nothing is counted instead of recorded, and a log
// that can't keep up refuses events ([tessera.ErrPushback]) instead of making
// their callers wait; checkpoints are published only with the cosignatures that
// the witnesses' quorum asks for, so that without witnesses that answer,
// [auditlog.Published] waits until they do.
package tesseralog
