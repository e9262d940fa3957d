package classify_test

import (
	"fmt"

	"github.com/surety-go/surety/controls/classify"
)

type employee struct {
	ID    string
	Email string `sec:"pii,purpose=contract,retention=P2Y,encrypt"`
	Notes string `sec:"class=internal"`
}

// Reading a type's tags lists every field with its class and how it is kept.
func Example() {
	schema, err := classify.Of[employee]()
	if err != nil {
		panic(err)
	}
	for _, f := range schema.Fields {
		fmt.Printf("%s: %v, %v %v\n", f.Path, f.Class, f.Encryption, f.Purposes)
	}
	// Output:
	// ID: unclassified, none []
	// Email: confidential, randomised [contract]
	// Notes: internal, none []
}
