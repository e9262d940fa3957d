package ocsf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/ocsf"
)

func mapper(t testing.TB, rows ...ocsf.Row) *ocsf.Mapper {
	t.Helper()
	m, err := ocsf.New("records", "1.0.0", rows...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func entry(t testing.TB, ev auditlog.Event) auditlog.Indexed {
	t.Helper()
	e, err := auditlog.Stamp(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	return auditlog.Indexed{Index: 7, Entry: e}
}

func Example() {
	m, err := ocsf.New("records", "1.4.0", ocsf.Row{Prefix: "records", Class: ocsf.APIActivity, Verbs: ocsf.CRUD})
	fmt.Println(err)
	fmt.Println(m.Find("records.update"))
	fmt.Println(m.Find("authn.totp.enrol"))
	_, _, err = m.Find("records.frobnicate")
	fmt.Println(err)
	// Output:
	// <nil>
	// 6003 3 <nil>
	// 3001 10 <nil>
	// ocsf: no row of the table knows the action: "records.frobnicate"
}

// The longest prefix that knows the verb decides.
func TestFind(t *testing.T) {
	m := mapper(t, ocsf.Row{Prefix: "authn.password.history", Class: ocsf.EntityManagement, Verbs: ocsf.Verbs{"verify": 2}})
	for action, want := range map[string]string{
		"authn.password.verify":         "3002 1",
		"authn.password.change":         "3001 3",
		"authn.password.history.verify": "3004 2",
		"authn.throttle.lock":           "3001 9",
		"authn.throttle.admit":          "3002 6",
		"authn.session.end":             "3002 2",
		"authz.role.grant":              "3005 1",
		"crypto.key.destroy":            "3004 4",
		"crypto.open":                   "6003 2",
		"controls.detect.alert":         "2004 1",
		"auditlog.log.open":             "6002 3",
	} {
		class, activity, err := m.Find(action)
		if got := fmt.Sprint(int(class), " ", activity); err != nil || got != want {
			t.Errorf("%s is %s, want %s: %v", action, got, want, err)
		}
	}
	for _, action := range []string{"authnx.password.verify", "authn", "authn.password.frobnicate", "records.read", ""} {
		if _, _, err := m.Find(action); !errors.Is(err, ocsf.ErrUnknownAction) {
			t.Errorf("%q: %v", action, err)
		}
	}
}

func TestMembers(t *testing.T) {
	m := mapper(t)
	e := entry(t, auditlog.Event{
		Action: "authn.password.verify", Outcome: auditlog.Denied, Reason: "authn.password", Tenant: "acme",
		Actor:   auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User, For: "u-2"},
		Targets: []auditlog.Target{{Type: "account", ID: "u-9"}},
		Attrs:   []auditlog.Attr{auditlog.Int("tries", 3)},
	})
	b, err := m.Map(e)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ClassUID int    `json:"class_uid"`
		TypeUID  int    `json:"type_uid"`
		StatusID int    `json:"status_id"`
		Code     string `json:"status_code"`
		Time     int64
		User     struct{ UID string }
		Actor    struct {
			User    struct{ UID string }
			Invoked string `json:"invoked_by"`
		}
		Metadata struct {
			UID, Version string
			Sequence     uint64
			Tenant       string `json:"tenant_uid"`
		}
		Unmapped struct{ Attrs map[string]string }
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(3002, 300201, 2, "authn.password", e.Time.UnixMilli(), "u-9", "u-1", "u-2", e.ID, "1.8.0", 7, "acme", "3")
	have := fmt.Sprint(got.ClassUID, got.TypeUID, got.StatusID, got.Code, got.Time, got.User.UID, got.Actor.User.UID, got.Actor.Invoked,
		got.Metadata.UID, got.Metadata.Version, got.Metadata.Sequence, got.Metadata.Tenant, got.Unmapped.Attrs["tries"])
	if have != want {
		t.Errorf("\n got %s\nwant %s", have, want)
	}
}

// The same entry has one form, so that two exports can be compared.
func TestDeterministic(t *testing.T) {
	m := mapper(t)
	e := entry(t, auditlog.Event{Action: "crypto.open", Outcome: auditlog.Success, Attrs: []auditlog.Attr{auditlog.Int("b", 1), auditlog.Int("a", 2)}})
	first, err := m.Map(e)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := m.Map(e); err != nil || string(again) != string(first) {
			t.Fatalf("%s\n%s\n%v", first, again, err)
		}
	}
}

func TestBadRows(t *testing.T) {
	for name, row := range map[string]ocsf.Row{
		"prefix":   {Prefix: "Records", Class: ocsf.APIActivity, Verbs: ocsf.CRUD},
		"empty":    {Prefix: "", Class: ocsf.APIActivity, Verbs: ocsf.CRUD},
		"class":    {Prefix: "records", Class: 1001, Verbs: ocsf.CRUD},
		"verbs":    {Prefix: "records", Class: ocsf.APIActivity},
		"activity": {Prefix: "records", Class: ocsf.APIActivity, Verbs: ocsf.Verbs{"fly": 17}},
	} {
		if _, err := ocsf.New("records", "1", row); err == nil || !strings.HasPrefix(err.Error(), "ocsf:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ocsf.New("", ""); err == nil {
		t.Error("a product without a name")
	}
}
