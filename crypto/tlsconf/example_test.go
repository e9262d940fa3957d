package tlsconf_test

import (
	"fmt"

	"github.com/surety-go/surety/crypto/tlsconf"
)

func ExampleCheckPostgres() {
	fmt.Println(tlsconf.CheckPostgres("postgres://app:secret@db.internal/records?sslmode=verify-full"))
	fmt.Println(tlsconf.CheckPostgres("postgres://app:secret@db.internal/records?sslmode=require"))
	// Output:
	// <nil>
	// tlsconf: connection without verified TLS: PostgreSQL with sslmode "require" on another machine: want sslmode=verify-full
}
