package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// maxFile bounds what is read at once: the largest possible bundle.
const maxFile = width * (2 + 65535)

// Dir verifies a copy of a log's directory. Findings are in the report; an
// error means that the check could not be made: a bad policy, an unreadable
// directory, a context that ended. progress, when not nil, is called now and
// then with the number of entries checked and their total.
func Dir(ctx context.Context, dir string, p Policy, progress func(done, total uint64)) (Report, error) {
	t, err := p.read()
	if err != nil {
		return Report{}, err
	}
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return Report{}, fmt.Errorf("verify: the log has no readable checkpoint: %w", err)
	}
	c := &checker{dir: dir, trust: t, report: Report{Origin: t.origin}}
	if c.head, err = t.open(msg); err == nil && !c.head.by(p.Key) {
		err = errors.New("it is signed by a former key only")
	}
	if err != nil {
		c.report.add(Tampered, NoIndex, "checkpoint", "%v", err)
		return c.report, nil
	}
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	if err := c.entries(ctx, progress); err != nil {
		return c.report, err
	}
	c.partialTiles()
	if err := c.roots(msg); err != nil {
		return c.report, err
	}
	if err := c.segments(ctx); err != nil {
		return c.report, err
	}
	return c.report, nil
}

// A checker computes the tree from the entries and compares it with all that
// is stored.
type checker struct {
	dir    string
	trust  *trust
	head   head
	report Report
	tree   peaks
	levels [][]hash // hashes of the incomplete tile of each level
	marks  []peaks  // the tree before each bundle
	leaves []hash   // of the present bundle
	found  []cosigned
	audit  trail
	stop   bool   // a bundle is missing: nothing after it can be checked
	file   []byte // what read returns
}

// entries checks all bundles in order.
func (c *checker) entries(ctx context.Context, progress func(done, total uint64)) error {
	first, err := c.skipPruned()
	if err != nil {
		return err
	}
	for n := first; n*width < c.head.size && !c.stop; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.bundle(n, int(min(width, c.head.size-n*width))); err != nil {
			return err
		}
		if n%64 == 0 {
			progress(c.tree.size, c.head.size)
		}
	}
	c.report.Entries = c.tree.size - c.report.Pruned
	if !c.stop {
		c.audit.end(&c.report)
	}
	progress(c.tree.size, c.head.size)
	return nil
}

// bundle checks the entries of one bundle against the tile of their hashes.
func (c *checker) bundle(n uint64, count int) error {
	path := tilePath("entries", n, count)
	b, err := c.read(&path, "entries", n, count)
	if err != nil {
		return err
	}
	if b == nil {
		c.report.add(Tampered, n*width, path, "the entries are missing")
		c.stop = true
		return nil
	}
	c.marks = append(c.marks, c.tree.clone())
	c.leaves = c.leaves[:0]
	entries := bundle{b}
	for i := range count {
		index := n*width + uint64(i)
		leaf, ok := entries.next()
		if !ok {
			c.stop = true
			c.levelZero(n, count)
			c.report.add(Tampered, index, path, "the bundle ends before this entry")
			return nil
		}
		c.leaves = append(c.leaves, sha256.Sum256(leaf))
		if co, ok := c.audit.entry(&c.report, index, leaf[1:]); ok {
			c.found = append(c.found, co)
		}
	}
	if len(entries.rest) > 0 && path == tilePath("entries", n, count) {
		c.report.add(Tampered, NoIndex, path, "the bundle has more than its %d entries", count)
	}
	c.levelZero(n, count)
	return nil
}

// levelZero compares the leaves with their tile, which names the first entry
// that was changed, adds them to the tree, and passes full tiles up.
func (c *checker) levelZero(n uint64, count int) {
	path := tilePath("0", n, count)
	b, err := c.read(&path, "0", n, count)
	switch {
	case err != nil || !c.whole(b, path, "0", n, count):
		c.report.add(Tampered, NoIndex, path, "the tile is missing or not of its size")
	default:
		for i, h := range c.leaves {
			if h != hash(b[i*len(h):(i+1)*len(h)]) {
				c.report.add(Tampered, n*width+uint64(i), path, "the entry does not have the hash that was stored for it")
				break
			}
		}
	}
	if len(c.leaves) < width {
		for _, h := range c.leaves {
			c.tree.add(h)
		}
		return
	}
	root := fold(c.leaves)
	c.tree.addTile(root)
	c.up(1, root)
}

