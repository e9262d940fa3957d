package egress_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/egress"
	"github.com/surety-go/surety/privacy/inventory"
	"github.com/surety-go/surety/privacy/record"
)

type recipients map[string]inventory.Recipient

func (r recipients) Recipient(name string) (inventory.Recipient, bool) {
	v, ok := r[name]
	return v, ok
}

type people map[string]bool

func (p people) Consented(_ context.Context, _, subject string, _ privacy.Purpose) (bool, error) {
	return p[subject], nil
}

func newGate(t *testing.T) (*egress.Gate, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	gate, err := privacy.NewGate([]privacy.Declaration{{Purpose: "news", Title: "News", Basis: privacy.Consent}}, people{"u-1": true, "u-2": true}, rec)
	if err != nil {
		t.Fatal(err)
	}
	known := recipients{"Mailer": {Name: "Mailer", Purposes: []privacy.Purpose{"news"}, Categories: []string{"user.contact"}, Country: "US", Transfer: "SCC"}}
	g, err := egress.New(record.NewMemory(), make([]byte, record.KeySize), rec, gate, known)
	if err != nil {
		t.Fatal(err)
	}
	return g, rec
}

var mail = egress.Disclosure{Recipient: "Mailer", Subjects: []string{"u-1", "u-2"}, Categories: []string{"user.contact.email"}}

func TestDisclose(t *testing.T) {
	g, rec := newGate(t)
	before := time.Now()
	ctx := privacy.WithPurpose(t.Context(), "news")
	for range 2 {
		if err := g.Disclose(ctx, "acme", mail); err != nil {
			t.Fatal(err)
		}
	}
	list, err := g.Of(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 2 || list[0].Recipient != "Mailer" || list[0].Transfer != "SCC" || list[0].Purpose != "news" {
		t.Errorf("%+v, %v", list, err)
	}
	if names, err := g.Recipients(t.Context(), "acme", "u-2"); fmt.Sprint(names) != "[Mailer]" || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	if to, err := g.To(t.Context(), "acme", "Mailer", before); len(to) != 2 || err != nil {
		t.Errorf("%v, %v", to, err)
	}
	if to, err := g.To(t.Context(), "acme", "Mailer", time.Now().Add(time.Minute)); len(to) != 0 || err != nil {
		t.Errorf("since later: %v, %v", to, err)
	}
	if n := len(rec.Find("privacy.egress.disclose")); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestRefused(t *testing.T) {
	g, rec := newGate(t)
	news := privacy.WithPurpose(t.Context(), "news")
	change := func(f func(*egress.Disclosure)) egress.Disclosure { d := mail; f(&d); return d }
	for name, tc := range map[string]struct {
		ctx context.Context
		d   egress.Disclosure
	}{
		"no purpose":               {t.Context(), mail},
		"another purpose":          {privacy.WithPurpose(t.Context(), "ads"), mail},
		"nobody declared":          {news, change(func(d *egress.Disclosure) { d.Recipient = "Ads" })},
		"no recipient":             {news, change(func(d *egress.Disclosure) { d.Recipient = "" })},
		"another category":         {news, change(func(d *egress.Disclosure) { d.Categories = []string{"user.contact", "user.financial"} })},
		"a name that begins alike": {news, change(func(d *egress.Disclosure) { d.Categories = []string{"user.contacts"} })},
		"someone who never agreed": {news, change(func(d *egress.Disclosure) { d.Subjects = []string{"u-1", "u-3"} })},
		"nobody":                   {news, change(func(d *egress.Disclosure) { d.Subjects = nil })},
	} {
		if err := g.Disclose(tc.ctx, "acme", tc.d); !errors.Is(err, egress.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, e := range rec.Find("privacy.egress.disclose") {
		if e.Outcome != auditlog.Denied {
			t.Errorf("%+v", e)
		}
	}
	if list, err := g.Of(t.Context(), "acme", "u-1"); len(list) != 0 || err != nil {
		t.Errorf("something is in the register: %+v, %v", list, err)
	}
	rec.FailWith(errors.New("disk full"))
	if err := g.Disclose(news, "acme", mail); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("let out without a trace: %v", err)
	}
}

func TestProbe(t *testing.T) {
	g, _ := newGate(t)
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v %s", r.State, r.Observed)
	}
}

func Example() {
	_ = func(ctx context.Context, g *egress.Gate, send func() error) error {
		ctx = privacy.WithPurpose(ctx, "news")
		if err := g.Disclose(ctx, "acme", mail); err != nil {
			return err
		}
		return send()
	}
}
