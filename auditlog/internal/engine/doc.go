// Package engine stores payloads in order, durably and provably, for one
// process. It knows nothing of events.
//
// # Files
//
//	lock                       held by the process that writes
//	segments/<epoch>.seg       frames, the truth until they are in tiles
//	segments/torn-<…>.bin      what recovery cut off, kept for inspection
//	segments/synced            how many entries are in tiles on stable storage
//	checkpoint, tile/…         C2SP tlog-tiles, for any reader
//
// # Writing
//
// Callers put payloads into the current batch; one goroutine writes a batch
// with its commit frame (tree size, root, time) in one write, calls fdatasync
// once and wakes them all. While it waits for the disk the next batch fills.
// A batch lies in one segment. Segments are prepared beforehand, so that no
// file is created between a caller and its acknowledgement.
//
// # Crash reasoning
//
// A batch is written only after the batch before it is on stable storage. So
// after a crash at most the last batch is incomplete, and nobody was told that
// it is recorded. Recovery stops at the first frame that does not check, and
// looks on: if it finds the commit frame of a later batch, the damage is
// inside acknowledged data and Open fails. Otherwise it copies the torn batch
// aside, overwrites it with zeros and syncs, so that no frame of it is ever
// read as part of a later batch.
//
// A write or fdatasync that fails poisons the engine for good: after a failed
// fsync the kernel may call pages clean that never reached the disk, so trying
// again proves nothing. For the same reason recovery writes the last batch it
// accepts once more: what it read may have come from memory.
//
// A segment is reused when its entries are in tiles that were synced. The
// epoch of a segment is part of every frame's checksum, so that an old frame
// in a reused segment is never taken for a new one.
//
// Checkpoints are signed for committed sizes only, and never for a size below
// the last signed one. Tiles are written without syncing and are rebuilt from
// the segments after a crash, from the last size known to be synced.
package engine
