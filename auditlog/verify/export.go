package verify

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// maxLine bounds a line of an export: an entry and its frame.
const maxLine = 128 << 10

type exportHeader struct {
	Format, Checkpoint, Before string
	First, Next                uint64
	Left, Right                [][]byte
}

type exportLine struct {
	Index    *uint64
	Entry    json.RawMessage
	Leaf     []byte
	End      bool
	Entries  uint64
	Withheld uint64
}

// Export verifies an export in JSON Lines without the log: that its entries,
// and the hashes of those withheld, are the log's from the first to the last,
// that none is missing in between, and, with witnesses in the policy, that a
// quorum of them cosigned a checkpoint that covers the range.
func Export(r io.Reader, p Policy) (Report, error) {
	t, err := p.read()
	if err != nil {
		return Report{}, err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	x := exportReader{trust: t, report: Report{Origin: t.origin}}
	for n := 0; lines.Scan() && !x.done; n++ {
		if n == 0 {
			x.header(lines.Bytes())
		} else {
			x.line(lines.Bytes())
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return x.report, fmt.Errorf("verify: %w", err)
	}
	if !x.ended && x.report.OK() {
		x.bad(NoIndex, "the export is cut short")
	}
	return x.report, nil
}

// An exportReader adds an export up to the root of its checkpoint.
type exportReader struct {
	trust        *trust
	report       Report
	h            exportHeader
	head         head
	tree         forest
	next         uint64
	full, hidden uint64
	done, ended  bool
	buf          []byte
}

func (x *exportReader) bad(index uint64, format string, args ...any) {
	x.report.add(Tampered, index, "", format, args...)
	x.done = true
}

func (x *exportReader) header(b []byte) {
	if json.Unmarshal(b, &x.h) != nil || x.h.Format != "surety audit export 1" {
		x.bad(NoIndex, "it is no export of version 1")
		return
	}
	var err error
	if x.head, err = x.trust.open([]byte(x.h.Checkpoint)); err != nil {
		x.bad(NoIndex, "%v", err)
		return
	}
	if x.h.First > x.h.Next || x.h.Next > x.head.size {
		x.bad(NoIndex, "the range is not below the checkpoint")
		return
	}
	x.next = x.h.First
	x.cover(0, x.h.First, x.h.Left)
}

// cover adds given subtrees for a range that is not in the export.
func (x *exportReader) cover(from, to uint64, hashes [][]byte) {
	for from < to {
		level := bits.Len64(to-from) - 1
		if from > 0 {
			level = min(level, bits.TrailingZeros64(from))
		}
		if len(hashes) == 0 || len(hashes[0]) != len(hash{}) {
			x.bad(NoIndex, "the hashes beside the range are incomplete")
			return
		}
		x.tree.add(level, hash(hashes[0]))
		hashes = hashes[1:]
		from += 1 << level
	}
	if len(hashes) > 0 {
		x.bad(NoIndex, "there are more hashes beside the range than fit")
	}
}

func (x *exportReader) line(b []byte) {
	var l exportLine
	if err := json.Unmarshal(b, &l); err != nil {
		x.bad(x.next, "the line is no JSON")
		return
	}
	switch {
	case l.End:
		x.end(l)
	case l.Index == nil || *l.Index != x.next || x.next >= x.h.Next:
		x.bad(x.next, "the entry is missing or another one stands in its place")
	case l.Entry != nil && string(b) == fmt.Sprintf(`{"index":%d,"entry":%s}`, x.next, l.Entry): // no second spelling
		var h hash
		h, x.buf = leafHash(x.buf, l.Entry)
		x.tree.add(0, h)
		x.full++
		x.next++
	case len(l.Leaf) == len(hash{}) && l.Entry == nil:
		x.tree.add(0, hash(l.Leaf))
		x.hidden++
		x.next++
	default:
		x.bad(x.next, "the line has neither an entry nor its hash")
	}
}

func (x *exportReader) end(l exportLine) {
	x.done, x.ended = true, true
	if x.next != x.h.Next || l.Entries != x.full || l.Withheld != x.hidden {
		x.bad(x.next, "the export has fewer entries than it states")
		return
	}
	x.cover(x.h.Next, x.head.size, x.h.Right)
	if x.report.Root = x.tree.root(); x.report.Root != x.head.root {
		x.bad(NoIndex, "the entries do not add up to the root that was signed")
		return
	}
	x.report.Entries = x.full
	x.witnessed()
}

// witnessed counts the witnesses of the checkpoint. The one before the range
// is bound to it by them: they cosign only what continues.
func (x *exportReader) witnessed() {
	if len(x.trust.witnesses) == 0 {
		return
	}
	n, at := x.trust.cosigned(x.head, []byte(x.h.Checkpoint))
	if n < x.trust.quorum {
		x.report.add(Unwitnessed, NoIndex, "", "the checkpoint is cosigned by %d of the policy's witnesses, want %d", n, x.trust.quorum)
		return
	}
	x.report.Anchors, x.report.Cosigned, x.report.At = 1, x.head.size, at
	if x.h.Before == "" {
		return
	}
	h, err := x.trust.open([]byte(x.h.Before))
	if err != nil || h.size > x.h.First {
		x.bad(NoIndex, "the checkpoint before the range is not the log's, or not before it")
		return
	}
	if n, _ := x.trust.cosigned(h, []byte(x.h.Before)); n < x.trust.quorum {
		x.report.add(Unwitnessed, NoIndex, "", "the checkpoint before the range is cosigned by %d of the policy's witnesses, want %d", n, x.trust.quorum)
		return
	}
	x.report.Anchors++
}

// A forest is a tree to which perfect subtrees are added from left to right.
type forest struct {
	levels []int
	hashes []hash
}

func (f *forest) add(level int, h hash) {
	for n := len(f.levels); n > 0 && f.levels[n-1] == level; n-- {
		h = nodeHash(f.hashes[n-1], h)
		f.levels, f.hashes = f.levels[:n-1], f.hashes[:n-1]
		level++
	}
	f.levels, f.hashes = append(f.levels, level), append(f.hashes, h)
}

func (f *forest) root() hash {
	p := peaks{list: f.hashes}
	return p.root()
}
