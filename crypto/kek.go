package crypto

import "context"

// A KEK is a key-encryption key: the one key that is not kept beside the data.
// Implementations are safe for concurrent use, bound the time of each call,
// and return an error, never a wrong key, for a changed blob or another
// Binding. See crypto/localkms, and crypto/cryptotest for the rules.
type KEK interface {
	// ID names the key and its version without telling anything about it. It
	// is stored beside every wrapped key, and a new one means that wrapped
	// keys are due for Rewrap. 1 to 256 bytes.
	ID() string
	// Wrap encrypts a data key (at most 1 KiB) bound to b.
	Wrap(ctx context.Context, key []byte, b Binding) ([]byte, error)
	// Unwrap reverses Wrap. The result is the caller's.
	Unwrap(ctx context.Context, wrapped []byte, b Binding) ([]byte, error)
}
