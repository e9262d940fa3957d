package inventory_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/inventory"
)

type person struct {
	ID     string `sec:"class=internal"`
	Email  string `sec:"pii,category=user.contact.email,purpose=payroll|news,retention=P2Y"`
	Health string `sec:"special,category=user.health_and_medical,purpose=payroll,retention=P1Y,encrypt"`
}

type careless struct {
	Email string `sec:"pii,category=user.contact.email"`
	Phone string `sec:"pii,purpose=secret,retention=P1Y,category=nonsense"`
}

var (
	purposes = []privacy.Declaration{
		{Purpose: "payroll", Title: "Paying =salaries", Basis: privacy.LegalObligation}, {Purpose: "news", Title: "Newsletter", Basis: privacy.Consent},
	}
	yesterday = time.Now().Add(-24 * time.Hour)
	complete  = inventory.Declarations{
		Controller: inventory.Controller{Name: "Acme <GmbH>", Contact: "privacy@acme.example"},
		Tables:     []inventory.Table{{Name: "people", Subjects: "employees", Store: "PostgreSQL", Country: "DE", Verified: yesterday}},
		Recipients: []inventory.Recipient{
			{Name: "Mailer", Role: "processor", Purposes: []privacy.Purpose{"news"}, Categories: []string{"user.contact"}, Country: "US", Transfer: "SCC 2021/914", Sale: true, Verified: yesterday},
			{Name: "Tax office", Role: "authority", Purposes: []privacy.Purpose{"payroll"}, Categories: []string{"user.financial"}, Country: "DE", Verified: yesterday},
		},
	}
)

func registry[T any](t *testing.T) *classify.Registry {
	t.Helper()
	var r classify.Registry
	if _, err := classify.Register[T](&r, "people"); err != nil {
		t.Fatal(err)
	}
	return &r
}

