package crypto_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/surety-go/surety/crypto"
)

// table is the application's table: sealed values by row.
type table map[int][]byte

// from returns the rows after one, as an application's query would.
func (tb table) from(after int, at func(int) crypto.Binding) iter.Seq2[crypto.Stored, error] {
	return func(yield func(crypto.Stored, error) bool) {
		for i := after + 1; i <= len(tb); i++ {
			s := crypto.Stored{Binding: at(i), Sealed: tb[i], Replace: func(_ context.Context, fresh []byte) error {
				tb[i] = bytes.Clone(fresh)
				return nil
			}}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// row is the place of a table's row: subjects u-0 to u-3 by turns.
func row(i int) crypto.Binding {
	return crypto.Binding{Tenant: "acme", Subject: fmt.Sprint("u-", i%4), Table: "notes", Column: "text", Row: fmt.Sprint(i)}
}

func filled(t *testing.T, k *crypto.Keeper, n int) table {
	t.Helper()
	tb := table{}
	for i := 1; i <= n; i++ {
		tb[i] = mustSeal(t, k, fmt.Sprint("note ", i), row(i))
	}
	return tb
}

func TestResealAllResumes(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	tb := filled(t, f.Keeper, 20)
	for i := range 4 {
		if err := f.Rotate(t.Context(), crypto.Scope{Tenant: "acme", Subject: fmt.Sprint("u-", i)}); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("maintenance window is over")
	rep, err := f.ResealAll(t.Context(), tb.from(0, row), crypto.ResealOptions{Every: 7, Progress: func(crypto.ResealReport) error { return stop }})
	if !errors.Is(err, stop) || rep.Seen != 7 || rep.Resealed != 7 || rep.Last.Row != "7" {
		t.Fatalf("%+v, %v", rep, err)
	}
	calls := 0
	rep, err = f.ResealAll(t.Context(), tb.from(7, row), crypto.ResealOptions{Every: 5, Progress: func(crypto.ResealReport) error { calls++; return nil }})
	if err != nil || rep.Seen != 13 || rep.Resealed != 13 || calls != 2 {
		t.Fatalf("%+v, %d calls, %v", rep, calls, err)
	}
	for i, sealed := range tb {
		if due, err := f.NeedsRotation(t.Context(), sealed, row(i)); due || err != nil {
			t.Errorf("row %d: %t, %v", i, due, err)
		}
		wantPlain(t, f.Keeper, sealed, row(i), fmt.Sprint("note ", i))
	}
	rep, err = f.ResealAll(t.Context(), tb.from(0, row), crypto.ResealOptions{})
	if err != nil || rep.Seen != 20 || rep.Resealed != 0 {
		t.Errorf("again: %+v, %v", rep, err)
	}
}

// Rows of erased people and rows that somebody swapped don't stop the others,
// and a swapped one is not sealed anew, which would make it genuine.
func TestResealAllMeetsErasedAndSwappedRows(t *testing.T) {
	f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{RevokeCheck: 50 * time.Millisecond}})
	tb := filled(t, f.Keeper, 8)
	if err := f.Rotate(t.Context(), crypto.Scope{Tenant: "acme", Subject: "u-1"}); err != nil {
		t.Fatal(err)
	}
	if err := f.DestroySubject(t.Context(), "acme", "u-2", "r"); err != nil {
		t.Fatal(err)
	}
	tb[1], tb[5] = tb[5], tb[1]
	swapped := bytes.Clone(tb[1])
	rep, err := f.ResealAll(t.Context(), tb.from(0, row), crypto.ResealOptions{})
	wantErr(t, err, crypto.ErrTampered)
	if rep.Seen != 8 || rep.Resealed != 0 || rep.Erased != 2 || rep.Tampered != 2 || !bytes.Equal(tb[1], swapped) {
		t.Errorf("%+v", rep)
	}
}

func TestResealAllStops(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	tb := filled(t, f.Keeper, 3)
	if err := f.Rotate(t.Context(), crypto.Scope{Tenant: "acme", Subject: "u-1"}); err != nil {
		t.Fatal(err)
	}
	down := errors.New("connection lost")
	broken := func(yield func(crypto.Stored, error) bool) { yield(crypto.Stored{}, down) }
	if rep, err := f.ResealAll(t.Context(), broken, crypto.ResealOptions{}); !errors.Is(err, down) || rep.Seen != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	unwritable := func(yield func(crypto.Stored, error) bool) {
		yield(crypto.Stored{Binding: row(1), Sealed: tb[1], Replace: func(context.Context, []byte) error { return down }}, nil)
	}
	if rep, err := f.ResealAll(t.Context(), unwritable, crypto.ResealOptions{}); !errors.Is(err, down) || rep.Seen != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if _, err := f.ResealAll(t.Context(), tb.from(0, row), crypto.ResealOptions{Every: -1}); err == nil {
		t.Error("a negative Every")
	}
}

// While a column's deterministic key is being rotated, a search finds rows of
// either key.
func TestSearchDeterministicDuringRotation(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	col := crypto.Binding{Tenant: "acme", Table: "people", Column: "country"}
	old, err := f.SealDeterministic(t.Context(), nil, []byte("DK"), col)
	if fips140.Enforced() {
		wantErr(t, err, crypto.ErrFIPS)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(t.Context(), crypto.DeterministicScope("acme", "people", "country")); err != nil {
		t.Fatal(err)
	}
	fresh, err := f.SealDeterministic(t.Context(), nil, []byte("DK"), col)
	if err != nil || bytes.Equal(old, fresh) {
		t.Fatalf("the key was not rotated: %v", err)
	}
	list, err := f.SearchDeterministic(t.Context(), []byte("DK"), col)
	if err != nil || len(list) != 2 || !bytes.Equal(list[0], fresh) || !bytes.Equal(list[1], old) {
		t.Errorf("%d values, %v", len(list), err)
	}
	col.Row = "1"
	_, err = f.SearchDeterministic(t.Context(), nil, col)
	wantErr(t, err, crypto.ErrBinding)
}
