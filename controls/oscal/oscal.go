package oscal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

// ComponentDefinition writes the mounted controls as components.
func ComponentDefinition(w io.Writer, c *evidence.Content) error {
	source := uuid("criteria")
	d := componentDefinition{
		UUID: uuid("component-definition", c.System, stamp(c.Created)), Metadata: head(c, "Controls of "+c.System),
		BackMatter: &backMatter{[]resource{{
			source, "Trust Services Criteria",
			"TSP section 100, 2017 Trust Services Criteria with the revised points of focus of 2022, by id. Their text is the AICPA's.",
		}}},
	}
	roles := map[string]string{}
	for _, s := range c.Assessment().Controls {
		entry, known := c.Catalogue.Control(s.ID)
		if known {
			roles[token(entry.Owner)] = entry.Owner
		}
		d.Components = append(d.Components, asComponent(c.System, s, entry, known, "#"+source))
	}
	for _, id := range slices.Sorted(maps.Keys(roles)) {
		d.Metadata.Roles = append(d.Metadata.Roles, role{id, text(roles[id])})
	}
	return write(w, "component-definition", d)
}

func head(c *evidence.Content, title string) metadata {
	m := metadata{
		Title: text(title), LastModified: stamp(c.Created), OSCALVersion: version,
		Version: text(c.To.UTC().Format("2006-01-02T15:04:05Z")),
	}
	if c.Demo {
		m.Props = []property{prop("demonstration", "true")}
	}
	return m
}

func asComponent(system string, s controls.Control, entry catalogue.Control, known bool, source string) component {
	out := component{
		UUID: uuid("component", system, s.Key()), Type: "software", Title: text(s.Key()), Description: "Not in the catalogue.",
		Props: []property{prop("control", s.ID)},
	}
	for _, p := range s.Parameters {
		value := p.Value
		if p.Unit != "" {
			value += " " + p.Unit
		}
		out.Props = append(out.Props, prop("parameter."+p.Name, value))
	}
	if !known {
		return out
	}
	out.Title, out.Description = text(entry.Title+" ("+s.Key()+")"), text(entry.Statement)
	out.Props = append(out.Props, prop("tested-every", entry.Every.String()), prop("test", string(entry.Test)))
	out.Roles = []responsible{{token(entry.Owner)}}
	impl := implementation{UUID: uuid("implementation", system, s.Key()), Source: source, Description: text(entry.Statement)}
	for how, ids := range map[string][]string{"enforces": entry.Mapping.Enforces, "evidences": entry.Mapping.Evidences} {
		for _, id := range ids {
			criterion, _ := catalogue.CriterionByID(id)
			impl.Requirements = append(impl.Requirements, requirement{
				UUID: uuid("requirement", system, s.Key(), id), Control: id,
				Description: text(how + " part of: " + criterion.Paraphrase), Props: []property{prop("how", how)},
			})
		}
	}
	slices.SortFunc(impl.Requirements, func(a, b requirement) int { return cmp.Compare(a.Control, b.Control) })
	out.Implementations = []implementation{impl}
	return out
}

// AssessmentResults writes the last probe of each mounted control as an
// observation and a finding, and deficiencies that are not closed as risks.
func AssessmentResults(w io.Writer, c *evidence.Content) error {
	plan := uuid("plan")
	r := result{
		UUID: uuid("result", c.System, stamp(c.From), stamp(c.To)), Title: text("Probes of " + c.System), Start: stamp(c.From), End: stamp(c.To),
		Description: text(fmt.Sprintf("%d entries of the probe history, %d gaps.", len(c.History.Entries), len(c.History.Gaps))),
		Props:       []property{prop("entries", strconv.Itoa(len(c.History.Entries))), prop("gaps", strconv.Itoa(len(c.History.Gaps)))},
	}
	risks := map[string][]relatedRisk{} // by control
	for _, tenant := range slices.Sorted(maps.Keys(c.Findings)) {
		for _, f := range c.Findings[tenant] {
			if f.State != findings.Closed {
				id := uuid("risk", c.System, tenant, f.ID)
				risks[f.Control] = append(risks[f.Control], relatedRisk{id})
				r.Risks = append(r.Risks, asRisk(id, tenant, &f))
			}
		}
	}
	latest := c.Latest()
	for _, s := range c.Assessment().Controls {
		entry, _ := c.Catalogue.Control(s.ID)
		run, probed := latest[s.Key()]
		r.control(c.System, s, entry, run, probed, risks[s.Key()])
	}
	r.Reviewed.Selections = []selection{{Include: included(c)}}
	if len(r.Reviewed.Selections[0].Include) == 0 {
		r.Reviewed.Selections = []selection{{All: &struct{}{}}}
	}
	return write(w, "assessment-results", assessmentResults{
		UUID: uuid("assessment-results", c.System, stamp(c.From), stamp(c.To), stamp(c.Created)), Metadata: head(c, "Probes of "+c.System),
		ImportAP: href{"#" + plan}, Results: []result{r},
		BackMatter: backMatter{[]resource{{
			plan, "Catalogue of controls",
			"The plan is the catalogue of the evidence bundle (catalogue.json): it says how each control is tested and how often.",
		}}},
	})
}

