package sqldb

import (
	"slices"
	"strings"
	"testing"
)

func TestRebind(t *testing.T) {
	cases := map[string]string{
		"":                               "",
		"SELECT 1":                       "SELECT 1",
		"a = ? AND b = ?":                "a = $1 AND b = $2",
		"a = '?' AND b = ?":              "a = '?' AND b = $1",
		`a = 'it''s ?' AND "c?" = ?`:     `a = 'it''s ?' AND "c?" = $1`,
		"VALUES (?,?,?,?,?,?,?,?,?,?,?)": "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
		"a = ? -- why?\nAND b = ?":       "a = $1 -- why?\nAND b = $2",
		"a = ? /* why? */ - ?":           "a = $1 /* why? */ - $2",
		"a - -? / ?":                     "a - -$1 / $2",
		"$$ ? $$ || ?":                   "$$ ? $$ || $1",
		"$t$ ? $$ ? $t$ || ?":            "$t$ ? $$ ? $t$ || $1",
		"a$b = ? AND c$ = ?":             "a$b = $1 AND c$ = $2", // names may contain a dollar
		"LIKE 'ü?' AND ü = ?":            "LIKE 'ü?' AND ü = $1",
		"'never closed ?":                "'never closed ?",
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
	const text = `-- a comment; with a semicolon
CREATE TABLE a (
	x TEXT NOT NULL DEFAULT ';', -- one; more
	"y;" TEXT /* two; */
); -- behind; it
/* alone; */
-- begin
CREATE TRIGGER t BEFORE UPDATE ON a BEGIN
	SELECT RAISE(ABORT, 'append-only');
END;
-- end
CREATE FUNCTION f() RETURNS trigger AS $body$ BEGIN RAISE 'x;'; END; $body$ LANGUAGE plpgsql; ;
INSERT INTO a VALUES ('-- begin;
it''s');
CREATE INDEX i ON a (x)
`
	want := []string{
		"-- a comment; with a semicolon\nCREATE TABLE a (\n\tx TEXT NOT NULL DEFAULT ';', -- one; more\n\t\"y;\" TEXT /* two; */\n)",
		"CREATE TRIGGER t BEFORE UPDATE ON a BEGIN\n\tSELECT RAISE(ABORT, 'append-only');\nEND;",
		"CREATE FUNCTION f() RETURNS trigger AS $body$ BEGIN RAISE 'x;'; END; $body$ LANGUAGE plpgsql",
		"INSERT INTO a VALUES ('-- begin;\nit''s')",
		"CREATE INDEX i ON a (x)",
	}
	got, err := statements(text)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d statements, %v:\n%s", len(got), err, strings.Join(got, "\n====\n"))
	}
	for _, text := range []string{"", "-- nothing\n", ";;\n;", "/* a; */;"} {
		if got, err := statements(text); err != nil || len(got) != 0 {
			t.Errorf("%q gives %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"-- begin\nSELECT 1;", "SELECT 1;\n-- end\n", "-- begin\n-- begin\n-- end\n-- end\n"} {
		if got, err := statements(text); err == nil {
			t.Errorf("%q gives %q", text, got)
		}
	}
}

func FuzzLex(f *testing.F) {
	for _, s := range []string{"a = ?", "'?' -- ?\n?", "$a$?$a$?", "/*?*/?", "-- begin\n;\n-- end\n;", "a;b", "'", "$", "--", "/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bound := PostgreSQL.Rebind(s)
		if !strings.ContainsAny(s, "'\"-/$") && strings.Contains(bound, "?") {
			t.Fatalf("%q became %q", s, bound)
		}
		list, err := statements(s)
		if err != nil {
			return
		}
		rest := s // statements are parts of the text, in order
		for _, statement := range list {
			_, after, ok := strings.Cut(rest, statement)
			if !ok || statement == "" {
				t.Fatalf("%q gives %q", s, list)
			}
			rest = after
		}
	})
}
