package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// A tiler writes the tree as C2SP tlog-tiles. Its files are not synced one by
// one: what a crash loses is rebuilt from the segments.
type tiler struct {
	fs     FS
	dir    string
	size   uint64
	levels [][]merkle.Hash // hashes of the last, incomplete tile of each level
	bundle []byte          // the last, incomplete bundle
	full   func(uint64)    // called with the number of entries in full bundles
	dirty  []string        // written since the last sync
	stale  []string        // partial tiles that full ones replace
	made   map[string]bool // directories that exist
	// seen is the size of the last checkpoint: files of that size may be read
	// by others at this moment and are replaced in one step.
	seen uint64
	// careful has files that are as they should be left alone and others
	// synced one by one: some may be on stable storage already.
	careful bool
	upper   []string // the incomplete tile of each level above the leaves that was written last
}

// add appends an entry to the tiles; full ones are written.
func (t *tiler) add(payload []byte, leaf merkle.Hash) error {
	t.bundle = binary.BigEndian.AppendUint16(t.bundle, uint16(len(payload)))
	t.bundle = append(t.bundle, payload...)
	t.size++
	if t.size%merkle.TileWidth == 0 {
		n := t.size/merkle.TileWidth - 1
		if err := t.writeFull(merkle.BundlePath(n, merkle.TileWidth), t.bundle); err != nil {
			return err
		}
		t.bundle = t.bundle[:0]
		t.full(t.size)
	}
	return t.push(0, leaf)
}

// push appends a hash to a level and, when that completes a tile, the tile's
// root to the level above.
func (t *tiler) push(level int, h merkle.Hash) error {
	if level == len(t.levels) {
		t.levels = append(t.levels, make([]merkle.Hash, 0, merkle.TileWidth))
	}
	t.levels[level] = append(t.levels[level], h)
	if len(t.levels[level]) < merkle.TileWidth {
		return nil
	}
	n := t.size>>(8*(level+1)) - 1
	if err := t.writeFull(merkle.TilePath(level, n, merkle.TileWidth), join(t.levels[level])); err != nil {
		return err
	}
	root := rootOf(t.levels[level])
	t.levels[level] = t.levels[level][:0]
	return t.push(level+1, root)
}

// writePartial writes the incomplete tiles of the present size.
func (t *tiler) writePartial() error {
	if len(t.bundle) > 0 {
		path := merkle.BundlePath(t.size/merkle.TileWidth, int(t.size%merkle.TileWidth))
		if err := t.write(path, t.bundle); err != nil {
			return err
		}
	}
	for level, hashes := range t.levels {
		if len(hashes) == 0 {
			continue
		}
		path := merkle.TilePath(level, t.size>>(8*(level+1)), len(hashes))
		if err := t.writeUpper(level, path, join(hashes)); err != nil {
			return err
		}
	}
	return nil
}

// writeUpper writes an incomplete tile. Above the leaves it has the same name,
// and the same content, at many sizes of the tree, and others may be reading
// it: it is written once, and put in its place as a whole.
func (t *tiler) writeUpper(level int, path string, data []byte) error {
	if level == 0 {
		return t.write(path, data)
	}
	for len(t.upper) <= level {
		t.upper = append(t.upper, "")
	}
	if t.upper[level] == path {
		return nil
	}
	if err := t.replace(path, data); err != nil {
		return err
	}
	t.upper[level] = path
	return nil
}

func (t *tiler) writeFull(path string, data []byte) error {
	if err := t.write(path, data); err != nil {
		return err
	}
	t.stale = append(t.stale, filepath.Join(t.dir, filepath.FromSlash(path))+".p")
	return nil
}

func (t *tiler) write(path string, data []byte) error {
	if t.size <= t.seen {
		return t.replace(path, data)
	}
	name, written, err := t.place(path, data)
	if err != nil || written {
		return err
	}
	return writeNew(t.fs, name, data)
}

// replace writes a tile that others may be reading.
func (t *tiler) replace(path string, data []byte) error {
	name, written, err := t.place(path, data)
	if err != nil || written {
		return err
	}
	return replaceFile(t.fs, name, data, t.careful && t.size <= t.seen)
}

// place returns where a tile is, in a directory that is there, and whether it
// has the content already.
func (t *tiler) place(path string, data []byte) (name string, written bool, err error) {
	name = filepath.Join(t.dir, filepath.FromSlash(path))
	if dir := filepath.Dir(name); !t.made[dir] {
		if err := t.fs.MkdirAll(dir); err != nil {
			return "", false, err
		}
		if len(t.made) > 1000 {
			clear(t.made)
		}
		t.made[dir] = true
	}
	if t.careful {
		if b, err := readFile(t.fs, name, maxBundle); err == nil && bytes.Equal(b, data) {
			return name, true, nil
		}
	}
	t.dirty = append(t.dirty, name)
	return name, false, nil
}

