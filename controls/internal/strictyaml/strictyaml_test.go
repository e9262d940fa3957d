package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type entry struct {
	ID    string            `yaml:"id,required"`
	Count int               `yaml:"count"`
	On    bool              `yaml:"on"`
	Ratio *float64          `yaml:"ratio"`
	Day   time.Time         `yaml:"day"`
	Words []string          `yaml:"words"`
	More  map[string]string `yaml:"more"`
	Level level             `yaml:"level"`
}

type level int

func (l *level) UnmarshalText(b []byte) error {
	if string(b) != "high" {
		return errors.New("high is wanted")
	}
	*l = 3
	return nil
}

type file struct {
	Entries []entry `yaml:"entries,required"`
}

func decode(t *testing.T, text string) (file, error) {
	t.Helper()
	var f file
	d, err := Parse("x.yaml", []byte(text))
	if err != nil {
		return f, err
	}
	return f, d.Decode(&f)
}

func TestDecode(t *testing.T) {
	f, err := decode(t, `
entries:
  - id: no
    count: 7
    on: true
    ratio: 0
    day: 2026-01-31
    words: [1.0, 0x10, yes]
    more: {a: "1"}
    level: high
  - id: b
`)
	if err != nil {
		t.Fatal(err)
	}
	e := f.Entries[0]
	if e.ID != "no" || e.Count != 7 || !e.On || e.Ratio == nil || *e.Ratio != 0 || e.Level != 3 || e.More["a"] != "1" {
		t.Errorf("decoded %+v", e)
	}
	if got := strings.Join(e.Words, " "); got != "1.0 0x10 yes" {
		t.Errorf("plain scalars became %q: text must stay as it was typed", got)
	}
	if !e.Day.Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("day is %v", e.Day)
	}
	if f.Entries[1].Ratio != nil {
		t.Error("a number that is not stated is not nil")
	}
}

func TestMistakesNameFileLineFieldAndWhatIsWanted(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2)
	cases := []struct{ name, text, want string }{
		{"empty", "", "x.yaml: the file is empty"},
		{"comment only", "# nothing\n", "x.yaml: the file is empty"},
		{"not YAML", "entries: [\n", "x.yaml:1: not YAML"},
		{"tab indentation", "entries:\n\t- id: a\n", "x.yaml:2: not YAML"},
		{"second document", "entries: [{id: a}]\n---\nentries: []\n", "x.yaml:3: one document is wanted"},
		{"anchor", "entries: &a [{id: a}]\n", "x.yaml:1: entries: anchors and aliases"},
		{"alias", "entries: [{id: a}]\nagain: *a\n", "not YAML: unknown anchor"},
		{"merge key", "entries:\n  - id: a\n    <<: {count: 1}\n", "x.yaml:3: entries[0]: a key of plain text is wanted"},
		{"tag", "entries: [{id: !!str 1}]\n", `tags such as "!!str" are not allowed`},
		{"repeated key", "entries:\n  - id: a\n    id: b\n", "x.yaml:3: entries[0].id: the key is repeated, it stands in line 2"},
		{"number as key", "1: a\n", `a key of plain text is wanted, got "1"`},
		{"mapping as key", "? {a: b}\n: c\n", "a key of plain text is wanted, got a mapping"},
		{"unknown key", "entries:\n  - id: a\n    coutn: 1\n", "x.yaml:3: entries[0].coutn: the key is unknown, known here are count, day,"},
		{"missing", "entries:\n  - count: 1\n", "x.yaml:2: entries[0].id: the field is required"},
		{"blank", "entries:\n  - id: \"\"\n", "x.yaml:2: entries[0].id: the field is required"},
		{"nothing", "entries:\n  - id:\n", "x.yaml:2: entries[0].id: text without spaces around it is wanted, got nothing"},
		{"no list", "entries: a\n", `x.yaml:1: entries: a list is wanted, got "a"`},
		{"no mapping", "entries: [a]\n", `x.yaml:1: entries[0]: a mapping is wanted, got "a"`},
		{"octal", "entries: [{id: a, count: 0o7}]\n", "entries[0].count: a whole decimal number is wanted"},
		{"text for a number", "entries: [{id: a, count: \"7\"}]\n", "entries[0].count: a whole decimal number is wanted"},
		{"huge", "entries: [{id: a, count: 99999999999}]\n", "entries[0].count: a whole decimal number is wanted"},
		{"yes for true", "entries: [{id: a, on: yes}]\n", "entries[0].on: true or false is wanted"},
		{"infinite", "entries: [{id: a, ratio: .inf}]\n", "entries[0].ratio: a decimal number is wanted"},
		{"date", "entries: [{id: a, day: 31.1.2026}]\n", "entries[0].day: a date such as 2026-01-31 is wanted"},
		{"impossible date", "entries: [{id: a, day: 2026-02-30}]\n", "entries[0].day: a date such as"},
		{"own type", "entries: [{id: a, level: low}]\n", "entries[0].level: high is wanted"},
		{"deep", "entries: " + deep, "levels are wanted"},
		{"not UTF-8", "entries: \xff", "UTF-8 text is wanted"},
		{"large", strings.Repeat("#", MaxBytes+1), "at most 1048576 bytes is wanted, this one has 1048577"},
		{"many", "entries: [" + strings.Repeat("a,", MaxNodes) + "]", "at most 50000 values"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decode(t, tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v\nwant %q", err, tc.want)
			}
			if len(err.Error()) > 400 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestAllMistakesAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := decode(t, "entries:\n  - id: a\n    count: x\n  - count: 1\n")
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], ":3:") || !strings.Contains(lines[1], ":4:") {
		t.Errorf("got %q", lines)
	}
	var e *Error
	if !errors.As(err, &e) || e.File != "x.yaml" || e.Line != 3 || e.Field != "entries[0].count" {
		t.Errorf("errors.As gave %+v", e)
	}
	_, err = decode(t, "entries: ["+strings.Repeat("{},", 100)+"]")
	if n := strings.Count(err.Error(), "\n") + 1; n != maxErrors {
		t.Errorf("%d mistakes are reported, limit %d", n, maxErrors)
	}
}