// included lists the IDs of the mounted controls once each.
func included(c *evidence.Content) (list []selected) {
	for _, s := range c.Assessment().Controls {
		if id := (selected{token(s.ID)}); !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// control adds what is known of one mounted control.
func (r *result) control(system string, s controls.Control, entry catalogue.Control, run monitor.Entry, probed bool, risks []relatedRisk) {
	id := uuid("component", system, s.Key())
	title := cmp.Or(entry.Title, "Unknown control")
	if r.Local == nil {
		r.Local = &local{}
	}
	r.Local.Components = append(r.Local.Components, localComponent{id, "software", text(s.Key()), text(cmp.Or(entry.Statement, "Not in the catalogue.")), state{"operational"}})
	f := finding{
		UUID: uuid("finding", system, s.Key(), r.Start, r.End), Title: text(title + " (" + s.Key() + ")"), Description: "The control was never probed in the period.",
		Target: target{"objective-id", token(s.ID), targetStatus{"not-satisfied", "other"}}, Risks: risks,
	}
	if probed {
		o := asObservation(system, id, entry, &run)
		r.Observations = append(r.Observations, o)
		f.Description, f.Observations = o.Description, []relatedObservation{{o.UUID}}
		f.Target.Status = status(run.State)
	}
	r.Findings = append(r.Findings, f)
}

func status(s controls.State) targetStatus {
	switch s {
	case controls.Pass:
		return targetStatus{"satisfied", "pass"}
	case controls.NotApplicable:
		return targetStatus{"satisfied", "other"}
	case controls.Fail:
		return targetStatus{"not-satisfied", "fail"}
	}
	return targetStatus{"not-satisfied", "other"}
}

func asObservation(system, component string, entry catalogue.Control, run *monitor.Entry) observation {
	method := "TEST"
	if entry.Test == catalogue.Inspection {
		method = "EXAMINE"
	}
	return observation{
		UUID: uuid("observation", system, run.Control, stamp(run.At)), Title: text("Probe of " + run.Control), Description: text(run.Observed),
		Props:   []property{prop("state", run.State.String()), prop("sequence", strconv.FormatUint(run.Seq, 10))},
		Methods: []string{method}, Types: []string{"control-objective"}, Subjects: []subject{{component, "component"}}, Collected: stamp(run.At),
	}
}

func asRisk(id, tenant string, f *findings.Finding) risk {
	out := risk{
		UUID: id, Title: text(f.Control), Description: text(f.Summary), Statement: text(f.Summary), Status: "open", Deadline: stamp(f.Due),
		Props: []property{prop("finding", f.ID), prop("tenant", tenant), prop("severity", f.Severity.String()), prop("owner", f.Owner)},
	}
	switch f.State {
	case findings.RiskAccepted:
		out.Status = "deviation-approved"
	case findings.Remediated, findings.Verified:
		out.Status = "remediating"
	}
	return out
}

func write(w io.Writer, name string, model any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	if err := enc.Encode(map[string]any{name: model}); err != nil {
		return fmt.Errorf("oscal: %s: %w", name, err)
	}
	return nil
}
