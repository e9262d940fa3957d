package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// Pruned returns the index of the first entry that is kept.
func (e *Engine) Pruned() uint64 { return e.pruned.Load() }

// Prunable returns how many entries can be pruned now: whole tiles on stable
// storage whose entries are in no segment any more.
func (e *Engine) Prunable() uint64 {
	e.segMu.RLock()
	first := e.segments[0].first
	e.segMu.RUnlock()
	return min(first, e.synced.Load()) / merkle.TileWidth * merkle.TileWidth
}

// Prune removes the bundles and leaf tiles of the entries below a size, which
// is a multiple of 256 and at most Prunable. The hashes of whole tiles stay in
// the levels above, so that every proof for a later entry can still be made.
func (e *Engine) Prune(to uint64) error {
	if to%merkle.TileWidth != 0 || to > e.Prunable() {
		return fmt.Errorf("auditlog: can't prune %d entries, limit %d", to, e.Prunable())
	}
	from := e.pruned.Load()
	if to <= from {
		return nil
	}
	// The number first: after a crash Open goes on removing.
	name := filepath.Join(e.segmentDir(), "pruned")
	if err := replaceFile(e.fs, name, []byte(strconv.FormatUint(to, 10)+"\n"), true); err != nil {
		return fmt.Errorf("auditlog: prune: %w", err)
	}
	e.pruned.Store(to)
	return e.removeTiles(from, to)
}

func (e *Engine) removeTiles(from, to uint64) error {
	for n := from / merkle.TileWidth; n < to/merkle.TileWidth; n++ {
		for _, path := range [...]string{merkle.BundlePath(n, merkle.TileWidth), merkle.TilePath(0, n, merkle.TileWidth)} {
			name := filepath.Join(e.dir, filepath.FromSlash(path))
			if err := e.fs.Remove(name); err != nil && !missing(err) {
				return fmt.Errorf("auditlog: prune: %w", err)
			}
		}
	}
	return nil
}

// resumePruning reads how far the log is pruned and removes what a crash left.
func (e *Engine) resumePruning() error {
	b, err := readFile(e.fs, filepath.Join(e.segmentDir(), "pruned"), 32)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(b), "\n"), 10, 63)
	if err != nil {
		return damaged("segments/pruned holds no number")
	}
	e.pruned.Store(n)
	from := n // bundles are removed in order: those left are the last ones
	for from >= merkle.TileWidth {
		path := merkle.BundlePath(from/merkle.TileWidth-1, merkle.TileWidth)
		f, err := e.fs.Open(filepath.Join(e.dir, filepath.FromSlash(path)))
		if missing(err) {
			break
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		from -= merkle.TileWidth
	}
	return e.removeTiles(max(from, merkle.TileWidth)-merkle.TileWidth, n)
}

// wider returns the widest partial tile of at least a width.
func (t *tiler) wider(dir string, width int) ([]byte, error) {
	names, err := t.fs.List(dir)
	if err != nil {
		return nil, err
	}
	best := 0
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n >= width {
			best = max(best, n)
		}
	}
	return readFile(t.fs, filepath.Join(dir, strconv.Itoa(best)), maxBundle)
}
