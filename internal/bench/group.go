package main

import (
	"fmt"
	"testing"
)

// groups are all there is to measure, in the order of docs/performance.md.
// They are functions because what they measure may be costly to set up.
var groups = []func() Group{
	guards,
	aead,
	sealing,
	streams,
	auditLog,
	limits,
	rules,
	tokens,
	decisions,
	sessionChecks,
	passwords,
	redaction,
}

// A Group is one question.
type Group struct {
	Name  string // for -group and the place in the document: lower case, no spaces
	Title string
	Note  string // what is compared, in a sentence or two of Markdown
	Cases []Case
}

// A Case is one workload. Its first row is the floor.
type Case struct {
	Name string
	Rows []Row
}

// A Kind says what a row stands for.
type Kind string

// The kinds of rows.
const (
	Floor Kind = "floor"
	Peer  Kind = "peer"
	Ours  Kind = "ours"
)

// A Row is one way to do the work of its case.
type Row struct {
	Kind Kind
	Name string
	// Bench does the work in a loop over b.Loop. It panics if the work fails:
	// what b.Fatal says is lost outside of go test.
	Bench func(b *testing.B)
}

// check is for the errors of a Bench.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// validate finds the mistakes one makes when adding a group.
func (g Group) validate() error {
	if len(g.Cases) == 0 {
		return fmt.Errorf("group %q has no cases", g.Name)
	}
	for _, c := range g.Cases {
		if len(c.Rows) == 0 || c.Rows[0].Kind != Floor {
			return fmt.Errorf("group %q, case %q: the first row is not the floor", g.Name, c.Name)
		}
		for _, r := range c.Rows[1:] {
			if r.Kind != Peer && r.Kind != Ours {
				return fmt.Errorf("group %q, case %q: row %q is a second floor or of no kind", g.Name, c.Name, r.Name)
			}
		}
	}
	return nil
}
