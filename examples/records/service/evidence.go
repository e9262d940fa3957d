package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/ocsf"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/report"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy/egress"
)

// criteria lists what a control serves, for a table.
func criteria(c catalogue.Control) string {
	return strings.Join(append(append([]string{}, c.Mapping.Enforces...), c.Mapping.Evidences...), " ")
}

// An auditRow is an event as people see it.
type auditRow struct {
	Index   uint64 `json:"index"`
	Time    string `json:"time"`
	Action  string `json:"action"`
	Outcome string `json:"outcome"`
	Actor   string `json:"actor"`
	Kind    string `json:"kind"`
	Reason  string `json:"reason,omitempty"`
	Target  string `json:"target,omitempty"`
}

// events returns the latest events of a tenant, newest first. Looking is an
// event itself.
func (s *Service) events(ctx context.Context, tenant, action string, most int) ([]auditRow, error) {
	var rows []auditRow
	for e, err := range s.log.Search(ctx, auditlog.Query{Tenant: tenant, Action: action}) {
		if err != nil {
			return nil, err
		}
		row := auditRow{
			Index: e.Index, Time: e.Time.Format(time.DateTime), Action: e.Action, Outcome: e.Outcome.String(),
			Actor: e.Actor.ID, Kind: e.Actor.Kind.String(), Reason: e.Reason,
		}
		if len(e.Targets) > 0 {
			row.Target = e.Targets[0].Type + " " + e.Targets[0].ID
		}
		rows = append(rows, row)
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows[:min(len(rows), most)], nil
}

func (s *Service) auditPage(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	rows, err := s.events(r.Context(), p.Tenant, "", 200)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	size, root := treeHead(s.log.Checkpoint())
	s.page(w, r, "audit.html", "Audit log", map[string]any{
		"Tenant": p.Tenant, "Entries": rows, "Size": size, "Root": root,
	})
}

func (s *Service) apiAudit(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	rows, err := s.events(r.Context(), p.Tenant, r.URL.Query().Get("action"), 1000)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"events": rows})
}

// siemRows say what this application's own actions are to a security
// information system.
func siemRows() []ocsf.Row {
	rows := []ocsf.Row{
		{Prefix: "pages", Class: ocsf.WebResources, Verbs: ocsf.Verbs{"home": 2, "style": 2, "icon": 2, "gpc": 2}},
		{Prefix: "privacy.page", Class: ocsf.WebResources, Verbs: ocsf.Verbs{"read": 2}},
		{Prefix: "privacy.erasure", Class: ocsf.EntityManagement, Verbs: ocsf.Verbs{"ask": 1}},
		{Prefix: "integrity", Class: ocsf.APIActivity, Verbs: ocsf.Verbs{"scan": 2}},
		{Prefix: "vendors", Class: ocsf.APIActivity, Verbs: ocsf.Verbs{"send": ocsf.Other}},
	}
	for _, prefix := range []string{"files", "account", "audit", "controls", "evidence", "findings", "requests", "holds", "breaches", "inventory", "disclosures", "notices", "documents", "reviews", "roles", "emergencies"} {
		rows = append(rows, ocsf.Row{Prefix: prefix, Class: ocsf.APIActivity, Verbs: ocsf.CRUD})
	}
	return rows
}

// apiSIEM exports the log of the caller's tenant as OCSF events, one a line.
func (s *Service) apiSIEM(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	var b bytes.Buffer // a demo's log is small; a real one is streamed to a file
	if _, err := s.log.Export(r.Context(), &b, auditlog.Query{Tenant: p.Tenant}, s.siem.Encoder()); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes()) // the caller may be gone
}

// apiFindings lists the open findings of the caller's tenant and the system's.
func (s *Service) apiFindings(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	var all []findings.Finding
	for _, tenant := range []string{p.Tenant, "system"} {
		list, err := s.findings.All(r.Context(), tenant)
		if err != nil {
			guard.Refuse(w, r, err)
			return
		}
		all = append(all, list...)
	}
	reply(w, map[string]any{"findings": all})
}

// apiScan looks for files of the caller's tenant that were changed past the
// service.
func (s *Service) apiScan(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	rep, err := s.people.scan(r.Context(), p.Tenant)
	if err != nil && !rep.Complete && rep.Rows == 0 {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"rows": rep.Rows, "wrong": rep.Wrong, "complete": rep.Complete, "keys": rep.Mismatch})
}

// apiEgress asks whether a person's data may be sent to a vendor: the register
// of vendors whether the vendor may be relied on, and the gate of disclosures
// whether the person's data may leave for it, which it then remembers. The demo
// sends nothing.
func (s *Service) apiEgress(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Vendor   string `json:"vendor"`
		Host     string `json:"host"`
		Category string `json:"category"`
		Subject  string `json:"subject"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	if err := s.vendors.Allow(r.Context(), body.Host, body.Category); err != nil {
		guard.Refuse(w, r, &guard.Denial{
			Control: "controls.register.vendor", Code: guard.PermissionDenied, Public: "Data of this category may not leave for that host.", Err: err,
		})
		return
	}
	p, _ := authn.FromContext(r.Context())
	if err := s.rights.out.Disclose(r.Context(), p.Tenant, egress.Disclosure{
		Recipient: body.Vendor, Subjects: []string{body.Subject}, Categories: []string{body.Category},
	}); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"allowed": true})
}

// evidence exports the evidence of the last day as one signed file.
func (s *Service) evidence(w http.ResponseWriter, r *http.Request) {
	bundle, err := s.bundle(r.Context(), time.Now())
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="evidence.zip"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(bundle)))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(bundle) // the caller may be gone
}

func (s *Service) bundle(ctx context.Context, now time.Time) ([]byte, error) {
	content, err := evidence.Collect(ctx, evidence.Sources{
		System: "records", Demo: s.o.Demo, Catalogue: s.catalogue, Monitor: s.monitor, Findings: s.findings,
		Tenants: []string{"system", "acme", "globex"}, Registers: s.registers, Log: s.log,
	}, now.AddDate(0, 0, -1), now)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := report.HTML(&page, content); err != nil {
		return nil, err
	}
	content.Extra = map[string][]byte{"report.html": page.Bytes()}
	var b bytes.Buffer
	if _, err := evidence.Write(&b, content, s.keys.evidenceKey()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// treeHead reads size and root off the log's own signed checkpoint (C2SP
// tlog-checkpoint), for people to look at. Auditors verify theirs.
func treeHead(note []byte) (size, root string) {
	lines := strings.SplitN(string(note), "\n", 4)
	if len(lines) < 4 {
		return "0", ""
	}
	return lines[1], lines[2]
}

// PublicKeys returns what an auditor needs to check the service's evidence
// without trusting it: handed over when the service begins, not taken from
// the evidence.
func (s *Service) PublicKeys() (log string, bundle []byte) {
	return s.verifier, fmt.Appendf(nil, "%s\n", base64.StdEncoding.EncodeToString(s.keys.evidenceKey()[32:]))
}
