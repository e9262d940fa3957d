package bearer

import "time"

// SetNow gives a Verifier another clock.
func SetNow(v *Verifier, now func() time.Time) { v.now = now }

// Cached is how many tokens are remembered.
func Cached(v *Verifier) int { return len(v.cache.young) + len(v.cache.old) }
