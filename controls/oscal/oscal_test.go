package oscal

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func sample(t *testing.T) *evidence.Content {
	t.Helper()
	cat, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	return &evidence.Content{
		System: "records", Demo: true, From: day, To: day.Add(time.Hour), Created: day.Add(time.Hour), Catalogue: cat,
		Controls: []controls.Control{
			{ID: "authz.policy", Parameters: []controls.Parameter{controls.Duration("ttl", time.Second)}},
			{ID: "authn.login", Instance: "a b"},
			{ID: "health.drill"},
			{ID: "privacy.dsr"},
			{ID: "own.unknown"},
		},
		History: monitor.History{Entries: []monitor.Entry{
			{Seq: 1, Kind: monitor.Probed, At: day, Control: "authz.policy", ID: "authz.policy", State: controls.Fail, Observed: "first"},
			{Seq: 2, Kind: monitor.Probed, At: day.Add(time.Minute), Control: "authz.policy", ID: "authz.policy", State: controls.Pass, Observed: "a stranger\nwas refused "},
			{Seq: 3, Kind: monitor.Probed, At: day, Control: "authn.login/a b", ID: "authn.login", State: controls.Fail, Observed: ""},
			{Seq: 4, Kind: monitor.Probed, At: day, Control: "health.drill", ID: "health.drill", State: controls.NotApplicable, Observed: "no replica"},
		}},
		Findings: map[string][]findings.Finding{"acme": {
			{ID: "f-1", Control: "authn.login/a b", Summary: "let in", Severity: findings.High, Owner: "head", State: findings.Open, Due: day},
			{ID: "f-2", Control: "authn.login/a b", Summary: "let in", Severity: findings.High, Owner: "head", State: findings.Closed, Due: day},
			{ID: "f-3", Control: "authn.login/a b", Summary: "x", Severity: findings.Low, Owner: "head", State: findings.RiskAccepted, Due: day},
			{ID: "f-4", Control: "authn.login/a b", Summary: "y", Severity: findings.Low, Owner: "head", State: findings.Remediated, Due: day},
		}},
	}
}

func TestComponentDefinition(t *testing.T) {
	var b bytes.Buffer
	if err := ComponentDefinition(&b, sample(t)); err != nil {
		t.Fatal(err)
	}
	var d struct {
		D componentDefinition `json:"component-definition"`
	}
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.D.Components) != 5 || len(d.D.Metadata.Roles) == 0 || d.D.Metadata.Props[0].Name != "demonstration" {
		t.Errorf("%+v", d.D)
	}
	byTitle := map[string]component{}
	for _, c := range d.D.Components {
		byTitle[c.Title] = c
	}
	policy := byTitle["Access follows the policy (authz.policy)"]
	if len(policy.Implementations) != 1 || len(policy.Roles) != 1 || !strings.Contains(b.String(), `"parameter.ttl"`) || !strings.Contains(b.String(), `"1 s"`) {
		t.Errorf("component %+v", policy)
	}
	ids := ""
	for _, r := range policy.Implementations[0].Requirements {
		ids += r.Control + ":" + r.Props[0].Value + " "
	}
	if ids != "C1.1:evidences CC6.1:enforces CC6.2:evidences CC6.3:enforces " {
		t.Errorf("requirements %s", ids)
	}
	if unknown := byTitle["own.unknown"]; unknown.Description != "Not in the catalogue." || unknown.Implementations != nil {
		t.Errorf("unknown control %+v", unknown)
	}
}

func TestAssessmentResults(t *testing.T) {
	var b bytes.Buffer
	if err := AssessmentResults(&b, sample(t)); err != nil {
		t.Fatal(err)
	}
	var a struct {
		A assessmentResults `json:"assessment-results"`
	}
	if err := json.Unmarshal(b.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	r := a.A.Results[0]
	got := map[string]string{}
	for _, f := range r.Findings {
		got[f.Target.ID] = f.Target.Status.State + "/" + f.Target.Status.Reason
	}
	want := map[string]string{
		"authz.policy": "satisfied/pass", "authn.login": "not-satisfied/fail", "health.drill": "satisfied/other",
		"privacy.dsr": "not-satisfied/other", "own.unknown": "not-satisfied/other",
	}
	for id, s := range want {
		if got[id] != s {
			t.Errorf("%s is %s, want %s", id, got[id], s)
		}
	}
	if len(r.Observations) != 3 || len(r.Risks) != 3 || len(r.Reviewed.Selections[0].Include) != 5 {
		t.Errorf("%d observations, %d risks, %d controls", len(r.Observations), len(r.Risks), len(r.Reviewed.Selections[0].Include))
	}
	if r.Risks[0].Status != "open" || r.Risks[1].Status != "deviation-approved" || r.Risks[2].Status != "remediating" {
		t.Errorf("risks %+v", r.Risks)
	}
	if !strings.Contains(b.String(), `"a stranger was refused"`) || !strings.Contains(b.String(), `"EXAMINE"`) {
		t.Error("an observation of two lines, or the method, is missing")
	}
	for _, f := range r.Findings {
		if f.Target.ID == "CC6.1" {
			t.Error("a criterion is called satisfied")
		}
	}
}

func TestNothingMounted(t *testing.T) {
	c := sample(t)
	c.Controls, c.Findings, c.History.Entries = nil, nil, nil
	var b bytes.Buffer
	if err := AssessmentResults(&b, c); err != nil || !strings.Contains(b.String(), `"include-all": {}`) {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestSameContentSameFile(t *testing.T) {
	var one, two bytes.Buffer
	for _, b := range []*bytes.Buffer{&one, &two} {
		if err := errors.Join(ComponentDefinition(b, sample(t)), AssessmentResults(b, sample(t))); err != nil {
			t.Fatal(err)
		}
	}
	if one.String() != two.String() {
		t.Error("the same content gives different files")
	}
	form := regexp.MustCompile(`"uuid": "([^"]*)"`)
	seen := map[string]bool{}
	for _, m := range form.FindAllStringSubmatch(one.String(), -1) {
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(m[1]) {
			t.Errorf("%s is no UUID of version 5", m[1])
		}
		seen[m[1]] = true
	}
	if len(seen) < 20 {
		t.Errorf("%d identifiers", len(seen))
	}
}

// RFC 9562, appendix A.4: version 5 of www.example.com in the DNS namespace.
func TestVersion5(t *testing.T) {
	dns := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	want := [16]byte{0x2e, 0xd6, 0x65, 0x7d, 0xe9, 0x27, 0x56, 0x8b, 0x95, 0xe1, 0x26, 0x65, 0xa8, 0xae, 0xa6, 0xa2}
	if got := v5(dns, "www.example.com"); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	if uuid("a", "bc") == uuid("ab", "c") {
		t.Error("names run into each other")
	}
}

func TestTextForms(t *testing.T) {
	for in, want := range map[string]string{"": "none", "  a \n\x00 b\t": "a b", "é": "é"} {
		if got := text(in); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"": "_", "head of HR": "head_of_HR", "9a": "_9a", "é.b": "é.b", "a/b": "a_b"} {
		if got := token(in); got != want {
			t.Errorf("token(%q) = %q, want %q", in, got, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestBrokenWriter(t *testing.T) {
	if ComponentDefinition(broken{}, sample(t)) == nil || AssessmentResults(broken{}, sample(t)) == nil {
		t.Error("written to a broken disk")
	}
}
