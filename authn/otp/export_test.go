package otp

import "time"

// SetNow sets the clock.
func SetNow(c *Codes, now func() time.Time) { c.now = now }
