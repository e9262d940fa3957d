package inventory

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/surety-go/surety/internal/textsafe"
	"github.com/surety-go/surety/privacy"
)

// A Format is how an export is written.
type Format uint8

// The formats.
const (
	HTML Format = iota + 1
	CSV
	JSON
)

// A Record is one processing activity, Article 30(1) of the GDPR.
type Record struct {
	Purpose    string   `json:"purpose"`    // (b)
	Title      string   `json:"title"`      // (b)
	Basis      string   `json:"basis"`      // not asked for there, and always asked for
	Subjects   []string `json:"subjects"`   // (c)
	Categories []string `json:"categories"` // (c)
	Special    bool     `json:"special"`
	Recipients []string `json:"recipients"` // (d)
	Transfers  []string `json:"transfers"`  // (e)
	Retention  []string `json:"retention"`  // (f)
	Stores     []string `json:"stores"`
}

// Records lists the processing activities, by purpose.
func (inv *Inventory) Records() []Record {
	var list []Record
	for _, d := range inv.byPurpose() {
		r := Record{Purpose: string(d.Purpose), Title: d.Title, Basis: d.Basis.String()}
		for _, e := range inv.entries {
			if !slices.Contains(e.Purposes, d.Purpose) {
				continue
			}
			add(&r.Subjects, e.Subjects)
			add(&r.Categories, e.Category)
			add(&r.Retention, e.Category+" "+e.Retention)
			add(&r.Stores, e.Store+" ("+e.Country+")")
			r.Special = r.Special || e.Special
			for _, name := range e.Recipients {
				v, _ := inv.Recipient(name)
				if !slices.Contains(v.Purposes, d.Purpose) {
					continue
				}
				add(&r.Recipients, name+" ("+v.Role+")")
				if v.Transfer != "" {
					add(&r.Transfers, name+" in "+v.Country+": "+v.Transfer)
				}
			}
		}
		list = append(list, r)
	}
	return list
}

