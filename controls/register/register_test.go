package register

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
)

const goodRisks = `appetite: 8
objectives:
  - {id: O-1, text: Records are shown to those entitled only}
risks:
  - id: R-1
    title: An administrator reads salaries
    category: fraud
    objective: O-1
    owner: head of finance
    likelihood: 3
    impact: 4
    residual: {likelihood: 1, impact: 4}
    reviewed: 2026-01-10
    review: 2026-07-10
    treatments:
      - {control: authz.sod}
      - {plan: Two-person payroll runs, owner: head of finance, due: 2026-06-30}
`

const goodVendors = `vendors:
  - id: V-1
    name: Example Mail GmbH
    tier: high
    owner: head of procurement
    services: [transactional mail]
    hosts: [api.mail.example, "*.eu.mail.example"]
    categories: [user.contact, system.metrics]
    report: {type: SOC 2 Type II, expires: 2026-12-31}
    agreements: [{type: dpa, signed: 2025-01-01, expires: 2026-09-01}]
    breach_clause: true
    subprocessors: [{name: Example Hosting, categories: [user.contact.email]}]
    reviewed: 2026-01-10
    review: 2026-07-10
`

const policyText = "Only those entitled see records.\n"

func goodPolicies() string {
	sum := sha256.Sum256([]byte(policyText))
	return `policies:
  - id: P-1
    title: Information security
    version: "3"
    owner: head of security
    approved_by: chief executive
    effective: 2026-01-01
    review: 2026-12-31
    text: policies/security.md
    sha256: ` + hex.EncodeToString(sum[:]) + `
    controls: [guard.*, authn.*, authz.*, crypto.*, auditlog.*, ratelimit.*, health.*, privacy.*, integrity.*, controls.*]
    audience: [head of platform]
    acknowledgements: [{by: head of platform, version: "3", on: 2026-01-05}]
`
}

func files() fstest.MapFS {
	return fstest.MapFS{
		"risks.yaml":           {Data: []byte(goodRisks)},
		"vendors.yaml":         {Data: []byte(goodVendors)},
		"policies.yaml":        {Data: []byte(goodPolicies())},
		"policies/security.md": {Data: []byte(policyText)},
	}
}

