package controls_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/controls"
)

// lock is a door that must refuse an empty key.
type lock struct{ key string }

func (l lock) open(key string) bool { return l.key != "" && key == l.key }

func (l lock) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "example.lock",
		Parameters: []controls.Parameter{controls.Int("key_length", len(l.key))},
		Probe: func(context.Context) controls.Result {
			if l.open("") {
				return controls.Failed("an empty key opened the lock")
			}
			return controls.Passed("an empty key was refused")
		},
	}}
}

// A component states its control, the parameters in force and a probe that
// tries the live object.
func Example() {
	var c controls.Component = lock{key: "secret"}
	for _, control := range c.Controls() {
		result := control.Run(context.Background())
		fmt.Println(control.Key(), result.State, "-", result.Observed)
	}
	// Output: example.lock pass - an empty key was refused
}
