package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

type login struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

func TestDecode(t *testing.T) {
	var l login
	if err := Decode(strings.NewReader(` {"name":"a","age":3} `), 100, &l); err != nil || l.Name != "a" || l.Age != 3 {
		t.Errorf("%+v, %v", l, err)
	}
	cases := map[string]struct {
		in   string
		want error
	}{
		"repeated":         {`{"name":"a","name":"b"}`, ErrMember},
		"repeated, nested": {`{"name":"a","x":{"y":1,"y":2}}`, ErrMember},
		"unknown":          {`{"name":"a","admin":true}`, ErrMember},
		"trailing":         {`{"name":"a"} {}`, ErrSyntax},
		"garbage":          {`{"name":`, ErrSyntax},
		"empty":            {``, ErrSyntax},
		"type":             {`{"age":"three"}`, ErrSyntax},
		"deep":             {strings.Repeat("[", 40) + strings.Repeat("]", 40), ErrTooLarge},
		"long":             {`{"name":"` + strings.Repeat("x", 100) + `"}`, ErrTooLarge},
	}
	for name, tc := range cases {
		err := Decode(strings.NewReader(tc.in), 100, &login{})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "three") {
			t.Errorf("%s: the message shows the value: %v", name, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{"name":"a"}`, `[1,2]`, `{"a":{"a":1}}`, `null`, `"\u0000"`, `{"name":"a","Name":"b"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v any
		if err := Unmarshal([]byte(s), &v); err == nil && !json.Valid([]byte(s)) {
			t.Fatalf("accepted %q", s)
		}
	})
}
