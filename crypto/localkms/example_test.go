package localkms_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/localkms"
)

// A key file apart from the data, made on first use.
func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "data")

	_, err = localkms.KeyFile(filepath.Join(data, "kek.json"), data)
	fmt.Println("beside the data:", err != nil)

	kek, err := localkms.KeyFile(filepath.Join(dir, "config", "kek.json"), data)
	if err != nil {
		panic(err)
	}
	b := crypto.Binding{Tenant: "acme", Purpose: "a data key"}
	wrapped, err := kek.Wrap(context.Background(), []byte("thirty-two bytes of a data key!!"), b)
	if err != nil {
		panic(err)
	}
	b.Tenant = "globex"
	_, err = kek.Unwrap(context.Background(), wrapped, b)
	fmt.Println("for another tenant:", err != nil)
	// Output:
	// beside the data: true
	// for another tenant: true
}
