package report

import (
	"embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/internal/textsafe"
)

//go:embed report.html report.css
var assets embed.FS

var marks = map[string]string{"good": "✓", "calm": "–", "warn": "!", "bad": "✕"}

var functions = template.FuncMap{
	"day":   func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"mark":  func(tone string) string { return marks[tone] },
	"title": func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
	"join":  func(s []string) string { return strings.Join(s, ", ") },
	"style": func() (template.CSS, error) {
		b, err := assets.ReadFile("report.css")
		return template.CSS(b), err //nolint:gosec // our own file, not the content's
	},
}

// HTML writes the report as one page that needs nothing else.
func HTML(w io.Writer, c *evidence.Content) error {
	t, err := template.New("report.html").Funcs(functions).ParseFS(assets, "report.html")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	v, err := build(c)
	if err != nil {
		return err
	}
	if err := t.Execute(w, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// Text writes the report for a terminal.
func Text(w io.Writer, c *evidence.Content) error {
	v, err := build(c)
	if err != nil {
		return err
	}
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(textsafe.Terminal(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")) + "\n")
	}
	line("%s, %s to %s", v.System, v.From.Format(time.DateTime), v.To.Format(time.DateTime))
	if v.Demo {
		line("DEMONSTRATION: data and credentials are not those of a real system")
	}
	line("%s", v.Verdict)
	for _, t := range v.Tiles {
		line("  %s %-22s %-10s %s", marks[t.Tone], t.Label, t.Value, t.Note)
	}
	for _, cat := range v.Categories {
		b.WriteByte('\n')
		line("%s", strings.ToUpper(cat.Name))
		for _, cr := range cat.Criteria {
			line("%-6s %-14s %s", cr.Criterion.ID, cr.Level, cr.Criterion.Paraphrase)
			for _, l := range cr.Lines {
				line("         %s %-32s %-9s %s", marks[l.Tone], l.Key, l.How, l.Result)
			}
			for _, o := range cr.Outside {
				line("         – %s (%s)", o.Evidence, o.Owner)
			}
		}
	}
	v.textTail(line)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func (v *view) textTail(line func(string, ...any)) {
	line("")
	line("CONTROLS")
	for _, c := range v.Controls {
		line("%s %-34s %d of %d runs good; %s", marks[c.Tone], c.Key, c.Good, c.Runs, c.Observed)
	}
	for _, p := range v.Problems {
		line("! %s", p)
	}
	for _, g := range v.Gaps {
		line("! gap: %s", g)
	}
	for _, f := range v.Findings {
		late := ""
		if f.Overdue {
			late = " OVERDUE"
		}
		line("%s %s %s %s, %s, due %s%s: %s", marks[f.Tone], f.ID, f.Severity, f.State, f.Owner, f.Due.Format(time.DateOnly), late, f.Summary)
	}
	if v.Registers != nil {
		line("")
		line("REGISTERS")
		v.Registers.text(line)
	}
}

// text lists the registers.
func (r *registers) text(line func(string, ...any)) {
	for _, k := range r.Risks {
		line("risk %s %s: %d, remaining %d of appetite %d, %s, review %s", k.ID, k.Title, k.Inherent().Value(), k.Remaining().Value(), r.Appetite, k.Owner, k.Review.Format(time.DateOnly))
	}
	for _, k := range r.Vendors {
		line("vendor %s %s: %s, %s, review %s", k.ID, k.Name, k.Tier, k.Owner, k.Review.Format(time.DateOnly))
	}
	for _, k := range r.Policies {
		line("policy %s %s: version %s, approved by %s, review %s", k.ID, k.Title, k.Version, k.ApprovedBy, k.Review.Format(time.DateOnly))
	}
}

// csvHeader are the columns of [CSV].
var csvHeader = []string{
	"criterion", "paraphrase", "kind", "coverage", "control", "title", "how", "owner", "tested_every", "last_result",
	"last_run", "runs", "runs_good", "observed", "iso27001", "csf", "gdpr",
}

// CSV writes one row per criterion and control; a criterion without a control
// has one row.
func CSV(w io.Writer, c *evidence.Content) error {
	v, err := build(c)
	if err != nil {
		return err
	}
	byKey := map[string]control{}
	for _, k := range v.Controls {
		byKey[k.Key] = k
	}
	out := csv.NewWriter(w)
	write := func(cells ...string) {
		for i := range cells {
			cells[i] = textsafe.CSV(cells[i])
		}
		_ = out.Write(cells) // out.Error has it
	}
	write(csvHeader...)
	for _, cat := range v.Categories {
		for _, cr := range cat.Criteria {
			head := []string{cr.Criterion.ID, cr.Criterion.Paraphrase, cr.Criterion.Kind.String(), cr.Level.String()}
			if len(cr.Lines) == 0 {
				write(append(head, make([]string, len(csvHeader)-len(head))...)...)
			}
			for _, l := range cr.Lines {
				write(append(append([]string(nil), head...), row(l, byKey[l.Key])...)...)
			}
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func row(l line, c control) []string {
	last := ""
	if !c.At.IsZero() {
		last = c.At.UTC().Format(time.RFC3339)
	}
	return []string{
		l.Key, c.Title, l.How, c.Owner, c.Every.String(), c.Result, last, fmt.Sprint(c.Runs), fmt.Sprint(c.Good), c.Observed,
		strings.Join(c.Mapping.ISO27001, " "), strings.Join(c.Mapping.CSF, " "), strings.Join(c.Mapping.GDPR, " "),
	}
}
