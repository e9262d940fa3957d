package authz

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTableIsAMultimapOfItsOwnTime compares a table with a map, through many
// edits, and looks at old versions after new ones were made.
func TestTableIsAMultimapOfItsOwnTime(t *testing.T) {
	type version struct {
		table table
		want  map[uint64][]uint32
	}
	for _, hashes := range []uint64{3, 50, 5000} {
		r := rand.New(rand.NewPCG(1, hashes)) //nolint:gosec // a test
		now := version{newTable(&edit{}), map[uint64][]uint32{}}
		var old []version
		for step := range 400 {
			e := &edit{}
			next := version{now.table, map[uint64][]uint32{}}
			for h, rows := range now.want {
				next.want[h] = slices.Clone(rows)
			}
			for range r.IntN(30) {
				h := key(r.Uint64N(hashes) * 0x9E3779B97F4A7C15)
				if have := next.want[h]; len(have) > 0 && r.IntN(3) == 0 {
					gone := have[r.IntN(len(have))]
					next.table.remove(e, h, gone)
					next.want[h] = slices.DeleteFunc(have, func(n uint32) bool { return n == gone })
				} else {
					n := uint32(step*100 + r.IntN(100)) //nolint:gosec // small
					if !slices.Contains(have, n) {
						next.table.add(e, h, n)
						next.want[h] = append(have, n)
					}
				}
			}
			next.table.remove(e, 12345, 1) // was never there
			if old = append(old, now); len(old) > 20 {
				old = old[1:]
			}
			now = next
		}
		for _, v := range append(old, now) {
			total := 0
			for h, want := range v.want {
				if got := v.table.get(h); !slices.Equal(got, want) && len(got)+len(want) > 0 {
					t.Fatalf("%d hashes: %x: %v, want %v", hashes, h, got, want)
				}
				total += len(want)
			}
			if v.table.count != total {
				t.Fatalf("count %d, want %d", v.table.count, total)
			}
		}
	}
}

// Hashes that share their top bits must not divide the directory without end.
func TestTableOfEqualTopBits(t *testing.T) {
	e := &edit{}
	x := newTable(e)
	for i := range uint64(5000) {
		x.add(e, 1<<63|i<<1|1, uint32(i)) //nolint:gosec // small
	}
	for i := range uint64(5000) {
		if got := x.get(1<<63 | i<<1 | 1); !slices.Equal(got, []uint32{uint32(i)}) { //nolint:gosec // small
			t.Fatalf("%d: %v", i, got)
		}
	}
	if len(x.dir) > 1<<20 {
		t.Errorf("the directory has %d entries", len(x.dir))
	}
}
