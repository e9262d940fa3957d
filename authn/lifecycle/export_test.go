package lifecycle

import "time"

// SetNow sets the clock.
func SetNow(m *Manager, now func() time.Time) { m.now = now }
