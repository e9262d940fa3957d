package hostcheck_test

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/ratelimit/hostcheck"
)

func Example() {
	secret, public, err := note.GenerateKey(nil, "network.example") // once, by whoever is responsible
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	expected, err := hostcheck.Sign([]byte("tcp dport 443 counter packets 3 bytes 180 accept"), signer)
	if err != nil {
		panic(err)
	}

	verifier, err := note.NewVerifier(public)
	if err != nil {
		panic(err)
	}
	// On a host: hostcheck.Command("nft", "list", "ruleset").
	now := func(context.Context) ([]byte, error) {
		return []byte("tcp dport { 443, 5432 } counter packets 9 bytes 540 accept"), nil
	}
	rules, err := hostcheck.NewRules(expected, verifier, now)
	if err != nil {
		panic(err)
	}
	result := rules.Controls()[0].Run(context.Background())
	fmt.Println(result.State, result.Observed)
	// Output: fail the host's rules are not those that network.example signed: 1 lines are missing and 1 are new; first, missing: tcp dport 443 counter accept
}
