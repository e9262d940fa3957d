package session

import "time"

// SetNow sets the clock.
func SetNow(m *Manager, now func() time.Time) { m.now = now }

// ParseToken reads a token.
func ParseToken(token string) (string, Key, bool) { return parseToken(token) }

// CookieValue finds a cookie.
func CookieValue(headers []string, name string) string { return cookie(headers, name) }
