package jose

import "time"

// SetNow gives a Remote another clock.
func SetNow(r *Remote, now func() time.Time) { r.now = now }
