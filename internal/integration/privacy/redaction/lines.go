package redaction

import (
	"fmt"
	"strings"

	"github.com/brianvoe/gofakeit/v7"
	"github.com/nyaruka/phonenumbers"

	"github.com/surety-go/surety/privacy/redact"
)

// A Label is a value that stands in a line.
type Label struct {
	Type  redact.Type
	Value string
}

// A Line is a log line with the values that must be found in it, and nothing
// else.
type Line struct {
	Text   string
	Labels []Label
}

// Lines makes n log lines, the same ones for one seed: a third JSON, a third
// key=value, a third prose, half of them without anything to be found but with
// numbers that look like something.
func Lines(seed uint64, n int) []Line {
	g := &generator{f: gofakeit.New(seed), regions: regions()}
	list := make([]Line, n)
	for i := range list {
		list[i] = g.line()
	}
	return list
}

type generator struct {
	f       *gofakeit.Faker
	regions []string
}

// regions lists the regions with an example number, in the metadata's order.
func regions() []string {
	var list []string
	for r := range phonenumbers.GetSupportedRegions() {
		if phonenumbers.GetExampleNumber(r) != nil {
			list = append(list, r)
		}
	}
	return sorted(list)
}

// value makes something to be found, and the name it usually has.
func (g *generator) value() (name string, l Label) {
	switch g.f.IntRange(0, 8) {
	case 0, 1:
		return g.pick("email", "user", "to", "login"), Label{redact.Email, g.f.Email()}
	case 2:
		n := phonenumbers.GetExampleNumber(g.regions[g.f.IntRange(0, len(g.regions)-1)])
		form := phonenumbers.INTERNATIONAL
		if g.f.Bool() {
			form = phonenumbers.E164
		}
		return g.pick("phone", "contact", "msisdn", "n"), Label{redact.Phone, phonenumbers.Format(n, form)}
	case 3:
		n := phonenumbers.GetExampleNumber(g.regions[g.f.IntRange(0, len(g.regions)-1)])
		return g.pick("phone", "mobile", "fax"), Label{redact.Phone, phonenumbers.Format(n, phonenumbers.NATIONAL)}
	case 4:
		return g.pick("card", "pan", "x"), Label{redact.Card, g.f.CreditCardNumber(&gofakeit.CreditCardOptions{Types: []string{"visa", "mastercard", "american-express", "discover"}, Gaps: g.f.Bool()})}
	case 5:
		return "ssn", Label{redact.NationalID, g.f.SSN()}
	case 6:
		return g.pick("client", "addr", "from"), Label{redact.IP, g.f.IPv4Address()}
	case 7:
		return g.pick("client", "peer"), Label{redact.IP, g.f.IPv6Address()}
	}
	return g.pick("password", "api_key", "secret"), Label{redact.Secret, g.f.Password(true, true, true, false, false, 16)}
}

func (g *generator) pick(list ...string) string { return list[g.f.IntRange(0, len(list)-1)] }

// decoy makes something that must be left alone.
func (g *generator) decoy() (name, value string) {
	switch g.f.IntRange(0, 9) {
	case 0:
		return "request_id", g.f.UUID()
	case 1:
		return "time", g.f.Date().Format("2006-01-02T15:04:05.000000000Z07:00")
	case 2:
		return "bytes", fmt.Sprint(g.f.IntRange(0, 1<<40))
	case 3:
		return "version", g.f.AppVersion()
	case 4:
		return "commit", g.f.Regex("[0-9a-f]{40}")
	case 5:
		return "order", fmt.Sprint(g.f.IntRange(1e8, 9e9))
	case 6:
		return "unix_ms", fmt.Sprint(g.f.Date().UnixMilli())
	case 7:
		return "agent", g.f.UserAgent()
	case 8:
		return "mac", g.f.MacAddress()
	}
	return "took_ms", fmt.Sprint(g.f.Float64Range(0, 1e4))
}

func (g *generator) line() Line {
	var l Line
	type field struct{ name, value string }
	fields := []field{{"msg", g.f.HackerVerb() + " " + g.f.HackerNoun()}}
	for range g.f.IntRange(1, 3) {
		k, v := g.decoy()
		fields = append(fields, field{k, v})
	}
	if g.f.Bool() {
		name, label := g.value()
		l.Labels = append(l.Labels, label)
		fields = append(fields, field{name, label.Value})
	}
	var b strings.Builder
	style := g.f.IntRange(0, 2)
	for i, f := range fields {
		switch style {
		case 0:
			fmt.Fprintf(&b, "%s%q:%q", map[bool]string{true: "{", false: ","}[i == 0], f.name, f.value)
		case 1:
			fmt.Fprintf(&b, "%s=%q ", f.name, f.value)
		default:
			fmt.Fprintf(&b, "%s %s: %s", map[bool]string{true: "", false: ";"}[i == 0], f.name, f.value)
		}
	}
	if style == 0 {
		b.WriteByte('}')
	}
	l.Text = b.String()
	return l
}
