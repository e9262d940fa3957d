package classify_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls/classify"
)

type address struct {
	Street string `sec:"pii,purpose=contract,retention=P2Y"`
	Next   *address
}

type meta struct {
	CreatedAt time.Time `sec:"class=internal"`
}

type person struct {
	meta
	ID      string
	Email   string `sec:"pii,category=user.contact.email,purpose=contract|support,retention=P2Y,encrypt,index=email_bidx,norm=lower"`
	Salary  int64  `sec:"class=restricted,encrypt" db:"salary_sealed"`
	Health  string `sec:"special,purpose=leave,retention=P1Y6M,encrypt"`
	Home    address
	Old     []address
	ByPlace map[string]*address
	Title   string `sec:"class=public"`
	Cache   struct {
		Raw string `sec:"-"`
		X   int
	} `sec:"-"`
	hidden string
}

func schema(t *testing.T) classify.Schema {
	t.Helper()
	_ = person{hidden: ""}
	s, err := classify.Of[person]()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPathsColumnsAndOrder(t *testing.T) {
	var got []string
	for _, f := range schema(t).Fields {
		got = append(got, f.Path+" "+f.Column)
	}
	want := []string{
		"CreatedAt created_at", "ID id", "Email email", "Salary salary_sealed", "Health health",
		"Home.Street street", "Old[].Street street", "ByPlace[].Street street", "Title title",
	}
	if !slices.Equal(got, want) {
		t.Errorf("fields:\n got %q\nwant %q", got, want)
	}
}

func TestTagsMean(t *testing.T) {
	s := schema(t)
	email, _ := s.Field("Email")
	if !email.Personal || email.Class != classify.Confidential || email.Encryption != classify.Randomised ||
		email.BlindIndex != "email_bidx" || email.Normalise != "lower" || email.Category != "user.contact.email" ||
		!slices.Equal(email.Purposes, []string{"contract", "support"}) || email.Retention.Years != 2 {
		t.Errorf("Email = %+v", email)
	}
	health, _ := s.Field("Health")
	if !health.Personal || !health.Special || health.Class != classify.Restricted || health.Retention.String() != "P1Y6M" {
		t.Errorf("Health = %+v", health)
	}
	id, _ := s.Field("ID")
	if id.Tagged || id.Class != classify.Unclassified {
		t.Errorf("ID = %+v", id)
	}
	if _, ok := s.Field("Nope"); ok {
		t.Error("a field that is not there was found")
	}
}

func TestIndexReachesTheField(t *testing.T) {
	s := schema(t)
	p := person{Home: address{Street: "Elm"}, meta: meta{CreatedAt: time.Unix(7, 0)}}
	street, _ := s.Field("Home.Street")
	if got := reflect.ValueOf(p).FieldByIndex(street.Index).String(); got != "Elm" {
		t.Errorf("Home.Street reads %q", got)
	}
	created, _ := s.Field("CreatedAt")
	if got := reflect.ValueOf(p).FieldByIndex(created.Index).Interface(); got != time.Unix(7, 0) {
		t.Errorf("CreatedAt reads %v", got)
	}
	old, _ := s.Field("Old[].Street")
	if old.Index != nil {
		t.Errorf("a field below a slice has index %v", old.Index)
	}
}

func TestUnclassifiedNeedsAllProtection(t *testing.T) {
	if !classify.Unclassified.AtLeast(classify.Restricted) {
		t.Error("an unclassified value passed as harmless")
	}
	if classify.Internal.AtLeast(classify.Confidential) || !classify.Restricted.AtLeast(classify.Confidential) {
		t.Error("classes are out of order")
	}
}

func TestMistakesInTagsAreErrors(t *testing.T) {
	cases := []struct {
		name, says string
		typ        any
	}{
		{"unknown option", `"encrypted"`, struct {
			A string `sec:"pii,encrypted"`
		}{}},
		{"unknown class", "secret", struct {
			A string `sec:"class=secret"`
		}{}},
		{"repeated", "repeated", struct {
			A string `sec:"pii,pii"`
		}{}},
		{"flag with value", "pii", struct {
			A string `sec:"pii=yes"`
		}{}},
		{"missing value", "purpose", struct {
			A string `sec:"pii,purpose="`
		}{}},
		{"bad period", "7y", struct {
			A string `sec:"pii,retention=7y"`
		}{}},
		{"index in clear", "index", struct {
			A string `sec:"pii,index=a_bidx"`
		}{}},
		{"public person", "public", struct {
			A string `sec:"pii,class=public"`
		}{}},
		{"nothing said", "class", struct {
			A string `sec:"retention=P1Y"`
		}{}},
		{"empty", "out of place", struct {
			A string `sec:""`
		}{}},
		{"column is SQL", "column", struct {
			A string `sec:"pii,column=a;drop"`
		}{}},
		{"unexported", "unexported", struct {
			a string `sec:"pii"`
		}{}},
		{"nested", "B.A", struct {
			B struct {
				A string `sec:"nope"`
			}
		}{}},
		{"no struct", "no struct", 7},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := classify.OfType(reflect.TypeOf(tc.typ))
			if !errors.Is(err, classify.ErrTag) {
				t.Fatalf("error = %v, want ErrTag", err)
			}
			if tc.name != "column is SQL" && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %q does not say %q", err, tc.says)
			}
		})
	}
	if _, err := classify.OfType(nil); !errors.Is(err, classify.ErrTag) {
		t.Errorf("OfType(nil) = %v", err)
	}
}

