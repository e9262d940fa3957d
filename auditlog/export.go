package auditlog

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

	"github.com/surety-go/surety/internal/textsafe"
)

// Bounds say what an export covers and by which checkpoints it is bounded.
type Bounds struct {
	First, Next uint64 // the range of entries, Next excluded
	// Checkpoint covers the range. It is the first one that witnesses
	// cosigned, with their signatures, or else the last one the log signed.
	Checkpoint []byte
	// Before is the last cosigned checkpoint that was logged before the range,
	// or nil: witnesses vouch that what is in the range happened between the
	// times of the two.
	Before []byte
	// Left and Right are the hashes of the tree on either side of the range,
	// with which the range alone adds up to the checkpoint's root.
	Left, Right [][32]byte
}

// An Encoder writes an export. Begin is called once, then Entry for every
// entry that is selected and Withheld for every other one in the range, in
// order, then End.
type Encoder interface {
	Begin(w io.Writer, b Bounds) error
	Entry(w io.Writer, e Indexed, json []byte) error
	Withheld(w io.Writer, index uint64, leaf [32]byte) error
	End(w io.Writer) error
}

// Export writes the entries that a query selects. The query's Limit is not
// used. The export is recorded first, by the context's actor; without that,
// nothing is written. The range begins at the first entry that is selected and
// ends with the last one.
func (l *Log) Export(ctx context.Context, w io.Writer, q Query, enc Encoder) (Bounds, error) {
	if err := l.recordRead(ctx, "auditlog.log.export", q.attrs()...); err != nil {
		return Bounds{}, err
	}
	q.Limit = 0
	b, err := l.bounds(ctx, q)
	if err != nil {
		return Bounds{}, err
	}
	buf := bufio.NewWriterSize(w, 64<<10)
	if err := enc.Begin(buf, b); err != nil {
		return b, err
	}
	err = l.eng.Scan(b.First, b.Next, func(i uint64, data []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := ParseEntry(data)
		if err != nil {
			return fmt.Errorf("auditlog: entry %d: %w", i, err)
		}
		if !q.Matches(&e) {
			return enc.Withheld(buf, i, sha256.Sum256(append([]byte{0}, data...)))
		}
		return enc.Entry(buf, Indexed{i, e}, data)
	})
	if err != nil {
		return b, err
	}
	if err := enc.End(buf); err != nil {
		return b, err
	}
	return b, buf.Flush()
}

// bounds finds the range of an export and what bounds it.
func (l *Log) bounds(ctx context.Context, q Query) (b Bounds, err error) {
	none := true
	for e, err := range l.find(ctx, q) {
		if err != nil {
			return b, err
		}
		if none {
			b.First, none = e.Index, false
		}
		b.Next = e.Index + 1
	}
	c, err := l.eng.WaitPublished(ctx, max(b.Next, 1))
	if err != nil {
		return b, err
	}
	b.Checkpoint = c.Note
	size, err := l.cosignedAround(ctx, &b)
	if err != nil {
		return b, err
	}
	if size == 0 {
		size = c.Size
	}
	b.Left, b.Right, err = l.eng.Around(b.First, b.Next, size)
	return b, err
}

// cosignedAround finds the logged checkpoints that witnesses cosigned before
// and after a range. It returns the size of the latter, or 0 without one.
func (l *Log) cosignedAround(ctx context.Context, b *Bounds) (uint64, error) {
	for e, err := range l.find(ctx, Query{Action: "auditlog.checkpoint.cosign", Outcome: Success}) {
		if err != nil {
			return 0, err
		}
		var note []byte
		var size uint64
		for _, a := range e.Attrs {
			switch a.Key {
			case "checkpoint":
				note = []byte(a.Text())
			case "size":
				size = uint64(a.num)
			}
		}
		if e.Index < b.First {
			b.Before = note
		}
		if size >= b.Next {
			b.Checkpoint = note
			return size, nil
		}
	}
	return 0, nil
}

