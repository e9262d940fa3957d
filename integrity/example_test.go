package integrity_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/integrity"
)

// Someone raises a salary in the database; the next read finds it.
func Example() {
	key := make([]byte, integrity.KeySize)
	rand.Read(key) // kept apart from the database
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	rows, err := integrity.NewRows(key, log)
	if err != nil {
		panic(err)
	}
	row := integrity.Row{
		Tenant: "acme", Table: "salaries", Key: "17", Version: 1,
		Columns: []integrity.Column{{Name: "amount", Value: []byte("3000")}},
	}
	row.MAC = rows.Seal(row)
	row.Columns[0].Value = []byte("9000") // UPDATE salaries SET amount = 9000
	fmt.Println(errors.Is(rows.Verify(context.Background(), row), integrity.ErrMismatch))
	// Output: true
}
