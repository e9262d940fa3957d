package crypto_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

func Example() {
	ctx := context.Background()
	logged := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }) // the audit log
	kek := cryptotest.NewKEK("example")                                                         // crypto/localkms, or a cloud KMS
	keeper, err := crypto.NewKeeper(kek, crypto.NewMemoryStore(), logged, crypto.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer keeper.Close()

	row17 := crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "people", Column: "salary", Row: "17"}
	row18 := crypto.Binding{Tenant: "acme", Subject: "u-2", Table: "people", Column: "salary", Row: "18"}
	sealed, err := keeper.Seal(ctx, nil, []byte("52000"), row17)
	if err != nil {
		log.Fatal(err)
	}
	plain, err := keeper.Open(ctx, nil, sealed, row17)
	fmt.Println(string(plain), err)
	_, err = keeper.Open(ctx, nil, sealed, row18) // someone swapped the rows
	fmt.Println(errors.Is(err, crypto.ErrTampered), crypto.Opaque(err))
	// Output:
	// 52000 <nil>
	// true crypto: the value can't be opened
}
