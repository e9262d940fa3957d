package engine

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// memFS is a file system in memory that tells what was synced from what was
// only written, and can fail at any call.
type memFS struct {
	mu      sync.Mutex
	dirs    map[string]bool
	names   map[string]*inode
	durable map[string]*inode // names that survive a crash
	pending []rename          // changes of names since the last SyncDir, in order
	locks   map[string]bool
	free    uint64
	// fault is asked before each changing call. It returns an error, and
	// whether the call takes effect nevertheless.
	fault func(op, name string) (err error, effect bool)
}

type rename struct {
	dir, name string
	node      *inode // nil: removed
}

type inode struct {
	data    []byte // as read
	durable []byte // as after a crash
	pending []span // written since the last sync
}

type span struct {
	off  int
	data []byte
}

var errInjected = errors.New("injected failure")

func newMemFS() *memFS {
	return &memFS{
		dirs: make(map[string]bool), names: make(map[string]*inode),
		durable: make(map[string]*inode), locks: make(map[string]bool), free: 1 << 40,
	}
}

func (m *memFS) ask(op, name string) (error, bool) {
	if m.fault == nil {
		return nil, true
	}
	return m.fault(op, name)
}

func (m *memFS) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs[dir] = true
	return nil
}

func (m *memFS) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{m, name, n}, nil
}

func (m *memFS) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err, effect := m.ask("create", name)
	if !effect {
		return nil, err
	}
	n := &inode{}
	m.set(name, n)
	return &memFile{m, name, n}, err
}

// set changes a name now, and durably once the directory is synced.
func (m *memFS) set(name string, n *inode) {
	if n == nil {
		delete(m.names, name)
	} else {
		m.names[name] = n
	}
	m.pending = append(m.pending, rename{filepath.Dir(name), name, n})
}

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err, effect := m.ask("rename", to)
	if n := m.names[from]; n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	} else if effect {
		m.set(from, nil)
		m.set(to, n)
	}
	return err
}

func (m *memFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirs[name] {
		delete(m.dirs, name)
		return nil
	}
	m.set(name, nil)
	return nil
}

func (m *memFS) List(dir string) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.names {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	if names == nil && !m.dirs[dir] {
		return nil, fs.ErrNotExist
	}
	slices.Sort(names)
	return names, nil
}

func (m *memFS) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err, effect := m.ask("syncdir", dir)
	if effect {
		m.syncNames(func(r rename) bool { return r.dir == dir })
	}
	return err
}

// syncNames makes pending changes of names durable. A journal keeps order, so
// everything before a synced change is durable too.
func (m *memFS) syncNames(in func(rename) bool) {
	last := -1
	for i, r := range m.pending {
		if in(r) {
			last = i
		}
	}
	for _, r := range m.pending[:last+1] {
		r.apply(m.durable)
	}
	m.pending = m.pending[last+1:]
}

func (r rename) apply(names map[string]*inode) {
	if r.node == nil {
		delete(names, r.name)
	} else {
		names[r.name] = r.node
	}
}

func (m *memFS) SyncAll(root string, files []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err, effect := m.ask("syncall", root)
	if effect {
		for _, name := range files {
			if n := m.names[name]; n != nil {
				n.sync()
			}
		}
		m.syncNames(func(r rename) bool { return strings.HasPrefix(r.name, root) })
	}
	return err
}

func (m *memFS) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, ErrLocked
	}
	m.locks[name] = true
	return closer(func() { m.mu.Lock(); defer m.mu.Unlock(); delete(m.locks, name) }), nil
}

type closer func()

func (c closer) Close() error { c(); return nil }

func (m *memFS) Free(string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free, nil
}

// crash returns the file system as it may be after the power failed: all that
// was synced, and any part of what was not.
func (m *memFS) crash(rng *rand.Rand) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemFS()
	maps.Copy(after.dirs, m.dirs)
	names := maps.Clone(m.durable)
	for _, r := range m.pending[:rng.IntN(len(m.pending)+1)] {
		r.apply(names)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		data := names[name].afterCrash(rng)
		after.names[name] = &inode{data: data, durable: slices.Clone(data)}
		after.durable[name] = after.names[name]
	}
	return after
}

const sector = 512

func (n *inode) afterCrash(rng *rand.Rand) []byte {
	data := slices.Clone(n.durable)
	none := rng.IntN(2) == 0
	for _, s := range n.pending {
		for i := 0; i < len(s.data) && !none; {
			end := min(len(s.data), i+sector-(s.off+i)%sector)
			if rng.IntN(4) > 0 {
				data = put(data, s.off+i, s.data[i:end])
			}
			i = end
		}
	}
	return data
}

func put(dst []byte, off int, src []byte) []byte {
	if need := off + len(src); need > len(dst) {
		dst = append(dst, make([]byte, need-len(dst))...)
	}
	copy(dst[off:], src)
	return dst
}

func (n *inode) sync() {
	for _, s := range n.pending {
		n.durable = put(n.durable, s.off, s.data)
	}
	n.pending = nil
}

type memFile struct {
	fs   *memFS
	name string
	n    *inode
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err, effect := f.fs.ask("write", f.name)
	if effect {
		f.n.data = put(f.n.data, int(off), b)
		f.n.pending = append(f.n.pending, span{int(off), slices.Clone(b)})
	}
	return cmp.Or(len(b), 0), err
}

// Sync that fails without effect does what Linux does: the data stays in
// memory as if it were clean, and no later sync writes it.
func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err, effect := f.fs.ask("sync", f.name)
	if effect {
		f.n.sync()
	} else {
		f.n.pending = nil
	}
	return err
}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error { return nil }
