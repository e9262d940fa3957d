package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/controls/register"
)

// A Content is what a bundle says about a period.
type Content struct {
	System   string    // name of the system, for people
	Demo     bool      // data and credentials of a demonstration
	From, To time.Time // the period; From is inclusive
	Created  time.Time

	Catalogue *catalogue.Catalogue
	// Controls are the controls as mounted when the bundle was made. Those
	// read from a bundle have no probes.
	Controls    []controls.Control
	History     monitor.History
	Findings    map[string][]findings.Finding // by tenant
	Registers   map[string]json.RawMessage    // risks, vendors, policies
	Populations []Population
	// AuditLog is an export of the audit log in JSON Lines with the events of
	// the period whose actions begin with "controls."; the others are withheld
	// and stand with their hash. It may be nil.
	AuditLog []byte
	// Extra are further files by name, such as "report.html". They are hashed
	// and listed and otherwise not looked at.
	Extra map[string][]byte
}

// An Exporter is an audit log. An *auditlog.Log is one.
type Exporter interface {
	Export(ctx context.Context, w io.Writer, q auditlog.Query, enc auditlog.Encoder) (auditlog.Bounds, error)
}

// Sources are where [Collect] reads from. Registers and Log may be nil; the
// rest is required.
type Sources struct {
	System    string
	Demo      bool
	Catalogue *catalogue.Catalogue
	Monitor   *monitor.Monitor
	Findings  *findings.Tracker
	// Tenants are those whose findings are exported; empty means "system".
	Tenants   []string
	Registers *register.Set
	// Log is the audit log that monitor and findings record in. The export is
	// recorded there too, by the context's actor.
	Log Exporter
}

// Collect reads the content of a period. Nothing is probed: call the monitor's
// Run before, if the latest state matters. Populations and further files are
// the caller's to add.
func Collect(ctx context.Context, s Sources, from, to time.Time) (*Content, error) {
	if s.System == "" || s.Catalogue == nil || s.Monitor == nil || s.Findings == nil {
		return nil, errors.New("evidence: Collect needs a system name, a catalogue, a monitor and findings")
	}
	if !from.Before(to) {
		return nil, errors.New("evidence: Collect: the period is empty")
	}
	history, err := s.Monitor.History(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	c := &Content{
		System: s.System, Demo: s.Demo, From: history.From, To: history.To, Created: time.Now().UTC().Round(0),
		Catalogue: s.Catalogue, Controls: s.Catalogue.Assess(s.Monitor.Components()...).Controls,
		History: history, Findings: map[string][]findings.Finding{},
	}
	tenants := s.Tenants
	if len(tenants) == 0 {
		tenants = []string{"system"}
	}
	for _, t := range tenants {
		list, err := s.Findings.All(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("evidence: findings of %s: %w", t, err)
		}
		c.Findings[t] = list
	}
	if s.Registers != nil {
		if c.Registers, err = registers(s.Registers); err != nil {
			return nil, err
		}
	}
	if s.Log != nil {
		c.AuditLog, err = exported(ctx, s.Log, c.From, c.To)
	}
	return c, err
}

// exported reads the events of the period. What happened at its very end is
// recorded a moment later.
func exported(ctx context.Context, log Exporter, from, to time.Time) ([]byte, error) {
	var b bytes.Buffer
	q := auditlog.Query{From: from, To: to.Add(moment), Action: "controls.*"}
	if _, err := log.Export(ctx, &b, q, auditlog.JSONLines()); err != nil {
		return nil, fmt.Errorf("evidence: audit log: %w", err)
	}
	return b.Bytes(), nil
}

func registers(s *register.Set) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	for name, r := range map[string]json.Marshaler{"risks": s.Risks, "vendors": s.Vendors, "policies": s.Policies} {
		b, err := r.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("evidence: register %s: %w", name, err)
		}
		m[name] = b
	}
	return m, nil
}

// Assessment compares the controls with the catalogue.
func (c *Content) Assessment() *catalogue.Assessment { return c.Catalogue.AssessStated(c.Controls) }

// Latest returns the last probe of each control in the period, by key.
func (c *Content) Latest() map[string]monitor.Entry {
	m := map[string]monitor.Entry{}
	for _, e := range c.History.Entries {
		if e.Kind == monitor.Probed && !e.At.Before(m[e.Control].At) {
			m[e.Control] = e
		}
	}
	return m
}

// stated is how a control stands in a bundle.
type stated struct {
	ID         string      `json:"id"`
	Instance   string      `json:"instance,omitempty"`
	Parameters []parameter `json:"parameters,omitempty"`
}

type parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Unit  string `json:"unit,omitempty"`
}

func toStated(list []controls.Control) []stated {
	out := make([]stated, len(list))
	for i, c := range list {
		out[i] = stated{ID: c.ID, Instance: c.Instance}
		for _, p := range c.Parameters {
			out[i].Parameters = append(out[i].Parameters, parameter(p))
		}
	}
	return out
}

func fromStated(list []stated) []controls.Control {
	out := make([]controls.Control, len(list))
	for i, s := range list {
		out[i] = controls.Control{ID: s.ID, Instance: s.Instance}
		for _, p := range s.Parameters {
			out[i].Parameters = append(out[i].Parameters, controls.Parameter(p))
		}
	}
	return out
}