func newInventory(t *testing.T) *inventory.Inventory {
	t.Helper()
	inv, err := inventory.New(registry[person](t), purposes, complete, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestMap(t *testing.T) {
	inv := newInventory(t)
	m := inv.Map()
	if len(m) != 2 || m[0].Category != "user.contact.email" || fmt.Sprint(m[0].Bases) != "[legal-obligation consent]" ||
		fmt.Sprint(m[0].Recipients) != "[Mailer]" || m[0].Retention != "P2Y" || m[0].Country != "DE" || len(m[1].Recipients) != 0 || !m[1].Special || !m[1].Encrypted {
		t.Errorf("%+v", m)
	}
	if got := inv.Tables(); !slices.Equal(got, []string{"people"}) {
		t.Errorf("%v", got)
	}
}

func TestEverythingMissingIsListed(t *testing.T) {
	d := inventory.Declarations{
		Tables:     []inventory.Table{{Name: "ghost"}},
		Recipients: []inventory.Recipient{{Name: "Ads", Role: "controller", Categories: []string{"user"}, Country: "US", Verified: yesterday, Purposes: []privacy.Purpose{"x"}}},
	}
	inv, err := inventory.New(registry[careless](t), purposes, d, inventory.Options{})
	if !errors.Is(err, inventory.ErrInventory) {
		t.Fatal(err)
	}
	text := fmt.Sprint(inv.Problems())
	for _, want := range []string{
		"controller:", "people.Email: a purpose", "people.Email: a retention", `people.Phone: a declaration of its purpose "secret"`,
		"people.Phone: a category", "people: a declaration", "ghost: a registered type", "Ads: a safeguard for the transfer to US", `Ads: a declaration of its purpose "x"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	if r := inv.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("%v", r.State)
	}
}

func TestProbe(t *testing.T) {
	if r := newInventory(t).Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v %s", r.State, r.Observed)
	}
	inv, err := inventory.New(registry[person](t), purposes, complete, inventory.Options{Stale: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if r := inv.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "people") {
		t.Errorf("stale: %v %s", r.State, r.Observed)
	}
}

func TestArticle30(t *testing.T) {
	inv := newInventory(t)
	var b bytes.Buffer
	if err := inv.Article30(&b, inventory.JSON); err != nil {
		t.Fatal(err)
	}
	var got struct{ Records []inventory.Record }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || len(got.Records) != 2 {
		t.Fatalf("%v: %s", err, b.String())
	}
	news, payroll := got.Records[0], got.Records[1]
	if fmt.Sprint(news.Recipients, news.Transfers) != "[Mailer (processor)] [Mailer in US: SCC 2021/914]" || news.Special || !payroll.Special || len(payroll.Recipients) != 0 {
		t.Errorf("%+v", got.Records)
	}
	b.Reset()
	if err := inv.Article30(&b, inventory.CSV); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 3 || len(rows[0]) != 10 {
		t.Errorf("%v, %v", rows, err)
	}
	b.Reset()
	if err := inv.Article30(&b, inventory.HTML); err != nil || strings.Contains(b.String(), "<GmbH>") || !strings.Contains(b.String(), "legal-obligation") {
		t.Errorf("%v: %s", err, b.String())
	}
	if err := inv.Article30(&b, 9); err == nil {
		t.Error("an unknown format was written")
	}
}

func TestCalifornia(t *testing.T) {
	inv := newInventory(t)
	for _, c := range inv.Californian() {
		want := map[string]bool{"A": true, "L": true}[c.Letter]
		if c.Collected != want {
			t.Errorf("%s collected: %t", c.Letter, c.Collected)
		}
		if c.Sold != (c.Letter == "A") {
			t.Errorf("%s sold: %t", c.Letter, c.Sold)
		}
	}
	var b bytes.Buffer
	if err := inv.CCPA(&b, inventory.HTML); err != nil || !strings.Contains(b.String(), "Identifiers") {
		t.Error(err)
	}
}

type signUp struct {
	Email string `json:"email" sec:"pii,category=user.contact.email,purpose=news,retention=P1Y"`
	Plan  string `json:"plan" sec:"class=internal"`
}

func TestUndeclaredFieldsAreRefusedAtTheEdge(t *testing.T) {
	var rec auditlogtest.Recorder
	var got string
	h, err := inventory.Declared[signUp](&rec, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
	}))
	if err != nil {
		t.Fatal(err)
	}
	const form = "application/x-www-form-urlencoded"
	for _, tc := range []struct {
		query, kind, body string
		want              int
	}{
		{"", "application/json", `{"email":"a@b.cc","plan":"x"}`, 200},
		{"", "application/json", `{"email":"a@b.cc","birthday":"1990-01-02"}`, 422},
		{"", "application/json", `{"email":"a@b.cc","Email":"x"}`, 422},
		{"", "application/json", `{"email":"a@b.cc","email":"x"}`, 422},
		{"", form, "email=a%40b.cc", 200},
		{"", form, "email=a&religion=none", 422},
		{"?plan=x", "", "", 200},
		{"?phone=1", "", "", 422},
		{"", "text/plain", "anything", 422},
		{"", "application/json", strings.Repeat(" ", 2<<20), 422},
	} {
		r := httptest.NewRequest(http.MethodPost, "/signup"+tc.query, strings.NewReader(tc.body))
		r.Header.Set("Content-Type", tc.kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%s %.60s: %d, want %d", tc.query, tc.body, w.Code, tc.want)
		}
		if w.Code == 200 && got != tc.body {
			t.Errorf("the handler read %q", got)
		}
	}
	rec.WantWithout(t, "religion", "birthday", "1990")
	if n := len(rec.Find("privacy.purpose.check")); n != 7 {
		t.Errorf("%d refusals were recorded", n)
	}
	rec.FailWith(errors.New("disk full"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?x=1", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("unrecorded: %d", w.Code)
	}
	if _, err := inventory.Declared[struct{ Name string }](&rec, http.NotFoundHandler()); !errors.Is(err, inventory.ErrInventory) {
		t.Errorf("a type nobody decided about: %v", err)
	}
}

func Example() {
	var registry classify.Registry
	if _, err := classify.Register[signUp](&registry, "signups"); err != nil {
		panic(err)
	}
	inv, err := inventory.New(&registry, purposes, inventory.Declarations{}, inventory.Options{})
	fmt.Println(err != nil)
	for _, p := range inv.Problems() {
		fmt.Println(p)
	}
	// Output:
	// true
	// controller: a name and a contact
	// signups: a declaration with subjects, store, country and the date it was verified
}
