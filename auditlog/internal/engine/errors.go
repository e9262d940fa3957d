package engine

import (
	"errors"
	"fmt"
)

// Errors of the engine; package auditlog documents them.
var (
	ErrPoisoned = errors.New("auditlog: a write to the log failed and it takes no more events until it is opened anew")
	ErrLocked   = errors.New("auditlog: another process has the log open")
	ErrClosed   = errors.New("auditlog: the log is closed")
	ErrFull     = errors.New("auditlog: the disk has no room for another segment of the log")
	ErrDamaged  = errors.New("auditlog: acknowledged entries are damaged or missing")
	ErrKey      = errors.New("auditlog: the log belongs to another signing key")
	ErrPruned   = errors.New("auditlog: the entries were pruned")
	ErrClock    = errors.New("auditlog: the clock is behind the log")
)

// damaged names what is wrong and what to do; nothing was changed.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s; nothing was changed: restore the directory from a copy and open it again",
		ErrDamaged, fmt.Sprintf(format, args...))
}
