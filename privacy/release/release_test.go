package release_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy/release"
)

// The patients of Machanavajjhala et al., "l-Diversity" (2007), figure 2: the
// 4-anonymous table whose third class all have cancer.
func patients() []release.Row {
	var rows []release.Row
	for i, illness := range []string{"heart", "heart", "viral", "viral", "cancer", "heart", "viral", "viral", "cancer", "cancer", "cancer", "cancer"} {
		class := i / 4
		rows = append(rows, release.Row{
			"zip": []string{"130**", "1485*", "130**"}[class], "age": []string{"<30", ">=40", "3*"}[class], "illness": illness,
		})
	}
	return rows
}

func TestTheTableOfTheLDiversityPaper(t *testing.T) {
	m, err := release.Measure(patients(), []string{"zip", "age"}, []string{"illness"})
	if err != nil || m.K != 4 || m.L["illness"] != 1 || m.Classes != 3 || len(m.Small) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	var rec auditlogtest.Recorder
	if err := release.Check(t.Context(), &rec, "acme", "x", m, release.Limits{K: 4}); err != nil {
		t.Errorf("4-anonymous: %v", err)
	}
	if err := release.Check(t.Context(), &rec, "acme", "x", m, release.Limits{K: 4, L: 2}); !errors.Is(err, release.ErrRefused) {
		t.Errorf("everyone in a class has cancer: %v", err)
	}
	if err := release.Check(t.Context(), &rec, "acme", "x", m, release.Limits{K: 5}); !errors.Is(err, release.ErrRefused) {
		t.Errorf("k: %v", err)
	}
	if got := rec.Find("privacy.release.check"); len(got) != 3 || got[2].Outcome != auditlog.Denied {
		t.Errorf("%+v", got)
	}
}

func TestWhoStandsAloneIsFound(t *testing.T) {
	rows := append(patients(), release.Row{"zip": "99999", "age": "100", "illness": "none"}, release.Row{"zip": "9999", "age": "9100", "illness": "none"})
	m, err := release.Measure(rows, []string{"zip", "age"}, nil)
	if err != nil || m.K != 1 || fmt.Sprint(m.Small) != "[12 13]" {
		t.Errorf("%+v, %v", m, err)
	}
	var rec auditlogtest.Recorder
	if m, err := release.Measure(nil, []string{"zip"}, nil); err != nil || release.Check(t.Context(), &rec, "acme", "x", m, release.Limits{K: 2}) == nil {
		t.Error("an empty set passes: nothing was measured")
	}
	if _, err := release.Measure(rows, nil, nil); !errors.Is(err, release.ErrRelease) {
		t.Error(err)
	}
	if _, err := release.Measure(rows, []string{"height"}, nil); !errors.Is(err, release.ErrRelease) {
		t.Error(err)
	}
	if err := release.Check(t.Context(), &rec, "acme", "x", m, release.Limits{K: 1}); !errors.Is(err, release.ErrRelease) {
		t.Error("a limit that protects nobody was accepted")
	}
	full := errors.New("disk full")
	rec.FailWith(full)
	if m, _ := release.Measure(patients(), []string{"zip"}, nil); !errors.Is(release.Check(t.Context(), &rec, "acme", "x", m, release.Limits{K: 2}), full) {
		t.Error("released without a trace")
	}
}

func TestPseudonyms(t *testing.T) {
	p, err := release.NewPseudonymiser(bytes.Repeat([]byte{7}, release.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	name := p.Name("statistics", "acme", "u-1")
	if len(name) != 26 || name != p.Name("statistics", "acme", "u-1") {
		t.Errorf("%q", name)
	}
	for _, other := range []string{p.Name("ads", "acme", "u-1"), p.Name("statistics", "acmeu", "-1"), p.Name("statistics", "acme", "u-2")} {
		if other == name {
			t.Error("two names are one")
		}
	}
	if _, err := release.NewPseudonymiser(nil); err == nil {
		t.Error("a pseudonymiser without a key was made")
	}
}

func TestCoarser(t *testing.T) {
	day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	for got, want := range map[string]string{
		release.Range(37, 10): "30-39", release.Range(-1, 10): "-10--1", release.Range(40, 10): "40-49", release.Range(5, 0): "*",
		release.Prefix("89073", 2): "89***", release.Prefix("ü", 0): "*", release.Prefix("ab", 5): "ab", release.Year(day): "2026", release.Month(day): "2026-03",
		release.Network(netip.MustParseAddr("192.0.2.77")): "192.0.2.0/24", release.Network(netip.MustParseAddr("2001:db8:1:2::3")): "2001:db8:1::/48",
		release.Network(netip.MustParseAddr("::ffff:198.51.100.1")): "198.51.100.0/24", release.Network(netip.Addr{}): "*",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func Example() {
	rows := []release.Row{{"zip": "89***", "illness": "flu"}, {"zip": "89***", "illness": "cold"}}
	m, err := release.Measure(rows, []string{"zip"}, []string{"illness"})
	fmt.Println(m.K, m.L["illness"], err)
	// Output: 2 2 <nil>
}
