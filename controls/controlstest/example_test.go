package controlstest_test

import (
	"context"
	"testing"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/controlstest"
)

// An app is what a program mounts: each component describes its controls.
type app struct{ components []controls.Component }

func newApp(testing.TB) *app { return &app{} }

// In an application's own go test: every control that is mounted passes, and
// its parameters are within what the catalogue allows.
func Example() {
	_ = func(t *testing.T) { // TestControls
		app := newApp(t)
		cat, err := catalogue.Default()
		if err != nil {
			t.Fatal(err)
		}
		controlstest.Pass(t, app.components...)
		controlstest.Within(t, cat, app.components...)

		// The test itself is worth something only if it can fail.
		open := component{{ID: "authz.policy", Probe: func(context.Context) controls.Result { return controls.Failed("a stranger was let in") }}}
		controlstest.Fails(t, "authz.policy", open)
	}
}
