package consent_test

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/consent"
)

// Giving and withdrawing are one call each; the last choice counts.
func Example() {
	key := make([]byte, consent.KeySize)
	rand.Read(key) // kept apart from the store
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	ledger, err := consent.New(consent.NewMemory(), key, log, consent.Options{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	choice := consent.Choice{Tenant: "acme", Subject: "u-1", Purpose: "benefits", Notice: "2026-1", Method: "web form"}
	if _, err := ledger.Give(ctx, choice); err != nil {
		panic(err)
	}
	fmt.Println(ledger.Consented(ctx, "acme", "u-1", "benefits"))
	if _, err := ledger.Withdraw(ctx, choice); err != nil {
		panic(err)
	}
	fmt.Println(ledger.Consented(ctx, "acme", "u-1", "benefits"))
	// Output:
	// true <nil>
	// false <nil>
}
