// Package inventory is the map of personal data: which fields of which tables
// hold it, about whom, for which purposes, on what basis, for how long, where,
// and who else gets it. It is read from the struct tags of package
// controls/classify and a few declarations that tags can't make.
//
//	inv, err := inventory.New(&registry, purposes, inventory.Declarations{…}, inventory.Options{})
//	err = inv.Article30(w, inventory.HTML)         // GDPR, Article 30(1)
//	h = inventory.Declared[SignUp](log, h)    // refuses fields nobody declared
//
// New lists everything that is missing, as [Problem]s: a personal field without
// a purpose or a retention, a purpose nobody declared, a table without a
// declaration. An application's test asserts that there are none
// (privacy/privacytest). Declarations carry the date on which someone last
// looked whether they are true; the control fails when that is too long ago.
package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/privacy"
)

// ErrInventory is wrapped by the error of an inventory with problems.
var ErrInventory = errors.New("inventory: incomplete")

// A Controller answers for the processing.
type Controller struct{ Name, Contact, Representative, DPO string }

// A Table says of a registered table what its tags can't.
type Table struct {
	Name     string
	Subjects string // about whom: "customers", "employees"
	Store    string // where: "PostgreSQL, Frankfurt"
	Country  string // ISO 3166-1 alpha-2
	Verified time.Time
}

// A Recipient gets personal data: a vendor, an authority, a group company.
type Recipient struct {
	Name       string
	Role       string // "processor", "controller", "authority"
	Purposes   []privacy.Purpose
	Categories []string // of data; "user.contact" stands for all below it
	Country    string   // ISO 3166-1 alpha-2
	Transfer   string   // the safeguard for a third country: "SCC 2021/914", "adequacy"; empty inside the EEA
	Sale       bool     // whether California calls it selling or sharing
	Verified   time.Time
}

// Declarations are what tags can't say.
type Declarations struct {
	Controller Controller
	Tables     []Table
	Recipients []Recipient
	Security   string // measures in general, Article 30(1)(g)
}

// Options are the options of an [Inventory].
type Options struct {
	// Stale is how old a verification may be; 0 is 365 days.
	Stale time.Duration
}

// An Entry is one field of the map.
type Entry struct {
	Table, Field, Column string
	Category             string
	Special              bool
	Subjects             string
	Purposes             []privacy.Purpose
	Bases                []string
	Retention            string
	Store, Country       string
	Encrypted            bool
	Recipients           []string
	Verified             time.Time
}

// A Problem is something the inventory lacks.
type Problem struct{ Object, Missing string }

// String writes the problem as "object: what is missing".
func (p Problem) String() string { return p.Object + ": " + p.Missing }

// An Inventory is a checked map. It never changes.
type Inventory struct {
	entries  []Entry
	purposes map[privacy.Purpose]privacy.Declaration
	d        Declarations
	o        Options
	problems []Problem
	now      func() time.Time
}

// New makes the map. With problems it returns both the inventory, so that
// they can be shown, and an error that wraps [ErrInventory].
func New(r *classify.Registry, purposes []privacy.Declaration, d Declarations, o Options) (*Inventory, error) {
	if r == nil {
		return nil, fmt.Errorf("%w: there is no registry", ErrInventory)
	}
	if o.Stale == 0 {
		o.Stale = 365 * 24 * time.Hour
	}
	inv := &Inventory{purposes: map[privacy.Purpose]privacy.Declaration{}, d: d, o: o, now: time.Now}
	for _, p := range purposes {
		inv.purposes[p.Purpose] = p
	}
	if d.Controller.Name == "" || d.Controller.Contact == "" {
		inv.missing("controller", "a name and a contact")
	}
	for _, name := range r.Tables() {
		s, _ := r.Table(name)
		inv.table(name, s)
	}
	for _, t := range d.Tables {
		if _, ok := r.Table(t.Name); !ok {
			inv.missing(t.Name, "a registered type: it is declared only")
		}
	}
	for _, v := range d.Recipients {
		inv.recipient(v)
	}
	if len(inv.problems) > 0 {
		return inv, fmt.Errorf("%w: %d problems, the first: %s", ErrInventory, len(inv.problems), inv.problems[0])
	}
	return inv, nil
}

func (inv *Inventory) missing(object, what string) {
	inv.problems = append(inv.problems, Problem{object, what})
}

func (inv *Inventory) table(name string, s classify.Schema) {
	i := slices.IndexFunc(inv.d.Tables, func(t Table) bool { return t.Name == name })
	declared := false
	for _, f := range s.Fields {
		if !f.Personal && !f.Special {
			continue
		}
		if !declared && (i < 0 || inv.d.Tables[i].Subjects == "" || inv.d.Tables[i].Store == "" || inv.d.Tables[i].Country == "" || inv.d.Tables[i].Verified.IsZero()) {
			inv.missing(name, "a declaration with subjects, store, country and the date it was verified")
		}
		declared = true
		e := inv.field(name, f)
		if i >= 0 {
			t := inv.d.Tables[i]
			e.Subjects, e.Store, e.Country, e.Verified = t.Subjects, t.Store, t.Country, t.Verified
		}
		inv.entries = append(inv.entries, e)
	}
}

