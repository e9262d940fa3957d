package report_test

import (
	"os"
	"time"

	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/report"
)

// The report of a content that evidence.Collect made.
func Example() {
	cat, err := catalogue.Default()
	if err != nil {
		panic(err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	content := &evidence.Content{System: "records", From: from, To: from.AddDate(0, 3, 0), Catalogue: cat}
	f, err := os.CreateTemp("", "report-*.html")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	if err := report.HTML(f, content); err != nil {
		panic(err)
	}
	// Output:
}