// up adds a hash to a level above the leaves and compares completed tiles.
func (c *checker) up(level int, h hash) {
	if level > len(c.levels) {
		c.levels = append(c.levels, nil)
	}
	c.levels[level-1] = append(c.levels[level-1], h)
	if len(c.levels[level-1]) < width {
		return
	}
	n := c.tree.size>>(8*(level+1)) - 1
	c.compare(level, n, c.levels[level-1])
	root := fold(c.levels[level-1])
	c.levels[level-1] = c.levels[level-1][:0]
	c.up(level+1, root)
}

func (c *checker) compare(level int, n uint64, hashes []hash) {
	path := tilePath(strconv.Itoa(level), n, len(hashes))
	b, err := c.read(&path, strconv.Itoa(level), n, len(hashes))
	if err != nil || !c.whole(b, path, strconv.Itoa(level), n, len(hashes)) {
		c.report.add(Tampered, NoIndex, path, "the tile is missing or not of its size")
		return
	}
	for i, h := range hashes {
		if h != hash(b[i*len(h):(i+1)*len(h)]) {
			c.report.add(Tampered, NoIndex, path, "hash %d is not that of the tiles below", i)
			return
		}
	}
}

// whole reports whether a tile has as many hashes as its name says; a full one
// may stand for a partial one.
func (c *checker) whole(b []byte, path, level string, n uint64, w int) bool {
	if path != tilePath(level, n, w) {
		w = width
	}
	return len(b) == w*len(hash{})
}

// partialTiles compares the incomplete tiles of the checkpoint's size.
func (c *checker) partialTiles() {
	if c.stop {
		return
	}
	for i, hashes := range c.levels {
		if len(hashes) > 0 {
			c.compare(i+1, c.tree.size>>(8*(i+2)), hashes)
		}
	}
}

// read reads a tile, or the full one if the partial one was replaced. Nothing
// is returned when neither is there. What is returned is good until the next
// call.
func (c *checker) read(path *string, level string, n uint64, w int) ([]byte, error) {
	for _, w := range [...]int{w, width} {
		*path = tilePath(level, n, w)
		name := filepath.Join(c.dir, filepath.FromSlash(*path))
		ok, err := c.load(name)
		if err == nil && !ok {
			return nil, nil // no bundle is that large
		}
		if err == nil {
			return c.file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	return nil, nil
}

// load reads a file, unless it is larger than any can be.
func (c *checker) load(name string) (ok bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b := bytes.NewBuffer(c.file[:0])
	_, err = b.ReadFrom(io.LimitReader(f, maxFile+1))
	c.file = b.Bytes()
	return len(c.file) <= maxFile, err
}

// rootAt returns the root of the computed tree at a size up to its own.
func (c *checker) rootAt(size uint64) (hash, bool) {
	if size > c.tree.size || size < c.report.Pruned && size%width != 0 {
		return hash{}, false
	}
	n := size / width
	if n == uint64(len(c.marks)) {
		return c.tree.root(), size == c.tree.size
	}
	p := c.marks[n].clone()
	rest := int(size % width)
	if rest == 0 {
		return p.root(), true
	}
	count := int(min(width, c.tree.size-n*width))
	path := ""
	b, err := c.read(&path, "entries", n, count)
	if err != nil {
		return hash{}, false
	}
	entries := bundle{b}
	for range rest {
		leaf, ok := entries.next()
		if !ok {
			return hash{}, false
		}
		p.add(sha256.Sum256(leaf))
	}
	return p.root(), true
}

// roots compares the tree with the checkpoint, the older one and all cosigned
// ones.
func (c *checker) roots(msg []byte) error {
	c.report.Root = c.tree.root()
	if c.stop {
		return nil
	}
	if c.tree.root() != c.head.root {
		c.report.add(Tampered, NoIndex, "checkpoint", "the entries do not add up to the root that was signed")
	}
	c.pruning()
	c.rotations()
	if o := c.trust.older; o != nil && c.compares(o.size) {
		if root, ok := c.rootAt(o.size); !ok || root != o.root {
			c.report.add(Tampered, NoIndex, "", "the log does not continue the older checkpoint of %d entries", o.size)
		}
	}
	return c.cosignatures(msg)
}
