package verify

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// brackets flags entries whose own time contradicts the witnesses', and long
// times without witnesses while the log was open. Every entry is compared.
func (c *checker) brackets(anchors []anchor) error {
	b := newBracketer(c, anchors)
	for n, s := range c.audit.spans {
		first := uint64(n) * width
		if first < c.report.Pruned {
			continue
		}
		if s.runs || b.changes(first, min(first+width, c.tree.size)) {
			if err := c.stamps(uint64(n), b.stamp); err != nil {
				return err
			}
			continue
		}
		one, two := s.earliest, s.latest
		if two.index < one.index {
			one, two = two, one
		}
		b.stamp(one)
		b.stamp(two)
	}
	return nil
}

// A bracketer compares stamps, which come in the order of the entries, with
// the anchors around them.
type bracketer struct {
	c      *checker
	logged []anchor // by where they were logged
	covers []anchor // by size; at is the earliest of all that cover as much
	i, j   int      // of the next of each
	after  int64    // witnesses were here before the entry
	mark   int64    // by which the gap is measured; 0 is none
}

func newBracketer(c *checker, anchors []anchor) *bracketer {
	b := &bracketer{c: c, logged: anchors, covers: slices.Clone(anchors), after: math.MinInt64 / 2}
	slices.SortStableFunc(b.covers, func(x, y anchor) int { return cmp.Compare(x.size, y.size) })
	for i := len(b.covers) - 2; i >= 0; i-- {
		b.covers[i].at = min(b.covers[i].at, b.covers[i+1].at)
	}
	return b
}

// pass goes on to the anchors around an entry.
func (b *bracketer) pass(index uint64) {
	for ; b.i < len(b.logged) && b.logged[b.i].index < index; b.i++ {
		b.after, b.mark = max(b.after, b.logged[b.i].at), b.logged[b.i].at
	}
	for b.j < len(b.covers) && b.covers[b.j].size <= index {
		b.j++
	}
}

// changes reports whether the entries from first to end have different anchors
// around them.
func (b *bracketer) changes(first, end uint64) bool {
	b.pass(first)
	return b.i < len(b.logged) && b.logged[b.i].index < end || b.j < len(b.covers) && b.covers[b.j].size < end
}

func (b *bracketer) stamp(s stamp) {
	b.pass(s.index)
	if s.at < b.after-int64(skew) {
		b.c.report.add(Time, s.index, "", "its time is %s before a witness saw entries before it", rounded(b.after-s.at))
	}
	if b.j < len(b.covers) && s.at > b.covers[b.j].at+int64(skew) {
		b.c.report.add(Time, s.index, "", "its time is %s after a witness saw it", rounded(s.at-b.covers[b.j].at))
	}
	b.gap(s)
}

// gap reports a time without witnesses that is too long, once.
func (b *bracketer) gap(s stamp) {
	if s.kind == opening || b.mark == 0 {
		b.mark = s.at
		return
	}
	if gap := s.at - b.mark; gap > int64(b.c.trust.maxGap) {
		b.c.report.add(Unwitnessed, s.index, "", "no witness for %s before this entry, limit %s", rounded(gap), b.c.trust.maxGap)
		b.mark = s.at
	}
}

func rounded(ns int64) time.Duration { return time.Duration(ns).Round(time.Second) }

// unixNano is a witness's time, which may be any, within what fits.
func unixNano(t time.Time) int64 {
	const limit = math.MaxInt64 / 2
	if t.Unix() > limit/int64(time.Second) {
		return limit
	}
	return t.UnixNano()
}

// stamps reads the stamps of a bundle that was checked.
func (c *checker) stamps(n uint64, each func(stamp)) error {
	path := ""
	b, err := c.read(&path, "entries", n, int(min(width, c.tree.size-n*width)))
	if err != nil {
		return err
	}
	entries := bundle{b}
	for index := n * width; index < c.tree.size; index++ {
		leaf, ok := entries.next()
		if !ok {
			return nil
		}
		if s, _, ok := stampOf(index, leaf[1:]); ok {
			each(s)
		}
	}
	return nil
}
