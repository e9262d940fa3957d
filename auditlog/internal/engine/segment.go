package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// The first bytes of a segment: magic, log, epoch, size, checksum.
const (
	segmentHeader = 64
	segmentMagic  = "surety segment 1"
)

// Sizes in bytes.
const (
	MinSegment     = 256 << 10
	DefaultSegment = 64 << 20
	maxBatch       = 4 << 20 // frames of one batch, without its commit frame
)

// A segment is one prepared file. The fields below end change as it fills and
// belong to the engine's segments lock.
type segment struct {
	epoch uint64
	path  string
	file  File
	size  int64
	seed  uint32

	first uint64 // index of its first entry
	next  uint64 // index after its last committed entry
	end   int64  // offset after its last commit frame
	marks []mark // where batches begin, one for 64 KiB or more
}

type mark struct {
	index  uint64
	offset int64
}

const markEvery = 64 << 10

// commitTo moves the segment's end behind a batch.
func (s *segment) commitTo(next uint64, end int64) {
	if n := len(s.marks); n == 0 || s.end-s.marks[n-1].offset >= markEvery {
		s.marks = append(s.marks, mark{s.next, s.end})
	}
	s.next, s.end = next, end
}

// offsetOf returns an offset at or before the frame of an entry.
func (s *segment) offsetOf(index uint64) int64 {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].index > index })
	if i == 0 {
		return segmentHeader
	}
	return s.marks[i-1].offset
}

func segmentName(epoch uint64) string { return fmt.Sprintf("%016x.seg", epoch) }

// epochOf reads a segment's name.
func epochOf(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, ".seg")
	if !ok || len(hex) != 16 {
		return 0, false
	}
	epoch, err := strconv.ParseUint(hex, 16, 64)
	return epoch, err == nil
}

// logID ties segments to their log.
func logID(origin string) [16]byte {
	sum := sha256.Sum256([]byte("surety log " + origin))
	return [16]byte(sum[:16])
}

func appendSegmentHeader(origin string, epoch uint64, size int64) []byte {
	id := logID(origin)
	b := append([]byte(segmentMagic), id[:]...)
	b = binary.LittleEndian.AppendUint64(b, epoch)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	b = append(b, make([]byte, segmentHeader-4-len(b))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// openSegment opens a segment and checks that it is what its name says.
func openSegment(fsys FS, dir, origin string, epoch uint64) (*segment, error) {
	path := filepath.Join(dir, segmentName(epoch))
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	s := &segment{epoch: epoch, path: path, file: f, seed: seedOf(epoch), end: segmentHeader}
	if err := s.readHeader(origin); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *segment) readHeader(origin string) error {
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	var h [segmentHeader]byte
	if _, err := s.file.ReadAt(h[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(h[:16]) != segmentMagic || crc32.Checksum(h[:60], castagnoli) != binary.LittleEndian.Uint32(h[60:]) {
		return damaged("segment %s has no valid header", s.path)
	}
	id := logID(origin)
	if !bytes.Equal(h[16:32], id[:]) {
		return fmt.Errorf("%w: segment %s is not of the log named %q: give the key the log was made with",
			ErrKey, s.path, origin)
	}
	s.size = int64(binary.LittleEndian.Uint64(h[40:]))
	if binary.LittleEndian.Uint64(h[32:]) != s.epoch || s.size < MinSegment {
		return damaged("segment %s is not the one its name says", s.path)
	}
	if size < s.size {
		return damaged("segment %s has %d of %d bytes", s.path, size, s.size)
	}
	return nil
}

// createSegment makes a segment on stable storage.
func createSegment(fsys FS, dir, origin string, epoch uint64, size int64) (*segment, error) {
	tmp := filepath.Join(dir, "new.tmp")
	f, err := fsys.Create(tmp)
	if err != nil {
		return nil, err
	}
	// Written zeros, not just reserved blocks: later writes then change no
	// metadata and fdatasync has only data to wait for.
	zeros := make([]byte, min(1<<20, size))
	for off := int64(0); off < size && err == nil; off += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(tmp))
	}
	return finishSegment(fsys, f, tmp, dir, origin, epoch, size)
}

// reuseSegment makes a segment out of one whose entries are safe elsewhere.
func reuseSegment(fsys FS, old *segment, dir, origin string, epoch uint64) (*segment, error) {
	tmp := filepath.Join(dir, "reused.tmp")
	if err := fsys.Rename(old.path, tmp); err != nil {
		return nil, errors.Join(err, old.file.Close())
	}
	// The old name must be gone for good before the header changes.
	if err := fsys.SyncDir(dir); err != nil {
		return nil, errors.Join(err, old.file.Close())
	}
	return finishSegment(fsys, old.file, tmp, dir, origin, epoch, old.size)
}

func finishSegment(fsys FS, f File, tmp, dir, origin string, epoch uint64, size int64) (*segment, error) {
	s := &segment{
		epoch: epoch, path: filepath.Join(dir, segmentName(epoch)), file: f,
		size: size, seed: seedOf(epoch), end: segmentHeader,
	}
	_, err := f.WriteAt(appendSegmentHeader(origin, epoch, size), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.Rename(tmp, s.path)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}
