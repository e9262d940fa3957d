package register

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

var vendorTiers = []string{"critical", "high", "medium", "low"}

// A Report is an examination report a vendor gave us.
type Report struct {
	Type    string    `yaml:"type,required" json:"type"` // such as SOC 2 Type II
	Expires time.Time `yaml:"expires,required" json:"expires"`
}

// An Agreement is a contract with a vendor; type dpa is a data processing
// agreement (GDPR Article 28).
type Agreement struct {
	Type    string    `yaml:"type,required" json:"type"`
	Signed  time.Time `yaml:"signed,required" json:"signed"`
	Expires time.Time `yaml:"expires" json:"expires,omitzero"` // zero: until ended
}

// A Subprocessor is whom a vendor hands data on to.
type Subprocessor struct {
	Name       string   `yaml:"name,required" json:"name"`
	Categories []string `yaml:"categories,required" json:"categories"`
}

// A Vendor is one entry of the vendor register.
type Vendor struct {
	ID            string         `yaml:"id,required" json:"id"`
	Name          string         `yaml:"name,required" json:"name"`
	Tier          string         `yaml:"tier,required" json:"tier"`
	Owner         string         `yaml:"owner,required" json:"owner"`
	Services      []string       `yaml:"services,required" json:"services"`
	Hosts         []string       `yaml:"hosts" json:"hosts,omitempty"`
	Categories    []string       `yaml:"categories" json:"categories,omitempty"`
	Report        *Report        `yaml:"report" json:"report,omitempty"`
	Agreements    []Agreement    `yaml:"agreements" json:"agreements,omitempty"`
	BreachClause  bool           `yaml:"breach_clause" json:"breach_clause"`
	Subprocessors []Subprocessor `yaml:"subprocessors" json:"subprocessors,omitempty"`
	Reviewed      time.Time      `yaml:"reviewed,required" json:"reviewed"`
	Review        time.Time      `yaml:"review,required" json:"review"`
}

// personal reports whether the vendor may get personal data: categories below
// "user", as in controls/classify.
func (v *Vendor) personal() bool {
	return slices.ContainsFunc(v.Categories, func(c string) bool { return covers("user", c) })
}

// Vendors is the vendor register. It never changes after it is loaded.
type Vendors struct {
	file vendorFile
	env  env
}

type vendorFile struct {
	Vendors []Vendor `yaml:"vendors" json:"vendors"`
}

// All returns the vendors in the order of the file.
func (v *Vendors) All() []Vendor { return slices.Clone(v.file.Vendors) }

// MarshalJSON writes the register as it stands in evidence.
func (v *Vendors) MarshalJSON() ([]byte, error) { return json.Marshal(v.file) }