// JSONLines writes an export as lines of JSON: a header with the bounds, a
// line for every entry in its canonical form, or with its leaf hash alone if
// it is withheld, and a last line with the counts. Package verify checks it
// against the checkpoint without the log.
func JSONLines() Encoder { return &jsonLines{} }

type jsonLines struct{ entries, withheld uint64 }

// JSONHeader is the first line of an export in JSON Lines.
type JSONHeader struct {
	Format     string   `json:"format"` // "surety audit export 1"
	First      uint64   `json:"first"`
	Next       uint64   `json:"next"`
	Checkpoint string   `json:"checkpoint"`
	Before     string   `json:"before,omitempty"`
	Left       [][]byte `json:"left"`
	Right      [][]byte `json:"right"`
}

func (j *jsonLines) Begin(w io.Writer, b Bounds) error {
	return json.NewEncoder(w).Encode(JSONHeader{
		Format: "surety audit export 1", First: b.First, Next: b.Next, Checkpoint: string(b.Checkpoint),
		Before: string(b.Before), Left: slicesOf(b.Left), Right: slicesOf(b.Right),
	})
}

func slicesOf(hashes [][32]byte) [][]byte {
	list := make([][]byte, len(hashes))
	for i := range hashes {
		list[i] = hashes[i][:]
	}
	return list
}

func (j *jsonLines) Entry(w io.Writer, e Indexed, data []byte) error {
	j.entries++
	_, err := fmt.Fprintf(w, `{"index":%d,"entry":%s}`+"\n", e.Index, data)
	return err
}

func (j *jsonLines) Withheld(w io.Writer, index uint64, leaf [32]byte) error {
	j.withheld++
	_, err := fmt.Fprintf(w, `{"index":%d,"leaf":"%s"}`+"\n", index, base64.StdEncoding.EncodeToString(leaf[:]))
	return err
}

func (j *jsonLines) End(w io.Writer) error {
	_, err := fmt.Fprintf(w, `{"end":true,"entries":%d,"withheld":%d}`+"\n", j.entries, j.withheld)
	return err
}

// CSV writes an export as a table for people, with a header line and cells
// that no spreadsheet takes for a formula. Attributes are in one cell, as
// JSON. It proves nothing: the proof is in [JSONLines].
func CSV() Encoder { return &csvEncoder{} }

type csvEncoder struct{ w *csv.Writer }

func (c *csvEncoder) Begin(w io.Writer, _ Bounds) error {
	c.w = csv.NewWriter(w)
	return c.w.Write([]string{
		"index", "time", "action", "outcome", "reason", "tenant", "actor_kind", "actor", "actor_tenant", "for", "targets", "attrs", "id", "trace",
	})
}

func (c *csvEncoder) Entry(_ io.Writer, e Indexed, _ []byte) error {
	targets := ""
	for i, t := range e.Targets {
		if i > 0 {
			targets += " "
		}
		targets += t.Type + "/" + t.ID
	}
	attrs := make(map[string]string, len(e.Attrs))
	for _, a := range e.Attrs {
		if subject, _, ok := a.Sealed(); ok {
			attrs[a.Key] = "sealed for " + subject
		} else {
			attrs[a.Key] = a.Text()
		}
	}
	text, err := json.Marshal(attrs)
	if err != nil {
		return err
	}
	row := []string{
		fmt.Sprint(e.Index), e.Time.UTC().Format(timeLayout), e.Action, e.Outcome.String(), e.Reason, e.Tenant, e.Actor.Kind.String(),
		e.Actor.ID, e.Actor.Tenant, e.Actor.For, targets, string(text), e.ID.String(), e.Trace,
	}
	for i := range row {
		row[i] = textsafe.CSV(row[i])
	}
	return c.w.Write(row)
}

func (*csvEncoder) Withheld(io.Writer, uint64, [32]byte) error { return nil }

func (c *csvEncoder) End(io.Writer) error {
	c.w.Flush()
	return c.w.Error()
}
