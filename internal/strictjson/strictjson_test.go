package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

type audit struct {
	By string `json:"by"`
}

type address struct {
	City string `json:"city"`
	Zip  string `json:"zip,omitempty"`
}

type person struct {
	audit   // unexported, yet its members are JSON's
	*person //nolint:unused // read by reflection: a type may embed itself

	Name     string               `json:"name"`
	Age      int                  `json:"age"`
	Born     time.Time            `json:"born"`
	Home     *address             `json:"home"`
	Others   []address            `json:"others"`
	ByPlace  map[string][]address `json:"by_place"`
	Anything any                  `json:"anything"`
	Plain    string
	Hidden   string `json:"-"`
	Dash     string `json:"-,"` //nolint:staticcheck // the name "-", spelled so, is what is tested
	private  string
}

func TestDecode(t *testing.T) {
	in := ` {"name":"a","age":3,"by":"b","born":"2026-01-02T03:04:05Z","home":{"city":"c"},"others":[{"zip":"1"},{}],
		"by_place":{"x":[{"city":"d"}],"X":[]},"anything":{"free":[1,{"more":null}]},"Plain":"p","-":"d"} `
	var got person
	if err := Decode(strings.NewReader(in), 1000, &got); err != nil {
		t.Fatal(err)
	}
	want := person{
		audit: audit{"b"}, Name: "a", Age: 3, Born: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Home: &address{City: "c"},
		Others: []address{{Zip: "1"}, {}}, ByPlace: map[string][]address{"x": {{City: "d"}}, "X": {}},
		Anything: map[string]any{"free": []any{1.0, map[string]any{"more": nil}}}, Plain: "p", Dash: "d",
	}
	if !reflect.DeepEqual(got, want) || got.private != "" {
		t.Errorf("got %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		in   string
		want error
		text string // what the message names
	}{
		"repeated":             {`{"name":"a","name":"b"}`, ErrMember, `"name" is repeated`},
		"repeated by escape":   {`{"name":"a","\u006eame":"b"}`, ErrMember, `"name" is repeated`},
		"repeated below":       {`{"others":[{},{"city":"a","city":"b"}]}`, ErrMember, `"others[1].city" is repeated`},
		"repeated in a map":    {`{"by_place":{"x":[],"x":[]}}`, ErrMember, `"by_place.x" is repeated`},
		"repeated in anything": {`{"anything":[{"y":1,"y":2}]}`, ErrMember, `"anything[0].y" is repeated`},
		"unknown":              {`{"name":"a","admin":true}`, ErrMember, `"admin" is unknown`},
		"unknown below":        {`{"by_place":{"x":[{"town":"a"}]}}`, ErrMember, `"by_place.x[0].town" is unknown`},
		"hidden":               {`{"Hidden":"x"}`, ErrMember, `"Hidden" is unknown`},
		"unexported":           {`{"private":"x"}`, ErrMember, `"private" is unknown`},
		"another letter case":  {`{"Name":"a"}`, ErrMember, `"Name" is unknown`},
		"both letter cases":    {`{"name":"a","NAME":"b"}`, ErrMember, `"NAME" is unknown`},
		"folds to a letter":    {`{"other\u017f":[]}`, ErrMember, `is unknown`},
		"trailing":             {`{"name":"a"} {}`, ErrSyntax, "text after the value"},
		"trailing bracket":     {`{}}`, ErrSyntax, "text after the value"},
		"cut off":              {`{"name":`, ErrSyntax, "at byte 8"},
		"comma too much":       {`{"others":[{},]}`, ErrSyntax, "at byte"},
		"no value":             {`{"name":}`, ErrSyntax, "at byte"},
		"no name":              {`{1:2}`, ErrSyntax, "at byte"},
		"single quotes":        {`{'name':'a'}`, ErrSyntax, "at byte"},
		"byte order mark":      {"\ufeff{}", ErrSyntax, "at byte"},
		"nothing":              {``, ErrSyntax, "at byte 0"},
		"no UTF-8":             {"{\"name\":\"sec\xffret\"}", ErrSyntax, "not UTF-8"},
		"high surrogate":       {`{"name":"secret\ud800"}`, ErrSyntax, "surrogate pair at byte 15"},
		"low surrogate":        {`{"name":"\udc00\ud800"}`, ErrSyntax, "surrogate pair at byte 9"},
		"halves apart":         {`{"name":"\ud800 \udc00"}`, ErrSyntax, "surrogate pair"},
		"halves at the end":    {`"\ud83d\ude00\ud83d"`, ErrSyntax, "surrogate pair at byte 13"},
		"a word for a number":  {`{"age":"secret"}`, ErrValue, `"age": want int`},
		"a number too large":   {`{"age":1e999}`, ErrValue, `"age": want int`},
		"a fraction":           {`{"age":1.5}`, ErrValue, `"age": want int`},
		"an array for objects": {`{"home":["secret"]}`, ErrValue, `"home": want strictjson.address`},
		"the wrong value":      {`["secret"]`, ErrValue, "the value: want strictjson.person"},
		"no time":              {`{"born" : "secret"}`, ErrValue, `"born": want time.Time`},
		"a member in a time":   {`{"born":{"a":1,"a":1}}`, ErrMember, `"born.a" is repeated`},
		"deep":                 {`{"anything":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, ErrTooLarge, "nested deeper than 32"},
		"long":                 {`{"name":"` + strings.Repeat("x", 200) + `"}`, ErrTooLarge, "the limit is 200 bytes"},
		"long name":            {`{"` + strings.Repeat("ü", 90) + `":1}`, ErrMember, strings.Repeat("ü", 39) + `"… is unknown`},
		"a terminal's escape":  {`{"\u001b[2J":1}`, ErrMember, `"\x1b[2J" is unknown`},
	}
	for name, tc := range cases {
		err := Decode(strings.NewReader(tc.in), 200, &person{})
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v; want %v with %q", name, err, tc.want, tc.text)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the message shows the value: %v", name, err)
		}
	}
}

