package sqldb

import (
	"context"
	"errors"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, d := range []Dialect{SQLite, PostgreSQL} {
		got, err := Detect(t.Context(), newFake(t, &fake{dialect: d}))
		if err != nil || got != d || got.String() == Dialect(0).String() {
			t.Errorf("%v is taken for %v, %v", d, got, err)
		}
	}
	if _, err := Detect(t.Context(), newFake(t, &fake{})); !errors.Is(err, ErrDialect) {
		t.Errorf("another database: %v", err)
	}
	if _, err := Open(t.Context(), nil); err == nil {
		t.Error("a nil database was opened")
	}
}

// A database that stops answering is not one of another kind.
func TestDetectSaysWhenItCouldNotAsk(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	f := &fake{dialect: SQLite, fail: func(q string) error { cancel(gone); return errors.New("closed") }}
	if _, err := Detect(ctx, newFake(t, f)); errors.Is(err, ErrDialect) || !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}
