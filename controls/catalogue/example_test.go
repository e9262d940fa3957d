package catalogue_test

import (
	"fmt"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
)

type stepUp struct{ maxAge time.Duration }

func (s stepUp) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.stepup", Parameters: []controls.Parameter{controls.Duration("max_age", s.maxAge)},
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
  - id: authn.stepup
    owner: head of platform
    parameters:
      - {name: max_age, unit: s, max: 900}
`))
	if err != nil {
		panic(err)
	}
	assessment := cat.Assess(stepUp{maxAge: time.Hour})
	fmt.Println(assessment.Err())
	for _, c := range assessment.Coverage {
		if c.Level == catalogue.Enforced {
			fmt.Println(c.Criterion.ID, c.Level, c.Enforces)
		}
	}
	// Output:
	// catalogue: parameter out of bounds: authn.stepup: max_age: 3600s, want at most 900s
	// CC6.1 enforced [authn.stepup]
	// CC6.3 enforced [authn.stepup]
}
