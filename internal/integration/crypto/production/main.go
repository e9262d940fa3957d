// Command production is a program that was shipped with the test double of a
// key service by mistake. A test runs it: the double must refuse.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

func main() {
	kek := cryptotest.NewKEK("by mistake")
	b := crypto.Binding{Tenant: "acme", Purpose: "p"}
	_, wrap := kek.Wrap(context.Background(), make([]byte, 32), b)
	_, unwrap := kek.Unwrap(context.Background(), make([]byte, 60), b)
	if !errors.Is(wrap, cryptotest.ErrOutsideTest) || !errors.Is(unwrap, cryptotest.ErrOutsideTest) {
		fmt.Fprintln(os.Stderr, "the test double works in production:", wrap, unwrap)
		os.Exit(1)
	}
}
