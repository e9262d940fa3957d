package authz

import "slices"

// An edit owns what was made during one change of a policy: nobody else has
// seen it yet, so it is written in place. What another edit made is copied
// first, because decisions are reading it. The field makes every edit have an
// address of its own.
type edit struct{ _ byte }

// A table finds row numbers by a hash. It is an extendible hash table whose
// buckets are shared between snapshots: a change copies the buckets it
// touches and the directory, so that one among a million costs microseconds.
//
// Hashes are keyed, so nobody outside can make them collide, and they are
// only a way to find rows: every row found is compared in full.
type table struct {
	owner *edit
	bits  uint // the directory goes by so many of a hash's top bits
	dir   []*bucket
	count int
}

const (
	bucketMin  = 8
	bucketMax  = 512
	listBit    = 1 << 31 // in a ref: the number of a list
	maxRows    = listBit - 1
	fullDivide = 4 // a bucket is full when three quarters are taken
)

type bucket struct {
	owner *edit
	bits  uint // so many top bits do all hashes here share
	used  int
	keys  []uint64 // 0 is a free place
	refs  []uint32 // a row, or the number of a list
	lists [][]uint32
}

func newTable(e *edit) table {
	return table{owner: e, dir: []*bucket{newBucket(e, 0, bucketMin)}}
}

func newBucket(e *edit, bits uint, size int) *bucket {
	return &bucket{owner: e, bits: bits, keys: make([]uint64, size), refs: make([]uint32, size)}
}

func (t *table) at(hash uint64) int { return int(hash >> 1 >> (63 - t.bits)) } //nolint:gosec // fewer bits than an int has

// get returns the rows of a hash, oldest first. The caller does not change
// them.
func (t *table) get(hash uint64) []uint32 {
	b := t.dir[t.at(hash)]
	mask := uint64(len(b.keys) - 1) //nolint:gosec // never empty
	for i := hash & mask; ; i = (i + 1) & mask {
		switch b.keys[i] {
		case hash:
			if r := b.refs[i]; r&listBit != 0 {
				return b.lists[r&^listBit]
			}
			return b.refs[i : i+1 : i+1]
		case 0:
			return nil
		}
	}
}

// own makes the bucket of a hash one that the edit may write.
func (t *table) own(e *edit, hash uint64) *bucket {
	if t.owner != e {
		t.owner, t.dir = e, slices.Clone(t.dir)
	}
	b := t.dir[t.at(hash)]
	if b.owner == e {
		return b
	}
	c := &bucket{e, b.bits, b.used, slices.Clone(b.keys), slices.Clone(b.refs), slices.Clone(b.lists)}
	for i := range c.lists {
		c.lists[i] = slices.Clip(c.lists[i]) // appending copies
	}
	t.replace(hash, c)
	return c
}

// replace puts a bucket where its hashes lead.
func (t *table) replace(hash uint64, b *bucket) {
	span := 1 << (t.bits - b.bits)
	first := t.at(hash) &^ (span - 1)
	for i := range span {
		t.dir[first+i] = b
	}
}

// add puts a row under a hash.
func (t *table) add(e *edit, hash uint64, row uint32) {
	b := t.own(e, hash)
	for (b.used+1)*fullDivide > len(b.keys)*(fullDivide-1) {
		// The directory stays small beside the table, whatever the hashes.
		if len(b.keys) < bucketMax || b.bits == t.bits && 1<<t.bits > t.count/16 {
			b.grow()
		} else {
			t.split(e, b, hash)
			b = t.own(e, hash)
		}
	}
	b.put(hash, row)
	t.count++
}

func (b *bucket) put(hash uint64, row uint32) {
	i := b.place(hash)
	switch {
	case b.keys[i] == 0:
		b.keys[i], b.refs[i] = hash, row
		b.used++
	case b.refs[i]&listBit == 0:
		b.lists = append(b.lists, []uint32{b.refs[i], row})
		b.refs[i] = listBit | uint32(len(b.lists)-1) //nolint:gosec // at most bucketMax lists
	default:
		n := b.refs[i] &^ listBit
		b.lists[n] = append(b.lists[n], row)
	}
}

// place is where a hash is, or would be.
func (b *bucket) place(hash uint64) uint64 {
	mask := uint64(len(b.keys) - 1) //nolint:gosec // never empty
	i := hash & mask
	for b.keys[i] != 0 && b.keys[i] != hash {
		i = (i + 1) & mask
	}
	return i
}

func (b *bucket) grow() {
	keys, refs := b.keys, b.refs
	b.keys, b.refs = make([]uint64, 2*len(keys)), make([]uint32, 2*len(keys))
	for i, k := range keys {
		if k != 0 {
			j := b.place(k)
			b.keys[j], b.refs[j] = k, refs[i]
		}
	}
}

// split divides a bucket by the next bit of its hashes.
func (t *table) split(e *edit, b *bucket, hash uint64) {
	if b.bits == t.bits {
		dir := make([]*bucket, 2*len(t.dir))
		for i, old := range t.dir {
			dir[2*i], dir[2*i+1] = old, old
		}
		t.bits, t.dir = t.bits+1, dir
	}
	half := [2]*bucket{newBucket(e, b.bits+1, len(b.keys)), newBucket(e, b.bits+1, len(b.keys))}
	for i, k := range b.keys {
		if k == 0 {
			continue
		}
		h := half[k>>(63-b.bits)&1]
		j, ref := h.place(k), b.refs[i]
		if ref&listBit != 0 {
			h.lists = append(h.lists, b.lists[ref&^listBit])
			ref = listBit | uint32(len(h.lists)-1) //nolint:gosec // at most bucketMax lists
		}
		h.keys[j], h.refs[j] = k, ref
		h.used++
	}
	bit := uint64(1) << (63 - b.bits)
	t.replace(hash&^bit, half[0])
	t.replace(hash|bit, half[1])
}

// remove takes a row away from a hash, if it is there.
func (t *table) remove(e *edit, hash uint64, row uint32) {
	b := t.own(e, hash)
	i := b.place(hash)
	switch {
	case b.keys[i] == 0:
		return
	case b.refs[i]&listBit == 0:
		if b.refs[i] != row {
			return
		}
		b.clear(i)
	default:
		n := b.refs[i] &^ listBit
		at := slices.Index(b.lists[n], row)
		if at < 0 {
			return
		}
		kept := slices.Concat(b.lists[n][:at], b.lists[n][at+1:]) // readers have the old one
		if b.lists[n] = kept; len(kept) == 1 {
			b.refs[i] = kept[0]
			b.dropList(n)
		}
	}
	t.count--
}

// dropList takes a list out and moves the last one to its place.
func (b *bucket) dropList(n uint32) {
	last := uint32(len(b.lists) - 1) //nolint:gosec // at most bucketMax lists
	if n != last {
		b.lists[n] = b.lists[last]
		b.refs[slices.Index(b.refs, listBit|last)] = listBit | n
	}
	b.lists[last] = nil
	b.lists = b.lists[:last]
}

// clear frees a place and moves up what stands after it because of it.
func (b *bucket) clear(i uint64) {
	mask := uint64(len(b.keys) - 1) //nolint:gosec // never empty
	b.used--
	for j := i; ; {
		j = (j + 1) & mask
		if b.keys[j] == 0 {
			break
		}
		if home := b.keys[j] & mask; (j-home)&mask >= (j-i)&mask {
			b.keys[i], b.refs[i] = b.keys[j], b.refs[j]
			i = j
		}
	}
	b.keys[i], b.refs[i] = 0, 0
}
