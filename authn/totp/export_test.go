package totp

import "time"

// SetNow sets the clock.
func SetNow(v *Verifier, now func() time.Time) { v.now = now }

// HOTP is RFC 4226's function with any number of digits up to 8.
func HOTP(seed []byte, counter uint64) uint32 { return hotp(seed, counter) }

// ParseCode reads what a person typed.
func ParseCode(s string) (uint32, bool) { return parseCode(s) }
