package main

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGroupsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, build := range groups {
		g := build()
		if err := g.validate(); err != nil {
			t.Error(err)
		}
		if g.Name == "" || g.Title == "" || g.Note == "" || seen[g.Name] || strings.ContainsAny(g.Name, " A") {
			t.Errorf("group %q lacks a title or a note, or its name is taken or unfit", g.Name)
		}
		seen[g.Name] = true
	}
}

func TestValidate(t *testing.T) {
	nothing := func(*testing.B) {}
	for want, g := range map[string]Group{
		"no cases":      {},
		"not the floor": {Cases: []Case{{Rows: []Row{{Ours, "x", nothing}}}}},
		"first row":     {Cases: []Case{{}}},
		"second floor":  {Cases: []Case{{Rows: []Row{{Floor, "x", nothing}, {Floor, "y", nothing}}}}},
		"of no kind":    {Cases: []Case{{Rows: []Row{{Floor, "x", nothing}, {"", "y", nothing}}}}},
	} {
		if err := g.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", g, err, want)
		}
	}
}

// script plays recorded times instead of measuring.
func script(times ...float64) func(func(*testing.B)) (sample, error) {
	return func(f func(*testing.B)) (sample, error) {
		f(nil)
		s := sample{nanoseconds: times[0], bytes: 8, allocs: 1, size: 1 << 20}
		times = times[1:]
		return s, nil
	}
}

func TestRowsRunInTurnAndRatiosAreWithinARound(t *testing.T) {
	var order []string
	row := func(kind Kind, name string) Row {
		return Row{kind, name, func(*testing.B) { order = append(order, name) }}
	}
	g := Group{Name: "g", Cases: []Case{{Name: "c", Rows: []Row{row(Floor, "floor"), row(Ours, "ours")}}}}
	// The machine slows down tenfold in the third round: the medians of the
	// times jump about, the ratio doesn't.
	results, err := measure(g, 3, script(100, 200, 110, 220, 1000, 2000), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"floor", "ours", "floor", "ours", "floor", "ours"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	floor, ours := results[0], results[1]
	if floor.Nanoseconds != 110 || floor.Ratio != 1 || ours.Nanoseconds != 220 || ours.Ratio != 2 {
		t.Errorf("floor %+v, ours %+v", floor, ours)
	}
	if ours.Spread < 8.1 || ours.Spread > 8.2 || ours.Bytes != 8 || ours.Allocs != 1 {
		t.Errorf("ours %+v", ours)
	}
	if want := 1e9 / 220.0; math.Abs(ours.PerSecond-want) > 1 {
		t.Errorf("%v MiB/s, want %v", ours.PerSecond, want)
	}
}

func TestMeasureSaysWhichRowFailed(t *testing.T) {
	g := Group{Name: "g", Cases: []Case{{Name: "c", Rows: []Row{{Floor, "broken", func(*testing.B) {}}}}}}
	fail := func(func(*testing.B)) (sample, error) { return sample{}, errors.New("reason") }
	_, err := measure(g, 1, fail, func(string) {})
	if err == nil || !strings.Contains(err.Error(), `"broken": reason`) {
		t.Errorf("error %v", err)
	}
}

func TestBenchmarkNoticesFailure(t *testing.T) {
	if _, err := benchmark(func(b *testing.B) { b.FailNow() }); err == nil {
		t.Error("a row that failed has a time")
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v = %v, want %v", values, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	g := Group{Title: "Title", Note: "Note."}
	got := table(g, []result{
		{Case: "64 B", Row: Row{Kind: Floor, Name: "a|b"}, Nanoseconds: 91.26, Ratio: 1, Spread: 0.051, Bytes: 96, Allocs: 1, PerSecond: 668.8},
		{Case: "64 B", Row: Row{Kind: Ours, Name: "c"}, Nanoseconds: 12345, Ratio: 135.27, Bytes: 200, Allocs: 3},
	}, "Conditions.")
	want := `### Title

Note.

| case | what | | time | × floor | spread | MiB/s | B | allocations |
|---|---|---|---:|---:|---:|---:|---:|---:|
| 64 B | floor | a\|b | 91.3 ns | 1.00 | 5 % | 669 | 96 | 1 |
|  | ours | c | 12.3 µs | 135.27 | 0 % |  | 200 | 3 |

Conditions.
`
	if got != want {
		t.Errorf("table:\n%s\nwant:\n%s", got, want)
	}
}

func TestDuration(t *testing.T) {
	for n, want := range map[float64]string{
		0.27: "0.3 ns", 99.94: "99.9 ns", 1234: "1234 ns", 12345: "12.3 µs", 12345678: "12.3 ms", 12.34e9: "12.3s",
	} {
		if got := duration(n); got != want {
			t.Errorf("duration(%v) = %q, want %q", n, got, want)
		}
	}
}

func TestInsert(t *testing.T) {
	const block = "<!-- bench:g -->\nnew\n<!-- /bench:g -->\n"
	for name, c := range map[string]struct{ before, after string }{
		"empty":   {"", block},
		"absent":  {"# Title\n", "# Title\n\n" + block},
		"present": {"a\n<!-- bench:g -->\nold\n<!-- /bench:g -->\nb\n", "a\n" + block + "b\n"},
		"beside":  {"<!-- bench:gg -->\nx\n<!-- /bench:gg -->\n", "<!-- bench:gg -->\nx\n<!-- /bench:gg -->\n\n" + block},
	} {
		if got, err := insert(c.before, "g", "new\n"); got != c.after || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.after)
		}
	}
	if _, err := insert("<!-- bench:g -->\nno end", "g", "new\n"); err == nil {
		t.Error("a document without the closing comment was cut off")
	}
}

func TestRunMeasuresAndWrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "performance.md")
	var out strings.Builder
	o := options{group: "aead", time: time.Millisecond, rounds: 1, write: file}
	if err := run(&out, io.Discard, o); err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<!-- bench:aead -->\n### ", "| seal 64 B | floor | crypto/cipher |", "|  | peer | tink-go |", "1 rounds of 1ms"} {
		if !strings.Contains(string(document), want) {
			t.Errorf("the document lacks %q:\n%s", want, document)
		}
	}
	if !strings.Contains(out.String(), "| open 16 KiB |") {
		t.Errorf("output:\n%s", &out)
	}
}

func TestRunRefuses(t *testing.T) {
	for want, o := range map[string]options{
		`no group "none"`:  {group: "none", time: time.Second, rounds: 1},
		"must be positive": {time: time.Second},
		"-time must be":    {rounds: 1},
	} {
		if err := run(io.Discard, io.Discard, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestList(t *testing.T) {
	var out strings.Builder
	if err := run(&out, io.Discard, options{list: true, time: time.Second, rounds: 1}); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != len(groups) || !strings.Contains(out.String(), "\naead ") {
		t.Errorf("list:\n%s", &out)
	}
}
