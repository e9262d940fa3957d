package totp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/totp"
)

func Example() {
	ctx := context.Background()
	// In production: a store of authn/authnsql, the crypto package, the log.
	codes, err := totp.New(&totp.Memory{}, authntest.Seeds{}, &auditlogtest.Recorder{}, totp.Options{Issuer: "Acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := codes.Enrol(ctx, "acme", "u-1", "ada@example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	app := authntest.Type(&testing.T{}, e.Secret) // a person's telephone
	code := app.Code(time.Now(), 0)
	fmt.Println(codes.Confirm(ctx, "acme", "u-1", code))
	fmt.Println(errors.Is(codes.Verify(ctx, "acme", "u-1", code), totp.ErrUsed))
	// Output:
	// <nil>
	// true
}
