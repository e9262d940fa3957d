package evidence

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// A Population is all items of a kind, from which an auditor samples.
type Population struct {
	Name    string     // file name without extension: lower-case words, digits, "-"
	Control string     // ID of the control whose population it is
	Source  string     // how the items were selected, for people
	Header  []string   // column names
	Rows    [][]string // as many columns each; no personal data beyond need
}

// eventColumns are the columns of [Events]. The index lets an auditor ask for
// the proof of any row (auditlog.Log.Proof).
var eventColumns = []string{"index", "time", "action", "outcome", "reason", "tenant", "actor", "targets"}

// Events makes a population of events of the audit log, such as all logins of
// the period:
//
//	logins, err := evidence.Events("logins", "authn.login", "action authn.login.complete", log.Search(ctx, query))
//
// Attributes are left out: a population says which events there were, and the
// log has the rest. A search rests on an index that whoever can write to the
// log's directory can blind; where completeness has to be proven, the auditor
// counts the rows against a verified export.
func Events(name, control, source string, events iter.Seq2[auditlog.Indexed, error]) (Population, error) {
	p := Population{Name: name, Control: control, Source: source, Header: eventColumns}
	for e, err := range events {
		if err != nil {
			return Population{}, fmt.Errorf("evidence: population %s: %w", name, err)
		}
		targets := make([]string, len(e.Targets))
		for i, t := range e.Targets {
			targets[i] = t.Type + ":" + t.ID
		}
		p.Rows = append(p.Rows, []string{
			strconv.FormatUint(e.Index, 10), e.Time.UTC().Format(time.RFC3339Nano), e.Action, e.Outcome.String(), e.Reason,
			e.Tenant, e.Actor.ID, strings.Join(targets, " "),
		})
	}
	return p, nil
}
