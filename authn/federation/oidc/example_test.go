package oidc_test

import (
	"bytes"
	"fmt"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/federation/oidc"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
)

func Example() {
	log, key := &auditlogtest.Recorder{}, bytes.Repeat([]byte{1}, 32) // yours are real, and random
	hasher := must(password.New(password.Options{}))
	codes := must(totp.New(&totp.Memory{}, authntest.Seeds{}, log, totp.Options{Issuer: "Records"}))
	sessions := must(session.New(&session.Memory{}, key, log, session.Options{}))
	guesses := must(throttle.New(&throttle.Memory{}, log, throttle.Options{}))
	flow := must(login.New(login.Parts{
		Accounts: accounts{}, Passwords: hasher, Codes: codes, Sessions: sessions, Guesses: guesses, Key: key, Recorder: log,
	}, login.Options{}))

	rp, err := oidc.New(oidc.Parts{Flow: flow, Sessions: sessions, Links: &oidc.Memory{}, Key: key, Recorder: log}, []oidc.Provider{
		{Name: "corp", Issuer: "https://idp.example", ClientID: "records", ClientSecret: "from the registration", Tenant: "acme"},
	}, oidc.Options{Origin: "https://records.example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, route := range rp.Routes() {
		fmt.Println(route.Pattern)
	}
	// Output:
	// GET /login/with/{provider}
	// GET /login/with/{provider}/callback
	// POST /login/with/{provider}/logout
	// POST /account/links/{provider}
}
