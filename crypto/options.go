package crypto

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// Options are the options of a Keeper. The zero value is safe.
type Options struct {
	// Algorithm of new keys for sealing values: AES256GCM (the default) or
	// AES256GCMDerived. Old keys keep theirs.
	Algorithm Algorithm
	// Cache says how long unwrapped keys may be used.
	Cache CachePolicy
	// RotateAfter is the age at which a key is replaced for new values;
	// default 365 days, at least a minute. Old values stay readable.
	RotateAfter time.Duration
	// Previous are KEKs that still unwrap keys until Rewrap is done.
	Previous []KEK
	// Holds is asked before a subject's keys are destroyed; nil means that
	// the application knows no legal holds, which shows in evidence.
	Holds HoldChecker
	// Clear empties what else tells about a subject whose keys were
	// destroyed: the columns of blind indexes, search indexes, caches. It is
	// called after the keys are gone, with an empty subject for a whole
	// tenant; its error means that there is no receipt, and destroying again
	// calls it again. So does replaying after a restore. nil leaves that to
	// the application, which shows in evidence.
	Clear func(ctx context.Context, tenant, subject string) error
	// Approver names the second person for destroying a whole tenant's keys;
	// without one, that is refused.
	Approver Approver
	// Signer signs receipts of destruction; without one they are unsigned.
	Signer ed25519.PrivateKey
	// BackupHorizon is how long backups are kept; receipts name the day by
	// which the last copy of a destroyed key has expired with them.
	BackupHorizon time.Duration
}

// A CachePolicy bounds the use of unwrapped keys in memory. While the KEK
// can't be reached, keys within the policy go on serving.
type CachePolicy struct {
	MaxAge     time.Duration // since the key was unwrapped; default 5 min, at most 24 h
	MaxUses    int64         // values sealed or opened per unwrapping; default 2^20
	MaxBytes   int64         // bytes sealed or opened per unwrapping; default 2^36
	MaxEntries int           // keys in memory; default 10,000
	// RevokeCheck is how long a cached key is used without asking the store
	// whether it still stands: the bound within which a destruction or a
	// rotation takes effect on every instance; default 1 s, at most 1 min.
	// While the store doesn't answer, nothing is sealed or opened.
	RevokeCheck time.Duration
}

// A HoldChecker tells whether a legal hold forbids destroying a subject's
// keys. An error counts as a hold. For a whole tenant, subject is empty.
type HoldChecker interface {
	Held(ctx context.Context, tenant, subject string) (reason string, held bool, err error)
}

// A HoldLocker is a HoldChecker that can keep holds from being placed. With
// it, no hold comes between the question and the destruction; without it, one
// that is placed in that moment is too late.
type HoldLocker interface {
	HoldChecker
	// LockHolds lets no hold on the subject be placed until unlock is called.
	// Held is called in between. An error counts as a hold.
	LockHolds(ctx context.Context, tenant, subject string) (unlock func(), err error)
}

// An Approver finds the second person's approval for destroying all of a
// tenant's keys and returns who it was, or an error.
type Approver interface {
	Approved(ctx context.Context, tenant, reason string) (auditlog.Actor, error)
}

func orDefault[T ~int | ~int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// settle fills in defaults and refuses what makes no sense.
func (o *Options) settle() error {
	if o.Algorithm == 0 {
		o.Algorithm = AES256GCM
	}
	orDefault(&o.RotateAfter, 365*24*time.Hour)
	orDefault(&o.Cache.MaxAge, 5*time.Minute)
	orDefault(&o.Cache.MaxUses, 1<<20)
	orDefault(&o.Cache.MaxBytes, 1<<36)
	orDefault(&o.Cache.MaxEntries, 10_000)
	orDefault(&o.Cache.RevokeCheck, time.Second)
	for _, c := range [...]struct {
		bad  bool
		text string
	}{
		{o.Algorithm != AES256GCM && o.Algorithm != AES256GCMDerived, "Algorithm: want AES256GCM or AES256GCMDerived"},
		{o.RotateAfter < time.Minute, "RotateAfter: want at least 1m"},
		{o.Cache.MaxAge < 0 || o.Cache.MaxAge > 24*time.Hour, "Cache.MaxAge: want more than 0 and at most 24h"},
		{o.Cache.MaxUses < 0, "Cache.MaxUses is negative"},
		{o.Cache.MaxBytes < int64(MaxPlain+Overhead), "Cache.MaxBytes: want at least one value of the largest size"},
		{o.Cache.MaxEntries < 0, "Cache.MaxEntries is negative"},
		{o.Cache.RevokeCheck < time.Millisecond || o.Cache.RevokeCheck > time.Minute, "Cache.RevokeCheck: want 1ms to 1m"},
		{o.BackupHorizon < 0, "BackupHorizon is negative"},
		{len(o.Signer) != 0 && len(o.Signer) != ed25519.PrivateKeySize, "Signer is no Ed25519 private key"},
	} {
		if c.bad {
			return fmt.Errorf("crypto: Options.%s", c.text)
		}
	}
	return nil
}
