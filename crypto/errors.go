package crypto

import "errors"

// Errors of the package, for errors.Is.
var (
	// ErrTampered says that a sealed value was changed, moved from where it
	// belongs, or never was one.
	ErrTampered = errors.New("crypto: the value was changed, moved, or never sealed")
	// ErrShredded says that the key was destroyed: the value is erased.
	ErrShredded = errors.New("crypto: the key was destroyed")
	// ErrKeyUnavailable says that the key can't be had now: the store or the
	// key-encryption key doesn't answer, or refuses.
	ErrKeyUnavailable = errors.New("crypto: the key is not available")
	// ErrBinding says that a Binding does not name a place.
	ErrBinding = errors.New("crypto: incomplete binding")
	// ErrTooLarge says that a value is over MaxPlain.
	ErrTooLarge = errors.New("crypto: value too large")
	// ErrHeld says that a legal hold forbids a destruction.
	ErrHeld = errors.New("crypto: a legal hold stands")
	// ErrApproval says that a tenant-wide destruction lacks a second person.
	ErrApproval = errors.New("crypto: a second person must approve")
	// ErrFIPS says that an algorithm is outside the FIPS 140-3 boundary that
	// the program was told to keep to.
	ErrFIPS = errors.New("crypto: algorithm is not approved by FIPS 140-3")
	// ErrOpen is the one error that an untrusted caller is shown; see Opaque.
	ErrOpen = errors.New("crypto: the value can't be opened")
	// ErrClosed says that the keeper was closed.
	ErrClosed = errors.New("crypto: the keeper is closed")
)

// Errors of a KeyStore.
var (
	// ErrNotFound says that there is no such key.
	ErrNotFound = errors.New("crypto: no such key")
	// ErrExists says that a key of this version or id is there already.
	ErrExists = errors.New("crypto: the key exists")
	// ErrConflict says that the key was changed by someone else meanwhile.
	ErrConflict = errors.New("crypto: the key was changed meanwhile")
)

// Opaque returns ErrOpen for any error and nil for nil. Whoever may probe the
// system learns from it neither whether a value was forged nor whether a
// person was erased.
func Opaque(err error) error {
	if err == nil {
		return nil
	}
	return ErrOpen
}
