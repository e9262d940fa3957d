// Package auditlog_test checks the audit log against other people's software.
package auditlog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/ocsf"
)

// schemas are the compiled JSON schemas by class.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob("testdata/ocsf-1.8.0/*.json")
	if err != nil || len(files) != 12 {
		t.Fatalf("%d schemas, %v", len(files), err)
	}
	all := make(map[string]*jsonschema.Schema)
	for _, name := range files {
		s, err := jsonschema.NewCompiler().Compile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)[:4]] = s
	}
	return all
}

func validate(t *testing.T, s *jsonschema.Schema, b []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// events are the shapes an action's event can have.
func events(action string) []auditlog.Event {
	var list []auditlog.Event
	for _, outcome := range []auditlog.Outcome{auditlog.Success, auditlog.Denied, auditlog.Failed} {
		list = append(
			list,
			auditlog.Event{Action: action, Outcome: outcome},
			auditlog.Event{
				Action: action, Outcome: outcome, Reason: "authz.policy", Tenant: "acme",
				Actor:   auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User, For: "u-2"},
				Targets: []auditlog.Target{{Type: "account", ID: "u-3"}, {Type: "role", ID: "owner"}, {Type: "table"}},
				Attrs: []auditlog.Attr{
					auditlog.Int("status", 200), auditlog.Bool("fresh", true), auditlog.String("network", "192.0.2.0/24"),
				},
			},
			auditlog.Event{
				Action: action, Outcome: outcome, Actor: auditlog.Actor{Kind: auditlog.System},
				Targets: []auditlog.Target{{Type: "key"}},
			},
		)
	}
	return list
}

// Every action of the table, in every shape, is valid in its class.
func TestEveryActionIsValidOCSF(t *testing.T) {
	all := schemas(t)
	m, err := ocsf.New("records", "1.0.0", ocsf.Row{Prefix: "records", Class: ocsf.APIActivity, Verbs: ocsf.CRUD})
	if err != nil {
		t.Fatal(err)
	}
	classes := make(map[string]bool)
	for _, action := range m.Actions() {
		class, _, err := m.Find(action)
		if err != nil {
			t.Fatal(err)
		}
		uid := fmt.Sprint(int(class))
		classes[uid] = true
		for _, ev := range events(action) {
			e, err := auditlog.Stamp(t.Context(), auditlog.Event{Action: "records.read", Outcome: ev.Outcome})
			if err != nil {
				t.Fatal(err)
			}
			e.Event = ev // some only the log itself may stamp
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			b, err := m.Map(auditlog.Indexed{Index: 3, Entry: e})
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, all[uid], b); err != nil {
				t.Errorf("%s: %v\n%s", action, err, b)
			}
		}
	}
	for uid := range all {
		if !classes[uid] {
			t.Errorf("no action is written as class %s", uid)
		}
	}
}

// The schemas can tell: an event with a member missing, unknown or of another
// type is refused.
func TestTheSchemasRefuse(t *testing.T) {
	s := schemas(t)["3002"]
	m, err := ocsf.New("records", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	e, err := auditlog.Stamp(t.Context(), auditlog.Event{Action: "authn.password.verify", Outcome: auditlog.Success})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Map(auditlog.Indexed{Entry: e})
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(map[string]any){
		"missing": func(v map[string]any) { delete(v, "user") },
		"unknown": func(v map[string]any) { v["colour"] = "red" },
		"type":    func(v map[string]any) { v["time"] = "now" },
		"enum":    func(v map[string]any) { v["activity_id"] = 55 },
	} {
		var v map[string]any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		spoil(v)
		bad, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if validate(t, s, bad) == nil {
			t.Errorf("%s: the schema accepts %s", name, bad)
		}
	}
	if _, err := os.Stat("testdata/ocsf-1.8.0/README.md"); err != nil {
		t.Error("the schemas' provenance is not stated")
	}
}
