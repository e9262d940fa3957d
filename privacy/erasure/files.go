package erasure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Files is a [Place] of files: one directory for each person.
type Files struct {
	root *os.Root
	name string
	path func(tenant, subject string) string
}

// NewFiles makes a place of the files under a root, which nothing leaves, by
// name or by symbolic link. path returns a person's directory, or file,
// relative to it; "" means that the person has none. It must not be the root.
func NewFiles(name string, root *os.Root, path func(tenant, subject string) string) (*Files, error) {
	if name == "" || root == nil || path == nil {
		return nil, errors.New("erasure: NewFiles needs a name, a root and paths")
	}
	return &Files{root, name, path}, nil
}

// Name is the place's name.
func (f *Files) Name() string { return f.name }

func (f *Files) of(tenant, subject string) (string, error) {
	p := f.path(tenant, subject)
	if p != "" && (!fs.ValidPath(p) || p == ".") {
		return "", fmt.Errorf("erasure: %s: the path of a person is not below the root", f.name)
	}
	return p, nil
}

// Erase removes the person's directory.
func (f *Files) Erase(_ context.Context, tenant, subject string) error {
	p, err := f.of(tenant, subject)
	if err != nil || p == "" {
		return err
	}
	if err := f.root.RemoveAll(p); err != nil {
		return fmt.Errorf("erasure: %s: %w", f.name, err)
	}
	return nil
}

// Remains counts the person's files and directories.
func (f *Files) Remains(_ context.Context, tenant, subject string) (int, error) {
	p, err := f.of(tenant, subject)
	if err != nil || p == "" {
		return 0, err
	}
	n := 0
	err = fs.WalkDir(f.root.FS(), p, func(_ string, _ fs.DirEntry, err error) error {
		if err == nil {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return n, fmt.Errorf("erasure: %s: %w", f.name, err)
	}
	return n, nil
}
