package login

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// ErrNoAccount is returned by [Accounts] without such an account.
var ErrNoAccount = errors.New("login: no such account")

// An Account is what a login needs to know of somebody.
type Account struct {
	Tenant string
	// ID is random and stays for ever; it is what events and sessions name.
	ID string
	// Name is what the person types: an email address or a handle.
	Name string
	// Groups go into the principal.
	Groups []string
	// Password is the encoded hash; empty for none.
	Password string
	// MustChange asks for a new password at the next login.
	MustChange bool
	// Disabled accounts don't log in.
	Disabled bool
}

// Accounts is where accounts are kept. authn/authnsql has one.
type Accounts interface {
	// ByName returns the account with a name in the form of [Name], or
	// ErrNoAccount.
	ByName(ctx context.Context, tenant, name string) (Account, error)
	// ByID returns the account with an id, or ErrNoAccount.
	ByID(ctx context.Context, tenant, id string) (Account, error)
	// SetPassword replaces the account's hash if it still is old, atomically,
	// and reports whether it did.
	SetPassword(ctx context.Context, tenant, id, old, hash string, mustChange bool) (bool, error)
}

// Name brings a login name into the one form in which it is stored and looked
// up: NFKC, lower case, without space around it. Names of more than 256 bytes
// and ones that are not text have none.
func Name(s string) string {
	if len(s) > 256 || !utf8.ValidString(s) {
		return ""
	}
	return strings.ToLower(norm.NFKC.String(strings.TrimSpace(s)))
}
