package login_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
)

func Example() {
	ctx := context.Background()
	// In production: the log, the stores of authn/authnsql, random keys, and
	// the crypto package as the sealer. Errors are left out here.
	log, key := &auditlogtest.Recorder{}, bytes.Repeat([]byte{1}, 32)
	hasher, _ := password.New(password.Options{})
	codes, _ := totp.New(&totp.Memory{}, authntest.Seeds{}, log, totp.Options{Issuer: "Acme"})
	sessions, _ := session.New(&session.Memory{}, key, log, session.Options{})
	guesses, _ := throttle.New(&throttle.Memory{}, log, throttle.Options{})
	known := &accounts{}
	hash, _ := hasher.Hash(ctx, "seven quiet llamas dancing")
	known.put(login.Account{Tenant: "acme", ID: "u-1", Name: "ada", Password: hash})

	flow, err := login.New(login.Parts{
		Accounts: known, Passwords: hasher, Codes: codes, Sessions: sessions, Guesses: guesses, Key: key, Recorder: log,
	}, login.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = flow.Begin(ctx, "acme", "ada", "a guess", login.Client{})
	fmt.Println(errors.Is(err, login.ErrRefused))
	p, _ := flow.Begin(ctx, "acme", "ada", "seven quiet llamas dancing", login.Client{})
	fmt.Println(p.Step)
	e, _ := flow.Enrol(ctx, p.Ticket)
	app := authntest.Type(&testing.T{}, e.Secret) // a person's telephone
	p, _ = flow.Confirm(ctx, p.Ticket, app.Code(time.Now(), 0), login.Client{})
	fmt.Println(p.Step, p.Token != "")
	// Output:
	// true
	// enrol
	// done true
}
