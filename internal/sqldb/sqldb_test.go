package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRebind(t *testing.T) {
	cases := map[string]string{
		"SELECT 1":                       "SELECT 1",
		"a = ? AND b = ?":                "a = $1 AND b = $2",
		"a = '?' AND b = ?":              "a = '?' AND b = $1",
		`a = 'it''s ?' AND "c?" = ?`:     `a = 'it''s ?' AND "c?" = $1`,
		"VALUES (?,?,?,?,?,?,?,?,?,?,?)": "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
	}
	for in, want := range cases {
		if got := PostgreSQL.Rebind(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		if got := SQLite.Rebind(in); got != in {
			t.Errorf("SQLite: %s became %s", in, got)
		}
	}
}

func TestStatements(t *testing.T) {
	text := `-- a comment; with a semicolon
CREATE TABLE a (
	x TEXT NOT NULL DEFAULT ';'
);
-- begin
CREATE TRIGGER t BEFORE UPDATE ON a BEGIN
	SELECT RAISE(ABORT, 'append-only');
END;
-- end
CREATE INDEX i ON a (x)
`
	got := Statements(text)
	if len(got) != 3 || !strings.HasPrefix(got[1], "CREATE TRIGGER") || !strings.HasSuffix(got[1], "END;") || got[2] != "CREATE INDEX i ON a (x)" {
		t.Errorf("%d statements: %q", len(got), got)
	}
	if got := Statements("-- nothing\n"); len(got) != 0 {
		t.Errorf("nothing gives %q", got)
	}
}

func TestReadOrdersAndChecksFiles(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	good := Set{Name: "x", Dir: "m", FS: fstest.MapFS{
		"m/0002_more.sql":           file("b"),
		"m/0001_first.sqlite.sql":   file("a"),
		"m/0001_first.postgres.sql": file("A"),
	}}
	for d, want := range map[Dialect]string{SQLite: "a b", PostgreSQL: "A b"} {
		list, err := good.read(d)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, m := range list {
			texts = append(texts, m.text)
		}
		if got := strings.Join(texts, " "); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for name, set := range map[string]Set{
		"gap":       {Name: "x", FS: fstest.MapFS{"0001_a.sql": file(""), "0003_b.sql": file("")}},
		"twice":     {Name: "x", FS: fstest.MapFS{"0001_a.sql": file(""), "0001_b.sql": file("")}},
		"name":      {Name: "x", FS: fstest.MapFS{"1_a.sql": file("")}},
		"dialect":   {Name: "x", FS: fstest.MapFS{"0001_a.mysql.sql": file("")}},
		"none":      {Name: "x", FS: fstest.MapFS{}},
		"only pg":   {Name: "x", FS: fstest.MapFS{"0001_a.postgres.sql": file("")}},
		"no name":   {FS: fstest.MapFS{"0001_a.sql": file("")}},
		"no folder": {Name: "x", Dir: "nope", FS: fstest.MapFS{}},
		"no FS":     {Name: "x"},
	} {
		if _, err := set.read(SQLite); !errors.Is(err, ErrMigration) {
			t.Errorf("%s: %v, want ErrMigration", name, err)
		}
	}
}

type stateError string

func (e stateError) Error() string    { return string(e) }
func (e stateError) SQLState() string { return string(e) }

type codeError int

func (e codeError) Error() string { return "code" }
func (e codeError) Code() int     { return int(e) }

func TestErrorKinds(t *testing.T) {
	for _, tc := range []struct {
		err                  error
		transient, duplicate bool
	}{
		{stateError("40001"), true, false},
		{stateError("40P01"), true, false},
		{stateError("23505"), false, true},
		{stateError("42601"), false, false},
		{codeError(5), true, false},
		{codeError(261), true, false}, // SQLITE_BUSY_RECOVERY
		{codeError(6), true, false},
		{codeError(1555), false, true},
		{codeError(2067), false, true},
		{codeError(19), false, false},
		{errors.New("other"), false, false},
		{context.Canceled, false, false},
	} {
		err := fmt.Errorf("wrapped: %w", tc.err)
		if Transient(err) != tc.transient || Duplicate(err) != tc.duplicate {
			t.Errorf("%v: transient %t, duplicate %t", tc.err, Transient(err), Duplicate(err))
		}
	}
}

func TestTenantIsRequired(t *testing.T) {
	db := &DB{}
	if err := db.Tx(t.Context(), "", nil); !errors.Is(err, ErrNoTenant) {
		t.Errorf("Tx without a tenant: %v", err)
	}
	if err := db.View(t.Context(), "", nil); !errors.Is(err, ErrNoTenant) {
		t.Errorf("View without a tenant: %v", err)
	}
}

func TestNamesAreNeverSpliced(t *testing.T) {
	for _, bad := range []string{"", "a;drop table x", `a"b`, "A", "1a", "a b", strings.Repeat("a", 64)} {
		if _, err := PolicySQL(bad); err == nil {
			t.Errorf("PolicySQL(%q) was accepted", bad)
		}
		if err := (Tables{AppendOnly: []string{bad}}).check(); err == nil {
			t.Errorf("Tables{%q} was accepted", bad)
		}
	}
	got, err := PolicySQL("consent_entries")
	if err != nil || !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "FORCE ROW LEVEL SECURITY") }) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRetryEndsWithTheContextAndAfterItsTries(t *testing.T) {
	tries := 0
	err := (&DB{}).retry(t.Context(), func() error { tries++; return codeError(5) })
	if tries != maxTries || !Transient(err) {
		t.Errorf("%d tries, %v", tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tries = 0
	if err := (&DB{}).retry(ctx, func() error { tries++; return codeError(5) }); tries != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d tries after the end, %v", tries, err)
	}
	final := errors.New("final")
	tries = 0
	if err := (&DB{}).retry(t.Context(), func() error { tries++; return final }); tries != 1 || !errors.Is(err, final) {
		t.Errorf("%d tries of what can't succeed, %v", tries, err)
	}
}
