package verify

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// A cosigned checkpoint that was found in the log.
type cosigned struct {
	index uint64
	note  []byte
}

// A trail follows what entries say about time and completeness. It reads what
// stands at fixed places of the canonical form and parses only the log's own
// entries.
type trail struct {
	opened   uint64 // entry that began the present run
	seqs     uint64 // asynchronous events of the run
	highest  uint64
	partial  bool    // the run's beginning was pruned
	times    []stamp // of entries by which gaps are measured
	prunings []pruning
}

type stamp struct {
	index uint64
	at    time.Time
	kind  string // "open", "close", "entry"
}

// Where the time stands: {"v":1,"id":"<36>","time":"<30>".
const (
	timeAt  = len(`{"v":1,"id":"`) + 36 + len(`","time":"`)
	timeLen = len("2006-01-02T15:04:05.000000000Z")
)

// sampleEvery is how many entries share one look at the clock.
const sampleEvery = 64

// entry follows one entry. It returns a cosigned checkpoint if it holds one.
func (t *trail) entry(r *Report, index uint64, data []byte) (cosigned, bool) {
	if len(data) < timeAt+timeLen || !bytes.HasPrefix(data, []byte(`{"v":1,"id":"`)) {
		r.add(Tampered, index, "", "the entry is not in canonical form")
		return cosigned{}, false
	}
	if i := bytes.Index(data, []byte(`"auditlog.seq":`)); i >= 0 {
		t.sequence(data[i+len(`"auditlog.seq":`):])
	}
	own := bytes.Contains(data[timeAt:min(len(data), timeAt+200)], []byte(`"action":"auditlog.`))
	if !own && index%sampleEvery != 0 {
		return cosigned{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(data[timeAt:timeAt+timeLen]))
	if err != nil {
		r.add(Tampered, index, "", "the entry has no time")
		return cosigned{}, false
	}
	if !own {
		t.times = append(t.times, stamp{index, at, "entry"})
		return cosigned{}, false
	}
	return t.own(r, index, at, data)
}

// sequence follows the numbers of asynchronous events, which may come a little
// out of order.
func (t *trail) sequence(b []byte) {
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	if n, err := strconv.ParseUint(string(b[:end]), 10, 64); err == nil {
		t.seqs++
		t.highest = max(t.highest, n)
	}
}

// own follows an entry that the log wrote about itself.
func (t *trail) own(r *Report, index uint64, at time.Time, data []byte) (cosigned, bool) {
	var e struct {
		Action  string
		Outcome string
		Attrs   struct {
			Checkpoint, Root string
			To               json.RawMessage // of a pruning, an index; of an export, a time
		}
	}
	if err := json.Unmarshal(data, &e); err != nil {
		r.add(Tampered, index, "", "the entry is no JSON")
		return cosigned{}, false
	}
	switch e.Action {
	case "auditlog.log.open":
		t.end(r)
		t.opened, t.seqs, t.highest = index, 0, 0
		t.times = append(t.times, stamp{index, at, "open"})
	case "auditlog.log.close":
		t.times = append(t.times, stamp{index, at, "close"})
	case "auditlog.log.prune":
		to, err := strconv.ParseUint(string(e.Attrs.To), 10, 64)
		if err != nil {
			r.add(Tampered, index, "", "the pruning does not say up to where")
			return cosigned{}, false
		}
		t.prunings = append(t.prunings, pruning{index, to, e.Attrs.Root})
	case "auditlog.checkpoint.cosign":
		if e.Outcome == "success" {
			return cosigned{index, []byte(e.Attrs.Checkpoint)}, true
		}
	}
	return cosigned{}, false
}

// end closes a run: numbers that are missing are events that were lost.
func (t *trail) end(r *Report) {
	if t.seqs < t.highest && !t.partial {
		r.add(Lost, t.opened, "", "%d asynchronous events of the run that begins here are missing", t.highest-t.seqs)
	}
	t.seqs, t.highest, t.partial = 0, 0, false
}

// cosignatures checks the cosigned checkpoints in the log and brackets the
// entries' times by those of the witnesses.
func (c *checker) cosignatures(msg []byte) {
	if len(c.trust.witnesses) == 0 {
		return
	}
	var anchors []anchor
	for _, co := range append(c.found, cosigned{NoIndex, msg}) {
		if a, ok := c.cosignature(co); ok {
			anchors = append(anchors, a)
		}
	}
	if c.report.Anchors == 0 {
		c.report.add(Unwitnessed, NoIndex, "", "no checkpoint was cosigned by %d of the policy's witnesses", c.trust.quorum)
		return
	}
	c.brackets(anchors)
}

// An anchor is a cosigned checkpoint: entries below size existed at its time.
type anchor struct {
	size, index uint64 // index: where it was logged, all entries from there on are later
	at          time.Time
}

func (c *checker) cosignature(co cosigned) (anchor, bool) {
	inLog := co.index != NoIndex
	h, err := c.trust.open(co.note)
	if err == nil && h.size < c.report.Pruned && h.size%width != 0 {
		return anchor{}, false // its tree can't be computed any more
	}
	if err != nil {
		c.report.add(Tampered, co.index, "", "the logged checkpoint is not the log's: %v", err)
		return anchor{}, false
	}
	if root, ok := c.rootAt(h.size); !ok || root != h.root || inLog && h.size > co.index {
		c.report.add(Tampered, co.index, "", "the log does not continue the cosigned checkpoint of %d entries", h.size)
		return anchor{}, false
	}
	count, at := c.trust.cosigned(h, co.note)
	if count < c.trust.quorum {
		if inLog {
			c.report.add(Unwitnessed, co.index, "", "the checkpoint is cosigned by %d of the policy's witnesses, want %d", count, c.trust.quorum)
		}
		return anchor{}, false
	}
	c.report.Anchors++
	if h.size >= c.report.Cosigned {
		c.report.Cosigned, c.report.At = h.size, at
	}
	return anchor{h.size, min(co.index, c.tree.size), at}, !at.IsZero()
}

// brackets flags entries whose own time contradicts the witnesses', and long
// times without witnesses while the log was open.
func (c *checker) brackets(anchors []anchor) {
	var after time.Time // witnesses were here before the entry
	var mark time.Time  // by which the gap is measured
	i, j := 0, 0        // anchors logged before the entry; anchors that cover it
	for _, s := range c.audit.times {
		for i < len(anchors) && anchors[i].index < s.index {
			after, mark = anchors[i].at, anchors[i].at
			i++
		}
		for j < len(anchors) && anchors[j].size <= s.index {
			j++
		}
		if s.at.Before(after.Add(-skew)) {
			c.report.add(Time, s.index, "", "its time is %s before a witness saw entries before it", after.Sub(s.at).Round(time.Second))
		}
		if j < len(anchors) && s.at.After(anchors[j].at.Add(skew)) {
			c.report.add(Time, s.index, "", "its time is %s after a witness saw it", s.at.Sub(anchors[j].at).Round(time.Second))
		}
		mark = c.gap(mark, s)
	}
}

// gap reports a time without witnesses that is too long, once.
func (c *checker) gap(mark time.Time, s stamp) time.Time {
	if s.kind == "open" || mark.IsZero() {
		return s.at
	}
	if gap := s.at.Sub(mark); gap > c.trust.maxGap {
		c.report.add(Unwitnessed, s.index, "", "no witness for %s before this entry, limit %s", gap.Round(time.Second), c.trust.maxGap)
		return s.at
	}
	return mark
}
