package field_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"testing"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/field"
)

func TestResealStruct(t *testing.T) {
	f := newFixture(t)
	p := ada()
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	row := store(t, p)
	if changed, err := f.people.ResealStruct(t.Context(), id, &row); changed || err != nil {
		t.Errorf("before a rotation: %t, %v", changed, err)
	}
	old := bytes.Clone(row.EmailBidx)
	for _, s := range []crypto.Scope{{Tenant: "acme", Subject: "u-1"}, crypto.IndexScope("acme", "people", "email")} {
		if err := f.keeper.Rotate(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if changed, err := f.people.ResealStruct(t.Context(), id, &row); !changed || err != nil {
			t.Errorf("after rotating %v: %t, %v", s, changed, err)
		}
	}
	if _, err := row.Email.Get(); !errors.Is(err, field.ErrNotOpened) {
		t.Errorf("resealing shows the value: %v", err)
	}
	// A search finds rows of both keys, and which is which.
	found, err := f.people.Search(t.Context(), "acme", "Email", "ADA@example.org")
	if err != nil || len(found) != 2 || !bytes.Equal(found[0], row.EmailBidx) || !bytes.Equal(found[1], old) {
		t.Errorf("%x, %v", found, err)
	}
	if err := f.people.OpenStruct(t.Context(), id, &row); err != nil || get(t, row.Salary) != 52000 {
		t.Errorf("%v", err)
	}
}

func TestResealStructRefuses(t *testing.T) {
	f := newFixture(t)
	p := ada()
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	row := store(t, p)
	other := id
	other.Row = "18"
	if _, err := f.people.ResealStruct(t.Context(), other, &row); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("%v", err)
	}
	if _, err := f.people.ResealStruct(t.Context(), field.ID{}, &row); !errors.Is(err, field.ErrID) {
		t.Errorf("%v", err)
	}
}

func TestSearch(t *testing.T) {
	type visit struct {
		Country field.Sealed[string] `sec:"class=confidential,encrypt=deterministic,norm=lower"`
		Note    field.Sealed[string] `sec:"class=confidential,encrypt"`
	}
	f := newFixture(t)
	visits, err := field.New[visit](f.keeper, f.rec, "visits", field.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"Note", "country", ""} {
		if _, err := visits.Search(t.Context(), "acme", path, "v"); !errors.Is(err, field.ErrNotSearchable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if fips140.Enforced() { // AES-SIV is no approved mode
		return
	}
	a := visit{Country: field.Of("dk")}
	if err := visits.SealStruct(t.Context(), field.ID{Tenant: "acme", Row: "1"}, &a); err != nil {
		t.Fatal(err)
	}
	stored, _ := a.Country.Value()
	found, err := visits.Search(t.Context(), "acme", "Country", " DK")
	if err != nil || len(found) != 1 || !bytes.Equal(found[0], stored.([]byte)) {
		t.Errorf("%x, %v", found, err)
	}
}

// A field that becomes NULL must not stay findable by what it was.
func TestIndexOfNullIsCleared(t *testing.T) {
	f := newFixture(t)
	p := ada()
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Email.Scan(nil); err != nil {
		t.Fatal(err)
	}
	if err := f.people.SealStruct(t.Context(), id, &p); err != nil || p.EmailBidx != nil {
		t.Errorf("index %x, %v", p.EmailBidx, err)
	}
}
