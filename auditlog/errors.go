package auditlog

import "github.com/surety-go/surety/auditlog/internal/engine"

// Errors of a [Log].
var (
	// ErrPoisoned says that a write or sync failed earlier. Nothing is retried,
	// because after a failed sync nobody knows what is on the disk: close the
	// log, mend the disk, open it anew.
	ErrPoisoned = engine.ErrPoisoned
	// ErrLocked says that another process, or another Log, has the directory.
	ErrLocked = engine.ErrLocked
	// ErrClosed says that the log was closed.
	ErrClosed = engine.ErrClosed
	// ErrFull says that the disk has no room beyond its reserve.
	ErrFull = engine.ErrFull
	// ErrDamaged says that entries that were acknowledged can't be read, or
	// are not the ones that were signed. Nothing was changed.
	ErrDamaged = engine.ErrDamaged
	// ErrKey says that the directory belongs to another signing key.
	ErrKey = engine.ErrKey
	// ErrPruned says that the entries asked for were pruned.
	ErrPruned = engine.ErrPruned
	// ErrClock says that the clock is behind the log's last entry.
	ErrClock = engine.ErrClock
)
