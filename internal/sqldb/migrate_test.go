package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func TestReadOrdersAndChecksFiles(t *testing.T) {
	good := Set{Name: "x", Dir: "m", FS: fstest.MapFS{
		"m/0002_more.sql":           file("b"),
		"m/0001_first.sqlite.sql":   file("a"),
		"m/0001_first.postgres.sql": file("A"),
	}}
	for d, want := range map[Dialect]string{SQLite: "0001_first a 0002_more b ", PostgreSQL: "0001_first A 0002_more b "} {
		list, err := good.read(d)
		got := ""
		for _, m := range list {
			got += m.String() + " " + strings.Join(m.statements, ";") + " "
		}
		if err != nil || got != want {
			t.Errorf("%v: %s, %v; want %s", d, got, err, want)
		}
	}
	for name, set := range map[string]Set{
		"gap":       {Name: "x", FS: fstest.MapFS{"0001_a.sql": file(""), "0003_b.sql": file("")}},
		"twice":     {Name: "x", FS: fstest.MapFS{"0001_a.sql": file(""), "0001_b.sql": file("")}},
		"zero":      {Name: "x", FS: fstest.MapFS{"0000_a.sql": file("")}},
		"name":      {Name: "x", FS: fstest.MapFS{"1_a.sql": file("")}},
		"dialect":   {Name: "x", FS: fstest.MapFS{"0001_a.mysql.sql": file("")}},
		"stranger":  {Name: "x", FS: fstest.MapFS{"0001_a.sql": file(""), "README": file("")}},
		"none":      {Name: "x", FS: fstest.MapFS{}},
		"only pg":   {Name: "x", FS: fstest.MapFS{"0001_a.postgres.sql": file("")}},
		"a folder":  {Name: "x", FS: fstest.MapFS{"0001_a.sql/x": file("")}},
		"no name":   {FS: fstest.MapFS{"0001_a.sql": file("")}},
		"no folder": {Name: "x", Dir: "nope", FS: fstest.MapFS{}},
		"no FS":     {Name: "x"},
		"open":      {Name: "x", FS: fstest.MapFS{"0001_a.sql": file("-- begin\nCREATE …")}},
		"commits":   {Name: "x", FS: fstest.MapFS{"0001_a.sql": file("CREATE …;\n-- now\ncommit;")}},
		"begins":    {Name: "x", FS: fstest.MapFS{"0001_a.sql": file("BEGIN; CREATE …")}},
	} {
		if _, err := set.read(SQLite); !errors.Is(err, ErrMigration) {
			t.Errorf("%s: %v, want ErrMigration", name, err)
		}
	}
}

// letters is a set of files with two statements each: a1, a2, b1, b2 …
func letters(n int) Set {
	fs := fstest.MapFS{}
	for i := range n {
		c := string(rune('a' + i))
		fs[fmt.Sprintf("000%d_%s.sql", i+1, c)] = file(c + "1;\n" + c + "2;\n")
	}
	return Set{Name: "letters", FS: fs}
}

// ours leaves out the table and the notes of migrations.
func ours(kept []string) string {
	var list []string
	for _, q := range kept {
		if !strings.Contains(q, "surety_migrations") {
			list = append(list, q)
		}
	}
	return strings.Join(list, " ")
}

func TestMigrateAppliesWhatIsMissing(t *testing.T) {
	for _, d := range []Dialect{SQLite, PostgreSQL} {
		f := &fake{dialect: d}
		pool := newFake(t, f)
		for _, step := range []struct {
			files int
			want  string
		}{{1, "a1 a2"}, {1, "a1 a2"}, {3, "a1 a2 b1 b2 c1 c2"}, {3, "a1 a2 b1 b2 c1 c2"}} {
			if err := Migrate(t.Context(), pool, letters(step.files)); err != nil || ours(f.kept) != step.want {
				t.Errorf("%v, %d files: %s, %v", d, step.files, ours(f.kept), err)
			}
		}
		if err := Migrate(t.Context(), pool, letters(2)); !errors.Is(err, ErrMigration) || !strings.Contains(err.Error(), "newer program") {
			t.Errorf("%v: an older program: %v", d, err)
		}
		changed := letters(4)
		changed.FS.(fstest.MapFS)["0002_b.sql"] = file("x")
		if err := Migrate(t.Context(), pool, changed); !errors.Is(err, ErrMigration) || !strings.Contains(err.Error(), "0002_b") {
			t.Errorf("%v: a changed file: %v", d, err)
		}
		if got := ours(f.kept); got != "a1 a2 b1 b2 c1 c2" {
			t.Errorf("%v: beside a changed file was applied: %s", d, got)
		}
		if f.open {
			t.Errorf("%v: a transaction is open", d)
		}
	}
}

