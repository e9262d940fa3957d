package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

type hash = [sha256.Size]byte

const width = 256

// leafHash and nodeHash are those of RFC 6962, section 2.1.
func leafHash(buf, data []byte) (hash, []byte) {
	buf = append(append(buf[:0], 0), data...)
	return sha256.Sum256(buf), buf
}

// A bundle reads the entries of a file below tile/entries: each a length in
// two bytes and as many bytes.
type bundle struct{ rest []byte }

// next returns the next entry with a zero byte before it, as leaves are
// hashed, in place of its length's second byte: the file's copy is ours. It
// reports false where the bundle ends before the entry does.
func (b *bundle) next() (leaf []byte, ok bool) {
	if len(b.rest) < 2 {
		return nil, false
	}
	size := int(binary.BigEndian.Uint16(b.rest))
	if len(b.rest) < 2+size {
		return nil, false
	}
	leaf = b.rest[1 : 2+size]
	leaf[0] = 0
	b.rest = b.rest[2+size:]
	return leaf, true
}

func nodeHash(left, right hash) hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// peaks are the perfect subtrees of a tree, the largest first.
type peaks struct {
	size uint64
	list []hash
}

func (p *peaks) add(h hash) {
	for range bits.TrailingZeros64(^p.size) {
		h = nodeHash(p.list[len(p.list)-1], h)
		p.list = p.list[:len(p.list)-1]
	}
	p.list = append(p.list, h)
	p.size++
}

// addTile adds the root of a whole tile of leaves.
func (p *peaks) addTile(h hash) {
	for range bits.TrailingZeros64(^(p.size / width)) {
		h = nodeHash(p.list[len(p.list)-1], h)
		p.list = p.list[:len(p.list)-1]
	}
	p.list = append(p.list, h)
	p.size += width
}

func (p *peaks) root() hash {
	if len(p.list) == 0 {
		return sha256.Sum256(nil)
	}
	h := p.list[len(p.list)-1]
	for i := len(p.list) - 2; i >= 0; i-- {
		h = nodeHash(p.list[i], h)
	}
	return h
}

func (p *peaks) clone() peaks { return peaks{p.size, append([]hash(nil), p.list...)} }

// fold computes the root of up to 256 hashes that are a perfect or the last
// part of a tree.
func fold(hashes []hash) hash {
	var p peaks
	for _, h := range hashes {
		p.add(h)
	}
	return p.root()
}

// tilePath is the name of a tile by C2SP tlog-tiles; level "entries" names
// bundles.
func tilePath(level string, n uint64, w int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if w < width {
		path = fmt.Sprintf("%s.p/%d", path, w)
	}
	return "tile/" + level + "/" + path
}
