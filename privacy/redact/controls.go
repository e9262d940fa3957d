package redact

import (
	"context"
	"strings"

	"github.com/surety-go/surety/controls"
)

// samples are values that a redactor must find; they belong to nobody.
var samples = map[Type]string{ //nolint:gosec // G101: made up, and well known
	Email: "probe@example.com", Phone: "+49 30 90185555", Card: "4111 1111 1111 1111", IBAN: "DE89370400440532013000",
	NationalID: "12345678Z", IP: "192.0.2.1", JWT: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwcm9iZSJ9.c2ln", Secret: "AKIAIOSFODNN7EXAMPLE",
}

// Controls describes the redactor. The probe has it redact one value of every
// type.
func (r *Redactor) Controls() []controls.Control {
	kept := ""
	for t, k := range r.keep {
		if k {
			kept += Type(t).String() + " " //nolint:gosec // there are few types
		}
	}
	return []controls.Control{{
		ID:         "privacy.redaction",
		Parameters: []controls.Parameter{controls.Text("kept", strings.TrimSpace(kept))},
		Probe: func(context.Context) controls.Result {
			for t, v := range samples {
				if !r.keep[t] && strings.Contains(r.String("probe "+v+" end"), v) {
					return controls.Failed("a value of type %s passed", t)
				}
			}
			return controls.Passed("a value of every type was taken out")
		},
	}}
}
