package integrity_test

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/integrity"
)

func newRows(t testing.TB) (*integrity.Rows, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	r, err := integrity.NewRows(bytes.Repeat([]byte{3}, integrity.KeySize), rec)
	if err != nil {
		t.Fatal(err)
	}
	return r, rec
}

func row(r *integrity.Rows, key string, value string) integrity.Row {
	w := integrity.Row{
		Tenant: "acme", Table: "people", Key: key, Version: 1,
		Columns: []integrity.Column{{Name: "title", Value: []byte(value)}, {Name: "salary", Value: []byte("100")}},
	}
	w.MAC = r.Seal(w)
	return w
}

// table is a table and its head, written by the application.
func table(r *integrity.Rows) ([]integrity.Row, integrity.Head) {
	h := integrity.Head{Tenant: "acme", Table: "people"}
	var list []integrity.Row
	for _, key := range []string{"1", "2", "3"} {
		w := row(r, key, "clerk "+key)
		list = append(list, w)
		h = r.Change(h, nil, &w)
	}
	return list, h
}

func all(list []integrity.Row) iter.Seq2[integrity.Row, error] {
	return func(yield func(integrity.Row, error) bool) {
		for _, w := range list {
			if !yield(w, nil) {
				return
			}
		}
	}
}

func TestUntouchedTableIsComplete(t *testing.T) {
	r, rec := newRows(t)
	list, h := table(r)
	report, err := r.Scan(t.Context(), h, all(list))
	if err != nil || !report.Complete || report.Rows != 3 || report.Wrong != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	slices.Reverse(list)
	if _, err := r.Scan(t.Context(), h, all(list)); err != nil {
		t.Errorf("in another order: %v", err)
	}
	if _, err := r.Scan(t.Context(), integrity.Head{Tenant: "acme", Table: "people"}, all(nil)); err != nil {
		t.Errorf("an empty table: %v", err)
	}
	if len(rec.Events()) != 0 {
		t.Errorf("events %v", rec.Events())
	}
	// Replacing and removing rows through the application.
	next := row(r, "2", "manager")
	next.Version = 2
	next.MAC = r.Seal(next)
	h = r.Change(h, &list[1], &next)
	h = r.Change(h, &list[0], nil)
	if report, err := r.Scan(t.Context(), h, all([]integrity.Row{next, list[2]})); err != nil || report.Rows != 2 {
		t.Errorf("after changes: %+v, %v", report, err)
	}
}

func TestWhatASQLWriterDoesIsFound(t *testing.T) {
	r, rec := newRows(t)
	attacks := map[string]struct {
		do   func([]integrity.Row, *integrity.Head) []integrity.Row
		want error
	}{
		"update": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row {
			l[1].Columns = []integrity.Column{{Name: "title", Value: []byte("owner")}, l[1].Columns[1]}
			return l
		}, integrity.ErrMismatch},
		"swap values of two columns": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row {
			c := l[1].Columns
			l[1].Columns = []integrity.Column{{Name: "title", Value: c[1].Value}, {Name: "salary", Value: c[0].Value}}
			return l
		}, integrity.ErrMismatch},
		"move bytes between columns": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row {
			l[1].Columns = []integrity.Column{{Name: "title", Value: []byte("clerk 21")}, {Name: "salary", Value: []byte("00")}}
			return l
		}, integrity.ErrMismatch},
		"old version": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row { l[1].Version = 0; return l }, integrity.ErrMismatch},
		"swap rows": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row {
			l[0].Key, l[1].Key = l[1].Key, l[0].Key
			return l
		}, integrity.ErrMismatch},
		"copy a row": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row {
			c := l[0]
			c.Key = "4"
			return append(l, c)
		}, integrity.ErrMismatch},
		"repeat a row": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row { return append(l, l[0]) }, integrity.ErrIncomplete},
		"insert": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row {
			return append(l, integrity.Row{Tenant: "acme", Table: "people", Key: "9"})
		}, integrity.ErrMismatch},
		"delete": {func(l []integrity.Row, _ *integrity.Head) []integrity.Row { return l[1:] }, integrity.ErrIncomplete},
		"delete and recount": {func(l []integrity.Row, h *integrity.Head) []integrity.Row {
			h.Count--
			return l[1:]
		}, integrity.ErrHead},
		"from another tenant": {func(l []integrity.Row, h *integrity.Head) []integrity.Row { h.Tenant = "globex"; return l }, integrity.ErrMismatch},
		"truncate": {func(_ []integrity.Row, h *integrity.Head) []integrity.Row {
			h.Count = 0
			return nil
		}, integrity.ErrHead},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			rec.Reset()
			list, h := table(r)
			list = attack.do(list, &h)
			report, err := r.Scan(t.Context(), h, all(list))
			if !errors.Is(err, attack.want) || report.Complete {
				t.Errorf("%+v, %v; want %v", report, err, attack.want)
			}
			if len(rec.Find("integrity.row.mismatch")) == 0 {
				t.Error("the finding was not recorded")
			}
		})
	}
}

func TestVerify(t *testing.T) {
	r, rec := newRows(t)
	w := row(r, "1", "clerk")
	if err := r.Verify(t.Context(), w); err != nil {
		t.Error(err)
	}
	other, err := integrity.NewRows(bytes.Repeat([]byte{4}, integrity.KeySize), rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Verify(t.Context(), w); !errors.Is(err, integrity.ErrMismatch) {
		t.Errorf("under another key: %v", err)
	}
	down := errors.New("disk full")
	rec.FailWith(down)
	w.Key = "2"
	if err := r.Verify(t.Context(), w); !errors.Is(err, integrity.ErrMismatch) || !errors.Is(err, down) {
		t.Errorf("a finding that can't be recorded: %v", err)
	}
}

func TestScanEndsWithTheSequencesError(t *testing.T) {
	r, _ := newRows(t)
	down := errors.New("connection lost")
	_, err := r.Scan(t.Context(), integrity.Head{Tenant: "acme", Table: "people"}, func(yield func(integrity.Row, error) bool) {
		yield(integrity.Row{}, down)
	})
	if !errors.Is(err, down) {
		t.Errorf("Scan = %v", err)
	}
}

func TestNewRowsRefuses(t *testing.T) {
	if _, err := integrity.NewRows(make([]byte, 16), &auditlogtest.Recorder{}); err == nil {
		t.Error("a short key was accepted")
	}
	if _, err := integrity.NewRows(make([]byte, 32), nil); err == nil {
		t.Error("rows without a recorder were made")
	}
}

func TestProbe(t *testing.T) {
	r, rec := newRows(t)
	c := r.Controls()[0]
	if got := c.Run(t.Context()); got.State != controls.Pass {
		t.Errorf("%v: %s", got.State, got.Observed)
	}
	for _, e := range rec.Entries() {
		if e.Actor.Kind != auditlog.Probe {
			t.Errorf("the probe's finding looks like a real one: %+v", e)
		}
	}
}
