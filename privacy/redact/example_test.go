package redact_test

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/surety-go/surety/privacy/redact"
)

// A log line loses what it need not carry.
func Example() {
	r, err := redact.New(redact.Options{})
	if err != nil {
		panic(err)
	}
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	slog.New(r.Handler(plain)).Info("reset for ann@example.com", "phone", "030 123456", "client", "192.0.2.17")
	fmt.Println(r.String("card 4111 1111 1111 1111, order 20261124"))
	// Output:
	// level=INFO msg="reset for [email]" phone=[phone] client=[ip]
	// card [card], order 20261124
}