func TestRegistry(t *testing.T) {
	var r classify.Registry
	if _, err := classify.Register[person](&r, "people"); err != nil {
		t.Fatal(err)
	}
	if _, err := classify.Register[address](&r, "people"); !errors.Is(err, classify.ErrTag) {
		t.Errorf("a second description of one table: %v", err)
	}
	if _, err := classify.Register[address](&r, ""); !errors.Is(err, classify.ErrTag) {
		t.Errorf("a table without a name: %v", err)
	}
	if _, err := classify.Register[address](&r, "addresses"); err != nil {
		t.Fatal(err)
	}
	if got := r.Tables(); !slices.Equal(got, []string{"addresses", "people"}) {
		t.Errorf("Tables = %q", got)
	}
	if s, ok := r.Table("people"); !ok || s.Type != reflect.TypeFor[person]() {
		t.Errorf("Table = %v, %v", s.Type, ok)
	}
}

func TestPeriodAfterKeepsToTheMonth(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	cases := []struct{ from, period, want string }{
		{"2026-01-31", "P1M", "2026-02-28"},
		{"2028-01-31", "P1M", "2028-02-29"},
		{"2028-02-29", "P1Y", "2029-02-28"},
		{"2026-11-30", "P3M", "2027-02-28"},
		{"2026-05-15", "P7Y", "2033-05-15"},
		{"2026-05-15", "P2W1D", "2026-05-30"},
		{"2026-10-31", "P1M1D", "2026-12-01"},
	}
	for _, tc := range cases {
		p, err := classify.ParsePeriod(tc.period)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.After(day(tc.from)); !got.Equal(day(tc.want)) {
			t.Errorf("%s after %s = %s, want %s", tc.period, tc.from, got.Format(time.DateOnly), tc.want)
		}
	}
}

func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"P7Y", "P1Y6M", "P90D", "P2W", "", "P", "P0D", "PT1H", "P1D1Y", "P99999Y", "-P1Y", "P1.5Y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := classify.ParsePeriod(s)
		if err != nil {
			return
		}
		back, err := classify.ParsePeriod(p.String())
		if err != nil && p.Days <= 9999 {
			t.Fatalf("%q parses but its canonical form %q does not: %v", s, p, err)
		}
		if err == nil && back != p {
			t.Fatalf("%q parses to %+v, its canonical form to %+v", s, p, back)
		}
		if p.IsZero() || !p.After(time.Unix(0, 0)).After(time.Unix(0, 0)) {
			t.Fatalf("%q is accepted but lasts no time", s)
		}
	})
}
