package catalogue

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
)

func shipped(t testing.TB) *Catalogue {
	t.Helper()
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type component []controls.Control

func (c component) Controls() []controls.Control { return c }

func TestDefaultIsSoundAndComplete(t *testing.T) {
	c := shipped(t)
	for _, e := range c.Controls() {
		if e.Owner == "" || e.Population == "" || !strings.HasSuffix(e.Statement, ".") {
			t.Errorf("%s: owner, population or full-sentence statement is missing", e.ID)
		}
		if len(e.Mapping.ISO27001) == 0 || len(e.Mapping.CSF) == 0 {
			t.Errorf("%s maps to neither ISO 27001 nor CSF", e.ID)
		}
	}
	for _, family := range []string{"guard.", "authn.", "authz.", "crypto.", "auditlog.", "ratelimit.", "health.", "privacy.", "integrity.", "controls."} {
		if !slices.ContainsFunc(c.Controls(), func(e Control) bool { return strings.HasPrefix(e.ID, family) }) {
			t.Errorf("no control of the family %s", family)
		}
	}
}

func TestCriteriaAreThe61(t *testing.T) {
	count := map[string]int{}
	for _, c := range Criteria() {
		count[c.Category()]++
		if words := len(strings.Fields(c.Paraphrase)); words < 4 || words > 10 {
			t.Errorf("%s: the paraphrase has %d words", c.ID, words)
		}
	}
	want := map[string]int{"security": 33, "availability": 3, "confidentiality": 2, "processing integrity": 5, "privacy": 18}
	for name, n := range want {
		if count[name] != n {
			t.Errorf("%s has %d criteria, want %d", name, count[name], n)
		}
	}
	if len(Criteria()) != 61 || len(count) != len(want) {
		t.Errorf("%d criteria in %d categories", len(Criteria()), len(count))
	}
	if (Criterion{}).Category() != "" {
		t.Error("the empty id has a category")
	}
}

// A control must not claim to enforce what no program can.
func TestMappingRespectsKinds(t *testing.T) {
	for _, e := range shipped(t).Controls() {
		for _, id := range e.Mapping.Enforces {
			if c, _ := CriterionByID(id); c.Kind&Organisational != 0 {
				t.Errorf("%s claims to enforce %s, which people do", e.ID, id)
			}
		}
		for _, id := range e.Mapping.Evidences {
			if slices.Contains(e.Mapping.Enforces, id) {
				t.Errorf("%s lists %s twice", e.ID, id)
			}
		}
	}
}

func TestAssess(t *testing.T) {
	c, err := shipped(t).Overlay("app.yaml", []byte(`
controls:
  - id: authn.stepup
    owner: head of platform
    parameters:
      - {name: max_age, unit: s, min: 60, max: 900}
      - {name: store, one_of: [memory, sql]}
      - {name: extra, unit: s, max: 1, optional: true}
omitted:
  - {id: ratelimit.firewall, reason: the load balancer filters addresses}
organisational:
  - {criterion: CC1.2, evidence: minutes of the board, owner: company secretary}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Owner("authn.stepup") != "head of platform" || shipped(t).Owner("authn.stepup") != "head of security" {
		t.Error("the owner was not overlaid, or the shipped catalogue changed")
	}
	session := func(params ...controls.Parameter) component {
		return component{{ID: "authn.stepup", Parameters: params}}
	}
	store := controls.Text("store", "sql")
	cases := []struct {
		name string
		c    component
		is   error
		want string
	}{
		{"in bounds", session(controls.Duration("max_age", 15*time.Minute), store), nil, ""},
		{"further parameters are welcome", session(controls.Duration("max_age", time.Minute), store, controls.Int("x", 1)), nil, ""},
		{"too large", session(controls.Duration("max_age", time.Hour), store), ErrParameter, "max_age: 3600s, want at most 900s"},
		{"too small", session(controls.Duration("max_age", time.Second), store), ErrParameter, "max_age: 1s, want at least 60s"},
		{"not stated", session(store), ErrParameter, "max_age is not stated"},
		{"other unit", session(controls.Int("max_age", 100), store), ErrParameter, `unit "", want "s"`},
		{"no number", session(controls.Parameter{Name: "max_age", Value: "NaN", Unit: "s"}, store), ErrParameter, "is no number"},
		{"other word", session(controls.Duration("max_age", time.Minute), controls.Text("store", "redis")), ErrParameter, "want one of memory, sql"},
		{"unknown control", component{{ID: "authn.retina"}}, ErrUnknown, "authn.retina"},
		{"malformed control", component{{ID: "Authn"}}, ErrParameter, "ID"},
		{"one object by two ways", component{{ID: "guard.public"}, {ID: "authz.sod"}, {ID: "guard.public"}}, nil, ""},
		{
			"two objects under one key",
			component{{ID: "guard.public"}, {ID: "guard.public", Parameters: []controls.Parameter{controls.Int("n", 1)}}, {ID: "guard.public"}},
			ErrParameter, "two objects state the same key with different parameters",
		},
		{"two instances", component{{ID: "guard.public", Instance: "a"}, {ID: "guard.public", Instance: "b"}}, nil, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			err := c.Assess(tc.c).Err()
			if !errors.Is(err, tc.is) || tc.is != nil && !strings.Contains(err.Error(), tc.want) || tc.is == nil && err != nil {
				t.Errorf("got %v, want %v with %q", err, tc.is, tc.want)
			}
		})
	}
}

func TestCoverage(t *testing.T) {
	c, err := shipped(t).Overlay("app.yaml", []byte("organisational:\n  - {criterion: CC1.2, evidence: minutes, owner: secretary}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Assess(component{{ID: "authn.login"}, {ID: "authn.login", Instance: "b"}})
	if len(a.Coverage) != 61 {
		t.Fatalf("%d criteria are covered", len(a.Coverage))
	}
	want := map[string]Level{"CC6.1": Enforced, "CC7.2": Evidenced, "CC1.2": OutsideOnly, "CC8.1": None}
	for _, v := range a.Coverage {
		if level, ok := want[v.Criterion.ID]; ok && v.Level != level {
			t.Errorf("%s is %s, want %s", v.Criterion.ID, v.Level, level)
		}
		if v.Criterion.ID == "CC6.1" && !slices.Equal(v.Enforces, []string{"authn.login", "authn.login/b"}) {
			t.Errorf("CC6.1 is enforced by %v", v.Enforces)
		}
	}
	if err := a.Err(); err != nil {
		t.Error(err)
	}
	if err := a.Complete(); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "authn.password") {
		t.Errorf("Complete = %v, want authn.password missing", err)
	}
}

// Nobody passes an audit by editing the yardstick.
func TestOverlayCannotLoosen(t *testing.T) {
	base, err := Parse("base.yaml", []byte(`
controls:
  - id: a.b
    title: T
    statement: S.
    owner: o
    every: 1h
    test: inspection
    population: p
    mapping: {enforces: [CC6.1]}
    parameters:
      - {name: n, unit: s, min: 10, max: 20}
      - {name: w, one_of: [x, y]}
      - {name: opt, unit: s, max: 5, optional: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, text, want string }{
		{"every", "{id: a.b, every: 2h}", "controls[0].every: at most 1h is wanted"},
		{"max", "{id: a.b, parameters: [{name: n, unit: s, max: 21}]}", "max of at most 20 is wanted"},
		{"min", "{id: a.b, parameters: [{name: n, unit: s, min: 9}]}", "min of at least 10 is wanted"},
		{"crossing", "{id: a.b, parameters: [{name: n, unit: s, min: 30}]}", "no value would do"},
		{"unit", "{id: a.b, parameters: [{name: n, max: 15}]}", `the unit "s" is wanted`},
		{"word", "{id: a.b, parameters: [{name: w, one_of: [x, z]}]}", "only words of x, y are wanted"},
		{"optional", "{id: a.b, parameters: [{name: n, unit: s, optional: true}]}", "can't be made optional"},
		{"statement", "{id: a.b, statement: Weaker.}", "its statement can't be changed"},
		{"test", "{id: a.b, test: inspection}", "its test can't be changed"},
		{"twice", "{id: a.b}\n  - {id: a.b}", "the control a.b is listed twice"},
		{"unknown criterion", "{id: a.b, mapping: {evidences: [CC6.9]}}", `got "CC6.9"`},
		{"unknown ISO id", "{id: a.b, mapping: {iso27001: [A.9.1]}}", "an Annex A id such as A.8.5 is wanted"},
		{"unknown CSF id", "{id: a.b, mapping: {csf: [PR.AC-1]}}", "a CSF 2.0 subcategory"},
		{"unknown article", "{id: a.b, mapping: {gdpr: [32]}}", "an article such as Art. 32"},
		{"new without anything", "{id: c.d}", "the field is required for a control that is not known yet"},
		{"new without criterion", "{id: c.d}", "at least one criterion is wanted"},
		{"new with a bad id", "{id: C}", "two to six lower-case words"},
		{"bounds of two kinds", "{id: a.b, parameters: [{name: q, max: 1, one_of: [a]}]}", "not both"},
		{"parameter twice", "{id: a.b, parameters: [{name: q}, {name: q}]}", "the parameter q is listed twice"},
		{"negative period", "{id: a.b, every: -1h}", "a period such as 15m"},
		{"endless period", "{id: a.b, every: 99999d}", "a period such as 15m"},
		{"kind of test", "{id: c.d, test: hope}", "inspection, observation or reperformance is wanted"},
		{"omitted and described", "{id: a.b}\nomitted:\n  - {id: a.b, reason: r}", "can't be omitted as well"},
		{"omitted unknown", "{id: a.b}\nomitted:\n  - {id: q.r, reason: r}", "the id of a known control is wanted"},
		{"statement on nothing", "{id: a.b}\norganisational:\n  - {criterion: CC0.1, evidence: e, owner: o}", "organisational[0].criterion"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := base.Overlay("app.yaml", []byte("controls:\n  - "+tc.text+"\n"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "app.yaml:") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	tight, err := base.Overlay("app.yaml", []byte("controls:\n  - {id: a.b, every: 30m, policy: P-1, mapping: {gdpr: [Art. 32]}, parameters: [{name: n, unit: s, max: 12}, {name: opt, unit: s, max: 3}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	e, _ := tight.Control("a.b")
	if e.Every.Duration() != 30*time.Minute || *e.Parameters[0].Max != 12 || *e.Parameters[0].Min != 10 || !e.Parameters[2].Optional || e.Policy != "P-1" {
		t.Errorf("tightened to %+v", e)
	}
	if got := tight.LooserThan(base); len(got) != 0 {
		t.Errorf("a tighter catalogue is called looser: %v", got)
	}
	if got := base.LooserThan(tight); len(got) != 3 {
		t.Errorf("LooserThan = %v, want every and two bounds", got)
	}
	if got := empty().LooserThan(base); len(got) != 1 {
		t.Errorf("LooserThan of the empty catalogue = %v", got)
	}
}

func TestLooserFindsLostBounds(t *testing.T) {
	a, b := shipped(t), shipped(t).Controls()
	for i := range b {
		b[i].Parameters = nil
	}
	data, err := json.Marshal(file{Controls: b})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Parse("bare", data)
	if err != nil {
		t.Fatal(err)
	}
	if got := bare.LooserThan(a); len(got) < 4 || !strings.Contains(strings.Join(got, "\n"), "has no bounds any more") {
		t.Errorf("LooserThan = %v", got)
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	c, err := shipped(t).Overlay("app.yaml", []byte(`
controls:
  - {id: authn.session, owner: "head: of <platform>", every: 30m, parameters: [{name: extra, one_of: ["a b", "no"], optional: true}]}
omitted:
  - {id: ratelimit.firewall, reason: "the balancer \"filters\" é"}
organisational:
  - {criterion: CC1.1, evidence: signed code, owner: head of people}
`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse("snapshot.json", data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(data) {
		t.Errorf("the snapshot changed on the way (%v)", err)
	}
}

func TestReturnedControlsAreCopies(t *testing.T) {
	c := shipped(t)
	e, _ := c.Control("controls.monitor")
	e.Parameters[0].Name = "changed"
	e.Mapping.Enforces[0] = "changed"
	again, _ := c.Control("controls.monitor")
	if again.Parameters[0].Name == "changed" || again.Mapping.Enforces[0] == "changed" {
		t.Error("a caller changed the catalogue")
	}
}

func TestPeriodText(t *testing.T) {
	for s, d := range map[string]time.Duration{"7d": 168 * time.Hour, "36h": 36 * time.Hour, "15m": 15 * time.Minute, "1m30s": 90 * time.Second} {
		var p Period
		if err := p.UnmarshalText([]byte(s)); err != nil || p.Duration() != d || p.String() != s {
			t.Errorf("%s became %v, %s, %v", s, p.Duration(), p, err)
		}
	}
}

func TestTextForms(t *testing.T) {
	for l := None; l <= Enforced; l++ {
		var back Level
		if err := back.UnmarshalText([]byte(l.String())); err != nil || back != l {
			t.Errorf("%s came back as %s", l, back)
		}
	}
	var l Level
	if l.UnmarshalText([]byte("all")) == nil || Level(9).String() != "none" {
		t.Error("an unknown level was taken")
	}
	for _, k := range []Kind{Enforceable, Evidenceable, Enforceable | Evidenceable, Organisational} {
		var back Kind
		if err := back.UnmarshalText([]byte(k.String())); err != nil || back != k {
			t.Errorf("%s came back as %s", k, back)
		}
	}
	var k Kind
	if k.UnmarshalText([]byte("X")) == nil {
		t.Error("an unknown kind was taken")
	}
}

func FuzzOverlay(f *testing.F) {
	f.Add("controls:\n  - {id: authn.session, every: 5m}\n")
	f.Add("controls:\n  - {id: controls.monitor, parameters: [{name: heartbeat, unit: s, max: 60}]}\n")
	f.Add("omitted:\n  - {id: authn.session, reason: none}\n")
	base := shipped(f)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := base.Overlay("f", []byte(s))
		if err != nil {
			return
		}
		if loose := c.LooserThan(base); len(loose) > 0 {
			t.Fatalf("an overlay loosened the catalogue: %v", loose)
		}
	})
}
