// Package controlstest asserts controls in an application's own go test.
//
//	func TestControls(t *testing.T) {
//		app := newApp(t)
//		controlstest.Pass(t, app.Components()...)
//		controlstest.Within(t, app.Catalogue, app.Components()...)
//	}
//
// A failure names the control, the parameters in force and what the probe
// observed, so that the test's output is the finding.
package controlstest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
)

// Timeout bounds one probe.
const Timeout = 10 * time.Second

// Pass runs the probes of all components, one after the other, and reports
// every control that does not stand. Not-applicable stands, and is logged with
// its reason. It reports too when nothing is there to probe, and when two
// objects state the same key with different parameters.
func Pass(t testing.TB, components ...controls.Component) {
	t.Helper()
	seen := map[string][]controls.Parameter{}
	for _, component := range components {
		for _, c := range component.Controls() {
			if err := c.Validate(); err != nil {
				t.Errorf("%v", err)
			}
			if before, ok := seen[c.Key()]; ok && !slices.Equal(before, c.Parameters) {
				t.Errorf("%s: two objects state this control with different parameters, give each an Instance", c.Key())
			}
			seen[c.Key()] = c.Parameters
			switch r := run(t.Context(), c); r.State {
			case controls.Pass:
			case controls.NotApplicable:
				t.Logf("%s: not applicable: %s", c.Key(), r.Observed)
			default:
				t.Errorf("%s", describe(c, r))
			}
		}
	}
	if len(seen) == 0 {
		t.Errorf("no component states a control")
	}
}

// Within reports controls that the catalogue does not know and parameters out
// of its bounds. A nil catalogue is the shipped one.
func Within(t testing.TB, cat *catalogue.Catalogue, components ...controls.Component) {
	t.Helper()
	if cat == nil {
		shipped, err := catalogue.Default()
		if err != nil {
			t.Fatalf("%v", err)
		}
		cat = shipped
	}
	for _, p := range cat.Assess(components...).Problems {
		t.Errorf("%s: %v", p.Control, p.Err)
	}
}

// Fails reports when the probe of a component that was broken on purpose
// passes: a probe that can't fail proves nothing. It returns what was observed.
func Fails(t testing.TB, id string, broken controls.Component) string {
	t.Helper()
	for _, c := range broken.Controls() {
		if c.ID != id {
			continue
		}
		r := run(t.Context(), c)
		if r.State != controls.Fail && r.State != controls.Error {
			t.Errorf("%s although it is broken", describe(c, r))
		}
		return r.Observed
	}
	t.Errorf("%s: the component does not state this control", id)
	return ""
}

// run probes as a monitor would.
func run(ctx context.Context, c controls.Control) controls.Result {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return c.Run(auditlog.WithActor(ctx, auditlog.Actor{ID: "controlstest", Tenant: "system", Kind: auditlog.Probe}))
}

// describe puts the control, its parameters and the observation on one line.
func describe(c controls.Control, r controls.Result) string {
	var b strings.Builder
	b.WriteString(c.Key())
	for _, p := range c.Parameters {
		b.WriteString(" " + p.Name + "=" + p.Value + p.Unit)
	}
	b.WriteString(": " + r.State.String() + ": " + r.Observed)
	return b.String()
}
