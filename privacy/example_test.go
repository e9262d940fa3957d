package privacy_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy"
)

// Data is read under a purpose, and a purpose that rests on consent asks.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	gate, err := privacy.NewGate([]privacy.Declaration{
		{Purpose: "payroll", Title: "Paying salaries", Basis: privacy.LegalObligation},
		{Purpose: "benefits", Title: "Offering benefits", Basis: privacy.Consent},
	}, &people{}, log)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(gate.Check(privacy.WithPurpose(ctx, "payroll"), "acme", "u-1"))
	fmt.Println(gate.Check(privacy.WithPurpose(ctx, "benefits"), "acme", "u-1") != nil)
	// Output:
	// <nil>
	// true
}
