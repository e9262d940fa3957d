package crypto

import (
	"context"
	"crypto/sha256"
	"time"
)

// A Scope names a line of key versions.
type Scope struct {
	Tenant  string // never empty
	Subject string // the person; empty for the tenant's own keys
	Use     string // what the keys do; empty for sealing values
}

// A Record is a data key as a store keeps it. All fields but KEK, Wrapped,
// Reserved and Destroyed are authenticated by the wrapping.
type Record struct {
	Scope
	Version   int // 1, 2, …
	ID        KeyID
	Algorithm Algorithm
	KEK       string    // KEK.ID of the key that wraps it
	Wrapped   []byte    // a Tink EncryptedKeyset; empty once destroyed
	Created   time.Time // UTC, whole microseconds
	Reserved  uint64    // uses that instances have taken for themselves
	Destroyed time.Time // zero while the key stands
}

// A Tombstone says that a subject's keys, or with an empty Subject a tenant's,
// were destroyed.
type Tombstone struct {
	Tenant  string
	Subject string
	At      time.Time // UTC, whole microseconds
}

// A Destroyed key is what is left of it: its id and the SHA-256 of the wrapped
// key, with which copies in backups can be recognised.
type Destroyed struct {
	ID          KeyID
	WrappedHash [sha256.Size]byte
}

// A KeyStore keeps wrapped keys and tombstones. Every method fails with an
// error for an empty tenant and never touches another tenant's keys.
// Implementations are safe for concurrent use by several processes; they are
// not trusted with the truth of what they return. cryptotest.TestKeyStore
// holds the rules.
type KeyStore interface {
	// Insert adds a key. It is ErrExists if the scope has the version or the
	// tenant has the id, and ErrShredded while a tombstone stands for the
	// subject or the tenant, however close the two come.
	Insert(ctx context.Context, r Record) error
	// Get returns a key by id, destroyed or not, or ErrNotFound.
	Get(ctx context.Context, tenant string, id KeyID) (Record, error)
	// Latest returns the scope's highest version that is not destroyed,
	// ErrShredded while a tombstone stands, or ErrNotFound with a Record
	// whose Version is the highest ever used.
	Latest(ctx context.Context, s Scope) (Record, error)
	// Versions returns the scope's keys that are not destroyed, latest first.
	Versions(ctx context.Context, s Scope) ([]Record, error)
	// List returns at most limit of a tenant's keys that are not destroyed,
	// with ids above after, in the order of ids.
	List(ctx context.Context, tenant string, after KeyID, limit int) ([]Record, error)
	// Reserve adds n to a key's Reserved and returns the sum.
	Reserve(ctx context.Context, tenant string, id KeyID, n uint64) (uint64, error)
	// Rewrap replaces KEK and Wrapped if Wrapped still is old, else
	// ErrConflict.
	Rewrap(ctx context.Context, tenant string, id KeyID, old []byte, kek string, wrapped []byte) error
	// Destroy removes the wrapped bytes of all keys of the tombstone's scope,
	// leaves their ids, and makes the tombstone stand. Doing it again
	// succeeds and destroys what is left.
	Destroy(ctx context.Context, t Tombstone) ([]Destroyed, error)
	// Replay does the same for keys that were created up to t.At, unless an
	// allowance after t.At stands; it is for restored backups.
	Replay(ctx context.Context, t Tombstone) ([]Destroyed, error)
	// Allow ends the tombstone at a time: new keys may be made. Keys that
	// were destroyed stay so.
	Allow(ctx context.Context, tenant, subject string, at time.Time) error
}
