package federation

import "time"

// SetMemoryNow gives a Memory another clock.
func SetMemoryNow(m *Memory, now func() time.Time) { m.now = now }
