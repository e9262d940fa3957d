package engine

import (
	"errors"
	"fmt"
	"math/bits"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// Consistency proves that the published tree of the given size continues the
// tree of an older size (RFC 6962, section 2.1.2).
func (e *Engine) Consistency(old, size uint64) ([]merkle.Hash, error) {
	r, err := e.hashReader(size)
	if err != nil {
		return nil, err
	}
	if old > size {
		return nil, fmt.Errorf("auditlog: no proof from size %d to the smaller %d", old, size)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	return proof(tlog.ProveTree(int64(size), int64(old), r))
}

// Inclusion proves that an entry is in the published tree of the given size.
func (e *Engine) Inclusion(index, size uint64) ([]merkle.Hash, error) {
	r, err := e.hashReader(size)
	if err != nil {
		return nil, err
	}
	if index >= size {
		return nil, fmt.Errorf("auditlog: entry %d is not in the tree of size %d", index, size)
	}
	return proof(tlog.ProveRecord(int64(size), int64(index), r))
}

func proof[P ~[]tlog.Hash](p P, err error) ([]merkle.Hash, error) {
	if err != nil {
		return nil, fmt.Errorf("auditlog: prove: %w", err)
	}
	hashes := make([]merkle.Hash, len(p))
	for i, h := range p {
		hashes[i] = merkle.Hash(h)
	}
	return hashes, nil
}

// hashReader reads hashes from the tiles, checked against the published root.
func (e *Engine) hashReader(size uint64) (tlog.HashReader, error) {
	c := e.Published()
	if c.Size == 0 || size > c.Size {
		return nil, errors.New("auditlog: no checkpoint of that size is published")
	}
	return tlog.TileHashReader(tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Root)}, tileFiles{e.fs, e.dir}), nil
}

// tileFiles is a tlog.TileReader of the log's directory.
type tileFiles struct {
	fs  FS
	dir string
}

func (t tileFiles) Height() int { return 8 }

func (t tileFiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tileFiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := func(width int) string {
			return filepath.Join(t.dir, filepath.FromSlash(merkle.TilePath(tile.L, uint64(tile.N), width)))
		}
		b, err := readFile(t.fs, path(tile.W), maxBundle)
		if missing(err) { // a full tile replaced the partial one
			b, err = readFile(t.fs, path(merkle.TileWidth), maxBundle)
		}
		if err != nil {
			return nil, err
		}
		if want := tile.W * len(merkle.Hash{}); len(b) > want {
			b = b[:want]
		}
		all[i] = b
	}
	return all, nil
}

// Around returns the perfect subtrees that cover the published tree of the
// given size on either side of the range from first to next: with them, the
// leaves of the range add up to the root.
func (e *Engine) Around(first, next, size uint64) (left, right []merkle.Hash, err error) {
	r, err := e.hashReader(size)
	if err != nil {
		return nil, nil, err
	}
	if first > next || next > size {
		return nil, nil, fmt.Errorf("auditlog: no range from %d to %d in a tree of %d", first, next, size)
	}
	if left, err = subtrees(r, 0, first); err != nil {
		return nil, nil, err
	}
	right, err = subtrees(r, next, size)
	return left, right, err
}

// subtrees reads the largest aligned perfect subtrees that cover a range.
func subtrees(r tlog.HashReader, from, to uint64) ([]merkle.Hash, error) {
	var indexes []int64
	for from < to {
		level := bits.Len64(to-from) - 1
		if from > 0 {
			level = min(level, bits.TrailingZeros64(from))
		}
		indexes = append(indexes, tlog.StoredHashIndex(level, int64(from>>level)))
		from += 1 << level
	}
	if indexes == nil {
		return nil, nil
	}
	hashes, err := r.ReadHashes(indexes)
	return proof(hashes, err)
}

// RootAt returns the root that the tree had at a size that is published.
func (e *Engine) RootAt(size uint64) (merkle.Hash, error) {
	r, err := e.hashReader(size)
	if err != nil {
		return merkle.Hash{}, err
	}
	roots, err := subtrees(r, 0, size)
	if err != nil {
		return merkle.Hash{}, err
	}
	t, err := merkle.Restore(size, roots)
	return t.Root(), err
}
