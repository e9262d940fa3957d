package verify

import "bytes"

// tiles are a bundle and the hashes of its leaves. Once all of them were found
// right, an entry in a segment that is the same byte for byte need not be
// hashed again.
type tiles struct {
	loaded  bool
	n, next uint64 // the bundle; the entry that entries begin with
	entries bundle
	file    []byte
	hashes  []byte
}

// hash returns the hash of an entry if it is the one in the tiles.
func (t *tiles) hash(c *checker, index uint64, body []byte) (hash, bool) {
	if !c.report.OK() || index < c.report.Pruned || index >= c.tree.size {
		return hash{}, false
	}
	if n := index / width; !t.loaded || t.n != n || t.next > index {
		t.load(c, n)
	}
	var leaf []byte
	ok := t.loaded
	for ; ok && t.next <= index; t.next++ {
		leaf, ok = t.entries.next()
	}
	at := int(index%width) * len(hash{})
	if !ok || len(t.hashes) < at+len(hash{}) || !bytes.Equal(leaf[1:], body) {
		return hash{}, false
	}
	return hash(t.hashes[at:]), true
}

// load reads a bundle and its tile. Without them there is nothing to compare
// with.
func (t *tiles) load(c *checker, n uint64) {
	t.loaded, t.n, t.next = false, n, n*width
	path, count := "", int(min(width, c.tree.size-n*width))
	b, err := c.read(&path, "entries", n, count)
	if err != nil || b == nil {
		return
	}
	t.entries = bundle{b}
	t.file, c.file = c.file, t.file // b is ours now
	if b, err = c.read(&path, "0", n, count); err != nil {
		return
	}
	t.hashes, t.loaded = append(t.hashes[:0], b...), true
}
