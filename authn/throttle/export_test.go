package throttle

import (
	"net/netip"
	"time"
)

// SetNow sets the clock.
func SetNow(t *Throttle, now func() time.Time) { t.now = now }

// ClientKey is what a client is counted under.
func ClientKey(a netip.Addr) string { return clientKey(a) }
