package dsr

import "time"

// SetNow sets the desk's clock.
func (d *Desk) SetNow(t time.Time) { d.now = func() time.Time { return t } }
