package controls_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
)

func TestKeyTellsInstancesApart(t *testing.T) {
	a := controls.Control{ID: "ratelimit.quota"}
	b := controls.Control{ID: "ratelimit.quota", Instance: "login"}
	if a.Key() != "ratelimit.quota" || b.Key() != "ratelimit.quota/login" {
		t.Errorf("keys are %q and %q", a.Key(), b.Key())
	}
}

func TestValidID(t *testing.T) {
	good := []string{"authn.session", "crypto.key-rotation", "a.b.c.d.e.f", "auditlog.clock_2"}
	bad := []string{
		"", "authn", "Authn.session", "authn..session", ".authn.session", "authn.session.",
		"authn.1session", "authn session.x", "a.b.c.d.e.f.g", "a.é", "a.b\n",
		strings.Repeat("a", 95) + ".b",
	}
	for _, id := range good {
		if !controls.ValidID(id) {
			t.Errorf("ValidID(%q) = false", id)
		}
	}
	for _, id := range bad {
		if controls.ValidID(id) {
			t.Errorf("ValidID(%q) = true", id)
		}
	}
}

func TestValidateNamesTheParameter(t *testing.T) {
	c := controls.Control{ID: "authn.session", Parameters: []controls.Parameter{
		controls.Duration("idle_timeout", time.Hour), controls.Duration("idle_timeout", time.Minute),
	}}
	err := c.Validate()
	if !errors.Is(err, controls.ErrInvalid) || !strings.Contains(err.Error(), "idle_timeout") {
		t.Errorf("Validate = %v, want ErrInvalid naming idle_timeout", err)
	}
	c.Parameters = c.Parameters[:1]
	if err := c.Validate(); err != nil {
		t.Errorf("Validate of a sound control: %v", err)
	}
	long := controls.Control{ID: strings.Repeat("x", 5000)}
	if err := long.Validate(); err == nil || len(err.Error()) > 300 {
		t.Errorf("a 5,000-byte ID gives a message of %d bytes", len(err.Error()))
	}
}

func TestRun(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	probe := func(f func(context.Context) controls.Result) controls.Control {
		return controls.Control{ID: "test.control", Probe: f}
	}
	cases := []struct {
		name string
		ctx  context.Context
		c    controls.Control
		want controls.State
	}{
		{"pass", context.Background(), probe(func(context.Context) controls.Result { return controls.Passed("ok") }), controls.Pass},
		{"no probe is no pass", context.Background(), controls.Control{ID: "test.control"}, controls.Inconclusive},
		{"an undecided probe is no pass", context.Background(), probe(func(context.Context) controls.Result { return controls.Result{} }), controls.Inconclusive},
		{"a panic is an error", context.Background(), probe(func(context.Context) controls.Result { panic("boom") }), controls.Error},
		{"a cut-short probe is an error", ended, probe(func(context.Context) controls.Result { return controls.Result{} }), controls.Error},
		{"a decided probe stands even if time ran out", ended, probe(func(context.Context) controls.Result { return controls.Failed("let in") }), controls.Fail},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.c.Run(tc.ctx); got.State != tc.want {
				t.Errorf("Run = %v (%s), want %v", got.State, got.Observed, tc.want)
			}
		})
	}
}

func TestStateText(t *testing.T) {
	for s := controls.Inconclusive; s <= controls.NotApplicable; s++ {
		b, err := json.Marshal(controls.Result{State: s})
		if err != nil {
			t.Fatal(err)
		}
		var back controls.Result
		if err := json.Unmarshal(b, &back); err != nil || back.State != s {
			t.Errorf("%s came back as %v, %v", b, back.State, err)
		}
	}
	var s controls.State
	if err := s.UnmarshalText([]byte("passed")); err == nil {
		t.Error("an unknown state was accepted")
	}
	if got := controls.State(200).String(); got != "inconclusive" {
		t.Errorf("an unknown state reads %q: it must never read as a pass", got)
	}
}

func TestParametersAreCanonical(t *testing.T) {
	cases := map[controls.Parameter]controls.Parameter{
		controls.Duration("a", 90*time.Second):       {Name: "a", Value: "90", Unit: "s"},
		controls.Duration("a", 250*time.Millisecond): {Name: "a", Value: "0.25", Unit: "s"},
		controls.Int("a", 12):                        {Name: "a", Value: "12"},
		controls.Bytes("a", 1<<20):                   {Name: "a", Value: "1048576", Unit: "B"},
		controls.Bool("a", true):                     {Name: "a", Value: "true"},
		controls.Rate("a", 0.5):                      {Name: "a", Value: "0.5", Unit: "1/s"},
		controls.Text("a", "b"):                      {Name: "a", Value: "b"},
	}
	for got, want := range cases {
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