func shipped(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mounted(ids ...string) func() []controls.Control {
	return func() (list []controls.Control) {
		for _, id := range ids {
			list = append(list, controls.Control{ID: id})
		}
		return list
	}
}

func load(t *testing.T, fsys fstest.MapFS, ids ...string) *Set {
	t.Helper()
	s, err := Load(fsys, shipped(t), mounted(ids...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func on(date string) time.Time {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return t.Add(12 * time.Hour)
}

func TestLoad(t *testing.T) {
	s := load(t, files(), "authz.sod")
	if issues := s.Issues(on("2026-03-01")); len(issues) != 0 {
		t.Errorf("issues %v", issues)
	}
	if n := len(s.Controls()); n != 3 {
		t.Errorf("%d controls", n)
	}
	if r := s.Risks.All()[0]; r.Remaining().Value() != 4 || r.Inherent().Value() != 12 || s.Risks.Appetite() != 8 {
		t.Errorf("risk %+v", r)
	}
	for _, v := range []any{s.Risks, s.Vendors, s.Policies} {
		if b, err := json.Marshal(v); err != nil || len(b) < 100 {
			t.Errorf("snapshot %s, %v", b, err)
		}
	}
}

func TestMistakesDoNotLoad(t *testing.T) {
	cases := []struct{ file, old, new, want string }{
		{"risks", "appetite: 8", "appetite: 26", "risks.yaml:1: appetite: a score of 1 to 25"},
		{"risks", "category: fraud", "category: fruad", "risks[0].category: one of strategic"},
		{"risks", "category: fraud", "category: security", "risks: at least one risk of category fraud is wanted"},
		{"risks", "objective: O-1", "objective: O-2", "risks.yaml:8: risks[0].objective: the id of an objective"},
		{"risks", "likelihood: 3", "likelihood: 6", "risks[0].likelihood: 1 to 5"},
		{"risks", "likelihood: 3", "likelyhood: 3", "risks.yaml:10: risks[0].likelyhood: the key is unknown"},
		{"risks", "residual: {likelihood: 1, impact: 4}", "residual: {likelihood: 5, impact: 5}", "treatment can't raise a risk"},
		{"risks", "{control: authz.sod}", "{control: authz.sodd}", `risks.yaml:16: risks[0].treatments[0].control: the id of a control in the catalogue is wanted, got "authz.sodd"`},
		{"risks", "{control: authz.sod}", "{control: authz.sod, plan: x}", "either a control or a plan"},
		{"risks", "      - {control: authz.sod}\n", "", "a plan does not lower it yet"},
		{"risks", ", due: 2026-06-30", "", "owner and due date of the plan"},
		{"risks", "review: 2026-07-10", "review: 2027-07-10", "within 366 days after 2026-01-10"},
		{"risks", "review: 2026-07-10", "review: 2026-01-10", "within 366 days after 2026-01-10"},
		{"risks", "id: R-1", "id: r1", "an id such as R-12"},
		{"risks", "id: R-1", "id: O-1", "the id O-1 is used twice"},
		{"risks", "    owner: head of finance\n", "", "risks[0].owner: the field is required"},
		{"risks", "    residual", "    acceptance: {approver: Head of Finance, reason: r, until: 2026-06-01}\n    residual", "someone other than the owner of the risk"},
		{"vendors", "tier: high", "tier: huge", "vendors[0].tier: one of critical"},
		{"vendors", "    report: {type: SOC 2 Type II, expires: 2026-12-31}\n", "", "needs an examination report"},
		{"vendors", "type: dpa", "type: nda", "needs an agreement of type dpa"},
		{"vendors", "breach_clause: true", "breach_clause: false", "must be bound to report disclosures"},
		{"vendors", "api.mail.example,", "https://api.mail.example,", "a lower-case host name without a port"},
		{"vendors", "api.mail.example,", "API.mail.example,", "a lower-case host name"},
		{"vendors", "api.mail.example,", "api.mail.example:443,", "a lower-case host name"},
		{"vendors", "api.mail.example,", "10.0.0.1,", "a lower-case host name"},
		{"vendors", `"*.eu.mail.example"`, `"*"`, "a lower-case host name"},
		{"vendors", `"*.eu.mail.example"`, `"a.*.example"`, "a lower-case host name"},
		{"vendors", `"*.eu.mail.example"`, "api.mail.example", "belongs to V-1 already"},
		{"vendors", "[user.contact, system.metrics]", "[User, system.metrics]", "a data category such as"},
		{"vendors", "[user.contact.email]", "[user.health]", "a subprocessor gets no more than the vendor"},
		{"policies", "approved_by: chief executive", "approved_by: head of security", "someone other than the owner of the policy"},
		{"policies", "sha256: ", "sha256: x", "64 lower-case hex digits"},
		{"policies", "text: policies/security.md", "text: ../secret", "the path of a file beside the register"},
		{"policies", "[guard.*", "[guard*", "or a pattern such as authn.*"},
		{"policies", "[guard.*", "[guard.routse", "the id of a control in the catalogue"},
		{"policies", "on: 2026-01-05}]", "on: 2026-01-05}, {by: head of platform, version: \"3\", on: 2026-01-06}]", "the acknowledgement is repeated"},
		{"policies", "review: 2026-12-31", "review: tomorrow", "a date such as 2026-01-31 is wanted"},
	}
	for _, tc := range cases {
		t.Run(tc.file+" "+tc.new, func(t *testing.T) {
			f := files()
			text := string(f[tc.file+".yaml"].Data)
			if !strings.Contains(text, tc.old) {
				t.Fatalf("the test changes nothing: %q", tc.old)
			}
			f[tc.file+".yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(text, tc.old, tc.new, 1))}
			_, err := Load(f, shipped(t), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.file+".yaml") {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
	for _, name := range []string{"risks.yaml", "vendors.yaml", "policies.yaml"} {
		f := files()
		delete(f, name)
		if _, err := Load(f, shipped(t), nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, err := Load(nil, shipped(t), nil); err == nil {
		t.Error("no file system: accepted")
	}
	if _, err := Load(files(), nil, nil); err == nil {
		t.Error("no catalogue: accepted")
	}
}

func TestStaleness(t *testing.T) {
	replace := func(file, old, new string) func(fstest.MapFS) {
		return func(f fstest.MapFS) {
			f[file] = &fstest.MapFile{Data: []byte(strings.Replace(string(f[file].Data), old, new, 1))}
		}
	}
	above := replace("risks.yaml", "residual: {likelihood: 1, impact: 4}", "residual: {likelihood: 3, impact: 3}")
	cases := []struct {
		name   string
		change func(fstest.MapFS)
		at     string
		want   string // the one issue; empty for none
	}{
		{"on the day of the review", nil, "2026-06-30", ""},
		{"risk review", nil, "2026-07-11", "risks R-1 (head of finance): the review was due on 2026-07-10"},
		{"late plan", nil, "2026-07-01", "the plan of head of finance was due on 2026-06-30"},
		{"above appetite", above, "2026-03-01", "the residual score 9 is above the appetite of 8"},
		{"accepted", func(f fstest.MapFS) {
			above(f)
			replace("risks.yaml", "    reviewed", "    acceptance: {approver: chief executive, reason: r, until: 2026-03-01}\n    reviewed")(f)
		}, "2026-03-01", ""},
		{"acceptance ended", func(f fstest.MapFS) {
			above(f)
			replace("risks.yaml", "    reviewed", "    acceptance: {approver: chief executive, reason: r, until: 2026-02-28}\n    reviewed")(f)
		}, "2026-03-01", "the acceptance ended on 2026-02-28"},
		{"a review in the future", nil, "2026-01-09", "lies in the future"},
		{"vendor report", replace("vendors.yaml", "expires: 2026-12-31", "expires: 2026-02-28"), "2026-03-01", "vendors V-1 (head of procurement): the report expired on 2026-02-28"},
		{"vendor agreement", replace("vendors.yaml", "2026-09-01", "2026-02-28"), "2026-03-01", "no data processing agreement is in force"},
		{"agreement not signed yet", replace("vendors.yaml", "signed: 2025-01-01", "signed: 2026-03-02"), "2026-03-01", "no data processing agreement is in force"},
		{"agreement without an end", replace("vendors.yaml", ", expires: 2026-09-01", ""), "2026-03-01", ""},
		{"policy text changed", func(f fstest.MapFS) { f["policies/security.md"] = &fstest.MapFile{Data: []byte("Anyone.\n")} }, "2026-03-01", "is not the one that was approved"},
		{"not acknowledged", replace("policies.yaml", `by: head of platform, version: "3"`, `by: head of platform, version: "2"`), "2026-03-01", "head of platform has not acknowledged version 3"},
		{"time to read", replace("policies.yaml", `by: head of platform, version: "3"`, `by: head of platform, version: "2"`), "2026-01-20", ""},
		{"acknowledged in advance", replace("policies.yaml", "on: 2026-01-05", "on: 2026-04-01"), "2026-03-01", "has not acknowledged"},
		{"orphan", replace("policies.yaml", "authz.*, ", ""), "2026-03-01", "policies: no policy demands the control authz.sod"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := files()
			if tc.change != nil {
				tc.change(f)
			}
			issues := load(t, f, "authz.sod").Issues(on(tc.at))
			// Dates of the other registers move along with the day.
			found := slices.ContainsFunc(issues, func(i Issue) bool { return strings.Contains(i.String(), tc.want) })
			if tc.want == "" && len(issues) > 0 || tc.want != "" && !found {
				t.Errorf("issues %v, want %q", issues, tc.want)
			}
		})
	}
}

func TestTreatmentThatIsNotMounted(t *testing.T) {
	issues := load(t, files(), "authz.policy").Issues(on("2026-03-01"))
	if len(issues) != 1 || !strings.Contains(issues[0].What, "its treatment authz.sod is mounted nowhere") {
		t.Errorf("issues %v", issues)
	}
	s, err := Load(files(), shipped(t), nil)
	if err != nil || len(s.Issues(on("2026-03-01"))) != 0 {
		t.Errorf("without a list of mounted controls: %v", err)
	}
}

// A policy text that disappears after loading is an issue, not a crash.
func TestTextDisappears(t *testing.T) {
	f := files()
	s := load(t, f, "authz.sod")
	delete(f, "policies/security.md")
	issues := s.Issues(on("2026-03-01"))
	if len(issues) != 1 || !strings.Contains(issues[0].What, "can't be read") {
		t.Errorf("issues %v", issues)
	}
}

func TestProbes(t *testing.T) {
	s := load(t, files(), "authz.sod")
	states := func(date string) (list []string) {
		for _, e := range []*env{&s.Risks.env, &s.Vendors.env, &s.Policies.env} {
			e.now = func() time.Time { return on(date) }
		}
		for _, c := range s.Controls() {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			list = append(list, c.ID[len("controls.register."):]+":"+c.Run(t.Context()).State.String())
		}
		return list
	}
	if got := strings.Join(states("2026-03-01"), " "); got != "risk:pass vendor:pass policy:pass" {
		t.Errorf("current: %s", got)
	}
	if got := strings.Join(states("2027-02-01"), " "); got != "risk:fail vendor:fail policy:fail" {
		t.Errorf("a year later: %s", got)
	}
	if err := shipped(t).AssessStated(s.Controls()).Err(); err != nil {
		t.Error(err)
	}
}

type journal struct {
	events []auditlog.Event
	err    error
}

func (j *journal) Record(ctx context.Context, ev auditlog.Event) error {
	if j.err != nil {
		return j.err
	}
	_, err := auditlog.Stamp(ctx, ev)
	j.events = append(j.events, ev)
	return err
}

func TestCheck(t *testing.T) {
	v := load(t, files()).Vendors
	cases := []struct{ host, category, at, want string }{
		{"api.mail.example", "user.contact", "2026-03-01", ""},
		{"API.Mail.Example.", "user.contact.email", "2026-03-01", ""},
		{"a.eu.mail.example", "system.metrics", "2026-03-01", ""},
		{"eu.mail.example", "user.contact", "2026-03-01", "no vendor in the register"},
		{"a.b.eu.mail.example", "user.contact", "2026-03-01", "no vendor in the register"},
		{"evil-api.mail.example", "user.contact", "2026-03-01", "no vendor in the register"},
		{"api.mail.example.evil.example", "user.contact", "2026-03-01", "no vendor in the register"},
		{"*.eu.mail.example", "user.contact", "2026-03-01", "malformed"},
		{"api.mail.example", "user.contacts", "2026-03-01", "may not get this category"},
		{"api.mail.example", "user", "2026-03-01", "may not get this category"},
		{"api.mail.example", "", "2026-03-01", "may not get this category"},
		{"api.mail.example", "user.contact.", "2026-03-01", "may not get this category"},
		{"api.mail.example", "user.contact", "2026-07-11", "the review was due on 2026-07-10"},
		{"192.0.2.1", "user.contact", "2026-03-01", "an address is no vendor's host name"},
		{"[2001:db8::1]", "user.contact", "2026-03-01", "an address is no vendor's host name"},
		{"localhost", "user.contact", "2026-03-01", "malformed"},
		{"аpi.mail.example", "user.contact", "2026-03-01", "malformed"}, // Cyrillic а
		{"", "user.contact", "2026-03-01", "malformed"},
	}
	for _, tc := range cases {
		err := v.Check(tc.host, tc.category, on(tc.at))
		if tc.want == "" && err != nil || tc.want != "" && (!errors.Is(err, ErrEgress) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s, %s: %v, want %q", tc.host, tc.category, err, tc.want)
		}
	}
}

// A stub network: it must only see what the gate let through.
type network struct {
	seen []string
	to   string // redirect
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.seen = append(n.seen, req.URL.Host)
	rec := httptest.NewRecorder()
	if n.to != "" {
		http.Redirect(rec, req, n.to, http.StatusTemporaryRedirect)
		n.to = ""
	}
	res := rec.Result()
	res.Request = req
	return res, nil
}

func gate(t *testing.T, j *journal) *Gate {
	t.Helper()
	v := load(t, files()).Vendors
	v.env.now = func() time.Time { return on("2026-03-01") }
	g, err := v.Gate(j)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTransport(t *testing.T) {
	cases := []struct {
		name, url, host string
		more            []string
		redirect        string
		want            string // empty: let through
	}{
		{"declared", "https://api.mail.example/send", "", nil, "", ""},
		{"with its port", "https://api.mail.example:443/send", "", nil, "", ""},
		{"undeclared", "https://collector.example/", "", nil, "", "no vendor in the register"},
		{"plain http", "http://api.mail.example/", "", nil, "", "only https leaves"},
		{"domain fronting", "https://api.mail.example/", "collector.example", nil, "", "names another host"},
		{"more data than allowed", "https://api.mail.example/", "", []string{"user.health"}, "", "may not get this category"},
		{"name in the userinfo", "https://api.mail.example@collector.example/", "", nil, "", "no vendor in the register"},
		{"redirect to elsewhere", "https://api.mail.example/", "", nil, "https://collector.example/x", "no vendor in the register"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			j, n := &journal{}, &network{to: tc.redirect}
			client := http.Client{Transport: gate(t, j).Transport(n, "user.contact.email")}
			ctx := WithCategories(t.Context(), tc.more...)
			body := &closer{Reader: strings.NewReader("personal")}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, tc.url, body)
			if err != nil {
				t.Fatal(err)
			}
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("personal")), nil }
			req.Host = tc.host
			res, err := client.Do(req)
			if res != nil {
				res.Body.Close()
			}
			if tc.want == "" {
				if err != nil || len(n.seen) != 1 || len(j.events) != 1 || j.events[0].Outcome != auditlog.Success {
					t.Errorf("%v, network saw %v, events %v", err, n.seen, j.events)
				}
				return
			}
			if !errors.Is(err, ErrEgress) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if slices.Contains(n.seen, "collector.example") {
				t.Error("data left for a host that was not declared")
			}
			if tc.redirect == "" && (len(n.seen) > 0 || !body.closed) {
				t.Errorf("network saw %v, body closed %v", n.seen, body.closed)
			}
		})
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestDenialIsRecorded(t *testing.T) {
	j := &journal{}
	g := gate(t, j)
	err := g.Allow(t.Context(), "api.mail.example", "system.metrics", "user.health")
	var denied *EgressError
	if !errors.As(err, &denied) || denied.Vendor != "V-1" || denied.Category != "user.health" {
		t.Errorf("denied with %+v", denied)
	}
	ev := j.events[0]
	if ev.Action != "controls.vendor.egress" || ev.Outcome != auditlog.Denied || ev.Reason != "controls.register.vendor" || len(ev.Targets) != 2 {
		t.Errorf("event %+v", ev)
	}
	if err := g.Allow(t.Context(), "api.mail.example"); !errors.Is(err, ErrEgress) {
		t.Errorf("data of no category: %v", err)
	}
	if err := g.Allow(t.Context(), strings.Repeat("a", 5000), "user"); err == nil || len(err.Error()) > 400 {
		t.Errorf("a long host gives %d bytes of message", len(err.Error()))
	}
	if len(j.events) != 3 {
		t.Errorf("%d events for 3 decisions", len(j.events))
	}
}

// Egress that can't be recorded does not happen.
func TestLogDown(t *testing.T) {
	down := errors.New("disk full")
	g := gate(t, &journal{err: down})
	if err := g.Allow(t.Context(), "api.mail.example", "user.contact"); !errors.Is(err, ErrEgress) || !errors.Is(err, down) {
		t.Errorf("with a broken log: %v", err)
	}
	n := &network{}
	client := http.Client{Transport: g.Transport(n, "user.contact")}
	res, err := client.Get("https://api.mail.example/") //nolint:noctx // no context needed here
	if err == nil {
		res.Body.Close()
	}
	var ue *url.Error
	if !errors.As(err, &ue) || len(n.seen) != 0 {
		t.Errorf("%v, network saw %v", err, n.seen)
	}
	if _, err := g.vendors.Gate(nil); err == nil {
		t.Error("a gate without a recorder was made")
	}
}

func TestWithCategoriesAddsUp(t *testing.T) {
	ctx := WithCategories(WithCategories(t.Context(), "a"), "b")
	if got, _ := ctx.Value(categoriesKey{}).([]string); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("categories %v", got)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"api.mail.example", "a.eu.mail.example", "*.x", "[::1]", "..", "a", "A.B"} {
		f.Add(s, "user.contact")
	}
	cat, err := catalogue.Default()
	if err != nil {
		f.Fatal(err)
	}
	s, err := Load(files(), cat, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, host, category string) {
		if s.Vendors.Check(host, category, on("2026-03-01")) != nil {
			return
		}
		h := strings.ToLower(strings.TrimSuffix(host, "."))
		if h != "api.mail.example" && !strings.HasSuffix(h, ".eu.mail.example") {
			t.Fatalf("let out to %q", host)
		}
		if !covers("user.contact", category) && !covers("system.metrics", category) {
			t.Fatalf("let out %q", category)
		}
	})
}
