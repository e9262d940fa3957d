package catalogue_test

import (
	"fmt"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
)

type sessions struct{ idle time.Duration }

func (s sessions) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.session", Parameters: []controls.Parameter{controls.Duration("idle_timeout", s.idle)},
	}}
}

// An application overlays its owners and stricter bounds and compares what it
// has mounted.
func Example() {
	cat, err := catalogue.Default()
	if err != nil {
		panic(err)
	}
	cat, err = cat.Overlay("controls.yaml", []byte(`
controls:
  - id: authn.session
    owner: head of platform
    parameters:
      - {name: idle_timeout, unit: s, max: 900}
`))
	if err != nil {
		panic(err)
	}
	assessment := cat.Assess(sessions{idle: time.Hour})
	fmt.Println(assessment.Err())
	for _, c := range assessment.Coverage {
		if c.Level == catalogue.Enforced {
			fmt.Println(c.Criterion.ID, c.Level, c.Enforces)
		}
	}
	// Output:
	// catalogue: parameter out of bounds: authn.session: idle_timeout: 3600s, want at most 900s
	// CC6.1 enforced [authn.session]
}
