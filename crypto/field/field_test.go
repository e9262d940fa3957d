package field_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
	"github.com/surety-go/surety/crypto/field"
)

type phone struct{ Kind, Number string }

type home struct {
	Street field.Sealed[string] `sec:"pii,encrypt"`
	City   string               `sec:"class=internal"`
}

type person struct {
	ID        string                          `sec:"class=internal"`
	Email     field.Sealed[string]            `sec:"pii,encrypt,index=email_bidx,norm=lower"`
	EmailBidx []byte                          `sec:"class=internal"`
	Salary    field.Sealed[int64]             `sec:"class=restricted,encrypt"`
	Born      field.Sealed[time.Time]         `sec:"pii,encrypt"`
	Photo     field.Sealed[[]byte]            `sec:"pii,encrypt"`
	Phones    field.Sealed[[]phone]           `sec:"pii,encrypt"`
	Notes     field.Sealed[map[string]string] `sec:"special,encrypt"`
	Home      home
}

type fixture struct {
	keeper *crypto.Keeper
	rec    *auditlogtest.Recorder
	people *field.Codec[person]
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{rec: &auditlogtest.Recorder{}}
	var err error
	if f.keeper, err = crypto.NewKeeper(cryptotest.NewKEK("k"), crypto.NewMemoryStore(), f.rec, crypto.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.keeper.Close() })
	f.people, err = field.New[person](f.keeper, f.rec, "people", field.Options{Distinct: map[string]int{"Email": 100_000}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var id = field.ID{Tenant: "acme", Subject: "u-1", Row: "17"}

func ada() person {
	return person{
		ID:     "17",
		Email:  field.Of("Ada@Example.org"),
		Salary: field.Of(int64(52000)),
		Born:   field.Of(time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC)),
		Photo:  field.Of([]byte{1, 2, 3}),
		Phones: field.Of([]phone{{"home", "+44 1"}}),
		Notes:  field.Of(map[string]string{"a": "b"}),
		Home:   home{Street: field.Of("12 St James's Square"), City: "London"},
	}
}

// store moves the sealed fields through the interfaces of database/sql.
func store(t *testing.T, p person) person {
	t.Helper()
	q := person{ID: p.ID, EmailBidx: p.EmailBidx, Home: home{City: p.Home.City}}
	move(t, &q.Email, p.Email)
	move(t, &q.Salary, p.Salary)
	move(t, &q.Born, p.Born)
	move(t, &q.Photo, p.Photo)
	move(t, &q.Phones, p.Phones)
	move(t, &q.Notes, p.Notes)
	move(t, &q.Home.Street, p.Home.Street)
	return q
}

func move[T any](t *testing.T, dst *field.Sealed[T], src field.Sealed[T]) {
	t.Helper()
	v, err := src.Value()
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := v.([]byte); ok && (bytes.Contains(b, []byte("Ada")) || bytes.Contains(b, []byte("52000"))) {
		t.Error("a stored value shows the plain one")
	}
	if err := dst.Scan(v); err != nil {
		t.Fatal(err)
	}
}

func get[T any](t *testing.T, s field.Sealed[T]) T {
	t.Helper()
	v, err := s.Get()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSealAndOpen(t *testing.T) {
	f := newFixture(t)
	p := ada()
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	if get(t, p.Email) != "Ada@Example.org" {
		t.Error("after sealing, the value can still be read by whoever sealed it")
	}
	q := store(t, p)
	if _, err := q.Email.Get(); !errors.Is(err, field.ErrNotOpened) {
		t.Errorf("reading a sealed field: %v", err)
	}
	if err := f.people.OpenStruct(t.Context(), id, &q); err != nil {
		t.Fatal(err)
	}
	want := ada()
	if get(t, q.Email) != get(t, want.Email) || get(t, q.Salary) != 52000 || !get(t, q.Born).Equal(get(t, want.Born)) ||
		!bytes.Equal(get(t, q.Photo), []byte{1, 2, 3}) || !slices.Equal(get(t, q.Phones), []phone{{"home", "+44 1"}}) ||
		!reflect.DeepEqual(get(t, q.Notes), map[string]string{"a": "b"}) || get(t, q.Home.Street) != "12 St James's Square" {
		t.Error("values differ after the way through the store")
	}
	x, ok := f.people.Index("Email")
	if !ok {
		t.Fatal("no index")
	}
	found, err := x.Search(t.Context(), "acme", "ada@example.org")
	if err != nil || len(found) != 1 || !bytes.Equal(found[0], q.EmailBidx) {
		t.Errorf("searching: %x, stored %x, %v", found, q.EmailBidx, err)
	}
}

// Whoever forgets SealStruct stores nothing, instead of plaintext.
func TestPlainIsNotStored(t *testing.T) {
	p := ada()
	if v, err := p.Email.Value(); v != nil || !errors.Is(err, field.ErrUnsealed) {
		t.Errorf("%v, %v", v, err)
	}
	f := newFixture(t)
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	p.Email.Set("other@example.org")
	if v, err := p.Email.Value(); v != nil || !errors.Is(err, field.ErrUnsealed) {
		t.Errorf("after Set: %v, %v", v, err)
	}
}

// Whoever writes the database puts plaintext into a sealed column.
func TestPlaintextInTheStoreIsRefused(t *testing.T) {
	var s field.Sealed[string]
	for _, v := range []any{"mallory@example.org", []byte("x"), []byte{}, int64(7), true} {
		if err := s.Scan(v); !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("%v: %v", v, err)
		}
	}
	if !s.IsNull() {
		t.Error("a refused value stays in the field")
	}
}

func TestNull(t *testing.T) {
	f := newFixture(t)
	p := person{ID: "17"}
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	if v, err := p.Email.Value(); v != nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	if err := p.Email.Scan(nil); err != nil || !p.Email.IsNull() {
		t.Errorf("%v", err)
	}
	if err := f.people.OpenStruct(t.Context(), id, &p); err != nil || get(t, p.Email) != "" {
		t.Errorf("%v", err)
	}
	empty := person{Email: field.Of("")}
	if err := f.people.SealStruct(t.Context(), id, &empty); err != nil {
		t.Fatal(err)
	}
	if v, err := empty.Email.Value(); v == nil || err != nil {
		t.Errorf("the empty string became NULL, %v", err)
	}
}

func TestMovedRow(t *testing.T) {
	f := newFixture(t)
	p := ada()
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]field.ID{
		"row":     {Tenant: "acme", Subject: "u-1", Row: "18"},
		"subject": {Tenant: "acme", Subject: "u-2", Row: "17"},
		"tenant":  {Tenant: "evil", Subject: "u-1", Row: "17"},
	} {
		q := store(t, p)
		if err := f.people.OpenStruct(t.Context(), other, &q); !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := q.Email.Get(); !errors.Is(err, field.ErrNotOpened) {
			t.Errorf("%s: the row was changed: %v", name, err)
		}
	}
	swapped := store(t, p)
	swapped.Email, swapped.Home.Street = swapped.Home.Street, swapped.Email
	if err := f.people.OpenStruct(t.Context(), id, &swapped); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("swapped columns: %v", err)
	}
}

