package authztest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/surety-go/surety/authz"
)

// A Case is a request and the decision that a policy should make.
type Case struct {
	Name    string
	Request authz.Request
	Allow   bool
	// Rule is the line that should decide, or empty for any.
	Rule string
}

// yamlCase is a case as it stands in a file.
type yamlCase struct {
	Name    string         `yaml:"name"`
	Subject string         `yaml:"subject"`
	Domain  string         `yaml:"domain"`
	Object  string         `yaml:"object"`
	Action  string         `yaml:"action"`
	Matcher string         `yaml:"matcher"`
	Who     map[string]any `yaml:"subject_attributes"`
	What    map[string]any `yaml:"object_attributes"`
	Context map[string]any `yaml:"context"`
	Allow   *bool          `yaml:"allow"`
	Rule    string         `yaml:"rule"`
}

// maxFile bounds a file of cases, in bytes.
const maxFile = 4 << 20

// ParseYAML reads cases from a list of:
//
//   - name: a clerk reads files
//     subject: u-1
//     domain: acme
//     object: file
//     action: read
//     allow: true
//
// The members matcher, rule, subject_attributes, object_attributes and context
// are optional; allow is not. A member that is none of these is an error, and
// so is an alias.
func ParseYAML(text []byte) ([]Case, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("authztest: the file has %d bytes, want at most %d", len(text), maxFile)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("authztest: %w", err)
	}
	if hasAlias(&root) {
		return nil, errors.New("authztest: aliases are not understood")
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var list []yamlCase
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("authztest: %w", err)
	}
	if err := d.Decode(&root); !errors.Is(err, io.EOF) {
		return nil, errors.New("authztest: the file has more than one document")
	}
	var out []Case
	for i, y := range list {
		if y.Allow == nil {
			return nil, fmt.Errorf("authztest: case %d: allow is missing", i+1)
		}
		c := Case{Name: y.Name, Allow: *y.Allow, Rule: y.Rule}
		c.Request = authz.Request{Subject: y.Subject, Domain: y.Domain, Object: y.Object, Action: y.Action, Matcher: y.Matcher}
		if y.Who != nil || y.What != nil || y.Context != nil {
			c.Request.Attributes = &authz.Attributes{Subject: y.Who, Object: y.What, Context: y.Context}
		}
		out = append(out, c)
	}
	return out, nil
}

func hasAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAlias)
}

// Run asks the cases and fails the test for each that is decided otherwise.
func Run(t testing.TB, e *authz.Engine, cases []Case) {
	t.Helper()
	if len(cases) == 0 {
		t.Error("there are no cases")
	}
	for _, c := range cases {
		d := e.Decide(c.Request)
		r := c.Request
		what := fmt.Sprintf("%s (%s, %s, %s, %s)", c.Name, r.Subject, r.Domain, r.Object, r.Action)
		switch {
		case d.Allowed != c.Allow:
			t.Errorf("%s: allowed is %t, want %t: %s %s", what, d.Allowed, c.Allow, d.Reason, d.Rule())
		case c.Rule != "" && d.Rule() != c.Rule:
			t.Errorf("%s: decided by %q, want %q", what, d.Rule(), c.Rule)
		}
	}
}

// Uncovered lists the rules that decided none of the cases.
func Uncovered(e *authz.Engine, cases []Case) []authz.Rule {
	hit := map[string]bool{}
	for _, c := range cases {
		hit[e.Decide(c.Request).Rule()] = true
	}
	return slices.DeleteFunc(e.Rules(), func(r authz.Rule) bool { return r.Kind[0] != 'p' || hit[r.String()] })
}

// Snapshot writes down how requests are decided, a line for each, sorted: for
// a file that is compared when the policy changes.
func Snapshot(e *authz.Engine, requests []authz.Request) string {
	var lines []string
	for _, r := range requests {
		d, word := e.Decide(r), "deny "
		if d.Allowed {
			word = "allow"
		}
		lines = append(lines, fmt.Sprintf("%s %q %q %q %q", word, r.Subject, r.Domain, r.Object, r.Action))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[6:], b[6:]) })
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

// Diff lists the lines that two snapshots don't share, with - for the old and
// + for the new one.
func Diff(before, after string) []string {
	has := func(text string) map[string]bool {
		m := map[string]bool{}
		for line := range strings.Lines(text) {
			m[line] = true
		}
		return m
	}
	a, b := has(before), has(after)
	var list []string
	for line := range a {
		if !b[line] {
			list = append(list, "- "+strings.TrimSpace(line))
		}
	}
	for line := range b {
		if !a[line] {
			list = append(list, "+ "+strings.TrimSpace(line))
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		if c := strings.Compare(a[8:], b[8:]); c != 0 {
			return c
		}
		return -strings.Compare(a[:1], b[:1]) // the old line first
	})
	return list
}
