package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy"
)

var purposes = []privacy.Declaration{
	{Purpose: "payroll", Title: "Paying salaries", Basis: privacy.LegalObligation},
	{Purpose: "benefits", Title: "Offering benefits", Basis: privacy.Consent},
}

// people is a Consents of those in the map.
type people struct {
	agreed map[string]bool
	err    error
}

func (p *people) Consented(_ context.Context, tenant, subject string, purpose privacy.Purpose) (bool, error) {
	return p.agreed[fmt.Sprint(tenant, "/", subject, "/", purpose)], p.err
}

type events struct {
	list []auditlog.Event
	err  error
}

func (e *events) Record(ctx context.Context, ev auditlog.Event) error {
	entry, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return err
	}
	e.list = append(e.list, entry.Event)
	return e.err
}

func newGate(t *testing.T, c privacy.Consents, rec auditlog.Recorder) *privacy.Gate {
	t.Helper()
	g, err := privacy.NewGate(purposes, c, rec)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestCheck(t *testing.T) {
	c := &people{agreed: map[string]bool{"acme/u-1/benefits": true}}
	cases := []struct {
		name, tenant, subject string
		purpose               privacy.Purpose
		down                  error
		ok                    bool
		code                  guard.Code
	}{
		{"basis other than consent", "acme", "u-2", "payroll", nil, true, 0},
		{"consented", "acme", "u-1", "benefits", nil, true, 0},
		{"not consented", "acme", "u-2", "benefits", nil, false, guard.PermissionDenied},
		{"consented in another tenant", "globex", "u-1", "benefits", nil, false, guard.PermissionDenied},
		{"undeclared", "acme", "u-1", "marketing", nil, false, guard.PermissionDenied},
		{"no purpose", "acme", "u-1", "", nil, false, guard.PermissionDenied},
		{"no subject", "acme", "", "payroll", nil, false, guard.PermissionDenied},
		{"no tenant", "", "u-1", "payroll", nil, false, guard.PermissionDenied},
		{"ledger down means no", "acme", "u-1", "benefits", errors.New("down"), false, guard.Unavailable},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			rec := &events{}
			c.err = tc.down
			err := newGate(t, c, rec).Check(privacy.WithPurpose(t.Context(), tc.purpose), tc.tenant, tc.subject)
			if tc.ok {
				if err != nil || len(rec.list) != 0 {
					t.Errorf("refused: %v, events %v", err, rec.list)
				}
				return
			}
			var d *guard.Denial
			if !errors.Is(err, privacy.ErrRefused) || !errors.As(err, &d) || d.Code != tc.code {
				t.Errorf("Check = %v, want a refusal with code %d", err, tc.code)
			}
			if len(rec.list) != 1 || rec.list[0].Outcome != auditlog.Denied || rec.list[0].Reason != "privacy.purpose" {
				t.Errorf("events %+v", rec.list)
			}
		})
	}
}

func TestRefusalThatCannotBeRecordedIsARefusal(t *testing.T) {
	full := errors.New("disk full")
	err := newGate(t, &people{}, &events{err: full}).Check(t.Context(), "acme", "u-1")
	if !errors.Is(err, privacy.ErrRefused) || !errors.Is(err, full) {
		t.Errorf("Check = %v", err)
	}
}

func TestRequire(t *testing.T) {
	g := newGate(t, &people{}, &events{})
	var got privacy.Purpose
	serve := func(guards guard.Guard, header ...string) int {
		h := guard.Alone(guards, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = privacy.PurposeFrom(r.Context()) }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, v := range header {
			r.Header.Add(privacy.Header, v)
		}
		got = ""
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	both, one := g.Require("payroll", "benefits"), g.Require("payroll")
	cases := []struct {
		name   string
		guard  guard.Guard
		header []string
		code   int
		want   privacy.Purpose
	}{
		{"stated", both, []string{"benefits"}, 200, "benefits"},
		{"the only one", one, nil, 200, "payroll"},
		{"not stated", both, nil, 403, ""},
		{"of another route", one, []string{"benefits"}, 403, ""},
		{"undeclared", both, []string{"marketing"}, 403, ""},
		{"two at once", both, []string{"payroll", "benefits"}, 403, ""},
	}
	for _, tc := range cases {
		if code := serve(tc.guard, tc.header...); code != tc.code || got != tc.want {
			t.Errorf("%s: %d, purpose %q; want %d, %q", tc.name, code, got, tc.code, tc.want)
		}
	}
	for _, bad := range []guard.Guard{g.Require(), g.Require("marketing")} {
		if _, err := guard.New(bad); !errors.Is(err, guard.ErrConfig) {
			t.Errorf("a guard for undeclared purposes was accepted: %v", err)
		}
	}
}

func TestNewGateRefuses(t *testing.T) {
	rec := &events{}
	ok := privacy.Declaration{Purpose: "payroll", Title: "x", Basis: privacy.Contract}
	cases := map[string][]privacy.Declaration{
		"nothing":  nil,
		"name":     {{Purpose: "Pay Roll", Title: "x", Basis: privacy.Contract}},
		"long":     {{Purpose: privacy.Purpose(strings.Repeat("x", 65)), Title: "x", Basis: privacy.Contract}},
		"title":    {{Purpose: "payroll", Basis: privacy.Contract}},
		"basis":    {{Purpose: "payroll", Title: "x"}},
		"basis 99": {{Purpose: "payroll", Title: "x", Basis: 99}},
		"twice":    {ok, ok},
		"consent without a ledger": {{
			Purpose: "news", Title: "x", Basis: privacy.Consent,
		}},
	}
	for name, list := range cases {
		if _, err := privacy.NewGate(list, nil, rec); !errors.Is(err, privacy.ErrDeclaration) {
			t.Errorf("%s: NewGate = %v, want ErrDeclaration", name, err)
		}
	}
	if _, err := privacy.NewGate([]privacy.Declaration{ok}, nil, nil); err == nil {
		t.Error("a gate without a recorder was made")
	}
}

// yes is a ledger that says yes to everything: a broken control.
type yes struct{}

func (yes) Consented(context.Context, string, string, privacy.Purpose) (bool, error) {
	return true, nil
}

func TestProbe(t *testing.T) {
	rec := &events{}
	c := newGate(t, &people{}, rec).Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v: %s", r.State, r.Observed)
	}
	for _, ev := range rec.list {
		if ev.Actor.Kind != auditlog.Probe {
			t.Errorf("the probe's events look like real ones: %+v", ev)
		}
	}
	if r := newGate(t, yes{}, rec).Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("a ledger that always says yes: %v %s", r.State, r.Observed)
	}
}
