package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

const setTenant = "SELECT set_config('surety.tenant', $1, true) <- acme"

// openFake opens a fake and forgets how it was detected.
func openFake(t *testing.T, f *fake) *DB {
	t.Helper()
	db, err := Open(t.Context(), newFake(t, f))
	if err != nil {
		t.Fatal(err)
	}
	f.said = nil
	return db
}

func write(ctx context.Context, db *DB) error {
	return db.Tx(ctx, "acme", func(tx *Tx) error {
		n, err := tx.Exec(ctx, "INSERT INTO a VALUES (?)", 1)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows", n)
		}
		return err
	})
}

func TestTheTenantIsSetBeforeAnythingElse(t *testing.T) {
	for d, want := range map[Dialect]string{
		PostgreSQL: "BEGIN | " + setTenant + " | INSERT INTO a VALUES ($1) <- 1 | COMMIT",
		SQLite:     "BEGIN | INSERT INTO a VALUES (?) <- 1 | COMMIT",
	} {
		f := &fake{dialect: d}
		db := openFake(t, f)
		if err := write(t.Context(), db); err != nil || strings.Join(f.said, " | ") != want {
			t.Errorf("%v: %q, %v", d, f.said, err)
		}
		f.said = nil
		err := db.View(t.Context(), "acme", func(tx *Tx) error {
			if tx.Dialect() != d || tx.SQL() == nil {
				t.Error("the transaction has another dialect, or none below")
			}
			return nil
		})
		if err != nil || f.said[0] != "BEGIN READ ONLY" || slices.Contains(f.said, setTenant) != (d == PostgreSQL) {
			t.Errorf("%v: %q, %v", d, f.said, err)
		}
	}
}

func TestTenantIsRequired(t *testing.T) {
	f := &fake{dialect: PostgreSQL}
	db := openFake(t, f)
	never := func(*Tx) error { t.Error("the function ran"); return nil }
	if err := db.Tx(t.Context(), "", never); !errors.Is(err, ErrNoTenant) {
		t.Errorf("Tx without a tenant: %v", err)
	}
	if err := db.View(t.Context(), "", never); !errors.Is(err, ErrNoTenant) {
		t.Errorf("View without a tenant: %v", err)
	}
	if len(f.said) != 0 {
		t.Errorf("the database heard %q", f.said)
	}
}

// Whatever fails, the transaction leaves nothing and the connection is fit for
// the next tenant. What another transaction caused is done again.
func TestFaults(t *testing.T) {
	points := []string{"BEGIN", setTenant, "INSERT INTO a VALUES ($1) <- 1", "COMMIT"}
	final := errors.New("final")
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				times := 0
				var broken error
				f := &fake{dialect: PostgreSQL, fail: func(q string) error {
					if q != point || times == 0 {
						return nil
					}
					times--
					return broken
				}}
				db := openFake(t, f)
				times, broken = 1, final
				if err := write(t.Context(), db); !errors.Is(err, final) || len(f.kept) != 0 {
					t.Errorf("%v; kept %q", err, f.kept)
				}
				for _, broken = range []error{stateError("40001"), stateError("40P01"), codeError(5)} {
					f.kept, times = nil, 2
					if err := write(t.Context(), db); err != nil || len(f.kept) != 1 || times != 0 {
						t.Errorf("after %v: %v; kept %q", broken, err, f.kept)
					}
				}
			})
		})
	}
}

func TestAPanicLeavesNothing(t *testing.T) {
	f := &fake{dialect: SQLite}
	db := openFake(t, f)
	func() {
		defer func() { _ = recover() }()
		_ = db.Tx(t.Context(), "acme", func(tx *Tx) error {
			_, _ = tx.Exec(t.Context(), "INSERT INTO a VALUES (1)")
			panic("x")
		})
	}()
	if err := write(t.Context(), db); err != nil || !slices.Equal(f.kept, []string{"INSERT INTO a VALUES (?) <- 1"}) {
		t.Errorf("%v; kept %q", err, f.kept)
	}
}

func TestQueriesPassErrorsOn(t *testing.T) {
	db := openFake(t, &fake{dialect: SQLite})
	stop := errors.New("stop")
	err := db.View(t.Context(), "acme", func(tx *Tx) error {
		var s string
		if err := tx.Row(t.Context(), "SELECT sqlite_version()").Scan(&s); err != nil || s == "" {
			t.Errorf("Row: %q, %v", s, err)
		}
		if err := tx.Rows(t.Context(), nil, "SELECT nothing"); err == nil {
			t.Error("Rows lost the query's error")
		}
		return tx.Rows(t.Context(), func(*sql.Rows) error { return stop }, "SELECT sqlite_version()")
	})
	if !errors.Is(err, stop) {
		t.Errorf("%v, want the error of scan", err)
	}
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := retry(t.Context(), func() error { tries++; return codeError(5) })
		if tries != maxTries || !Transient(err) {
			t.Errorf("%d tries, %v", tries, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tries = 0
		if err := retry(ctx, func() error { tries++; return codeError(5) }); tries != 1 || !errors.Is(err, context.Canceled) || !Transient(err) {
			t.Errorf("%d tries after the end, %v", tries, err)
		}
		final := errors.New("final")
		tries = 0
		if err := retry(t.Context(), func() error { tries++; return final }); tries != 1 || !errors.Is(err, final) {
			t.Errorf("%d tries of what can't succeed, %v", tries, err)
		}
	})
}

func TestErrorKinds(t *testing.T) {
	for _, tc := range []struct {
		err                  error
		transient, duplicate bool
	}{
		{stateError("40001"), true, false},
		{stateError("40P01"), true, false},
		{stateError("23505"), false, true},
		{stateError("42601"), false, false},
		{stateError("57014"), false, false}, // cancelled by the caller
		{codeError(5), true, false},
		{codeError(261), true, false}, // SQLITE_BUSY_RECOVERY
		{codeError(517), true, false}, // SQLITE_BUSY_SNAPSHOT
		{codeError(6), true, false},
		{codeError(1555), false, true},
		{codeError(2067), false, true},
		{codeError(19), false, false},
		{errors.New("other"), false, false},
		{context.Canceled, false, false},
		{sql.ErrNoRows, false, false},
	} {
		err := fmt.Errorf("wrapped: %w", tc.err)
		if Transient(err) != tc.transient || Duplicate(err) != tc.duplicate {
			t.Errorf("%v: transient %t, duplicate %t", tc.err, Transient(err), Duplicate(err))
		}
	}
	if Transient(nil) || Duplicate(nil) {
		t.Error("no error has a kind")
	}
}
