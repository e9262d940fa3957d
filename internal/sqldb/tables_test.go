package sqldb

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestNamesAreNeverSpliced(t *testing.T) {
	pool := newFake(t, &fake{dialect: PostgreSQL})
	for _, bad := range []string{"", "a;drop table x", `a"b`, "A", "1a", "a b", "a.b", "a--", strings.Repeat("a", 64)} {
		if _, err := PolicySQL(bad); err == nil {
			t.Errorf("PolicySQL(%q) was accepted", bad)
		}
		for _, tables := range []Tables{{AppendOnly: []string{bad}}, {ReadWrite: []string{bad}}} {
			if err := GrantRuntime(t.Context(), pool, "app", tables); err == nil || !strings.Contains(err.Error(), "plain lower-case name") {
				t.Errorf("GrantRuntime(%q): %v", tables, err)
			}
			if _, err := CheckRuntimeRole(t.Context(), pool, tables); err == nil || !strings.Contains(err.Error(), "plain lower-case name") {
				t.Errorf("CheckRuntimeRole(%q): %v", tables, err)
			}
		}
		if err := GrantRuntime(t.Context(), pool, bad, Tables{}); err == nil || !strings.Contains(err.Error(), "plain lower-case name") {
			t.Errorf("GrantRuntime for role %q: %v", bad, err)
		}
	}
	got, err := PolicySQL("consent_entries")
	if err != nil || !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "FORCE ROW LEVEL SECURITY") }) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestATableHasOneKind(t *testing.T) {
	for _, bad := range []Tables{
		{AppendOnly: []string{"a"}, ReadWrite: []string{"a"}},
		{AppendOnly: []string{"a", "a"}},
	} {
		if err := bad.check(); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestSQLiteHasNoRoles(t *testing.T) {
	f := &fake{dialect: SQLite}
	pool := newFake(t, f)
	if _, err := CheckRuntimeRole(t.Context(), pool, Tables{}); !errors.Is(err, ErrNoRoles) {
		t.Errorf("CheckRuntimeRole: %v", err)
	}
	if err := GrantRuntime(t.Context(), pool, "app", Tables{AppendOnly: []string{"a"}}); err != nil || len(f.kept) != 0 {
		t.Errorf("GrantRuntime: %v, %q", err, f.kept)
	}
}

// A check that can't be made is an error, never good news.
func TestAnUnansweredQuestionIsAnError(t *testing.T) {
	broken := errors.New("broken")
	f := &fake{dialect: PostgreSQL}
	pool := newFake(t, f)
	f.fail = func(q string) error {
		if strings.Contains(q, "pg_roles r") {
			return broken
		}
		return nil
	}
	if got, err := CheckRuntimeRole(t.Context(), pool, Tables{}); !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}
