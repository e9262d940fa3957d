package login

import "time"

// SetNow sets the clock of tickets.
func SetNow(f *Flow, now func() time.Time) { f.now = now }

// LocalPath reports whether a redirect stays on this host.
func LocalPath(s string) bool { return localPath(s) }

// OpenTicket reports whether a ticket is accepted.
func OpenTicket(f *Flow, s string) error {
	_, err := f.openTicket(s)
	return err
}
