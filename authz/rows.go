package authz

import (
	"slices"
	"strings"
	"time"
)

const chunkSize = 256

// rows hold the lines of one kind, such as p or g2, by number. Like a table
// they share with earlier snapshots whatever a change does not touch.
type rows struct {
	owner  *edit
	stride int // fields of a line
	extra  int // compiled parts of a line
	chunks []*chunk
	next   uint32
	orders uint64 // how many lines were ever added
	free   *freeRow
	count  int
	denies int // lines whose effect is deny
	allows int
}

// A freeRow is a number that can be used again.
type freeRow struct {
	row  uint32
	next *freeRow
}

type chunk struct {
	owner    *edit
	values   []string
	compiled []*pattern
	meta     []meta
}

// meta is what is known of a line beside its fields.
type meta struct {
	// order is where the line stands among others of its kind; of a line that
	// gives a role, the hash of the role.
	order    uint64
	from     int64 // seconds since 1970; 0 is always
	until    int64
	line     uint32
	priority int32
	effect   ruleEffect
	live     bool
}

// A row is a line as the decision reads it.
type row struct {
	values   []string
	compiled []*pattern
	*meta
}

func (r *rows) at(n uint32) row {
	c, i := r.chunks[n/chunkSize], int(n%chunkSize)
	return row{c.values[i*r.stride : (i+1)*r.stride], c.compiled[i*r.extra : (i+1)*r.extra], &c.meta[i]}
}

// values are those of a row.
func (r *rows) values(n uint32) []string {
	i := int(n%chunkSize) * r.stride
	return r.chunks[n/chunkSize].values[i : i+r.stride]
}

func (r *rows) meta(n uint32) *meta { return &r.chunks[n/chunkSize].meta[n%chunkSize] }

func (r *rows) own(e *edit, n uint32) *chunk {
	if r.owner != e {
		r.owner, r.chunks = e, slices.Clone(r.chunks)
	}
	i := n / chunkSize
	if int(i) == len(r.chunks) {
		r.chunks = append(r.chunks, &chunk{
			e, make([]string, chunkSize*r.stride), make([]*pattern, chunkSize*r.extra), make([]meta, chunkSize),
		})
	}
	if c := r.chunks[i]; c.owner != e {
		r.chunks[i] = &chunk{e, slices.Clone(c.values), slices.Clone(c.compiled), slices.Clone(c.meta)}
	}
	return r.chunks[i]
}

func (r *rows) add(e *edit, values []string, compiled []*pattern, m meta) (uint32, error) {
	n := r.next
	switch {
	case r.free != nil:
		n, r.free = r.free.row, r.free.next
	case n == maxRows:
		return 0, errTooMany
	default:
		r.next++
	}
	c, i := r.own(e, n), int(n%chunkSize)
	copy(c.values[i*r.stride:], values)
	copy(c.compiled[i*r.extra:], compiled)
	m.live = true
	c.meta[i] = m
	r.tally(&m, 1)
	return n, nil
}

func (r *rows) remove(e *edit, n uint32) {
	c, i := r.own(e, n), int(n%chunkSize)
	r.tally(&c.meta[i], -1)
	clear(c.values[i*r.stride : (i+1)*r.stride])
	clear(c.compiled[i*r.extra : (i+1)*r.extra])
	c.meta[i] = meta{}
	r.free = &freeRow{n, r.free}
}

func (r *rows) tally(m *meta, by int) {
	r.count += by
	switch m.effect {
	case effectAllow:
		r.allows += by
	case effectDeny:
		r.denies += by
	}
}

// all calls f for the rows there are, by number, until it returns false.
func (r *rows) all(f func(n uint32) bool) {
	for n := range r.next {
		if r.meta(n).live && !f(n) {
			return
		}
	}
}

// valid reports whether a grant holds now.
func (m *meta) valid(now *clock) bool {
	if m.from == 0 && m.until == 0 {
		return true
	}
	t := now.seconds()
	return (m.from == 0 || t > m.from) && (m.until == 0 || t < m.until)
}

// A clock reads the time once for a decision, and only if one needs it.
type clock int64

func (c *clock) seconds() int64 {
	if *c == 0 {
		*c = clock(time.Now().Unix())
	}
	return int64(*c)
}

// join copies fields into one string, so that they lie side by side.
func join(values []string) []string {
	text := strings.Join(values, "")
	out := make([]string, len(values))
	for i, v := range values {
		out[i], text = text[:len(v)], text[len(v):]
	}
	return out
}
