package oscal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/oscal"
)

// What is mounted, for tools that read OSCAL.
func Example() {
	cat, err := catalogue.Default()
	if err != nil {
		panic(err)
	}
	day := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	content := &evidence.Content{ // from evidence.Collect
		System: "records", From: day, To: day.Add(24 * time.Hour), Created: day.Add(24 * time.Hour),
		Catalogue: cat, Controls: []controls.Control{{ID: "authz.policy"}},
	}
	var b bytes.Buffer
	if err := oscal.ComponentDefinition(&b, content); err != nil {
		panic(err)
	}
	var doc struct {
		Definition struct {
			Metadata   map[string]any
			Components []map[string]any
		} `json:"component-definition"`
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		panic(err)
	}
	fmt.Println(doc.Definition.Metadata["oscal-version"], len(doc.Definition.Components))
	// Output: 1.2.2 1
}