func (inv *Inventory) field(table string, f classify.Field) Entry {
	object := table + "." + f.Path
	e := Entry{
		Table: table, Field: f.Path, Column: f.Column, Category: f.Category, Special: f.Special,
		Retention: f.Retention.String(), Encrypted: f.Encryption != classify.None,
	}
	if len(f.Purposes) == 0 {
		inv.missing(object, "a purpose")
	}
	if f.Retention.IsZero() {
		inv.missing(object, "a retention")
	}
	if !knownCategory(f.Category) {
		inv.missing(object, "a category of data, such as user.contact.email")
	}
	for _, p := range f.Purposes {
		d, ok := inv.purposes[privacy.Purpose(p)]
		if !ok {
			inv.missing(object, fmt.Sprintf("a declaration of its purpose %q", p))
			continue
		}
		e.Purposes = append(e.Purposes, d.Purpose)
		if b := d.Basis.String(); !slices.Contains(e.Bases, b) {
			e.Bases = append(e.Bases, b)
		}
	}
	for _, v := range inv.d.Recipients {
		if v.gets(f.Category) && slices.ContainsFunc(e.Purposes, func(p privacy.Purpose) bool { return slices.Contains(v.Purposes, p) }) {
			e.Recipients = append(e.Recipients, v.Name)
		}
	}
	return e
}

func (v Recipient) gets(category string) bool {
	return slices.ContainsFunc(v.Categories, func(c string) bool { return within(category, c) })
}

// within reports whether a category is another one or lies below it.
func within(category, above string) bool {
	return category == above || strings.HasPrefix(category, above+".")
}

func (inv *Inventory) recipient(v Recipient) {
	object := "recipient " + v.Name
	if v.Name == "" || v.Role == "" || len(v.Categories) == 0 || v.Country == "" || v.Verified.IsZero() {
		inv.missing(object, "name, role, categories, country and the date it was verified")
	}
	if !eea[v.Country] && v.Transfer == "" {
		inv.missing(object, "a safeguard for the transfer to "+v.Country)
	}
	if len(v.Purposes) == 0 {
		inv.missing(object, "a purpose")
	}
	for _, p := range v.Purposes {
		if _, ok := inv.purposes[p]; !ok {
			inv.missing(object, fmt.Sprintf("a declaration of its purpose %q", p))
		}
	}
}

var eea = func() map[string]bool {
	m := map[string]bool{}
	for c := range strings.FieldsSeq("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK") {
		m[c] = true
	}
	return m
}()

// fideslang lists the second level of fideslang's data categories.
const fideslang = " account authorization behavior biometric childrens contact content criminal_history demographic device employment " +
	"financial genetic government_id health_and_medical job_title location name payment political_opinion privacy_preferences race religious_belief " +
	"sensor sexual_orientation social telemetry trade_union unique_id user_sensor workplace "

// knownCategory reports whether a category is one of fideslang's, by its first
// two levels.
func knownCategory(c string) bool {
	parts := strings.Split(c, ".")
	return len(parts) >= 2 && (parts[0] == "user" && strings.Contains(fideslang, " "+parts[1]+" ") || parts[0] == "system" && parts[1] == "operations")
}

// Problems lists what is missing.
func (inv *Inventory) Problems() []Problem { return slices.Clone(inv.problems) }

// Map lists the personal fields, by table in the order of the registry.
func (inv *Inventory) Map() []Entry { return slices.Clone(inv.entries) }

// Tables lists the tables that hold personal data, for erasuresql.
func (inv *Inventory) Tables() []string {
	var list []string
	for _, e := range inv.entries {
		if !slices.Contains(list, e.Table) {
			list = append(list, e.Table)
		}
	}
	return list
}

// Recipient returns a declared recipient.
func (inv *Inventory) Recipient(name string) (Recipient, bool) {
	i := slices.IndexFunc(inv.d.Recipients, func(v Recipient) bool { return v.Name == name })
	if i < 0 {
		return Recipient{}, false
	}
	return inv.d.Recipients[i], true
}

// stale lists what was verified too long ago, oldest first.
func (inv *Inventory) stale() []string {
	type dated struct {
		name string
		at   time.Time
	}
	var list []dated
	add := func(name string, at time.Time) {
		if inv.now().Sub(at) > inv.o.Stale {
			list = append(list, dated{name, at})
		}
	}
	for _, t := range inv.d.Tables {
		add(t.Name, t.Verified)
	}
	for _, v := range inv.d.Recipients {
		add(v.Name, v.Verified)
	}
	slices.SortStableFunc(list, func(a, b dated) int { return a.at.Compare(b.at) })
	names := make([]string, len(list))
	for i, d := range list {
		names[i] = d.name
	}
	return names
}

// Controls describes the inventory. The probe fails when something is missing
// or was not looked at for too long.
func (inv *Inventory) Controls() []controls.Control {
	return []controls.Control{{
		ID: "privacy.inventory",
		Parameters: []controls.Parameter{
			controls.Int("fields", len(inv.entries)), controls.Int("recipients", len(inv.d.Recipients)), controls.Duration("verified_within", inv.o.Stale),
		},
		Probe: func(context.Context) controls.Result {
			if n := len(inv.problems); n > 0 {
				return controls.Failed("%d things are missing, the first: %s", n, inv.problems[0])
			}
			if old := inv.stale(); len(old) > 0 {
				return controls.Failed("not verified for too long: %s", strings.Join(old, ", "))
			}
			return controls.Passed("%d fields of personal data are described and verified", len(inv.entries))
		},
	}}
}

// categories lists the categories in the map, in order, with what they are
// used for.
func (inv *Inventory) byPurpose() []privacy.Declaration {
	var list []privacy.Declaration
	for _, d := range inv.purposes {
		if slices.ContainsFunc(inv.entries, func(e Entry) bool { return slices.Contains(e.Purposes, d.Purpose) }) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b privacy.Declaration) int { return cmp.Compare(a.Purpose, b.Purpose) })
	return list
}
