package verify

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The segments' format is described in the engine's documentation; this is a
// second reading of it.
const (
	segmentMagic = "surety segment 1"
	headerSize   = 64
	maxBody      = 65535
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segments checks every frame of the segments. A copy without segments is
// fine: tiles are what others read.
func (c *checker) segments(ctx context.Context) error {
	if c.stop {
		return nil
	}
	names, err := os.ReadDir(filepath.Join(c.dir, "segments"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	s := segmentReader{c: c}
	for _, d := range names { // in order of their epochs
		hex, ok := strings.CutSuffix(d.Name(), ".seg")
		epoch, err := strconv.ParseUint(hex, 16, 64)
		if !ok || err != nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.file(d.Name(), epoch); err != nil {
			return err
		}
	}
	if s.begun && s.tree.size < c.head.size {
		c.report.add(Tampered, s.tree.size, "segments", "the segments end before the checkpoint")
	} else if s.begun {
		c.report.Pending = s.tree.size - c.head.size
	}
	return nil
}

// A segmentReader follows the tree through the segments.
type segmentReader struct {
	c     *checker
	tree  peaks // at the last commit
	next  peaks // with entries since
	begun bool
	time  int64
	bad   bool
	body  []byte // of the present frame
	tiles tiles
	buf   []byte
}

func (s *segmentReader) file(name string, epoch uint64) error {
	f, err := os.Open(filepath.Join(s.c.dir, "segments", name))
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil || string(h[:16]) != segmentMagic ||
		crc32.Checksum(h[:60], castagnoli) != binary.LittleEndian.Uint32(h[60:]) || binary.LittleEndian.Uint64(h[32:]) != epoch {
		s.c.report.add(Tampered, NoIndex, "segments/"+name, "the header is not valid")
		return nil
	}
	seed := crc32.Update(0, castagnoli, binary.LittleEndian.AppendUint64(nil, epoch))
	for !s.bad {
		kind, index, body, ok := readFrame(r, seed, &s.body)
		if !ok {
			return nil // the end; what is missing shows by the sizes
		}
		s.frame("segments/"+name, kind, index, body)
	}
	return nil
}

// readFrame reads a frame, or reports false at the first that does not check.
// The body is in buf and good until the next call.
func readFrame(r io.Reader, seed uint32, buf *[]byte) (kind byte, index uint64, body []byte, ok bool) {
	var h [16]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, nil, false
	}
	word := binary.LittleEndian.Uint32(h[4:])
	n := int(word & 0xffffff)
	if n == 0 || n > maxBody {
		return 0, 0, nil, false
	}
	if *buf == nil {
		*buf = make([]byte, maxBody+8)
	}
	body = (*buf)[:(n+7)&^7]
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, 0, nil, false
	}
	body = body[:n]
	sum := crc32.Update(crc32.Update(seed, castagnoli, h[4:]), castagnoli, body)
	return byte(word >> 24), binary.LittleEndian.Uint64(h[8:]), body, sum == binary.LittleEndian.Uint32(h[:])
}

func (s *segmentReader) frame(where string, kind byte, index uint64, body []byte) {
	switch kind {
	case 1:
		if index != s.next.size {
			s.fail(index, where, "the entry comes at the wrong place")
			return
		}
		h, same := s.tiles.hash(s.c, index, body)
		if !same {
			h, s.buf = leafHash(s.buf, body)
		}
		s.next.add(h)
	case 2:
		s.commit(where, index, body)
	case 3:
		s.start(where, index, body)
	default:
		s.fail(NoIndex, where, "a frame of unknown kind")
	}
}

func (s *segmentReader) fail(index uint64, where, problem string) {
	s.bad = true
	s.c.report.add(Tampered, index, where, "%s", problem)
}

// commit compares the tree at the end of a batch.
func (s *segmentReader) commit(where string, size uint64, body []byte) {
	if len(body) != 48 || size != s.next.size || binary.LittleEndian.Uint64(body) != s.tree.size || hash(body[8:40]) != s.next.root() {
		s.fail(s.tree.size, where, "a batch's commit does not fit its entries")
		return
	}
	at := int64(binary.LittleEndian.Uint64(body[40:]))
	if at < s.time {
		s.c.report.add(Time, s.tree.size, where, "commit time goes back by %s", time.Duration(s.time-at))
	}
	s.time = max(s.time, at)
	if s.next.size == s.c.head.size && s.next.root() != s.c.head.root {
		s.fail(s.tree.size, where, "the segments hold another tree than the checkpoint")
		return
	}
	s.tree = s.next.clone()
}

// start compares the tree at the beginning of a segment with the tiles'.
func (s *segmentReader) start(where string, size uint64, body []byte) {
	p := peaks{size: size}
	for b := body[min(8, len(body)):]; len(b) >= len(hash{}); b = b[len(hash{}):] {
		p.list = append(p.list, hash(b))
	}
	if s.begun && (size != s.tree.size || p.root() != s.tree.root()) {
		s.fail(size, where, "the segment does not continue the one before it")
		return
	}
	if !s.begun && size <= s.c.tree.size {
		if root, ok := s.c.rootAt(size); !ok || root != p.root() {
			s.fail(size, where, "the segment does not continue the tiles")
			return
		}
	}
	s.begun, s.tree, s.next = true, p, p.clone()
}
