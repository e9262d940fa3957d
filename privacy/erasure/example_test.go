package erasure_test

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/erasure"
)

// Erasing a person destroys the key and empties every place.
func Example() {
	var happened trail
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	files := &place{name: "files", trail: &happened}
	eraser, err := erasure.New(&keys{trail: &happened}, log, erasure.Options{}, files)
	if err != nil {
		panic(err)
	}
	report, err := eraser.Erase(context.Background(), "acme", "u-1", "request 17")
	fmt.Println(report.KeyDestroyed, report.Open(), err)
	fmt.Println(happened)
	// Output:
	// true [] <nil>
	// [key acme/u-1 files acme/u-1]
}
