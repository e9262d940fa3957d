package integrity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// KeySize is the length of the key, in bytes.
const KeySize = 32

// A MAC authenticates a row or a head.
type MAC [sha256.Size]byte

// Errors of verification.
var (
	// ErrMismatch says that a row is not as the application wrote it.
	ErrMismatch = errors.New("integrity: the row was changed past the application")
	// ErrHead says that a head is not as the application wrote it.
	ErrHead = errors.New("integrity: the table's head was changed past the application")
	// ErrIncomplete says that rows are missing, or too many.
	ErrIncomplete = errors.New("integrity: the table does not have the rows it should have")
)

// A Column is a column's name and its value as stored.
type Column struct {
	Name  string
	Value []byte
}

// A Row is a row as stored.
type Row struct {
	Tenant, Table, Key string
	Version            int64
	Columns            []Column // in an order of the application's choice, always the same
	MAC                MAC
}

// A Head is the count and the sum of a table's rows of one tenant. The zero
// Head with Tenant and Table is that of an empty table.
type Head struct {
	Tenant, Table string
	Count         int64
	Sum           MAC
	MAC           MAC
}

// Rows seals and verifies rows. It is safe for concurrent use.
type Rows struct {
	key []byte
	rec auditlog.Recorder
}

// NewRows makes Rows under a key of KeySize random bytes that is kept apart
// from the database.
func NewRows(key []byte, rec auditlog.Recorder) (*Rows, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("integrity: the key has %d bytes, want %d", len(key), KeySize)
	}
	if rec == nil {
		return nil, errors.New("integrity: NewRows needs a recorder")
	}
	return &Rows{append([]byte(nil), key...), rec}, nil
}

// Seal returns the MAC of a row. The row's own MAC is not looked at.
func (r *Rows) Seal(row Row) MAC {
	fields := make([][]byte, 0, 5+2*len(row.Columns))
	fields = append(fields, []byte("row v1"), []byte(row.Tenant), []byte(row.Table), []byte(row.Key), number(row.Version))
	for _, c := range row.Columns {
		fields = append(fields, []byte(c.Name), c.Value)
	}
	return r.mac(fields)
}

// mac authenticates fields, each after its length, so that no two lists share
// an encoding.
func (r *Rows) mac(fields [][]byte) (m MAC) {
	h := hmac.New(sha256.New, r.key)
	for _, f := range fields {
		h.Write(number(int64(len(f))))
		h.Write(f)
	}
	h.Sum(m[:0])
	return m
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) } //nolint:gosec // the same bits

// Verify reports whether a row is as the application wrote it. If not, the
// finding is recorded, and the error wraps [ErrMismatch].
func (r *Rows) Verify(ctx context.Context, row Row) error {
	want := r.Seal(row)
	if hmac.Equal(want[:], row.MAC[:]) {
		return nil
	}
	return errors.Join(fmt.Errorf("%w: %s %q", ErrMismatch, row.Table, row.Key), r.report(ctx, row.Tenant, row.Table, row.Key))
}

func (r *Rows) report(ctx context.Context, tenant, table, key string) error {
	err := r.rec.Record(ctx, auditlog.Event{
		Action: "integrity.row.mismatch", Outcome: auditlog.Failed, Tenant: tenant, Reason: "integrity.rows",
		Targets: []auditlog.Target{{Type: table, ID: key}},
	})
	if err != nil {
		return fmt.Errorf("integrity: %w", err)
	}
	return nil
}

// Change returns the head after a row was removed, added, or replaced (both).
// A row is counted by its MAC: pass the old row as it was stored. Store the
// head in the transaction that changes the row.
func (r *Rows) Change(h Head, removed, added *Row) Head {
	if removed != nil {
		h.Count--
		xor(&h.Sum, removed.MAC)
	}
	if added != nil {
		h.Count++
		xor(&h.Sum, added.MAC)
	}
	h.MAC = r.headMAC(h)
	return h
}

func xor(sum *MAC, m MAC) {
	for i := range sum {
		sum[i] ^= m[i]
	}
}