func TestDeterministicField(t *testing.T) {
	type visit struct {
		Country field.Sealed[string] `sec:"class=confidential,encrypt=deterministic,norm=lower"`
	}
	f := newFixture(t)
	visits, err := field.New[visit](f.keeper, f.rec, "visits", field.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := visit{field.Of("DK")}, visit{field.Of("dk ")}
	err = visits.SealStruct(t.Context(), field.ID{Tenant: "acme", Row: "1"}, &a)
	if fips140.Enforced() {
		if !errors.Is(err, crypto.ErrFIPS) {
			t.Errorf("error %v, want ErrFIPS", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := visits.SealStruct(t.Context(), field.ID{Tenant: "acme", Row: "2"}, &b); err != nil {
		t.Fatal(err)
	}
	va, _ := a.Country.Value()
	vb, _ := b.Country.Value()
	if !bytes.Equal(va.([]byte), vb.([]byte)) {
		t.Error("equal values are stored unequal")
	}
	if err := visits.OpenStruct(t.Context(), field.ID{Tenant: "acme", Row: "2"}, &b); err != nil || get(t, b.Country) != "dk" {
		t.Errorf("%v", err)
	}
}

func TestIncompleteID(t *testing.T) {
	f := newFixture(t)
	for _, bad := range []field.ID{{}, {Tenant: "acme", Subject: "u"}, {Tenant: "acme", Row: "1"}, {Subject: "u", Row: "1"}} {
		p := ada()
		if err := f.people.SealStruct(t.Context(), bad, &p); !errors.Is(err, field.ErrID) {
			t.Errorf("seal %+v: %v", bad, err)
		}
		if err := f.people.OpenStruct(t.Context(), bad, &p); !errors.Is(err, field.ErrID) {
			t.Errorf("open %+v: %v", bad, err)
		}
	}
}

func TestEveryRestrictedOpenIsRecorded(t *testing.T) {
	f := newFixture(t)
	p := ada()
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	q := store(t, p)
	f.rec.Reset()
	if err := f.people.OpenStruct(t.Context(), id, &q); err != nil {
		t.Fatal(err)
	}
	e := f.rec.Want(t, "crypto.field.open", auditlog.Success)
	if got, _ := auditlogtest.Attr(e, "fields"); got != "salary notes" {
		t.Errorf("fields %q", got)
	}
	f.rec.WantWithout(t, "Ada", "52000")
	f.rec.FailWith(errors.New("disk full"))
	q = store(t, p)
	if err := f.people.OpenStruct(t.Context(), id, &q); err == nil {
		t.Error("opened without a record")
	}
	if _, err := q.Salary.Get(); !errors.Is(err, field.ErrNotOpened) {
		t.Errorf("%v", err)
	}
}

func TestErasedPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := ada()
		if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
			t.Fatal(err)
		}
		q := store(t, p)
		if err := f.keeper.DestroySubject(t.Context(), "acme", "u-1", "request"); err != nil {
			t.Fatal(err)
		}
		if err := f.people.OpenStruct(t.Context(), id, &q); !errors.Is(err, crypto.ErrShredded) {
			t.Errorf("%v", err)
		}
	})
}

