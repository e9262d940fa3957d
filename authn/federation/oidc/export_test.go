package oidc

import "time"

// SetNow gives a RelyingParty another clock.
func SetNow(rp *RelyingParty, now func() time.Time) { rp.now = now }
