package engine

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// A frame is a header of 16 bytes and a body, padded to 8 bytes:
//
//	0  crc32c of the segment's epoch, the rest of the header and the body
//	4  length of the body (24 bits) and kind (8 bits)
//	8  index: of the entry, or for other kinds the tree's size
//
// All numbers are little-endian.
const (
	frameHeader = 16
	frameAlign  = 8
)

type frameKind byte

const (
	kindEntry  frameKind = 1 // body: the payload
	kindCommit frameKind = 2 // body: a commit
	kindStart  frameKind = 3 // body: the tree's subtrees; first frame of a segment
)

// MaxPayload is the largest payload in bytes (C2SP tlog-tiles).
const MaxPayload = 65535

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seedOf returns the checksum of a segment's epoch, with which every frame's
// checksum begins.
func seedOf(epoch uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], epoch)
	return crc32.Update(0, castagnoli, b[:])
}

// frameSize returns the bytes a frame takes.
func frameSize(body int) int { return (frameHeader + body + frameAlign - 1) &^ (frameAlign - 1) }

// appendFrame appends a frame without checksum and index; [sealFrame] adds
// those when its place is known.
func appendFrame(b []byte, kind frameKind, body []byte) []byte {
	var h [frameHeader]byte
	binary.LittleEndian.PutUint32(h[4:], uint32(len(body))|uint32(kind)<<24)
	b = append(append(b, h[:]...), body...)
	for len(b)%frameAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// sealFrame completes the frame at the start of b and returns its size.
func sealFrame(b []byte, seed uint32, index uint64) int {
	binary.LittleEndian.PutUint64(b[8:], index)
	n := int(binary.LittleEndian.Uint32(b[4:]) & 0xffffff)
	binary.LittleEndian.PutUint32(b, crc32.Update(seed, castagnoli, b[4:frameHeader+n]))
	return frameSize(n)
}

type frame struct {
	kind  frameKind
	index uint64
	body  []byte // shares memory with the input
}

// parseFrame reads the frame at the start of b, or reports false: b is from a
// disk that may have lost or kept anything.
func parseFrame(b []byte, seed uint32) (f frame, size int, ok bool) {
	if len(b) < frameHeader {
		return frame{}, 0, false
	}
	word := binary.LittleEndian.Uint32(b[4:])
	f.kind = frameKind(word >> 24)
	n := int(word & 0xffffff)
	if f.kind < kindEntry || f.kind > kindStart || n == 0 || n > MaxPayload || frameSize(n) > len(b) {
		return frame{}, 0, false
	}
	if crc32.Update(seed, castagnoli, b[4:frameHeader+n]) != binary.LittleEndian.Uint32(b) {
		return frame{}, 0, false
	}
	f.index = binary.LittleEndian.Uint64(b[8:])
	f.body = b[frameHeader : frameHeader+n : frameHeader+n]
	return f, frameSize(n), true
}

// A commit ends a batch: the tree after it, the size before it, the time.
type commit struct {
	from uint64
	root merkle.Hash
	time time.Time
}

const commitBody = 8 + 32 + 8

func (c *commit) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, c.from)
	b = append(b, c.root[:]...)
	return binary.LittleEndian.AppendUint64(b, uint64(c.time.UnixNano()))
}

func parseCommit(b []byte) (c commit, ok bool) {
	if len(b) != commitBody {
		return commit{}, false
	}
	c.from = binary.LittleEndian.Uint64(b)
	copy(c.root[:], b[8:])
	c.time = time.Unix(0, int64(binary.LittleEndian.Uint64(b[40:]))).UTC()
	return c, true
}

// A start repeats the tree at the beginning of a segment, so that recovery
// needs nothing but the segment.
func appendStart(b []byte, t *merkle.Tree, last time.Time) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(last.UnixNano()))
	for _, h := range t.Roots() {
		b = append(b, h[:]...)
	}
	return b
}

func parseStart(f frame) (t merkle.Tree, last time.Time, ok bool) {
	if len(f.body)%32 != 8 {
		return merkle.Tree{}, time.Time{}, false
	}
	roots := make([]merkle.Hash, len(f.body)/32)
	for i := range roots {
		copy(roots[i][:], f.body[8+32*i:])
	}
	t, err := merkle.Restore(f.index, roots)
	return t, time.Unix(0, int64(binary.LittleEndian.Uint64(f.body))).UTC(), err == nil
}
