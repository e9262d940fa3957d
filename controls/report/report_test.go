package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const evil = `<script>alert(1)</script>" onload="x` + "\x1b[31m"

// sample has a bit of everything, with hostile texts where texts come from
// outside.
func sample(t testing.TB) *evidence.Content {
	t.Helper()
	base, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := base.Overlay("app.yaml", []byte("omitted: [{id: ratelimit.firewall, reason: the balancer filters}]\norganisational: [{criterion: CC1.2, evidence: minutes of the board, owner: secretary}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := &evidence.Content{System: "Records " + evil, Demo: true, From: day, To: day.Add(24 * time.Hour), Created: day.Add(25 * time.Hour), Catalogue: cat}
	c.Controls = []controls.Control{
		{ID: "authz.policy", Parameters: []controls.Parameter{controls.Text("default", "deny")}},
		{ID: "authn.login", Instance: "web " + evil},
		{ID: "controls.monitor", Parameters: []controls.Parameter{controls.Int("heartbeat", 9), controls.Duration("timeout", time.Second)}},
		{ID: "authn.retina"},
		{ID: "authn.totp"},
		{ID: "health.drill"},
	}
	add := func(hour int, control, id string, s controls.State, observed string) {
		c.History.Entries = append(c.History.Entries, monitor.Entry{
			Seq: uint64(len(c.History.Entries) + 1), Kind: monitor.Probed, At: day.Add(time.Duration(hour) * time.Hour), Control: control, ID: id, State: s, Observed: observed, Every: time.Hour,
		})
	}
	for hour := range 24 {
		state := controls.Pass
		if hour == 20 {
			state = controls.Fail
		}
		add(hour, "authz.policy", "authz.policy", state, "a stranger was refused")
	}
	add(23, "authn.login/web "+evil, "authn.login", controls.Fail, "let in "+evil)
	add(23, "health.drill", "health.drill", controls.NotApplicable, "no replica")
	c.History.Gaps = []monitor.Gap{{Kind: monitor.Late, Control: "authz.policy", From: day, To: day.Add(time.Hour), Detail: "late " + evil}}
	c.Findings = map[string][]findings.Finding{"system": {
		{ID: "f-1", Control: "authn.login", Summary: "=cmd|' " + evil, Severity: findings.Critical, Owner: "head of security", State: findings.Open, Due: day, Seen: 3},
		{ID: "f-2", Control: "authz.policy", Summary: "let in", Severity: findings.High, Owner: "head of security", State: findings.Closed, Evidence: "run 21", Due: day, Seen: 1},
	}}
	c.Registers = map[string]json.RawMessage{
		"risks": json.RawMessage(`{"appetite":8,"objectives":[{"id":"O-1","text":"Records are safe"}],"risks":[{"id":"R-1","title":"Salaries leak <b>","category":"fraud",
			"objective":"O-1","owner":"head","likelihood":3,"impact":4,"residual":{"likelihood":3,"impact":3},"treatments":[{"control":"authz.sod"},{"plan":"Train","owner":"hr","due":"2026-06-01T00:00:00Z"}],
			"acceptance":{"approver":"ceo","reason":"r","until":"2026-05-01T00:00:00Z"},"reviewed":"2026-01-01T00:00:00Z","review":"2026-07-10T00:00:00Z"}]}`),
		"vendors": json.RawMessage(`{"vendors":[{"id":"V-1","name":"Mail GmbH","tier":"high","owner":"head","services":["mail"],"hosts":["api.mail.example"],"categories":["user.contact"],
			"report":{"type":"SOC 2 Type II","expires":"2026-12-31T00:00:00Z"},"breach_clause":true,"reviewed":"2026-01-01T00:00:00Z","review":"2026-07-11T00:00:00Z"}]}`),
		"policies": json.RawMessage(`{"policies":[{"id":"P-1","title":"Security","version":"3","owner":"head","approved_by":"chief","effective":"2026-01-01T00:00:00Z","review":"2026-12-31T00:00:00Z",
			"text":"x.md","sha256":"00","controls":["authn.*"]}]}`),
	}
	c.Populations = []evidence.Population{{Name: "logins", Control: "authn.login", Source: "audit log", Header: []string{"at"}, Rows: [][]string{{"1"}, {"2"}}}}
	return c
}

func render(t testing.TB, f func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func page(t testing.TB, c *evidence.Content) string {
	return render(t, func(b *bytes.Buffer) error { return HTML(b, c) })
}

func TestHTMLSaysWhatMatters(t *testing.T) {
	html := page(t, sample(t))
	for _, want := range []string{
		"Demonstration.", "2 of 6", "61", "CC6.1", "minutes of the board", "the balancer filters", "Unknown control",
		`<strong class="bad">✕ unit &#34;&#34;, want &#34;s&#34;</strong>`, "23 of 24 runs were good", "overdue", "run 21", "populations/logins.csv", "unknown control: authn.retina",
		"never probed", "not-applicable", "no replica", "suretycheck",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// The content comes from outside: nothing in it may act in a browser.
func TestHTMLIsInert(t *testing.T) {
	html := page(t, sample(t))
	for _, bad := range []string{"<script", "javascript:", "onload=\"x", "<img", "<link", "<iframe", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if !strings.Contains(html, "default-src &#39;none&#39;") && !strings.Contains(html, "default-src 'none'") {
		t.Error("the page has no policy against loading anything")
	}
}

var (
	idAttr  = regexp.MustCompile(` id="([^"]*)"`)
	hrefs   = regexp.MustCompile(`href="#([^"]*)"`)
	labels  = regexp.MustCompile(`aria-labelledby="([^"]*)"`)
	open    = regexp.MustCompile(`<(table|section|article|details|main|header|footer|nav|div|span|p|dl|ul|tr|td|th|a)\b`)
	closing = regexp.MustCompile(`</(table|section|article|details|main|header|footer|nav|div|span|p|dl|ul|tr|td|th|a)>`)
)

func TestHTMLIsAccessible(t *testing.T) {
	html := page(t, sample(t))
	ids := map[string]bool{}
	for _, m := range idAttr.FindAllStringSubmatch(html, -1) {
		if ids[m[1]] {
			t.Errorf("the id %s is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, re := range []*regexp.Regexp{hrefs, labels} {
		for _, m := range re.FindAllStringSubmatch(html, -1) {
			if !ids[m[1]] {
				t.Errorf("a reference to %q leads nowhere", m[1])
			}
		}
	}
	count := func(s string) int { return strings.Count(html, s) }
	if count("<table") != count("<caption>") {
		t.Errorf("%d tables, %d captions", count("<table"), count("<caption>"))
	}
	if count("<th>")+count("<th ") != count(`<th scope="`) {
		t.Error("a table header without a scope")
	}
	for _, want := range []string{`<html lang="en">`, "<title>", `class="skip" href="#main"`, `<main id="main">`, "<nav aria-label", `name="viewport"`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if count("<h1") != 1 || count("<h4") != 0 {
		t.Error("the headings are not in order")
	}
	opened, closed := map[string]int{}, map[string]int{}
	for _, m := range open.FindAllStringSubmatch(html, -1) {
		opened[m[1]]++
	}
	for _, m := range closing.FindAllStringSubmatch(html, -1) {
		closed[m[1]]++
	}
	for name, n := range opened {
		if closed[name] != n {
			t.Errorf("<%s> is opened %d times and closed %d times", name, n, closed[name])
		}
	}
}

// Contrast of text on its background is at least 4.5 to 1 (WCAG 2.2, 1.4.3),
// by day and by night.
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("report.css")
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`)
	themes := strings.SplitN(string(css), "prefers-color-scheme: dark", 2)
	for i, theme := range themes {
		colours := map[string]float64{}
		for _, m := range variable.FindAllStringSubmatch(theme, -1) {
			if _, ok := colours[m[1]]; !ok { // the print block comes last
				colours[m[1]] = luminance(t, m[2])
			}
		}
		for _, pair := range [][2]string{
			{"ink", "paper"},
			{"ink", "card"},
			{"soft", "paper"},
			{"soft", "card"},
			{"accent", "card"},
			{"accent", "paper"},
			{"brand-ink", "brand"},
			{"good", "good-bg"},
			{"warn", "warn-bg"},
			{"bad", "bad-bg"},
			{"calm", "calm-bg"},
			{"good", "card"},
			{"warn", "card"},
			{"bad", "card"},
			{"calm", "card"},
		} {
			a, b := colours[pair[0]], colours[pair[1]]
			if ratio := (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("theme %d: %s on %s has a contrast of %.1f", i, pair[0], pair[1], ratio)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestText(t *testing.T) {
	text := render(t, func(b *bytes.Buffer) error { return Text(b, sample(t)) })
	if strings.ContainsAny(text, "\x1b\x07") {
		t.Error("the text steers a terminal")
	}
	for _, want := range []string{
		"DEMONSTRATION", "SECURITY", "CC6.1  enforced", "enforces  pass", "minutes of the board (secretary)",
		"23 of 24 runs good", "! gap: authz.policy: late", "✕ f-1 critical open, head of security, due 2026-03-01 OVERDUE",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	if strings.Index(text, "f-1") > strings.Index(text, "f-2") {
		t.Error("a closed finding stands before an open one")
	}
}

func TestCSV(t *testing.T) {
	c := sample(t)
	c.History.Entries[len(c.History.Entries)-1].Observed = "=HYPERLINK(\"x\")"
	text := render(t, func(b *bytes.Buffer) error { return CSV(b, c) })
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows[1:] {
		seen[r[0]] = true
		for _, cell := range r {
			if cell != "" && strings.ContainsAny(cell[:1], "=+@\t\r") {
				t.Errorf("a spreadsheet would run %q", cell)
			}
		}
	}
	if len(seen) != 61 || len(rows[0]) != len(csvHeader) {
		t.Errorf("%d criteria, %d columns", len(seen), len(rows[0]))
	}
	if !slices.ContainsFunc(rows, func(r []string) bool {
		return r[0] == "CC6.1" && r[4] == "authz.policy" && r[6] == "enforces" && r[11] == "24" && r[12] == "23"
	}) {
		t.Error("no row of CC6.1 by authz.policy")
	}
	if !strings.Contains(text, "'=HYPERLINK") {
		t.Error("the observation is missing or not neutralised")
	}
}

func TestSoundSystem(t *testing.T) {
	c := sample(t)
	c.System, c.Demo, c.Findings, c.History.Gaps = "records", false, nil, nil
	c.Controls = c.Controls[:1]
	html := page(t, c)
	if !strings.Contains(html, "Every mounted control stood") || !strings.Contains(html, "None in this export.") || strings.Contains(html, "Demonstration") {
		t.Error("a sound system is not shown as one")
	}
}

func TestRegisters(t *testing.T) {
	c := sample(t)
	html := page(t, c)
	for _, want := range []string{
		"12 → 9", "above appetite", "accepted by ceo until 1 May 2026", "Records are safe", "Salaries leak &lt;b&gt;", "Train", "10 July 2026",
		"Mail GmbH", "SOC 2 Type II, 31 December 2026", "user.contact", "version 3", "chief", `href="#registers"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	text := render(t, func(b *bytes.Buffer) error { return Text(b, c) })
	for _, want := range []string{
		"risk R-1 Salaries leak <b>: 12, remaining 9 of appetite 8, head, review 2026-07-10", "vendor V-1 Mail GmbH: high", "policy P-1 Security: version 3, approved by chief",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	c.Registers = nil
	if html := page(t, c); strings.Contains(html, "registers\"") {
		t.Error("a content without registers shows some")
	}
	c.Registers = map[string]json.RawMessage{"risks": json.RawMessage(`{"risks":{}}`)}
	for name, f := range map[string]func(*bytes.Buffer, *evidence.Content) error{
		"HTML": func(b *bytes.Buffer, c *evidence.Content) error { return HTML(b, c) },
		"Text": func(b *bytes.Buffer, c *evidence.Content) error { return Text(b, c) },
		"CSV":  func(b *bytes.Buffer, c *evidence.Content) error { return CSV(b, c) },
	} {
		if err := f(&bytes.Buffer{}, c); err == nil || !strings.Contains(err.Error(), "register risks") {
			t.Errorf("%s: %v, want an error that names the register", name, err)
		}
	}
}

func TestStrip(t *testing.T) {
	at := func(minute int, s controls.State) monitor.Entry {
		return monitor.Entry{Kind: monitor.Probed, At: day.Add(time.Duration(minute) * time.Minute), State: s}
	}
	marks := strip([]monitor.Entry{at(0, controls.Pass), at(0, controls.Fail), at(0, controls.Pass), at(30, controls.Error), at(60, controls.Pass), at(61, controls.Fail), at(-1, controls.Fail)}, day, day.Add(time.Hour))
	var got []string
	for i, m := range marks {
		if m.Tone != "" {
			got = append(got, fmt.Sprint(i, m.Tone))
		}
	}
	if s := strings.Join(got, " "); s != "0bad 30warn 59good" {
		t.Errorf("marks %s", s)
	}
	if strip(nil, day, day)[0].Tone != "" {
		t.Error("an empty period has marks")
	}
}

func TestAnchorsDiffer(t *testing.T) {
	keys := []string{"a.b/c", "a.b-c", "a.b_c", "a.b.c", "a.b/é", "a.b/<"}
	seen := map[string]bool{}
	for _, k := range keys {
		a := anchor(k)
		if seen[a] || !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(a) {
			t.Errorf("%s has the anchor %s", k, a)
		}
		seen[a] = true
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestBrokenWriter(t *testing.T) {
	c := sample(t)
	for name, f := range map[string]func() error{
		"HTML": func() error { return HTML(broken{}, c) }, "Text": func() error { return Text(broken{}, c) }, "CSV": func() error { return CSV(broken{}, c) },
	} {
		if f() == nil {
			t.Errorf("%s: written to a broken disk", name)
		}
	}
}
