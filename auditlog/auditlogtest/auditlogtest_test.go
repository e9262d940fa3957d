package auditlogtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
)

func Example() {
	var rec auditlogtest.Recorder // in a test; give it to the code under test
	_ = rec.Record(context.Background(), auditlog.Event{Action: "records.update", Outcome: auditlog.Denied, Reason: "authz.policy"})
	for _, e := range rec.Find("records.update") {
		fmt.Println(e.Outcome, e.Reason)
	}
	// Output: denied authz.policy
}

func TestConformance(t *testing.T) {
	auditlogtest.TestRecorder(t, func(*testing.T) auditlogtest.Store {
		var rec auditlogtest.Recorder
		return auditlogtest.Store{Recorder: &rec, Entries: func(context.Context) ([]auditlog.Entry, error) { return rec.Entries(), nil }}
	})
}

func TestFailWith(t *testing.T) {
	var rec auditlogtest.Recorder
	down := errors.New("disk full")
	ev := auditlog.Event{Action: "a.b", Outcome: auditlog.Success}
	rec.FailWith(down)
	if err := rec.Record(t.Context(), ev); !errors.Is(err, down) {
		t.Errorf("Record: %v", err)
	}
	rec.WantNone(t)
	rec.FailWith(nil)
	if err := rec.Record(t.Context(), ev); err != nil {
		t.Error(err)
	}
	rec.Want(t, "a.b", auditlog.Success)
	rec.Reset()
	rec.WantNone(t, "a.b")
}

// tb catches what an assertion reports.
type tb struct {
	testing.TB
	failed bool
}

func (t *tb) Helper()               {}
func (t *tb) Errorf(string, ...any) { t.failed = true }
func (t *tb) Fatalf(string, ...any) { t.failed = true; panic(t) }

func fails(check func(testing.TB)) bool {
	t := &tb{}
	func() {
		defer func() { _ = recover() }()
		check(t)
	}()
	return t.failed
}

func TestAssertionsCanFail(t *testing.T) {
	var rec auditlogtest.Recorder
	err := rec.Record(t.Context(), auditlog.Event{
		Action: "a.b", Outcome: auditlog.Failed, Attrs: []auditlog.Attr{auditlog.String("note", "hunter2")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]func(testing.TB){
		"another outcome": func(t testing.TB) { rec.Want(t, "a.b", auditlog.Success) },
		"another action":  func(t testing.TB) { rec.Want(t, "a.c", auditlog.Failed) },
		"none of":         func(t testing.TB) { rec.WantNone(t, "a.b") },
		"none at all":     func(t testing.TB) { rec.WantNone(t) },
		"secret":          func(t testing.TB) { rec.WantWithout(t, "hunter2") },
		"no secret given": func(t testing.TB) { rec.WantWithout(t, "") },
	} {
		if !fails(check) {
			t.Errorf("%s: the assertion held", name)
		}
	}
	rec.WantWithout(t, "hunter3")
	e := rec.Want(t, "a.b", auditlog.Failed)
	if v, ok := auditlogtest.Attr(e, "note"); !ok || v != "hunter2" {
		t.Errorf("attribute: %q, %v", v, ok)
	}
	if _, ok := auditlogtest.Attr(e, "other"); ok {
		t.Error("an attribute that is not there was found")
	}
}

func TestKeys(t *testing.T) {
	var keys auditlogtest.Keys
	var rec auditlogtest.Recorder
	sealing, err := auditlog.Sealing(&rec, &keys)
	if err != nil {
		t.Fatal(err)
	}
	err = sealing.Record(t.Context(), auditlog.Event{
		Action: "a.b", Outcome: auditlog.Success, Tenant: "acme",
		Attrs: []auditlog.Attr{auditlog.Personal("u-1", "mail", "alice@example.org")},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := rec.Want(t, "a.b", auditlog.Success)
	rec.WantWithout(t, "alice")
	if v, err := auditlog.OpenAttr(t.Context(), &keys, &e, e.Attrs[0]); err != nil || v != "alice@example.org" {
		t.Errorf("opened %q, %v", v, err)
	}
	_, sealed, _ := e.Attrs[0].Sealed()
	for _, other := range [][3]string{{"globex", "u-1", "mail"}, {"acme", "u-2", "mail"}, {"acme", "u-1", "name"}} {
		if _, err := keys.OpenPersonal(t.Context(), other[0], other[1], other[2], sealed); err == nil {
			t.Errorf("opened as %s", strings.Join(other[:], "/"))
		}
	}
	keys.Destroy("acme", "u-1")
	if _, err := auditlog.OpenAttr(t.Context(), &keys, &e, e.Attrs[0]); !errors.Is(err, auditlog.ErrErased) {
		t.Errorf("after destruction: %v", err)
	}
	down := errors.New("unreachable")
	keys.FailWith(down)
	if _, err := keys.SealPersonal(t.Context(), "acme", "u-3", "mail", nil); !errors.Is(err, down) {
		t.Errorf("unreachable keys: %v", err)
	}
}