func add(list *[]string, s string) {
	if s != "" && !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

// Article30 writes the record of processing activities.
func (inv *Inventory) Article30(w io.Writer, f Format) error {
	return write(w, f, inv, "Record of processing activities", inv.Records())
}

func write[T any](w io.Writer, f Format, inv *Inventory, title string, rows []T) error {
	var err error
	switch f {
	case JSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		err = e.Encode(struct {
			Title      string     `json:"title"`
			Controller Controller `json:"controller"`
			Security   string     `json:"security"`
			Rows       []T        `json:"records"`
		}{title, inv.d.Controller, inv.d.Security, rows})
	case CSV:
		c := csv.NewWriter(w)
		for _, line := range lines(rows) {
			for i := range line {
				line[i] = textsafe.CSV(line[i])
			}
			if err = c.Write(line); err != nil {
				break
			}
		}
		c.Flush()
		if err == nil {
			err = c.Error()
		}
	case HTML:
		all := lines(rows)
		err = page.Execute(w, struct {
			Title      string
			Controller Controller
			Security   string
			Head       []string
			Rows       [][]string
		}{title, inv.d.Controller, inv.d.Security, all[0], all[1:]})
	default:
		return fmt.Errorf("inventory: there is no format %d", f)
	}
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	return nil
}

// lines lays records out as a table, with a head.
func lines[T any](rows []T) [][]string {
	var out [][]string
	switch list := any(rows).(type) {
	case []Record:
		out = [][]string{{"Purpose", "Title", "Basis", "Subjects", "Categories", "Special", "Recipients", "Transfers", "Retention", "Stores"}}
		for _, r := range list {
			out = append(out, []string{r.Purpose, r.Title, r.Basis, join(r.Subjects), join(r.Categories), yes(r.Special), join(r.Recipients), join(r.Transfers), join(r.Retention), join(r.Stores)})
		}
	case []Californian:
		out = [][]string{{"Category", "Name", "Collected", "Sensitive", "Sold or shared", "Disclosed to", "Purposes", "Retention"}}
		for _, r := range list {
			out = append(out, []string{r.Letter, r.Name, yes(r.Collected), yes(r.Sensitive), yes(r.Sold), join(r.Disclosed), join(r.Purposes), join(r.Retention)})
		}
	}
	return out
}

func join(list []string) string { return strings.Join(list, "; ") }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem;color:#1a1a1a;background:#fff}table{border-collapse:collapse}
th,td{border:1px solid #bbb;padding:.4rem .6rem;text-align:left;vertical-align:top}th{background:#f3f3f3}</style></head><body>
<h1>{{.Title}}</h1><p>{{.Controller.Name}}, {{.Controller.Contact}}{{with .Controller.Representative}}. Representative: {{.}}{{end}}{{with .Controller.DPO}}. Data protection officer: {{.}}{{end}}</p>
{{with .Security}}<p>Security: {{.}}</p>{{end}}
<table><thead><tr>{{range .Head}}<th scope="col">{{.}}</th>{{end}}</tr></thead><tbody>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody></table></body></html>
`))

// Californian is one of the categories of personal information that the CCPA
// wants listed, section 1798.140(v)(1).
type Californian struct {
	Letter    string   `json:"letter"`
	Name      string   `json:"name"`
	Collected bool     `json:"collected"`
	Sensitive bool     `json:"sensitive"` // 1798.140(ae)
	Sold      bool     `json:"sold_or_shared"`
	Disclosed []string `json:"disclosed_to"`
	Purposes  []string `json:"purposes"`
	Retention []string `json:"retention"`
}

// ccpa maps the categories of data to the CCPA's letters.
var ccpa = []struct {
	letter, name string
	categories   []string
}{
	{"A", "Identifiers", []string{"user.name", "user.contact", "user.unique_id", "user.account", "user.government_id"}},
	{"B", "Customer records (Civil Code 1798.80)", []string{"user.financial", "user.payment", "user.contact.address", "user.government_id"}},
	{"C", "Characteristics of protected classes", []string{"user.demographic", "user.race", "user.religious_belief", "user.sexual_orientation", "user.childrens"}},
	{"D", "Commercial information", []string{"user.behavior.purchase_history", "user.payment"}},
	{"E", "Biometric information", []string{"user.biometric", "user.genetic"}},
	{"F", "Internet or network activity", []string{"user.behavior", "user.device", "user.telemetry", "user.privacy_preferences"}},
	{"G", "Geolocation", []string{"user.location"}},
	{"H", "Audio, electronic, visual or similar information", []string{"user.sensor", "user.user_sensor", "user.content"}},
	{"I", "Professional or employment information", []string{"user.workplace", "user.job_title", "user.employment"}},
	{"J", "Education information", []string{"user.demographic.education"}},
	{"K", "Inferences", []string{"user.behavior.inferred"}},
	{"L", "Sensitive personal information", []string{"user.government_id", "user.authorization", "user.location.precise", "user.race", "user.religious_belief", "user.trade_union", "user.genetic", "user.biometric", "user.health_and_medical", "user.sexual_orientation", "user.criminal_history"}},
}

// Californian lists the CCPA's categories, collected or not.
func (inv *Inventory) Californian() []Californian {
	var list []Californian
	for _, c := range ccpa {
		r := Californian{Letter: c.letter, Name: c.name}
		for _, e := range inv.entries {
			if !slices.ContainsFunc(c.categories, func(x string) bool { return within(e.Category, x) }) && (c.letter != "L" || !e.Special) {
				continue
			}
			r.Collected = true
			r.Sensitive = r.Sensitive || e.Special || c.letter == "L"
			add(&r.Retention, e.Category+" "+e.Retention)
			for _, p := range e.Purposes {
				add(&r.Purposes, inv.title(p))
			}
			for _, name := range e.Recipients {
				v, _ := inv.Recipient(name)
				r.Sold = r.Sold || v.Sale
				add(&r.Disclosed, name)
			}
		}
		list = append(list, r)
	}
	return list
}

func (inv *Inventory) title(p privacy.Purpose) string { return inv.purposes[p].Title }

// CCPA writes the categories as a notice at collection needs them.
func (inv *Inventory) CCPA(w io.Writer, f Format) error {
	return write(w, f, inv, "Categories of personal information (CCPA)", inv.Californian())
}
