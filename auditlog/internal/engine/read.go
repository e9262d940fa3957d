package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// Scan calls fn for the committed entries from index from up to, but not
// including, index to. The payload is fn's for the duration of the call.
func (e *Engine) Scan(from, to uint64, fn func(index uint64, payload []byte) error) error {
	to = min(to, e.State().Size)
	if first := e.pruned.Load(); from < first && from < to {
		return fmt.Errorf("%w: the log begins with entry %d", ErrPruned, first)
	}
	for from < to {
		var err error
		if from < e.bundled.Load()/merkle.TileWidth*merkle.TileWidth {
			from, err = e.scanBundle(from, to, fn)
		} else {
			from, err = e.scanSegment(from, to, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanBundle reads the rest of one full bundle.
func (e *Engine) scanBundle(from, to uint64, fn func(uint64, []byte) error) (uint64, error) {
	n := from / merkle.TileWidth
	path := merkle.BundlePath(n, merkle.TileWidth)
	b, err := readFile(e.fs, filepath.Join(e.dir, filepath.FromSlash(path)), maxBundle)
	if err != nil {
		return from, fmt.Errorf("auditlog: read entries from %d on: %w", from, err)
	}
	if size, ok := bundlePrefix(b, merkle.TileWidth); !ok || size != len(b) {
		return from, damaged("%s is no bundle of %d entries", path, merkle.TileWidth)
	}
	for index := n * merkle.TileWidth; index < (n+1)*merkle.TileWidth && index < to; index++ {
		size := int(binary.BigEndian.Uint16(b))
		if index >= from {
			if err := fn(index, b[2:2+size:2+size]); err != nil {
				return index, err
			}
			from = index + 1
		}
		b = b[2+size:]
	}
	return from, nil
}

// readAhead is how much of a segment is read at once: at least one frame.
const readAhead = 256 << 10

// scanSegment reads some entries from the segment that holds index from. The
// lock is held only while reading, so that fn may take its time.
func (e *Engine) scanSegment(from, to uint64, fn func(uint64, []byte) error) (uint64, error) {
	buf := make([]byte, readAhead)
	var offset int64
	var epoch uint64
	for from < to {
		n, seed, err := e.readSegment(from, &epoch, &offset, buf)
		if err != nil || n == 0 {
			return from, err
		}
		b := buf[:n]
		for from < to {
			f, size, ok := parseFrame(b, seed)
			if !ok {
				break
			}
			b = b[size:]
			if f.kind != kindEntry || f.index != from {
				continue
			}
			if err := fn(from, f.body); err != nil {
				return from, err
			}
			from++
		}
		if len(b) == n {
			return from, damaged("entry %d can't be read", from)
		}
		offset += int64(n - len(b))
	}
	return from, nil
}

// readSegment fills buf from the segment that holds an entry. A zero epoch
// asks for the offset to be looked up. It returns 0 bytes when the scan must
// look for the entry elsewhere.
func (e *Engine) readSegment(from uint64, epoch *uint64, offset *int64, buf []byte) (int, uint32, error) {
	e.segMu.RLock()
	defer e.segMu.RUnlock()
	for _, s := range e.segments {
		if from < s.first || from >= s.next {
			continue
		}
		if *epoch == 0 {
			*epoch, *offset = s.epoch, s.offsetOf(from)
		}
		if *epoch != s.epoch {
			return 0, 0, nil // the next segment: start over
		}
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), s.end-*offset)], *offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, fmt.Errorf("auditlog: read entry %d: %w", from, err)
		}
		return n, s.seed, nil
	}
	if from < e.bundled.Load()/merkle.TileWidth*merkle.TileWidth {
		return 0, 0, nil // reused meanwhile: it is in a bundle
	}
	return 0, 0, damaged("entry %d is in no segment", from)
}