// keyed refuses its text and repeats it, as many types' methods do.
type keyed string

func (*keyed) UnmarshalText(b []byte) error { return errors.New("can't read " + string(b)) }

func TestErrorsOfATypesOwnMethodAreNotShown(t *testing.T) {
	for name, dst := range map[string]any{"value": &map[string]keyed{}, "key of a map": &map[keyed]int{}} {
		err := Unmarshal([]byte(`{"secret-free":1}`), dst)
		if name == "value" {
			err = Unmarshal([]byte(`{"token":"secret"}`), dst)
		}
		if !errors.Is(err, ErrValue) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	const doc = `{"name":"a"}`
	for _, limit := range []int64{int64(len(doc)), math.MaxInt64} {
		if err := Decode(strings.NewReader(doc), limit, &person{}); err != nil {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	for _, limit := range []int64{int64(len(doc)) - 1, 1, 0, -1, math.MinInt64} {
		if err := Decode(strings.NewReader(doc), limit, &person{}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	endless := &counter{}
	if err := Decode(endless, 1000, &person{}); !errors.Is(err, ErrTooLarge) || endless.n != 1001 {
		t.Errorf("of an endless body %d bytes are read, %v", endless.n, err)
	}
	deepest := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	if err := Unmarshal([]byte(deepest), new(any)); err != nil {
		t.Errorf("the greatest depth: %v", err)
	}
}

type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	c.n += len(p)
	return copy(p, bytes.Repeat([]byte(" "), len(p))), nil
}

func TestTheReadersErrorStaysItself(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader(`{"name":"a"}`), iotest.ErrReader(broken))
	if err := Decode(r, 100, &person{}); !errors.Is(err, broken) {
		t.Errorf("%v, want the reader's error", err)
	}
}

func TestMisuse(t *testing.T) {
	var misuse *json.InvalidUnmarshalError
	for _, dst := range []any{nil, person{}, (*person)(nil)} {
		if err := Unmarshal([]byte(`{}`), dst); !errors.As(err, &misuse) {
			t.Errorf("into %T: %v", dst, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{
		`{"name":"a"}`, `[1,2]`, `{"a":{"a":1}}`, `null`, `"\u0000"`, `{"name":"a","Name":"b"}`, `{"a":1,"a":2}`, `"\\ud800"`,
		`"\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"", `{"born":"2026-01-02T03:04:05Z"}`, `{"others":[{"city":""}]}`, `{}}`, `[1,]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if err := Unmarshal(data, &v); err == nil {
			// What is accepted says the same to a reader that keeps the first
			// of two members and one that keeps the last: writing it again
			// loses none.
			again, err := json.Marshal(v)
			if err != nil || !json.Valid(data) || members(t, data) != members(t, again) {
				t.Fatalf("accepted %q, which becomes %q, %v", data, again, err)
			}
		}
		var p, q person
		if err := Unmarshal(data, &p); err == nil {
			if err := json.Unmarshal(data, &q); err != nil || !reflect.DeepEqual(p, q) {
				t.Fatalf("%q is read as %+v, by encoding/json as %+v, %v", data, p, q, err)
			}
		}
	})
}

// members counts the tokens of a document.
func members(t *testing.T, data []byte) int {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
