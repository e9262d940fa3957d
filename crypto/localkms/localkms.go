// Package localkms is a key-encryption key on the machine itself, for services
// without a key management service: a key file that only its owner can read,
// or a passphrase.
//
//	path, err := localkms.DefaultPath("records")          // in the user's configuration directory
//	kek, err := localkms.KeyFile(path, dataDir)           // made on first use
//	kek, err := localkms.Passphrase(path, dataDir, pass)  // the file holds salt and parameters
//	keeper, err := crypto.NewKeeper(kek, store, log, crypto.Options{})
//
// A key beside the data protects nothing, because whoever copies the data
// copies the key: a path inside the data directory is refused, whatever links
// lead there. Losing the file, or the passphrase, loses the data: keep a copy
// apart from the backups of the data.
//
// The key is in this process's memory. An attacker who runs code as the
// service's user can read it; a KMS can at least say who used it and stop.
//
// The passphrase goes through argon2id (RFC 9106), which is not approved by
// FIPS 140-3: under GODEBUG=fips140=only Passphrase is crypto.ErrFIPS and
// KeyFile works.
package localkms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/argon2"

	"github.com/surety-go/surety/crypto"
)

// Errors of the package. Nothing is overwritten when they are returned.
var (
	// ErrPassphrase says that the passphrase is not the one the file was made
	// with, or too short for a new file.
	ErrPassphrase = errors.New("localkms: wrong passphrase")
	// ErrFile says that the file can't be used as it is.
	ErrFile = errors.New("localkms: unusable key file")
	// ErrBesideData says that the file would lie inside the data directory.
	ErrBesideData = errors.New("localkms: the key file must not be kept beside the data")
)

// MinPassphrase is the least length of a new passphrase, in bytes.
const MinPassphrase = 12

// A KEK is a [crypto.KEK] that wraps with AES-256-GCM.
type KEK struct {
	id   string
	aead cipher.AEAD
}

var _ crypto.KEK = (*KEK)(nil)

// DefaultPath returns where an application's key file belongs:
// surety/APP/kek.json in the user's configuration directory.
func DefaultPath(app string) (string, error) {
	if app == "" || app != filepath.Base(app) || app == "." || app == ".." {
		return "", fmt.Errorf("localkms: application name %q: want one path element", app)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("localkms: %w", err)
	}
	return filepath.Join(dir, "surety", app, "kek.json"), nil
}

// KeyFile returns the KEK of the key file at path and makes the file, with a
// random key, if there is none. The file must be readable by its owner only.
// dataDir is where the sealed data lies; path must be elsewhere. An empty
// dataDir says that the data is on another machine.
func KeyFile(path, dataDir string) (*KEK, error) {
	f, err := load(path, dataDir, func() (file, error) {
		key := make([]byte, 32)
		rand.Read(key) // never fails
		return file{Kind: kindKey, Key: key, Check: check(key)}, nil
	})
	if err != nil {
		return nil, err
	}
	if f.Kind != kindKey {
		return nil, fmt.Errorf("%w: %s is made for a passphrase", ErrFile, path)
	}
	if !hmac.Equal(check(f.Key), f.Check) {
		return nil, fmt.Errorf("%w: %s is damaged: restore it from its copy", ErrFile, path)
	}
	return newKEK(f.Key)
}

// Passphrase returns the KEK derived from a passphrase with the salt and
// parameters in the file at path, which is made if there is none. The file is
// no secret, but without it the passphrase is of no use. See KeyFile for
// dataDir. It takes a quarter of a second and 64 MiB by design.
func Passphrase(path, dataDir string, passphrase []byte) (*KEK, error) {
	if fips140.Enforced() {
		return nil, fmt.Errorf("localkms: %w: argon2id", crypto.ErrFIPS)
	}
	var fresh []byte
	f, err := load(path, dataDir, func() (file, error) {
		if len(passphrase) < MinPassphrase {
			return file{}, fmt.Errorf("%w: a new passphrase needs at least %d bytes", ErrPassphrase, MinPassphrase)
		}
		p := argon2id{Time: 3, MemoryKiB: 64 << 10, Threads: 4, Salt: make([]byte, 16)}
		rand.Read(p.Salt) // never fails
		fresh = p.derive(passphrase)
		return file{Kind: kindPassphrase, Argon2id: &p, Check: check(fresh)}, nil
	})
	if err != nil {
		return nil, err
	}
	if f.Kind != kindPassphrase {
		return nil, fmt.Errorf("%w: %s holds a key and takes no passphrase", ErrFile, path)
	}
	key := fresh
	// If another process made the file first, its salt is the one that counts.
	if key == nil || !hmac.Equal(check(key), f.Check) {
		key = f.Argon2id.derive(passphrase)
	}
	if !hmac.Equal(check(key), f.Check) {
		return nil, fmt.Errorf("%w: it is not the one %s was made with; nothing was changed", ErrPassphrase, path)
	}
	return newKEK(key)
}

// derive is argon2id with the file's parameters.
func (p *argon2id) derive(passphrase []byte) []byte {
	return argon2.IDKey(passphrase, p.Salt, p.Time, p.MemoryKiB, p.Threads, 32)
}

// check is a value that tells the right key from a wrong one and tells
// nothing about it.
func check(key []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("surety localkms check v1"))
	return m.Sum(nil)
}

func newKEK(key []byte) (*KEK, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("localkms: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("localkms: %w", err)
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte("surety localkms id v1"))
	return &KEK{"localkms:" + hex.EncodeToString(m.Sum(nil)[:8]), aead}, nil
}

// ID is "localkms:" and 16 hexadecimal digits that depend on the key.
func (k *KEK) ID() string { return k.id }

const aadPrefix = "surety localkms v1\x00"

// Wrap encrypts a data key bound to b.
func (k *KEK) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return k.aead.Seal(nil, nil, key, b.AppendAAD([]byte(aadPrefix))), nil
}

// Unwrap reverses Wrap.
func (k *KEK) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	key, err := k.aead.Open(nil, nil, wrapped, b.AppendAAD([]byte(aadPrefix)))
	if err != nil {
		return nil, fmt.Errorf("localkms: %w", crypto.ErrTampered)
	}
	return key, nil
}
