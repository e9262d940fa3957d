package authztest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/authztest"
)

const policy = `p, admin, *, *, allow
p, admin, file, read, allow
p, clerk, file, read, allow
p, clerk, file, write, allow
p, clerk, file, write, deny
p, reader, salary, read, allow
p, ghost, file, read, allow
g, u-1, admin
g, u-2, clerk
g, u-3, reader
g, u-3, nothing
`

func engine(t testing.TB, model, policy string) *authz.Engine {
	t.Helper()
	e, err := authz.New(model, policy, &auditlogtest.Recorder{}, authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const cases = `
- name: admins may all
  subject: u-1
  object: salary
  action: read
  allow: true
  rule: p, admin, *, *, allow
- {name: clerks don't write, subject: u-2, object: file, action: write, allow: false, rule: "p, clerk, file, write, deny"}
- {name: readers, subject: u-3, object: salary, action: read, allow: true}
`

func TestTable(t *testing.T) {
	list, err := authztest.ParseYAML([]byte(cases))
	if err != nil || len(list) != 3 {
		t.Fatalf("%d, %v", len(list), err)
	}
	e := engine(t, authz.ModelRBAC, policy)
	authztest.Run(t, e, list)
	var un []string
	for _, r := range authztest.Uncovered(e, list) {
		un = append(un, r.String())
	}
	want := []string{"p, admin, file, read, allow", "p, clerk, file, read, allow", "p, clerk, file, write, allow", "p, ghost, file, read, allow"}
	if !slices.Equal(un, want) {
		t.Errorf("uncovered %q", un)
	}
}

// failing notes what a test would have failed with.
type failing struct {
	testing.TB
	list []string
}

func (f *failing) Helper() {}
func (f *failing) Error(args ...any) {
	f.list = append(f.list, fmt.Sprint(args...))
}

func (f *failing) Errorf(format string, args ...any) {
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

func TestRunFails(t *testing.T) {
	e, f := engine(t, authz.ModelRBAC, policy), &failing{TB: t}
	authztest.Run(f, e, nil)
	authztest.Run(f, e, []authztest.Case{
		{Name: "wrong", Request: authz.Request{Subject: "u-1", Object: "x", Action: "y"}},
		{Name: "other rule", Request: authz.Request{Subject: "u-1", Object: "x", Action: "y"}, Allow: true, Rule: "p, x"},
	})
	if len(f.list) != 3 {
		t.Errorf("%q", f.list)
	}
}

func TestBadYAML(t *testing.T) {
	for name, bad := range map[string]string{
		"member": "- {subject: a, allow: true, colour: red}", "no allow": "- {subject: a}", "alias": "- &a {subject: a, allow: true}\n- *a",
		"no list": "subject: a", "two documents": "- {allow: true}\n---\n- {allow: true}", "syntax": "- {",
	} {
		if _, err := authztest.ParseYAML([]byte(bad)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte(cases))
	f.Add([]byte("- {subject_attributes: {a: [1, b]}, allow: false}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := authztest.ParseYAML(text)
		if err != nil && list != nil {
			t.Error("cases and an error")
		}
	})
}

func TestLint(t *testing.T) {
	got := map[string]bool{}
	for _, f := range authztest.Lint(engine(t, authz.ModelRBAC, policy), authztest.LintOptions{Restricted: []string{"salary"}}) {
		got[string(f.Problem)+": "+f.Rule.String()] = true
	}
	want := []string{
		"over-broad: p, admin, *, *, allow",
		"restricted: p, admin, *, *, allow",
		"shadowed: p, admin, file, read, allow",
		"unreachable: p, clerk, file, write, allow",
		"orphan: p, ghost, file, read, allow",
		"orphan: g, u-3, nothing",
	}
	for _, w := range want {
		if !got[w] {
			t.Errorf("not found: %s", w)
		}
		delete(got, w)
	}
	if len(got) > 0 {
		t.Errorf("found what is none: %v", got)
	}
	rest := authztest.Lint(engine(t, authz.ModelREST, "p, staff, /files/*, GET, allow\np, staff, /files/:id, GET, allow\np, staff, /img/*, *, allow\ng, u, staff"),
		authztest.LintOptions{Restricted: []string{"/files/salaries"}})
	if len(rest) != 2 || rest[0].Problem != authztest.Shadowed || rest[1].Problem != authztest.Restricted {
		t.Errorf("%+v", rest)
	}
}

func TestSnapshotDiff(t *testing.T) {
	a, b := engine(t, authz.ModelRBAC, policy), engine(t, authz.ModelRBAC, policy+"p, reader, file, read, allow\n")
	requests := a.Ask([]string{"u-2", "u-3"}, "")
	before, after := authztest.Snapshot(a, requests), authztest.Snapshot(b, requests)
	diff := authztest.Diff(before, after)
	want := []string{`- deny  "u-3" "" "file" "read"`, `+ allow "u-3" "" "file" "read"`}
	if !slices.Equal(diff, want) {
		t.Errorf("%q\n%s", diff, before)
	}
	if authztest.Diff(before, before) != nil {
		t.Error("a snapshot differs from itself")
	}
}