// sync makes all tiles durable and removes partial ones that are replaced.
func (t *tiler) sync() error {
	if len(t.dirty) == 0 {
		return nil
	}
	if err := t.fs.SyncAll(t.dir, t.present()); err != nil {
		return err
	}
	t.dirty = t.dirty[:0]
	for _, dir := range t.stale {
		delete(t.made, dir)
		if err := removeDir(t.fs, dir); err != nil {
			return err
		}
	}
	t.stale = t.stale[:0]
	return nil
}

// present lists the dirty files once each.
func (t *tiler) present() []string {
	seen := make(map[string]bool, len(t.dirty))
	list := t.dirty[:0]
	for _, name := range t.dirty {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	t.dirty = list
	return list
}

func removeDir(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if missing(err) {
		return nil
	}
	for _, name := range names {
		err = errors.Join(err, fsys.Remove(filepath.Join(dir, name)))
	}
	return errors.Join(err, fsys.Remove(dir))
}

// root computes the tree's root from the incomplete tiles.
func (t *tiler) root() merkle.Hash {
	var carry []merkle.Hash // the incomplete subtree right of a level's hashes
	for _, hashes := range t.levels {
		list := append(hashes[:len(hashes):len(hashes)], carry...)
		if len(list) > 0 {
			carry = []merkle.Hash{rootOf(list)}
		}
	}
	if len(carry) == 0 {
		var empty merkle.Tree
		return empty.Root()
	}
	return carry[0]
}

// rootOf is MTH of RFC 6962 over subtrees of which only the last may be
// incomplete.
func rootOf(hashes []merkle.Hash) merkle.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	k := 1
	for 2*k < len(hashes) {
		k *= 2
	}
	return merkle.Node(rootOf(hashes[:k]), rootOf(hashes[k:]))
}

func join(hashes []merkle.Hash) []byte {
	b := make([]byte, 0, len(hashes)*len(merkle.Hash{}))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// load puts the tiler where it was at a size, from its own files.
func (t *tiler) load(size uint64) error {
	t.size, t.levels, t.bundle = size, nil, nil
	for level := 0; size>>(8*level) > 0; level++ {
		width := int(size >> (8 * level) % merkle.TileWidth)
		hashes, err := t.loadTile(level, size>>(8*(level+1)), width)
		if err != nil {
			return err
		}
		t.levels = append(t.levels, hashes)
	}
	width := int(size % merkle.TileWidth)
	if width == 0 {
		return nil
	}
	b, err := t.read(merkle.BundlePath, size/merkle.TileWidth, width)
	if err != nil {
		return err
	}
	n, ok := bundlePrefix(b, width)
	if !ok {
		return fmt.Errorf("bundle %d is cut short", size/merkle.TileWidth)
	}
	t.bundle = b[:n:n]
	return nil
}

func (t *tiler) loadTile(level int, n uint64, width int) ([]merkle.Hash, error) {
	hashes := make([]merkle.Hash, width, merkle.TileWidth)
	if width == 0 {
		return hashes, nil
	}
	path := func(n uint64, width int) string { return merkle.TilePath(level, n, width) }
	b, err := t.read(path, n, width)
	if err != nil {
		return nil, err
	}
	if len(b) < width*len(hashes[0]) {
		return nil, fmt.Errorf("tile %s is cut short", path(n, width))
	}
	for i := range hashes {
		copy(hashes[i][:], b[i*len(hashes[0]):])
	}
	return hashes, nil
}

// read returns a partial tile or the full one that replaced it.
func (t *tiler) read(path func(uint64, int) string, n uint64, width int) ([]byte, error) {
	b, err := readFile(t.fs, filepath.Join(t.dir, filepath.FromSlash(path(n, width))), maxBundle)
	full := filepath.Join(t.dir, filepath.FromSlash(path(n, merkle.TileWidth)))
	if missing(err) {
		b, err = readFile(t.fs, full, maxBundle)
	}
	if missing(err) { // a wider partial tile begins with the same hashes
		b, err = t.wider(full+".p", width)
	}
	return b, err
}

const maxBundle = merkle.TileWidth * (2 + MaxPayload)

// bundlePrefix returns the length of a bundle's first n entries.
func bundlePrefix(b []byte, n int) (size int, ok bool) {
	for range n {
		if size+2 > len(b) {
			return 0, false
		}
		size += 2 + int(binary.BigEndian.Uint16(b[size:]))
	}
	return size, size <= len(b)
}