func TestNothingIsPrinted(t *testing.T) {
	p := ada()
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "p", p, "email", p.Email)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "p", p, "email", p.Email)
	asJSON, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		fmt.Sprint(p), fmt.Sprintf("%+v %#v %s %q %x", p, p, p.Email, p.Email, p.Email), fmt.Sprint(&p.Email), p.Email.String(), logged.String(), string(asJSON),
	} {
		if strings.Contains(s, "Ada") || strings.Contains(s, "52000") || strings.Contains(s, "St James") {
			t.Errorf("shows a value: %s", s)
		}
	}
	if err := json.Unmarshal([]byte(`{"Email":"x"}`), &p); err == nil {
		t.Error("read from JSON")
	}
}

func TestTypesThatDoNotFit(t *testing.T) {
	f := newFixture(t)
	refuse[struct {
		Email string `sec:"pii,encrypt"`
	}](t, f, "a plain field")
	refuse[struct {
		Email field.Sealed[string] `sec:"pii"`
	}](t, f, "no encrypt")
	refuse[struct {
		Email field.Sealed[string]
	}](t, f, "no tag")
	refuse[struct {
		Homes []home
	}](t, f, "below a slice")
	refuse[struct {
		Home *home
	}](t, f, "below a pointer")
	refuse[struct {
		Email field.Sealed[string] `sec:"pii,encrypt,index=email_bidx"`
	}](t, f, "no index column")
	refuse[struct {
		Age     field.Sealed[int] `sec:"pii,encrypt,index=age_bidx"`
		AgeBidx []byte
	}](t, f, "an index of numbers")
	refuse[struct {
		Gender     field.Sealed[string] `sec:"pii,encrypt,index=gender_bidx"`
		GenderBidx []byte
	}](t, f, "an index of unknown cardinality")
	refuse[struct {
		A field.Sealed[string] `sec:"pii,encrypt,column=c"`
		B field.Sealed[string] `sec:"pii,encrypt,column=c"`
	}](t, f, "one column twice")
	refuse[struct{ Title string }](t, f, "nothing to seal")
	refuse[int](t, f, "no struct")
	if _, err := field.New[person](f.keeper, nil, "people", field.Options{}); err == nil {
		t.Error("no recorder")
	}
}

func refuse[T any](t *testing.T, f *fixture, name string) {
	t.Helper()
	if _, err := field.New[T](f.keeper, f.rec, "t", field.Options{}); !errors.Is(err, field.ErrType) {
		t.Errorf("%s: %v", name, err)
	}
}

func TestPolicies(t *testing.T) {
	type leaky struct {
		ID     string `sec:"class=internal"`
		Wage   int64  `sec:"class=restricted"`
		E_Mail string //nolint:staticcheck // names with underscores are looked into too
		Color  string
		Debug  string `sec:"-"`
	}
	var tables classify.Registry
	if _, err := classify.Register[person](&tables, "people"); err != nil {
		t.Fatal(err)
	}
	if list := field.InClear(&tables, classify.Restricted); len(list) != 0 {
		t.Errorf("in the clear: %v", list)
	}
	if _, err := classify.Register[leaky](&tables, "leaky"); err != nil {
		t.Fatal(err)
	}
	if list := field.InClear(&tables, classify.Restricted); !slices.Equal(list, []string{"leaky.Wage", "leaky.E_Mail", "leaky.Color"}) {
		t.Errorf("in the clear: %v", list)
	}
	if list := field.Suspects(&tables); !slices.Equal(list, []string{"leaky.E_Mail"}) {
		t.Errorf("suspects: %v", list)
	}
}

func Example() {
	type Person struct {
		Email field.Sealed[string] `sec:"pii,encrypt"`
		Title string               `sec:"class=internal"`
	}
	ctx := context.Background()
	logged := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }) // the audit log
	keeper, err := crypto.NewKeeper(cryptotest.NewKEK("example"), crypto.NewMemoryStore(), logged, crypto.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer keeper.Close()
	people, err := field.New[Person](keeper, logged, "people", field.Options{})
	if err != nil {
		log.Fatal(err)
	}
	row := Person{Email: field.Of("ada@example.org"), Title: "Countess"}
	if err := people.SealStruct(ctx, field.ID{Tenant: "acme", Subject: "u-1", Row: "17"}, &row); err != nil {
		log.Fatal(err)
	}
	stored, err := row.Email.Value() // what database/sql stores
	fmt.Println(err, len(stored.([]byte)), row)
	email, err := row.Email.Get()
	fmt.Println(email, err)
	// Output:
	// <nil> 79 {[sealed] Countess}
	// ada@example.org <nil>
}
