package auditlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
)

// KeyFile returns the Ed25519 signer kept in a file, with the origin it was
// made for. The file must be readable by its owner only and lie outside the
// log's directory. verifier is the public key in the form that other people's
// tools take (C2SP signed-note): hand it to auditors when the log begins.
func KeyFile(path, origin string) (signer note.Signer, verifier string, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, "", err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("auditlog: there is no signing key %s: make one with NewKeyFile: %w", path, err)
	}
	if err != nil {
		return nil, "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, "", fmt.Errorf("auditlog: signing key %s is open to others (mode %04o): chmod it to 0600", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	secret, public, ok := strings.Cut(strings.TrimSuffix(string(b), "\n"), "\n")
	s, err := note.NewSigner(secret)
	if err != nil || !ok {
		return nil, "", fmt.Errorf("auditlog: %s holds no signing key", path)
	}
	if s.Name() != origin {
		return nil, "", fmt.Errorf("%w: %s is the key of %q, not of %q", ErrKey, path, s.Name(), origin)
	}
	return &fileSigner{s, path}, public, nil
}

// NewKeyFile makes an Ed25519 key for an origin and keeps it in a new file.
func NewKeyFile(path, origin string) (signer note.Signer, verifier string, err error) {
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, "", err
	}
	if _, err := note.NewSigner(secret); err != nil {
		return nil, "", fmt.Errorf("auditlog: origin %q: want a name without spaces and plus signs", clip(origin))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("auditlog: make the signing key: %w", err)
	}
	_, err = f.WriteString(secret + "\n" + public + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, "", fmt.Errorf("auditlog: make the signing key: %w", err)
	}
	return KeyFile(path, origin)
}

// A fileSigner knows where its key is, so that Open can refuse a bad place.
type fileSigner struct {
	note.Signer
	path string
}

// FileStore is a [CheckpointStore] in a file, which belongs on another disk
// than the log: a directory put back from a copy is then noticed.
func FileStore(path string) CheckpointStore { return &fileStore{path: path} }

type fileStore struct {
	mu   sync.Mutex
	path string
}

// Load reads the file; one that does not exist holds nothing.
func (s *fileStore) Load() ([]byte, error) {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Swap replaces the file's contents in one step.
func (s *fileStore) Swap(old, new []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.Load()
	if err != nil {
		return err
	}
	if string(b) != string(old) {
		return fmt.Errorf("auditlog: %s holds another checkpoint: is a second log signing with this key?", s.path)
	}
	tmp := s.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(new)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