var (
	hostForm     = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	categoryForm = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,5}$`)
)

func (e env) vendors(name string) (*Vendors, error) {
	v := &Vendors{env: e}
	c, err := e.open(name, &v.file)
	if err != nil {
		return nil, err
	}
	hosts := map[string]string{}
	for i := range v.file.Vendors {
		vendor, path := &v.file.Vendors[i], fmt.Sprintf("vendors[%d]", i)
		c.vendor(path, vendor)
		for j, h := range vendor.Hosts {
			field := fmt.Sprintf("%s.hosts[%d]", path, j)
			if !hostForm.MatchString(h) || len(h) > 253 {
				c.fail(field, "a lower-case host name without a port is wanted, got %q", strictyaml.Clip(h))
			}
			if other, ok := hosts[h]; ok {
				c.fail(field, "the host %s belongs to %s already", strictyaml.Clip(h), other)
			}
			hosts[h] = vendor.ID
		}
	}
	return v, c.err()
}

func (c *checker) vendor(path string, v *Vendor) {
	c.id(path+".id", v.ID)
	c.oneOf(path+".tier", v.Tier, vendorTiers)
	c.review(path+".review", v.Reviewed, v.Review)
	c.categories(path+".categories", v.Categories)
	if (v.Tier == "critical" || v.Tier == "high") && v.Report == nil {
		c.fail(path+".report", "a vendor of tier %s needs an examination report", v.Tier)
	}
	if v.personal() {
		if !slices.ContainsFunc(v.Agreements, func(a Agreement) bool { return a.Type == "dpa" }) {
			c.fail(path+".agreements", "a vendor that gets personal data needs an agreement of type dpa")
		}
		if !v.BreachClause {
			c.fail(path+".breach_clause", "a vendor that gets personal data must be bound to report disclosures")
		}
	}
	for i, s := range v.Subprocessors {
		field := fmt.Sprintf("%s.subprocessors[%d].categories", path, i)
		c.categories(field, s.Categories)
		for _, category := range s.Categories {
			if !v.gets(category) {
				c.fail(field, "a subprocessor gets no more than the vendor, got %q", strictyaml.Clip(category))
			}
		}
	}
}

func (c *checker) categories(path string, list []string) {
	for i, category := range list {
		if !categoryForm.MatchString(category) {
			c.fail(fmt.Sprintf("%s[%d]", path, i), "a data category such as user.contact.email is wanted, got %q", strictyaml.Clip(category))
		}
	}
}

// covers reports whether a category is the allowed one or lies below it.
func covers(allowed, category string) bool {
	return category == allowed || strings.HasPrefix(category, allowed+".")
}

func (v *Vendor) gets(category string) bool {
	return slices.ContainsFunc(v.Categories, func(allowed string) bool { return covers(allowed, category) })
}

// vendorOf finds whom a host belongs to. An exact name wins over a pattern.
func (v *Vendors) vendorOf(host string) *Vendor {
	_, parent, _ := strings.Cut(host, ".")
	var found *Vendor
	for i := range v.file.Vendors {
		vendor := &v.file.Vendors[i]
		if slices.Contains(vendor.Hosts, host) {
			return vendor
		}
		if parent != "" && slices.Contains(vendor.Hosts, "*."+parent) {
			found = vendor
		}
	}
	return found
}

// Check says at a time whether data of a category may leave for a host: nil,
// or an [*EgressError]. It records nothing; [Vendors.Gate] does.
func (v *Vendors) Check(host, category string, at time.Time) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	deny := func(vendor, why string) error {
		return &EgressError{Host: strictyaml.Clip(host), Category: strictyaml.Clip(category), Vendor: vendor, Why: why}
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return deny("", "an address is no vendor's host name")
	}
	if !hostForm.MatchString(host) || strings.HasPrefix(host, "*") {
		return deny("", "the host name is malformed")
	}
	vendor := v.vendorOf(host)
	switch {
	case vendor == nil:
		return deny("", "no vendor in the register has this host")
	case !categoryForm.MatchString(category) || !vendor.gets(category):
		return deny(vendor.ID, "the vendor may not get this category")
	}
	if why := vendor.lapsed(at); why != "" {
		return deny(vendor.ID, why)
	}
	return nil
}

// lapsed says why nothing may go to the vendor at the time, or is empty.
func (v *Vendor) lapsed(at time.Time) string {
	switch {
	case past(v.Review, at):
		return "the review was due on " + v.Review.Format(time.DateOnly)
	case v.Reviewed.After(at):
		return "the review of " + v.Reviewed.Format(time.DateOnly) + " lies in the future"
	case v.Report != nil && past(v.Report.Expires, at):
		return "the report expired on " + v.Report.Expires.Format(time.DateOnly)
	}
	if !v.personal() {
		return ""
	}
	for _, a := range v.Agreements {
		if a.Type == "dpa" && !a.Signed.After(at) && (a.Expires.IsZero() || !past(a.Expires, at)) {
			return ""
		}
	}
	return "no data processing agreement is in force"
}

// Issues lists vendors whose review, report or agreement has lapsed.
func (v *Vendors) Issues(at time.Time) []Issue {
	var list []Issue
	for _, vendor := range v.file.Vendors {
		if why := vendor.lapsed(at); why != "" {
			list = append(list, Issue{"vendors", vendor.ID, vendor.Owner, why})
		}
	}
	return list
}

// undeclared is a host name that no register can have: RFC 2606 reserves it.
const undeclared = "undeclared.invalid"

// Controls lists controls.register.vendor. Its probe asks for egress to a host
// that is not declared, which must be refused, and fails on any issue.
func (v *Vendors) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "controls.register.vendor",
		Parameters: []controls.Parameter{controls.Int("vendors", len(v.file.Vendors))},
		Probe: func(context.Context) controls.Result {
			at := v.env.now()
			if v.Check(undeclared, "user", at) == nil {
				return controls.Failed("data may leave for a host that nobody declared")
			}
			return summary(v.Issues(at), "%d vendors, each current; an undeclared host was refused", len(v.file.Vendors))
		},
	}}
}
