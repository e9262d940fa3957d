package dsr_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/dsr"
	"github.com/surety-go/surety/privacy/record"
)

// A letter of 31 August is answered by the end of September.
func Example() {
	key := make([]byte, dsr.KeySize)
	rand.Read(key)
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	tenants := func(context.Context) ([]string, error) { return []string{"acme"}, nil }
	desk, err := dsr.New(record.NewMemory(), key, log, tenants, []dsr.Regime{dsr.GDPR(dsr.Calendar{})}, dsr.Options{})
	if err != nil {
		panic(err)
	}
	r, err := desk.Open(context.Background(), dsr.Ask{
		Tenant: "acme", Subject: "u-1", Kind: dsr.Access, Regime: "gdpr", Channel: "letter",
		At: time.Date(2022, 8, 31, 10, 0, 0, 0, time.UTC),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.State, "until", r.Due.Format(time.DateTime))
	// Output:
	// received until 2022-10-01 00:00:00
}
