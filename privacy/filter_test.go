package privacy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy"
)

type file struct {
	ID     string `sec:"class=internal"`
	Name   string `sec:"pii,purpose=payroll|benefits,category=user.name"`
	Salary int    `sec:"pii,purpose=payroll,category=user.financial"`
}

type medical struct {
	Blood string `sec:"special,purpose=benefits,category=user.health_and_medical"`
}

type nested struct{ List []medical }

func of[T any](t *testing.T) classify.Schema {
	t.Helper()
	s, err := classify.Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFilter(t *testing.T) {
	rec := &events{}
	g := newGate(t, &people{agreed: map[string]bool{"acme/u-1/benefits": true}}, rec)
	rows := []file{{"u-1", "Ann", 51000}, {"u-2", "Bob", 52000}}
	id := func(f *file) string { return f.ID }
	ctx := privacy.WithPurpose(t.Context(), "benefits")
	got, err := privacy.Filter(ctx, g, "acme", rows, id)
	if err != nil || len(got) != 1 || got[0] != (file{"u-1", "Ann", 0}) || rows[0].Salary != 51000 {
		t.Errorf("%+v, %v; the argument is %+v", got, err, rows)
	}
	if len(rec.list) != 1 || rec.list[0].Attrs[1].Key != "rows" {
		t.Errorf("events %+v", rec.list)
	}
	got, err = privacy.Filter(privacy.WithPurpose(t.Context(), "payroll"), g, "acme", rows, id)
	if err != nil || len(got) != 2 || got[1].Salary != 52000 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, p := range []privacy.Purpose{"", "marketing"} {
		if got, err := privacy.Filter(privacy.WithPurpose(t.Context(), p), g, "acme", rows, id); !errors.Is(err, privacy.ErrRefused) || got != nil {
			t.Errorf("for %q: %+v, %v", p, got, err)
		}
	}
	if _, err := privacy.Filter(ctx, newGate(t, &people{err: errors.New("down")}, rec), "acme", rows, id); !errors.Is(err, privacy.ErrRefused) {
		t.Errorf("ledger down: %v", err)
	}
	payroll := privacy.WithPurpose(t.Context(), "payroll")
	if _, err := privacy.Filter(payroll, g, "acme", []nested{{}}, func(*nested) string { return "u" }); !errors.Is(err, privacy.ErrRefused) {
		t.Errorf("a field that can't be emptied: %v", err)
	}
	if n := len(g.Readable(t.Context(), of[file](t))); n != 1 {
		t.Errorf("without a purpose %d fields are readable", n)
	}
}

// explicit says yes to consent, and to explicit consent as it is told.
type explicit struct {
	yes
	given bool
	err   error
}

func (e explicit) ExplicitlyConsented(context.Context, string, string, privacy.Purpose) (bool, error) {
	return e.given, e.err
}

func TestSensitiveDataNeedsExplicitConsent(t *testing.T) {
	ctx := privacy.WithPurpose(t.Context(), "benefits")
	for name, tc := range map[string]struct {
		c  privacy.Consents
		ok bool
	}{
		"explicit": {explicit{given: true}, true}, "plain": {explicit{}, false}, "a ledger that can't tell": {yes{}, false}, "down": {explicit{given: true, err: errors.New("down")}, false},
	} {
		g := newGate(t, tc.c, &events{})
		if err := g.CheckWrite(ctx, "acme", "u-1", of[medical](t)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.CheckWrite(ctx, "acme", "u-1", of[file](t)); err != nil {
			t.Errorf("%s: plain data: %v", name, err)
		}
	}
	g, err := privacy.NewGate([]privacy.Declaration{{Purpose: "sick", Title: "Sick pay", Basis: privacy.LegalObligation, SpecialGround: "9(2)(b)"}}, nil, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CheckWrite(privacy.WithPurpose(t.Context(), "sick"), "acme", "u-1", of[medical](t)); err != nil {
		t.Errorf("another ground: %v", err)
	}
}

func TestGlobalPrivacyControlEndsSelling(t *testing.T) {
	g, err := privacy.NewGate([]privacy.Declaration{{Purpose: "ads", Title: "Ads", Basis: privacy.LegitimateInterest, Sale: true}}, nil, &events{})
	if err != nil {
		t.Fatal(err)
	}
	for value, ok := range map[string]bool{"1": false, "0": true, "": true, "true": true} {
		var got error
		h := guard.Alone(g.Require("ads"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = g.Check(r.Context(), "acme", "u-1") }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if value != "" {
			r.Header.Set("Sec-GPC", value)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if (got == nil) != ok {
			t.Errorf("Sec-GPC %q: %v", value, got)
		}
	}
}