func TestMigrateHoldsTheLock(t *testing.T) {
	for d, want := range map[Dialect]string{
		SQLite:     "BEGIN IMMEDIATE",
		PostgreSQL: "BEGIN ISOLATION LEVEL READ COMMITTED | SELECT pg_advisory_xact_lock(1937076837)",
	} {
		f := &fake{dialect: d}
		pool := newFake(t, f)
		if err := Migrate(t.Context(), pool, letters(1)); err != nil {
			t.Fatal(err)
		}
		said := f.said[slices.IndexFunc(f.said, func(q string) bool { return strings.HasPrefix(q, "BEGIN") }):]
		if !strings.HasPrefix(strings.Join(said, " | "), want+" | CREATE TABLE IF NOT EXISTS surety_migrations") {
			t.Errorf("%v: %q", d, said)
		}
	}
}

// Each statement fails twice, and so does each rollback after it. What stays
// are whole files with their notes; the third try completes them.
func TestACrashAnywhereLeavesWholeFiles(t *testing.T) {
	whole := map[string]int{"": 0, "a1 a2": 1, "a1 a2 b1 b2": 2, "a1 a2 b1 b2 c1 c2": 3}
	for _, d := range []Dialect{SQLite, PostgreSQL} {
		reached := 0
		for point := 1; point == 1 || reached == point-1; point++ {
			f := &fake{dialect: d}
			pool := newFake(t, f)
			for range 2 {
				n := 0
				f.fail = func(string) error {
					if n++; n >= point {
						reached = max(reached, point)
						return errors.New("power failure")
					}
					return nil
				}
				err := Migrate(t.Context(), pool, letters(3))
				notes := len(f.kept) - len(strings.Fields(ours(f.kept))) - creations(f.kept)
				if files, ok := whole[ours(f.kept)]; !ok || files != notes || (err == nil && files != 3) {
					t.Fatalf("%v, point %d: %q, %v", d, point, f.kept, err)
				}
			}
			f.fail = nil
			if err := Migrate(t.Context(), pool, letters(3)); err != nil || whole[ours(f.kept)] != 3 {
				t.Fatalf("%v, after point %d: %q, %v", d, point, f.kept, err)
			}
		}
		if reached < 15 {
			t.Errorf("%v: only %d points failed", d, reached)
		}
	}
}

func creations(kept []string) int {
	n := 0
	for _, q := range kept {
		if strings.HasPrefix(q, "CREATE TABLE IF NOT EXISTS surety_migrations") {
			n++
		}
	}
	return n
}

// A connection that may be in a transaction must not serve anyone else.
func TestAConnectionThatCannotRollBackIsDropped(t *testing.T) {
	f := &fake{dialect: SQLite, fail: func(q string) error {
		if q == "a2" || q == "ROLLBACK" {
			return errors.New("broken")
		}
		return nil
	}}
	pool := newFake(t, f)
	if err := Migrate(t.Context(), pool, letters(1)); err == nil {
		t.Fatal("no error")
	}
	f.fail = nil
	if err := Migrate(t.Context(), pool, letters(1)); err != nil || f.connected != 2 {
		t.Errorf("%v, %d connections", err, f.connected)
	}
}

func TestMigrateWaitsForTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := 3
		f := &fake{dialect: SQLite, fail: func(q string) error {
			if busy > 0 && (q == "BEGIN IMMEDIATE" || q == "COMMIT") {
				busy--
				return codeError(5)
			}
			return nil
		}}
		pool := newFake(t, f)
		if err := Migrate(t.Context(), pool, letters(2)); err != nil || ours(f.kept) != "a1 a2 b1 b2" || f.connected != 1 {
			t.Errorf("%q, %v, %d connections", f.kept, err, f.connected)
		}
	})
}

func TestMigrateEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{dialect: PostgreSQL, fail: func(q string) error {
		if q == "b1" {
			cancel()
		}
		return nil
	}}
	pool := newFake(t, f)
	if err := Migrate(ctx, pool, letters(2)); !errors.Is(err, context.Canceled) || ours(f.kept) != "a1 a2" || f.open {
		t.Errorf("%q, %v, open %t", f.kept, err, f.open)
	}
}

func TestMissingNotes(t *testing.T) {
	f := &fake{dialect: SQLite}
	pool := newFake(t, f)
	if err := Migrate(t.Context(), pool, letters(2)); err != nil {
		t.Fatal(err)
	}
	f.kept = slices.DeleteFunc(f.kept, func(q string) bool { return strings.Contains(q, "letters 1 a") })
	if err := Migrate(t.Context(), pool, letters(2)); !errors.Is(err, ErrMigration) || !strings.Contains(err.Error(), "lacks the note of 0001") {
		t.Errorf("%v", err)
	}
}