func (r *Rows) headMAC(h Head) MAC {
	return r.mac([][]byte{[]byte("head v1"), []byte(h.Tenant), []byte(h.Table), number(h.Count), h.Sum[:]})
}

// A Report is what a scan found.
type Report struct {
	Rows     int      // rows that were read
	Mismatch []string // keys of rows that were changed or inserted, at most 100
	Wrong    int      // how many there were
	Complete bool     // whether all rows are right and none is missing
}

const maxListed = 100

// Scan verifies all rows of a head's table and tenant, as the sequence yields
// them, and compares them with the head. Each changed row is recorded. The
// error wraps [ErrMismatch], [ErrHead] or [ErrIncomplete]; an error of the
// sequence ends the scan.
func (r *Rows) Scan(ctx context.Context, h Head, rows iter.Seq2[Row, error]) (Report, error) {
	var report Report
	var errs []error
	var sum MAC
	for row, err := range rows {
		if err != nil {
			return report, fmt.Errorf("integrity: scan %s: %w", h.Table, err)
		}
		report.Rows++
		xor(&sum, row.MAC)
		want := r.Seal(row)
		if row.Tenant == h.Tenant && row.Table == h.Table && hmac.Equal(want[:], row.MAC[:]) {
			continue
		}
		report.Wrong++
		if len(report.Mismatch) < maxListed {
			report.Mismatch = append(report.Mismatch, row.Key)
			errs = append(errs, r.report(ctx, h.Tenant, h.Table, row.Key))
		}
	}
	if report.Wrong > 0 {
		errs = append(errs, fmt.Errorf("%w: %d of %d rows of %s", ErrMismatch, report.Wrong, report.Rows, h.Table))
	}
	return report, errors.Join(append(errs, r.complete(ctx, h, &report, sum))...)
}

// complete compares what was read with the head.
func (r *Rows) complete(ctx context.Context, h Head, report *Report, sum MAC) error {
	want := r.headMAC(h)
	empty := h.Count == 0 && h.Sum == MAC{} && h.MAC == MAC{}
	if !empty && !hmac.Equal(want[:], h.MAC[:]) {
		return errors.Join(fmt.Errorf("%w: %s", ErrHead, h.Table), r.report(ctx, h.Tenant, h.Table, ""))
	}
	if int64(report.Rows) != h.Count || sum != h.Sum {
		return errors.Join(fmt.Errorf("%w: %s has %d rows and its head says %d", ErrIncomplete, h.Table, report.Rows, h.Count),
			r.report(ctx, h.Tenant, h.Table, ""))
	}
	report.Complete = report.Wrong == 0
	return nil
}

// Controls describes the sealing of rows. The probe changes, moves, inserts
// and deletes rows of its own and expects each to be found.
func (r *Rows) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "integrity.rows",
		Parameters: []controls.Parameter{controls.Text("mac", "HMAC-SHA-256")},
		Probe:      r.probe,
	}}
}

func (r *Rows) probe(ctx context.Context) controls.Result {
	ctx = auditlog.WithActor(ctx, auditlog.Actor{ID: "probe", Kind: auditlog.Probe})
	row := Row{Tenant: "probe", Table: "probe", Key: "1", Version: 1, Columns: []Column{{"a", []byte("x")}}}
	row.MAC = r.Seal(row)
	changed := row
	changed.Columns = []Column{{"a", []byte("y")}}
	moved := row
	moved.Key = "2"
	for what, bad := range map[string]Row{"changed": changed, "moved": moved} {
		if err := r.Verify(ctx, bad); !errors.Is(err, ErrMismatch) {
			return controls.Failed("a %s row was not found: %v", what, err)
		}
	}
	if err := r.Verify(ctx, row); err != nil {
		return controls.Failed("an untouched row was refused: %v", err)
	}
	head := r.Change(Head{Tenant: "probe", Table: "probe"}, nil, &row)
	none := func(func(Row, error) bool) {}
	if _, err := r.Scan(ctx, head, none); !errors.Is(err, ErrIncomplete) {
		return controls.Failed("a deleted row was not found: %v", err)
	}
	return controls.Passed("a changed, a moved and a deleted row were found")
}
