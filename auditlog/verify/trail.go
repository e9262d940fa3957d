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
	partial  bool   // the run's beginning was pruned
	spans    []span // the times of each bundle, in order
	prunings []pruning
	handed   []handover
}

// A span is what is kept of the times of a bundle's entries: the earliest and
// the latest, which is all it takes where no anchor lies within the bundle.
// Where one does, the bundle is read again.
type span struct {
	earliest, latest stamp
	runs             bool // the log was opened or closed within it
}

type stamp struct {
	index uint64
	at    int64 // nanoseconds since 1970
	kind  int
}

// What a stamp was made for.
const (
	entry   = iota
	opening // of the log
	closing
)

// Where the time stands: {"v":1,"id":"<36>","time":"<30>".
const (
	timeAt  = len(`{"v":1,"id":"`) + 36 + len(`","time":"`)
	timeLen = len("2006-01-02T15:04:05.000000000Z")
)

// entry follows one entry. It returns a cosigned checkpoint if it holds one.
func (t *trail) entry(r *Report, index uint64, data []byte) (cosigned, bool) {
	s, own, ok := stampOf(index, data)
	if !ok {
		r.add(Tampered, index, "", "the entry is not in canonical form, or its time is none")
		return cosigned{}, false
	}
	t.note(s)
	t.sequence(data)
	if !own {
		return cosigned{}, false
	}
	return t.own(r, index, data)
}

// stampOf reads an entry's time and whether the log wrote it about itself, by
// the places where both stand: an attribute of the same name counts for
// nothing.
func stampOf(index uint64, data []byte) (s stamp, own, ok bool) {
	if len(data) < timeAt+timeLen || !bytes.HasPrefix(data, []byte(`{"v":1,"id":"`)) {
		return s, false, false
	}
	at, ok := nanoseconds(data[timeAt : timeAt+timeLen])
	if !ok {
		return s, false, false
	}
	rest, ok := bytes.CutPrefix(data[timeAt+timeLen:], []byte(`"`))
	for _, member := range [...]string{`,"trace":"`, `,"span":"`} {
		if after, has := bytes.CutPrefix(rest, []byte(member)); has {
			_, rest, _ = bytes.Cut(after, []byte(`"`))
		}
	}
	action, has := bytes.CutPrefix(rest, []byte(`,"action":"`))
	s = stamp{index, at, entry}
	switch own = bytes.HasPrefix(action, []byte("auditlog.")); {
	case !own:
	case bytes.HasPrefix(action, []byte(`auditlog.log.open"`)):
		s.kind = opening
	case bytes.HasPrefix(action, []byte(`auditlog.log.close"`)):
		s.kind = closing
	}
	return s, own, ok && has
}

// nanoseconds reads a time of the canonical layout, of the years 1970 to 2261.
func nanoseconds(b []byte) (int64, bool) {
	const layout = "dddd-dd-ddTdd:dd:dd.dddddddddZ"
	for i, c := range b {
		if digit := c >= '0' && c <= '9'; digit != (layout[i] == 'd') || !digit && c != layout[i] {
			return 0, false
		}
	}
	n := func(from, to int) (v int) {
		for _, c := range b[from:to] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	year, month, day := n(0, 4), n(5, 7), n(8, 10)
	at := time.Date(year, time.Month(month), day, n(11, 13), n(14, 16), n(17, 19), n(20, 29), time.UTC)
	_, m, d := at.Date()
	if year < 1970 || year > 2261 || int(m) != month || d != day || at.Minute() != n(14, 16) || at.Second() != n(17, 19) {
		return 0, false
	}
	return at.UnixNano(), true
}

// note keeps an entry's time.
func (t *trail) note(s stamp) {
	n := int(s.index / width)
	for len(t.spans) <= n {
		t.spans = append(t.spans, span{s, s, false})
	}
	p := &t.spans[n]
	if s.at < p.earliest.at {
		p.earliest = s
	}
	if s.at > p.latest.at {
		p.latest = s
	}
	p.runs = p.runs || s.kind != entry
}

// sequence follows the numbers of asynchronous events, which may come a little
// out of order. The log adds the number last: …"auditlog.seq":17}}.
func (t *trail) sequence(data []byte) {
	rest, ok := bytes.CutSuffix(data, []byte("}}"))
	end := len(rest)
	for len(rest) > 0 && rest[len(rest)-1] >= '0' && rest[len(rest)-1] <= '9' {
		rest = rest[:len(rest)-1]
	}
	if !ok || len(rest) == end || !bytes.HasSuffix(rest, []byte(`"auditlog.seq":`)) {
		return
	}
	if n, err := strconv.ParseUint(string(data[len(rest):end]), 10, 64); err == nil {
		t.seqs++
		t.highest = max(t.highest, n)
	}
}

// own follows an entry that the log wrote about itself.
func (t *trail) own(r *Report, index uint64, data []byte) (cosigned, bool) {
	var e struct {
		Action  string
		Outcome string
		Attrs   struct {
			Checkpoint, Root string
			From             json.RawMessage // the same
			To               json.RawMessage // of a pruning, an index; of an export, a time; of a handover, a key
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
	case "auditlog.key.rotate":
		var from, to string
		if json.Unmarshal(e.Attrs.From, &from) != nil || json.Unmarshal(e.Attrs.To, &to) != nil {
			r.add(Tampered, index, "", "the handover does not say between which keys")
			return cosigned{}, false
		}
		t.handed = append(t.handed, handover{index, from, to})
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
func (c *checker) cosignatures(msg []byte) error {
	if len(c.trust.witnesses) == 0 {
		return nil
	}
	var anchors []anchor
	for _, co := range append(c.found, cosigned{NoIndex, msg}) {
		if a, ok := c.cosignature(co); ok {
			anchors = append(anchors, a)
		}
	}
	if c.report.Anchors == 0 {
		c.report.add(Unwitnessed, NoIndex, "", "no checkpoint was cosigned by %d of the policy's witnesses", c.trust.quorum)
		return nil
	}
	return c.brackets(anchors)
}

// An anchor is a cosigned checkpoint: entries below size existed at its time.
type anchor struct {
	size, index uint64 // index: where it was logged, all entries from there on are later
	at          int64  // nanoseconds since 1970
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
	if inLog && !c.signedInTurn(&h, co.index) {
		c.report.add(Tampered, co.index, "", "the logged checkpoint is signed by a key whose turn it was not")
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
	return anchor{h.size, min(co.index, c.tree.size), unixNano(at)}, !at.IsZero()
}
