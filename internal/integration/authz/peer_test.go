package authz_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/persist"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authz"
)

var nowhere = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })

// text is casbin's adapter for a policy that is a string; it loads line by
// line as casbin's own file adapter does.
type text string

func (a text) LoadPolicy(m model.Model) error {
	for line := range strings.Lines(string(a)) {
		if err := persist.LoadPolicyLine(strings.TrimSpace(line), m); err != nil {
			return err
		}
	}
	return nil
}
func (text) SavePolicy(model.Model) error                              { return nil }
func (text) AddPolicy(string, string, []string) error                  { return nil }
func (text) RemovePolicy(string, string, []string) error               { return nil }
func (text) RemoveFilteredPolicy(string, string, int, ...string) error { return nil }

// enforcer is a freshly built one.
func enforcer(modelText, policy string) (*casbin.Enforcer, error) {
	m, err := model.NewModelFromString(modelText)
	if err != nil {
		return nil, err
	}
	return casbin.NewEnforcer(m, text(policy))
}

// enforce asks casbin, whose functions panic on some input.
func enforce(e *casbin.Enforcer, request []any) (ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			ok, err = false, fmt.Errorf("panic: %v", p)
		}
	}()
	return e.Enforce(request...)
}

// examples is where casbin keeps its example models and policies.
func examples(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/casbin/casbin/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "examples")
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// vocabulary lists, for each field of requests, the values worth asking with:
// those of the policy's lines, and what their patterns stand for.
func vocabulary(fields int, policy string) [][]string {
	rules, _ := authz.ParsePolicy(policy)
	var words []string
	for _, r := range rules {
		for _, f := range r.Fields {
			words = append(words, f)
			for _, pair := range [][2]string{
				{"/*", "/x"}, {"/*", "/x/y"}, {"*", ""}, {"*", "abc"}, {":id", "1"}, {":resource", "r1"}, {":resId", "5/6"}, {"0/24", "77"}, {"0/16", "1"},
			} {
				if strings.Contains(f, pair[0]) {
					words = append(words, strings.ReplaceAll(f, pair[0], pair[1]))
				}
			}
		}
	}
	words = append(words, "nobody", "root", "GET", "read", "/alice_data2/1/using/2", "10.0.3.4", "data2")
	slices.Sort(words)
	words = slices.DeleteFunc(slices.Compact(words), func(s string) bool { return s == "" || len(s) > 60 })
	return slices.Repeat([][]string{words}, fields)
}

// every calls f for combinations of words, at most limit, spread evenly.
func every(words [][]string, limit int, f func(request []any)) {
	total := 1
	for _, w := range words {
		total *= len(w)
	}
	step := max(1, total/limit)
	if step > 1 {
		for step%2 == 0 || step%3 == 0 || step%5 == 0 || step%7 == 0 {
			step++
		}
	}
	for n := 0; n < total; n += step {
		request, rest := make([]any, len(words)), n
		for i, w := range words {
			request[i], rest = w[rest%len(w)], rest/len(w)
		}
		f(request)
	}
}

func newEngine(modelText, policy string, o authz.Options) (*authz.Engine, error) {
	return authz.New(modelText, policy, nowhere, o)
}
