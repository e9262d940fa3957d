package report

import (
	"encoding/json"
	"fmt"

	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/register"
)

// registers are the registers of a bundle as the report shows them.
type registers struct {
	Appetite int                  `json:"appetite"`
	Risks    []register.Risk      `json:"risks"`
	Vendors  []register.Vendor    `json:"vendors"`
	Policies []register.Policy    `json:"policies"`
	Texts    map[string]string    `json:"-"` // objectives by id
	Targets  []register.Objective `json:"objectives"`
}

// readRegisters takes what it knows of the registers. Registers of other names
// are the application's and are not shown.
func readRegisters(c *evidence.Content) (*registers, error) {
	if len(c.Registers) == 0 {
		return nil, nil
	}
	r := &registers{Texts: map[string]string{}}
	for _, name := range []string{"risks", "vendors", "policies"} {
		if raw, ok := c.Registers[name]; ok {
			if err := json.Unmarshal(raw, r); err != nil {
				return nil, fmt.Errorf("report: register %s: %w", name, err)
			}
		}
	}
	for _, o := range r.Targets {
		r.Texts[o.ID] = o.Text
	}
	return r, nil
}
