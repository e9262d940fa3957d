package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/surety-go/surety/privacy/record"
	"github.com/surety-go/surety/privacy/record/recordtest"
)

var key = bytes.Repeat([]byte{7}, record.KeySize)

type note struct{ Text string }

func TestMemoryConforms(t *testing.T) {
	recordtest.Run(t, func(*testing.T) record.Store { return record.NewMemory() })
}

type rewriting struct {
	*record.Memory
	change func(*record.Record)
}

func (r *rewriting) Get(ctx context.Context, tenant, kind, id string) (record.Record, error) {
	got, err := r.Memory.Get(ctx, tenant, kind, id)
	if r.change != nil {
		r.change(&got)
	}
	return got, err
}

func newBook(t *testing.T, s record.Store) *record.Book[note] {
	t.Helper()
	b, err := record.NewBook[note](s, key, "note")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRewritingIsFound(t *testing.T) {
	for name, change := range map[string]func(*record.Record){
		"tenant":  func(r *record.Record) { r.Tenant = "globex" },
		"kind":    func(r *record.Record) { r.Kind = "hold" },
		"id":      func(r *record.Record) { r.ID = "n-2" },
		"version": func(r *record.Record) { r.Version++ },
		"subject": func(r *record.Record) { r.Subject = "u-2" },
		"open":    func(r *record.Record) { r.Open = !r.Open },
		"data":    func(r *record.Record) { r.Data = []byte(`{"Text":"b"}`) },
		"mac":     func(r *record.Record) { r.MAC = nil },
	} {
		s := &rewriting{Memory: record.NewMemory()}
		b := newBook(t, s)
		if err := b.Save(t.Context(), record.Entry[note]{"acme", "n-1", 1, "u-1", true, note{"a"}}); err != nil {
			t.Fatal(err)
		}
		s.change = change
		if _, err := b.Load(t.Context(), "acme", "n-1"); !errors.Is(err, record.ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", name, err)
		}
	}
}

func TestUpdateLosesNothing(t *testing.T) {
	b := newBook(t, record.NewMemory())
	if err := b.Save(t.Context(), record.Entry[note]{"acme", "n-1", 1, "", true, note{}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := b.Update(t.Context(), "acme", "n-1", func(e *record.Entry[note]) error { e.Value.Text += "x"; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if e, err := b.Load(t.Context(), "acme", "n-1"); err != nil || e.Value.Text != "xxxxxxxx" || e.Version != 9 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestBadInput(t *testing.T) {
	b := newBook(t, record.NewMemory())
	for _, e := range []record.Entry[note]{{ID: "x", Version: 1}, {Tenant: "x", Version: 1}, {Tenant: "x", ID: "x"}} {
		if err := b.Save(t.Context(), e); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if _, err := b.List(t.Context(), "", record.Filter{}); !errors.Is(err, record.ErrInvalid) {
		t.Error(err)
	}
	if _, err := record.NewBook[note](record.NewMemory(), key[1:], "x"); !errors.Is(err, record.ErrInvalid) {
		t.Error(err)
	}
	if _, err := record.NewBook[note](nil, key, "x"); !errors.Is(err, record.ErrInvalid) {
		t.Error(err)
	}
}

// A register whose store can't change it unseen.
func Example() {
	book, err := record.NewBook[note](record.NewMemory(), make([]byte, record.KeySize), "note")
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	err = book.Save(ctx, record.Entry[note]{Tenant: "acme", ID: "n-1", Version: 1, Value: note{"kept"}})
	e, err2 := book.Load(ctx, "acme", "n-1")
	fmt.Println(e.Value.Text, err, err2)
	// Output:
	// kept <nil> <nil>
}
