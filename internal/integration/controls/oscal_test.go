package controls

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/controls/oscal"
)

type door struct{ open bool }

func (d *door) Controls() []controls.Control {
	return []controls.Control{{ID: "authz.policy", Probe: func(context.Context) controls.Result {
		if d.open {
			return controls.Failed("a stranger\nwas let in")
		}
		return controls.Passed("a stranger was refused")
	}}}
}

// everything mounts every control of the catalogue, with awkward texts.
type everything struct{ cat *catalogue.Catalogue }

func (e everything) Controls() (list []controls.Control) {
	states := []controls.Result{controls.Passed(""), controls.Failed(" a\tb "), controls.Errored("x"), controls.Skipped("none"), {}}
	for i, c := range e.cat.Controls() {
		if c.ID == "controls.monitor" || c.ID == "authz.policy" {
			continue
		}
		list = append(list, controls.Control{
			ID: c.ID, Instance: strings.Repeat("é /", i%3), Probe: func(context.Context) controls.Result { return states[i%len(states)] },
			Parameters: []controls.Parameter{controls.Text("1st value", " "), controls.Duration("idle_timeout", time.Second)},
		})
	}
	return append(list, controls.Control{ID: "own.unknown"})
}

func content(t *testing.T) *evidence.Content {
	t.Helper()
	cat, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	tracker, err := findings.New(findings.NewMemory(), log, func(string) string { return "1st owner / head" }, findings.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := monitor.New(cat, log, monitor.Options{Findings: tracker}, &door{open: true}, everything{cat})
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	if _, err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := evidence.Collect(t.Context(), evidence.Sources{System: "records", Demo: true, Catalogue: cat, Monitor: m, Findings: tracker}, from, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/oscal_complete_schema-1-2-2.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("oscal.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("oscal.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOSCALFollowsTheSchema(t *testing.T) {
	s, c := schema(t), content(t)
	empty := *c
	empty.Controls, empty.Findings, empty.History.Entries = nil, nil, nil
	for name, content := range map[string]*evidence.Content{"everything": c, "nothing": &empty} {
		for kind, write := range map[string]func(*bytes.Buffer) error{
			"component-definition": func(b *bytes.Buffer) error { return oscal.ComponentDefinition(b, content) },
			"assessment-results":   func(b *bytes.Buffer) error { return oscal.AssessmentResults(b, content) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				var b bytes.Buffer
				if err := write(&b); err != nil {
					t.Fatal(err)
				}
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Validate(doc); err != nil {
					t.Errorf("%v", err)
				}
				// The schema must be able to refuse.
				var broken map[string]map[string]any
				if err := json.Unmarshal(b.Bytes(), &broken); err != nil {
					t.Fatal(err)
				}
				delete(broken[kind], "metadata")
				text, _ := json.Marshal(broken)
				doc, _ = jsonschema.UnmarshalJSON(bytes.NewReader(text))
				if s.Validate(doc) == nil {
					t.Error("a document without metadata was accepted")
				}
			})
		}
	}
}
