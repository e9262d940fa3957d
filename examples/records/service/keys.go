package service

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptosql"
	"github.com/surety-go/surety/crypto/localkms"
)

// DefaultKeyDir returns where the keys of a data directory belong: a folder of
// its own in the user's configuration directory.
func DefaultKeyDir(dataDir string) (string, error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no directory for keys: %w", err)
	}
	sum := sha256.Sum256([]byte(dataDir))
	return filepath.Join(config, "surety", fmt.Sprintf("records-%x", sum[:6])), nil
}

// keys are the keys of the service: personal values under keys of their own,
// everything else derived from one secret that lies sealed beside the data.
type keys struct {
	*crypto.Keeper
	root []byte
}

// secretFile holds that secret, sealed, in the data directory.
const secretFile = "secret.sealed"

var rootBinding = crypto.Binding{Tenant: "system", Purpose: "root secret"}

// openSecret opens the database and the secret from which keys are derived.
func (s *Service) openSecret(ctx context.Context) error {
	if err := errors.Join(s.openDirs(ctx), s.openDatabase(ctx)); err != nil {
		return err
	}
	kek, err := s.kek()
	if err != nil {
		return err
	}
	root, err := s.rootSecret(ctx, kek)
	s.keys = &keys{root: root}
	return err
}

// kek is the key that wraps all others.
func (s *Service) kek() (kek *localkms.KEK, err error) {
	file := filepath.Join(s.o.KeyDir, "kek.json")
	if s.o.Passphrase != "" {
		kek, err = localkms.Passphrase(file, s.o.Dir, []byte(s.o.Passphrase))
	} else {
		kek, err = localkms.KeyFile(file, s.o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%w (SURETY_PASSPHRASE holds the passphrase, if there is one)", err)
	}
	return kek, nil
}

func (s *Service) openKeys(ctx context.Context) error {
	kek, err := s.kek()
	if err != nil {
		return err
	}
	root, err := s.rootSecret(ctx, kek)
	if err != nil {
		return err
	}
	if err := cryptosql.Migrate(ctx, s.db); err != nil {
		return err
	}
	store, err := cryptosql.New(ctx, s.db)
	if err != nil {
		return err
	}
	// The keeper records in the log itself: its own events hold nothing
	// personal, and the log seals with it.
	keeper, err := crypto.NewKeeper(kek, store, s.log, crypto.Options{Holds: holdsOf{s}, Clear: s.clearIndexes})
	if err != nil {
		return err
	}
	s.onClose(keeper.Close)
	s.keys = &keys{keeper, root}
	s.mount(keeper)
	return nil
}

// clearIndexes empties what a person could still be found by after their keys
// are gone; without a person, a whole company's.
func (s *Service) clearIndexes(ctx context.Context, tenant, subject string) error {
	_, err := s.db.ExecContext(ctx, "UPDATE people SET email_bidx = NULL WHERE tenant = ? AND (? = '' OR id = ?)", tenant, subject, subject)
	return err
}

// holdsOf are the service's legal holds, which open after the keys.
type holdsOf struct{ s *Service }

// Held tells whether a legal hold keeps a person's keys. Before the holds are
// open nobody knows, and nothing is destroyed.
func (h holdsOf) Held(ctx context.Context, tenant, subject string) (reason string, held bool, err error) {
	if h.s.rights == nil || h.s.rights.holds == nil {
		return "", false, errors.New("the register of legal holds is not open yet")
	}
	return h.s.rights.holds.Held(ctx, tenant, subject)
}

// LockHolds keeps holds from being placed while keys go.
func (h holdsOf) LockHolds(ctx context.Context, tenant, subject string) (unlock func(), err error) {
	if h.s.rights == nil || h.s.rights.holds == nil {
		return nil, errors.New("the register of legal holds is not open yet")
	}
	return h.s.rights.holds.LockHolds(ctx, tenant, subject)
}

// rootSecret reads the service's secret, or makes it for new data.
func (s *Service) rootSecret(ctx context.Context, kek *localkms.KEK) ([]byte, error) {
	file := s.path(secretFile)
	wrapped, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s.newRootSecret(ctx, kek, file)
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	root, err := kek.Unwrap(ctx, wrapped, rootBinding)
	if err != nil {
		return nil, fmt.Errorf("secret %s does not open with this key or passphrase: %w", file, err)
	}
	return root, nil
}

// newRootSecret makes the secret, unless there are people already, whose data
// only the old one opens.
func (s *Service) newRootSecret(ctx context.Context, kek *localkms.KEK, file string) ([]byte, error) {
	var used bool
	if err := s.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM people)").Scan(&used); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if used {
		return nil, fmt.Errorf("secret %s is missing and the database holds data of it: restore it from a backup; nothing was changed", file)
	}
	root := make([]byte, 32)
	rand.Read(root)
	wrapped, err := kek.Wrap(ctx, root, rootBinding)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", file, err)
	}
	return root, writeOnce(file, wrapped)
}

// writeOnce puts a whole file in place, or none: it survives a crash at any
// moment, and never replaces a file.
func writeOnce(file string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// subkey derives a key for one use (HKDF, RFC 5869).
func (k *keys) subkey(use string) []byte {
	b, err := hkdf.Key(sha256.New, k.root, nil, "records "+use, 32)
	if err != nil {
		panic(err) // 32 bytes can always be derived
	}
	return b
}

// evidenceKey signs evidence bundles.
func (k *keys) evidenceKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(k.subkey("evidence"))
}

// SealSeed makes keys a totp.Sealer.
func (k *keys) SealSeed(ctx context.Context, tenant, account, id string, seed []byte) ([]byte, error) {
	return k.Seal(ctx, nil, seed, seedBinding(tenant, account, id))
}

// OpenSeed reverses SealSeed.
func (k *keys) OpenSeed(ctx context.Context, tenant, account, id string, sealed []byte) ([]byte, error) {
	return k.Open(ctx, nil, sealed, seedBinding(tenant, account, id))
}

func seedBinding(tenant, account, id string) crypto.Binding {
	return crypto.Binding{Tenant: tenant, Subject: account, Table: "totp", Column: "seed", Row: id}
}