func TestRequiredNumberMayBeZero(t *testing.T) {
	var v struct {
		N int `yaml:"n,required"`
	}
	for text, ok := range map[string]bool{"n: 0": true, "n: 1": true, "{}": false, "n:": false} {
		d, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(&v); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestErrorfFindsTheNearestLine(t *testing.T) {
	d, err := Parse("x.yaml", []byte("entries:\n  - id: a\n    words: [b]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"entries[0].words":    "x.yaml:3: entries[0].words: bad 1",
		"entries[0].words[9]": "x.yaml:3:",
		"entries[0].day":      "x.yaml:2:",
		"nowhere":             "x.yaml:1:",
	} {
		if got := d.Errorf(field, "bad %d", 1).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("Errorf(%s) = %s, want %s…", field, got, want)
		}
	}
}

func TestParseAll(t *testing.T) {
	list, err := ParseAll("x.yaml", []byte("a: 1\n---\nb: 2\n"))
	if err != nil || len(list) != 2 || list[1].Root().Content[0].Value != "b" {
		t.Fatalf("%d documents, %v", len(list), err)
	}
	if got := list[1].At(list[1].Root(), "b", "x").Error(); got != "x.yaml:3: b: x" {
		t.Errorf("an error in the second document is %q", got)
	}
	for _, text := range []string{"a: 1\n---\nb: *x\n", "a: 1\n---\n- {c: 1, c: 2}\n", ""} {
		if _, err := ParseAll("x.yaml", []byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestDecodeIntoSomethingElse(t *testing.T) {
	d, err := Parse("x.yaml", []byte("a: b"))
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if d.Decode(&s) == nil || d.Decode(file{}) == nil {
		t.Error("Decode took something that is no pointer to a struct")
	}
}

func TestClipKeepsRunesWhole(t *testing.T) {
	if got := Clip(strings.Repeat("é", 40)); got != strings.Repeat("é", 24)+"…" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"entries:\n  - id: a\n    count: 1\n", "a: &x 1\nb: *x", "<<: {a: b}", "--- !!map {}\n...\n---\n",
		"? [a]\n: b", "entries: [{id: \"\\x00\"}]", "a: |\n  text\n", "{a: {b: {c: [1, 2, {}]}}}", "!<x> y", "\ufeffa: b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse("f", []byte(s))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T is no *Error", err)
			}
			return
		}
		var v file
		if err := d.Decode(&v); err == nil && len(v.Entries) == 0 {
			t.Fatal("a required list is empty and nobody complains")
		}
	})
}
