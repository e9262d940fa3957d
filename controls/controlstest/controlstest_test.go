package controlstest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/controlstest"
)

// A recorder stands in for a testing.T and keeps what it is told.
type recorder struct {
	testing.TB
	ctx          context.Context
	errors, logs []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(f string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(f, args...))
}
func (r *recorder) Logf(f string, args ...any) { r.logs = append(r.logs, fmt.Sprintf(f, args...)) }
func (r *recorder) has(s string) bool          { return strings.Contains(strings.Join(r.errors, "\n"), s) }
func record(t *testing.T) *recorder            { return &recorder{TB: t, ctx: t.Context()} }
func result(r controls.Result) func(context.Context) controls.Result {
	return func(context.Context) controls.Result { return r }
}

type component []controls.Control

func (c component) Controls() []controls.Control { return c }

func TestPass(t *testing.T) {
	good := component{
		{ID: "authz.policy", Probe: result(controls.Passed("refused"))},
		{ID: "authz.policy", Probe: result(controls.Passed("reached by another way"))},
		{ID: "authz.policy", Instance: "b", Probe: result(controls.Skipped("no roles"))},
	}
	r := record(t)
	controlstest.Pass(r, good)
	if len(r.errors) != 0 || len(r.logs) != 1 || r.logs[0] != "authz.policy/b: not applicable: no roles" {
		t.Errorf("errors %q, logs %q", r.errors, r.logs)
	}
	bad := component{
		{ID: "authn.session", Parameters: []controls.Parameter{controls.Duration("idle", time.Hour), controls.Int("n", 3)}, Probe: result(controls.Failed("let in"))},
		{ID: "authn.login", Probe: result(controls.Errored("store down"))},
		{ID: "authn.totp"},
		{ID: "Broken", Probe: result(controls.Passed("x"))},
		{ID: "authn.login", Parameters: []controls.Parameter{controls.Int("n", 3)}, Probe: result(controls.Passed("x"))},
		{ID: "authn.stepup", Probe: func(context.Context) controls.Result { panic("boom") }},
	}
	r = record(t)
	controlstest.Pass(r, bad)
	for _, want := range []string{
		"authn.session idle=3600s n=3: fail: let in", "authn.login: error: store down", "authn.totp: inconclusive: the control has no probe",
		`ID "Broken"`, "authn.login: two objects state this control", "authn.stepup: error: the probe panicked: boom",
	} {
		if !r.has(want) {
			t.Errorf("no %q in %q", want, r.errors)
		}
	}
	if len(r.errors) != 6 {
		t.Errorf("%d errors", len(r.errors))
	}
	r = record(t)
	controlstest.Pass(r)
	if !r.has("no component states a control") {
		t.Error("nothing to probe passed")
	}
}

func TestProbesRunAsAMonitorWould(t *testing.T) {
	r := record(t)
	controlstest.Pass(r, component{{ID: "a.b", Probe: func(ctx context.Context) controls.Result {
		deadline, ok := ctx.Deadline()
		if a := auditlog.ActorFrom(ctx); a.Kind != auditlog.Probe || !ok || time.Until(deadline) > controlstest.Timeout {
			return controls.Failed("actor %+v, deadline %v", a, deadline)
		}
		return controls.Passed("ok")
	}}})
	if len(r.errors) != 0 {
		t.Errorf("%q", r.errors)
	}
}

func TestWithin(t *testing.T) {
	r := record(t)
	controlstest.Within(r, nil, component{{ID: "authz.sod"}, {ID: "controls.detect", Parameters: []controls.Parameter{controls.Int("rules", 0)}}, {ID: "a.unknown"}})
	if len(r.errors) != 2 || !r.has("controls.detect: catalogue: parameter out of bounds: controls.detect: rules: 0, want at least 1") || !r.has("unknown control: a.unknown") {
		t.Errorf("%q", r.errors)
	}
	base, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	own, err := base.Overlay("own.yaml", []byte("controls: [{id: authz.policy, parameters: [{name: rules, min: 1}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	r = record(t)
	controlstest.Within(r, own, component{{ID: "authz.policy"}})
	if !r.has("rules is not stated") {
		t.Errorf("%q", r.errors)
	}
}

func TestFails(t *testing.T) {
	r := record(t)
	seen := controlstest.Fails(r, "a.b", component{{ID: "a.b", Probe: result(controls.Failed("let in"))}})
	if len(r.errors) != 0 || seen != "let in" {
		t.Errorf("%q, observed %q", r.errors, seen)
	}
	controlstest.Fails(r, "a.b", component{{ID: "a.b", Probe: result(controls.Passed("ok"))}})
	controlstest.Fails(r, "a.c", component{{ID: "a.b"}})
	if len(r.errors) != 2 || !r.has("pass: ok although it is broken") || !r.has("a.c: the component does not state this control") {
		t.Errorf("%q", r.errors)
	}
}
