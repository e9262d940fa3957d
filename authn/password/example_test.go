package password_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/authn/password"
)

func Example() {
	ctx := context.Background()
	var policy password.Policy
	hasher, err := password.New(password.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(policy.Check(ctx, "Password1!", false))
	encoded, err := hasher.Hash(ctx, "seven quiet llamas dancing")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(encoded[:30])
	_, err = hasher.Verify(ctx, encoded, "seven quiet llamas")
	fmt.Println(errors.Is(err, password.ErrMismatch))
	// Output:
	// password: refused: This password is one of the first that attackers try.
	// $argon2id$v=19$m=65536,t=3,p=1
	// true
}
