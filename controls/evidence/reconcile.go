package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

// checkLog verifies the export of the audit log and compares history and
// findings with it, both ways.
func (b *Bundle) checkLog(v *Verdict, policy *verify.Policy) {
	switch {
	case b.AuditLog == nil:
		v.Notes = append(v.Notes, "the bundle has no audit log: history and findings rest on the operator's word")
		return
	case policy == nil:
		v.Notes = append(v.Notes, "the audit log was not checked: its key was not given")
		return
	case len(policy.Witnesses) == 0:
		v.Notes = append(v.Notes, "the audit log was checked without witnesses: whoever holds its key could have written it anew")
	}
	report, err := verify.Export(bytes.NewReader(b.AuditLog), *policy)
	if err != nil {
		v.problem("log", "%v", err)
		return
	}
	for _, f := range report.Findings {
		v.problem("log", "%s", f)
	}
	if !report.OK() {
		return
	}
	events, err := b.logged()
	if err != nil {
		v.problem("log", "%v", err)
		return
	}
	b.reconcileRuns(v, events)
	b.reconcileFindings(v, events)
	v.Notes = append(v.Notes, fmt.Sprintf("%d events of the audit log were verified and compared with history and findings", report.Entries))
}

// logged reads the entries of a verified export.
func (b *Bundle) logged() ([]auditlog.Entry, error) {
	var list []auditlog.Entry
	lines := bufio.NewScanner(bytes.NewReader(b.AuditLog))
	lines.Buffer(make([]byte, 64<<10), 2*auditlog.MaxEntry)
	for lines.Scan() {
		var line struct{ Entry json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("a line of the audit log is no JSON: %w", err)
		}
		if line.Entry == nil {
			continue // the header, the end, or withheld
		}
		e, err := auditlog.ParseEntry(line.Entry)
		if err != nil {
			return nil, fmt.Errorf("the audit log: %w", err)
		}
		list = append(list, e)
	}
	return list, lines.Err()
}

func attr(e *auditlog.Entry, key string) string {
	for _, a := range e.Attrs {
		if a.Key == key {
			return a.Text()
		}
	}
	return ""
}

func target(e *auditlog.Entry, kind string) string {
	for _, t := range e.Targets {
		if t.Type == kind {
			return t.ID
		}
	}
	return ""
}

// isRun reports whether a monitor of the tenant recorded the event.
func isRun(e *auditlog.Entry, tenant string) bool {
	return e.Tenant == tenant && (e.Action == "controls.probe.run" || strings.HasPrefix(e.Action, "controls.monitor."))
}

// reconcileRuns wants an event for every entry of the history that says the
// same, and no event without an entry.
func (b *Bundle) reconcileRuns(v *Verdict, events []auditlog.Entry) {
	bySeq := map[uint64]*auditlog.Entry{}
	for i := range events {
		e := &events[i]
		if !isRun(e, b.History.Tenant) {
			continue
		}
		seq, err := strconv.ParseUint(attr(e, "seq"), 10, 64)
		if err != nil || bySeq[seq] != nil {
			v.problem("log", "the audit log has the run %s twice", clip(attr(e, "seq")))
			continue
		}
		bySeq[seq] = e
	}
	for _, e := range b.History.Entries {
		if e.At.Before(b.From) || e.At.After(b.To) {
			continue
		}
		if what := differs(&e, bySeq[e.Seq]); what != "" {
			v.problem("log", "entry %d of the history: %s", e.Seq, what)
		}
	}
	b.unexpected(v, bySeq)
}

// differs says how an entry contradicts its event, or is empty.
func differs(e *monitor.Entry, ev *auditlog.Entry) string {
	switch {
	case ev == nil:
		return "the audit log does not have it"
	case (e.Kind == monitor.Probed) != (ev.Action == "controls.probe.run") || target(ev, "control") != e.Control:
		return "in the audit log it is of another kind or control"
	case e.Kind == monitor.Probed && (attr(ev, "state") != e.State.String() || attr(ev, "observed") != e.Observed):
		return "in the audit log the probe ended otherwise"
	case ev.Time.Sub(e.At).Abs() > moment:
		return "in the audit log it has another time"
	}
	return ""
}

// unexpected finds events of the period that the history lacks. An event is
// recorded just after its entry was made: one before the first entry belongs
// to the time before the period, and of the last second another program of the
// same history may not have told yet.
func (b *Bundle) unexpected(v *Verdict, bySeq map[uint64]*auditlog.Entry) {
	var first uint64
	known := map[uint64]bool{}
	for i, e := range b.History.Entries {
		if known[e.Seq] = true; i == 0 || e.Seq < first {
			first = e.Seq
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(bySeq)) {
		if at := bySeq[seq].Time; !known[seq] && seq >= first && at.Before(b.To.Add(-time.Second)) {
			v.problem("log", "the audit log has run %d of %s, which the history lacks", seq, at.Format(time.RFC3339))
		}
	}
}

// verbs say which event goes with a step to each state.
var verbs = map[string]findings.State{
	"open": findings.Open, "reopen": findings.Open, "acknowledge": findings.Acknowledged, "remediate": findings.Remediated,
	"verify": findings.Verified, "close": findings.Closed, "accept": findings.RiskAccepted,
}

// reconcileFindings wants an event for every step, and every finding that was
// opened in the exported tenants.
func (b *Bundle) reconcileFindings(v *Verdict, events []auditlog.Entry) {
	type step struct {
		tenant, id string
		to         findings.State
	}
	seen, known := map[step]int{}, map[string]bool{}
	for tenant, list := range b.Findings {
		for _, f := range list {
			known[tenant+"\x00"+f.ID] = true
		}
	}
	for i := range events {
		verb, ok := strings.CutPrefix(events[i].Action, "controls.finding.")
		to, isStep := verbs[verb]
		if !ok || !isStep {
			continue
		}
		e, id := &events[i], target(&events[i], "finding")
		switch {
		case e.Outcome != auditlog.Success:
			seen[step{e.Tenant, id, to}]-- // recorded, and then not stored
		default:
			seen[step{e.Tenant, id, to}]++
		}
		if _, exported := b.Findings[e.Tenant]; exported && verb == "open" && !known[e.Tenant+"\x00"+id] && !e.Time.After(b.To) {
			v.problem("log", "finding %s was opened at %s and is not in the bundle", clip(id), e.Time.Format(time.RFC3339))
		}
	}
	for _, tenant := range slices.Sorted(maps.Keys(b.Findings)) {
		for _, f := range b.Findings[tenant] {
			for _, s := range f.Steps {
				if s.At.Before(b.From) || s.At.After(b.To) {
					continue
				}
				k := step{tenant, f.ID, s.To}
				if seen[k]--; seen[k] < 0 {
					v.problem("log", "finding %s: the audit log has no step to %s at %s", clip(f.ID), s.To, s.At.Format(time.RFC3339))
				}
			}
		}
	}
}
