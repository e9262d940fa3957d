// Package merkle computes the Merkle tree of RFC 6962, section 2.1, over
// SHA-256, and names its tiles as C2SP tlog-tiles does.
package merkle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// A Hash is a SHA-256 hash of a leaf or a node.
type Hash = [sha256.Size]byte

// TileWidth is the number of hashes in a full tile, and of entries in a full
// bundle.
const TileWidth = 256

// Leaf returns the hash of a leaf.
func Leaf(data []byte) (h Hash) {
	d := sha256.New()
	d.Write([]byte{0})
	d.Write(data)
	d.Sum(h[:0])
	return h
}

// Node returns the hash of an interior node.
func Node(left, right Hash) Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = 1
	copy(buf[1:], left[:])
	copy(buf[1+sha256.Size:], right[:])
	return sha256.Sum256(buf[:])
}

// A Tree is what must be kept of a tree to append to it: the roots of its
// perfect subtrees, the largest first. The zero Tree is empty.
type Tree struct {
	size  uint64
	roots []Hash
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Append adds a leaf.
func (t *Tree) Append(leaf Hash) {
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		leaf = Node(t.roots[last], leaf)
		t.roots = t.roots[:last]
	}
	t.roots = append(t.roots, leaf)
	t.size++
}

// Root returns the root hash; that of an empty tree is the hash of nothing.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = Node(t.roots[i], root)
	}
	return root
}

// CopyFrom makes t equal to u without sharing memory.
func (t *Tree) CopyFrom(u *Tree) {
	t.size = u.size
	t.roots = append(t.roots[:0], u.roots...)
}

// Roots returns the roots of the perfect subtrees, for [Restore].
func (t *Tree) Roots() []Hash { return t.roots }

// ErrRoots says that a list of subtrees can't be a tree of the stated size.
var ErrRoots = errors.New("merkle: number of subtrees does not fit the size")

// Restore makes the tree of the given size from its perfect subtrees.
func Restore(size uint64, roots []Hash) (Tree, error) {
	if len(roots) != bits.OnesCount64(size) {
		return Tree{}, ErrRoots
	}
	return Tree{size: size, roots: append([]Hash(nil), roots...)}, nil
}

// TilePath names a tile of hashes below the log's directory; width is the
// number of hashes in it, [TileWidth] for a full tile.
func TilePath(level int, n uint64, width int) string {
	return "tile/" + strconv.Itoa(level) + "/" + indexPath(n, width)
}

// BundlePath names a bundle of entries below the log's directory.
func BundlePath(n uint64, width int) string { return "tile/entries/" + indexPath(n, width) }

func indexPath(n uint64, width int) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	if width != TileWidth {
		s += ".p/" + strconv.Itoa(width)
	}
	return s
}
