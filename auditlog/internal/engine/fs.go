package engine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is the part of a file system the engine needs. It is a seam for tests
// that let every call fail.
type FS interface {
	MkdirAll(dir string) error
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes an empty file, replacing one that is there.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// List returns the names in a directory in order.
	List(dir string) ([]string, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// SyncAll makes files and the names of all their directories below root
	// durable.
	SyncAll(root string, files []string) error
	// Lock takes the exclusive lock or fails with [ErrLocked].
	Lock(name string) (io.Closer, error)
	// Free returns how many bytes can still be written below dir.
	Free(dir string) (uint64, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	// Sync makes the file's data durable (fdatasync).
	Sync() error
}

// OS is the file system of the operating system.
type OS struct{}

// MkdirAll makes a directory that only its owner can enter.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

// Open opens a file for reading and writing.
func (OS) Open(name string) (File, error) { return open(name, os.O_RDWR) }

// Create makes an empty file that only its owner can read.
func (OS) Create(name string) (File, error) { return open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC) }

func open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename renames a file.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// List returns the names in a directory.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// SyncDir makes the names in a directory durable.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SyncAll makes files and their names durable.
func (o OS) SyncAll(root string, files []string) error {
	if done, err := syncFS(root); done {
		return err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	for _, dir := range parents(root, files) {
		if err := o.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// parents returns every directory between root and the files, root included.
func parents(root string, files []string) []string {
	seen := map[string]bool{root: true}
	list := []string{root}
	for _, name := range files {
		for dir := filepath.Dir(name); len(dir) > len(root) && !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			list = append(list, dir)
		}
	}
	return list
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readFile reads a whole file of at most max bytes.
func readFile(fsys FS, name string, maxSize int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxSize {
		return nil, errors.New("file " + filepath.Base(name) + " is larger than it can be")
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// replaceFile puts data under a name in one step. Unless sync is set, a crash
// may leave anything under the name.
func replaceFile(fsys FS, name string, data []byte, sync bool) (err error) {
	tmp := name + ".tmp"
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	if sync {
		return fsys.SyncDir(filepath.Dir(name))
	}
	return nil
}

// writeNew writes a file that nobody reads yet.
func writeNew(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Close())
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
