package localkms

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/surety-go/surety/internal/strictjson"
)

// file is the key file's content.
type file struct {
	Format   string    `json:"format"`
	Kind     string    `json:"kind"`
	Key      []byte    `json:"key,omitempty"`
	Argon2id *argon2id `json:"argon2id,omitempty"`
	Check    []byte    `json:"check"`
}

type argon2id struct {
	Time      uint32 `json:"time"`
	MemoryKiB uint32 `json:"memory_kib"`
	Threads   uint8  `json:"threads"`
	Salt      []byte `json:"salt"`
}

const (
	format         = "surety-localkms-1"
	kindKey        = "key"
	kindPassphrase = "passphrase"
	maxFile        = 4096
)

// validate bounds what the file asks for: whoever can write it could
// otherwise have the service take all memory, or derive a weak key.
func (f *file) validate() error {
	p := f.Argon2id
	switch {
	case f.Format != format:
		return errors.New("it is of another format")
	case len(f.Check) != 32:
		return errors.New("check has the wrong size")
	case f.Kind == kindKey && len(f.Key) == 32 && p == nil:
		return nil
	case f.Kind == kindPassphrase && f.Key == nil && p != nil:
		if p.Time < 1 || p.Time > 32 || p.MemoryKiB < 19<<10 || p.MemoryKiB > 1<<20 || p.Threads < 1 || len(p.Salt) < 16 || len(p.Salt) > 64 {
			return errors.New("argon2id: parameters out of bounds")
		}
		return nil
	}
	return errors.New("kind and members don't fit")
}

// load reads the file, or makes it with what fresh returns.
func load(path, dataDir string, fresh func() (file, error)) (file, error) {
	if path == "" {
		return file{}, fmt.Errorf("%w: the path is empty", ErrFile)
	}
	if err := apart(path, dataDir); err != nil {
		return file{}, err
	}
	f, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if f, err = fresh(); err != nil {
		return file{}, err
	}
	f.Format = format
	if err := create(path, f); err != nil {
		return file{}, err
	}
	return read(path) // another process may have been faster
}

func read(path string) (file, error) {
	h, err := os.Open(path)
	if err != nil {
		return file{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return file{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%w: %s is no regular file", ErrFile, path)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return file{}, fmt.Errorf("%w: %s is open to others (mode %o): run chmod 600 on it, and consider its key known", ErrFile, path, info.Mode().Perm())
	}
	var f file
	if err := strictjson.Decode(h, maxFile, &f); err != nil {
		return file{}, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
	}
	if err := f.validate(); err != nil {
		return file{}, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
	}
	return f, nil
}

// create writes the file whole or not at all, and never over another: it is
// written under a name of its own, made durable, and linked to its place. A
// crash leaves at most a temporary file.
func create(path string, f file) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	tmp, err := os.CreateTemp(dir, ".kek-*") // mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// apart refuses a path inside the data directory, and a data directory inside
// the key's own, after following links.
func apart(path, dataDir string) error {
	if dataDir == "" {
		return nil
	}
	key, err := resolve(path)
	if err != nil {
		return err
	}
	data, err := resolve(dataDir)
	if err != nil {
		return err
	}
	if within(key, data) || within(data, filepath.Dir(key)) {
		return fmt.Errorf("%w: %s and %s: choose a path elsewhere", ErrBesideData, path, dataDir)
	}
	return nil
}

// resolve follows links in as much of a path as exists.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrFile, err)
	}
	rest := ""
	for p := abs; ; p = filepath.Dir(p) {
		real, err := filepath.EvalSymlinks(p)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w: %w", ErrFile, err)
		}
		if filepath.Dir(p) == p {
			return abs, nil
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
