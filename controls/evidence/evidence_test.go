package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

func keys(seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	s := sha256.Sum256([]byte{seed})
	key := ed25519.NewKeyFromSeed(s[:])
	return key.Public().(ed25519.PublicKey), key
}

type door struct{ open atomic.Bool }

func (d *door) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authz.policy", Instance: "web", Parameters: []controls.Parameter{controls.Int("rules", 3), controls.Text("default", "deny")},
		Probe: func(context.Context) controls.Result {
			if d.open.Load() {
				return controls.Failed("a stranger was let in")
			}
			return controls.Passed("a stranger was refused")
		},
	}}
}

var (
	lived  []byte // a bundle of what live made, so that it lives only once
	logKey string // of the audit log it left
)

// content is that of four hours in which one control failed, was repaired,
// verified and closed. The caller may change it.
func content(t testing.TB) *Content {
	t.Helper()
	if lived == nil {
		lived = pack(t, live(t))
	}
	c := &open(t, lived).Content
	c.Populations = []Population{{Name: "logins", Control: "authn.login", Source: "audit log", Header: []string{"at", "account"}, Rows: [][]string{{"1", "a"}, {"2", "=HYPERLINK()"}}}}
	c.Registers = map[string]json.RawMessage{"risks": json.RawMessage(`{"risks":[]}`)}
	c.Extra = map[string][]byte{"report.html": []byte("<p>")}
	return c
}

func live(t testing.TB) (c *Content) {
	t.Helper()
	lives(t, func(ctx context.Context, m *monitor.Monitor, tr *findings.Tracker, cat *catalogue.Catalogue, d *door, log *auditlog.Log) {
		began := time.Now()
		time.Sleep(time.Hour)
		d.open.Store(true)
		time.Sleep(time.Hour)
		d.open.Store(false)
		as := func(id string) context.Context {
			return auditlog.WithActor(ctx, auditlog.Actor{ID: id, Kind: auditlog.User})
		}
		list, err := tr.All(ctx, "system")
		if err != nil || len(list) != 1 {
			t.Fatalf("findings %v, %v", list, err)
		}
		id := list[0].ID
		step := func(_ findings.Finding, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Minute)
		}
		step(tr.Acknowledge(as("ann"), "system", id, ""))
		step(tr.Remediate(as("ann"), "system", id, "closed the door"))
		step(tr.Verify(as("bob"), "system", id, m))
		step(tr.Close(as("bob"), "system", id, "probe history"))
		c, err = Collect(ctx, Sources{System: "records", Demo: true, Catalogue: cat, Monitor: m, Findings: tr, Log: log}, began, time.Now())
		if err != nil {
			t.Fatal(err)
		}
	})
	return c
}

func lives(t testing.TB, f func(context.Context, *monitor.Monitor, *findings.Tracker, *catalogue.Catalogue, *door, *auditlog.Log)) {
	t.Helper()
	run := func(t *testing.T) {
		signer, key, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "log.key"), "example.org/log")
		if err != nil {
			t.Fatal(err)
		}
		logKey = key
		log, err := auditlog.Open(t.TempDir(), signer, auditlog.Options{Reserve: 1 << 20, SegmentSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cat, err := catalogue.Default()
		if err != nil {
			t.Fatal(err)
		}
		tr, err := findings.New(findings.NewMemory(), log, cat.Owner, findings.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d := &door{}
		m, err := monitor.New(cat, log, monitor.Options{Findings: tr}, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		f(context.Background(), m, tr, cat, d, log)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t.(*testing.T), run)
}

func pack(t testing.TB, c *Content) []byte {
	t.Helper()
	_, private := keys(1)
	var b bytes.Buffer
	if _, err := Write(&b, c, private); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, data []byte) *Bundle {
	t.Helper()
	b, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(t testing.TB, data []byte) *Verdict {
	t.Helper()
	public, _ := keys(1)
	return open(t, data).Check(public, CheckOptions{Log: &verify.Policy{Key: logKey}})
}

func TestRoundTrip(t *testing.T) {
	c := content(t)
	data := pack(t, c)
	if !bytes.Equal(data, pack(t, c)) {
		t.Error("the same content gives different bytes")
	}
	v := check(t, data)
	if !v.Intact() {
		t.Errorf("problems %v", v.Problems)
	}
	if len(v.Exceptions) != 0 {
		t.Errorf("exceptions %v", v.Exceptions)
	}
	if notes := strings.Join(v.Notes, "; "); !strings.Contains(notes, "demonstration") || !strings.Contains(notes, "checked without witnesses") || !strings.Contains(notes, "events of the audit log were verified") {
		t.Errorf("notes %s", notes)
	}
	b := open(t, data)
	if b.System != "records" || len(b.Controls) != 2 || len(b.History.Entries) != len(c.History.Entries) || len(b.Findings["system"]) != 1 ||
		string(b.Extra["report.html"]) != "<p>" || len(b.Registers) != 1 || b.Populations[0].Rows[1][1] != "'=HYPERLINK()" {
		t.Errorf("the content changed on the way: %+v", b.Manifest)
	}
	if b.Manifest.Files[1].Name != "catalogue.json" || len(b.Latest()) != 2 {
		t.Errorf("files %v", b.Manifest.Files)
	}
}

func TestLogWithoutKeyOrTrust(t *testing.T) {
	data := pack(t, content(t))
	public, _ := keys(1)
	notes := func(v *Verdict) string { return strings.Join(v.Notes, "; ") }
	if v := open(t, data).Check(public, CheckOptions{}); !v.Intact() || !strings.Contains(notes(v), "its key was not given") {
		t.Errorf("without the log's key: %+v", v)
	}
	other := "example.org/other" + logKey[strings.Index(logKey, "+"):]
	if v := open(t, data).Check(public, CheckOptions{Log: &verify.Policy{Key: other}}); v.Intact() || v.Problems[0].Check != "log" {
		t.Errorf("with another log's key: %+v", v)
	}
	c := content(t)
	c.AuditLog = nil
	if v := check(t, pack(t, c)); !v.Intact() || !strings.Contains(notes(v), "rest on the operator's word") {
		t.Errorf("without a log: %+v", v)
	}
}

// What a dishonest operator can do who holds the key and signs again.
func TestDishonestOperator(t *testing.T) {
	entry := func(c *Content, want func(*monitor.Entry) bool) *monitor.Entry {
		for i := range c.History.Entries {
			if want(&c.History.Entries[i]) {
				return &c.History.Entries[i]
			}
		}
		t.Fatal("no such entry")
		return nil
	}
	failed := func(e *monitor.Entry) bool { return e.State == controls.Fail && e.ID == "authz.policy" }
	remove := func(c *Content, from, to int) {
		c.History.Entries = append(c.History.Entries[:from:from], c.History.Entries[to:]...)
	}
	cases := []struct {
		name   string
		change func(*Content)
		check  string
		want   string
	}{
		{"entries are removed", func(c *Content) { remove(c, 20, 40) }, "history", "0 gaps are stated"},
		{"entries are removed and renumbered", func(c *Content) {
			remove(c, 20, 40)
			for i := range c.History.Entries {
				c.History.Entries[i].Seq = uint64(i + 1)
			}
		}, "history", "0 gaps are stated"},
		{"a gap is not told", func(c *Content) { remove(c, 20, 40); c.History.Gaps = []monitor.Gap{} }, "history", "gaps"},
		{"the period is shortened in the history", func(c *Content) { c.History.From = c.History.From.Add(time.Hour) }, "history", "another period"},
		{"entries promise less", func(c *Content) {
			for i := range c.History.Entries {
				c.History.Entries[i].Every *= 100
			}
		}, "history", "the catalogue demands"},
		{"a key is changed", func(c *Content) { entry(c, failed).Control = "authz.policy" }, "history", "not its ID and instance"},
		{"the finding is left out", func(c *Content) { c.Findings = map[string][]findings.Finding{} }, "findings", "has no finding"},
		{"the finding is dated later", func(c *Content) {
			f := &c.Findings["system"][0]
			f.Opened, f.Steps[0].At = f.Opened.Add(30*time.Minute), f.Steps[0].At.Add(30*time.Minute)
		}, "findings", "has no finding"},
		{"the finding was closed before", func(c *Content) {
			f := &c.Findings["system"][0]
			for i := range f.Steps {
				f.Steps[i].At = f.Steps[0].At
			}
		}, "findings", "has no finding"},
		{"no run passed after the remedy", func(c *Content) {
			f := &c.Findings["system"][0]
			f.Steps[3].At = f.Steps[2].At
		}, "findings", "no passing run"},
		{"the finding stands twice", func(c *Content) {
			c.Findings["system"] = append(c.Findings["system"], c.Findings["system"][0])
		}, "findings", "stands twice"},
		{"steps are forged", func(c *Content) { c.Findings["system"][0].Steps = nil }, "findings", "the state is"},
		{"the yardstick is bent", func(c *Content) {
			text, _ := json.Marshal(c.Catalogue)
			bent := strings.Replace(string(text), `"max":900`, `"max":90000`, 1)
			c.Catalogue, _ = catalogue.Parse("bent", []byte(bent))
		}, "catalogue", "an overlay may tighten bounds"},
		{"a control is dropped from the yardstick", func(c *Content) {
			text, _ := json.Marshal(c.Catalogue)
			bent := strings.Replace(string(text), `"id":"authn.login"`, `"id":"authn.logon"`, 1)
			c.Catalogue, _ = catalogue.Parse("bent", []byte(bent))
		}, "catalogue", "authn.login: the control is gone"},
		{"a population of no control", func(c *Content) { c.Populations[0].Control = "authn.retina" }, "populations", "which the catalogue lacks"},
		{"entries are changed in both places that the operator signs alone", func(c *Content) {
			e := entry(c, failed)
			e.State, e.Observed = controls.Pass, "a stranger was refused"
			c.Findings["system"] = nil
		}, "log", "the probe ended otherwise"},
		{"a failed run and its finding are left out", func(c *Content) {
			c.Findings["system"] = []findings.Finding{}
			for i := range c.History.Entries {
				if failed(&c.History.Entries[i]) {
					c.History.Entries[i].State = controls.Pass
				}
			}
		}, "log", "was opened at"},
		{"the end of the history is left out", func(c *Content) {
			c.History.Entries = c.History.Entries[:len(c.History.Entries)-3]
		}, "log", "which the history lacks"},
		{"an entry is invented", func(c *Content) {
			e := c.History.Entries[len(c.History.Entries)-1]
			e.Seq += 50
			c.History.Entries = append(c.History.Entries, e)
		}, "log", "the audit log does not have it"},
		{"an entry is moved", func(c *Content) { e := entry(c, failed); e.At = e.At.Add(2 * time.Minute) }, "log", "it has another time"},
		{"a step is invented", func(c *Content) {
			f := &c.Findings["system"][0]
			f.Steps = append(f.Steps[:1:1], findings.Step{At: f.Steps[0].At, By: "x", From: findings.Open, To: findings.RiskAccepted})
			f.State, f.Acceptance = findings.RiskAccepted, &findings.Acceptance{Approver: "ceo", Until: c.To.Add(time.Hour)}
		}, "log", "the audit log has no step to risk-accepted"},
		{"the audit log is cut", func(c *Content) {
			c.AuditLog = c.AuditLog[:len(c.AuditLog)/2]
		}, "log", ""},
		{"an event is changed", func(c *Content) {
			c.AuditLog = bytes.Replace(c.AuditLog, []byte("a stranger was let in"), []byte("a stranger got cake.."), 1)
		}, "log", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := content(t)
			tc.change(c)
			v := check(t, pack(t, c))
			for _, p := range v.Problems {
				if p.Check == tc.check && strings.Contains(p.What, tc.want) {
					return
				}
			}
			t.Errorf("problems %v, want %s: %s", v.Problems, tc.check, tc.want)
		})
	}
}

// What is disclosed does not make a bundle false.
func TestExceptions(t *testing.T) {
	c := content(t)
	c.Controls = append(c.Controls, controls.Control{ID: "authn.login"}, controls.Control{ID: "authn.retina"})
	c.Controls[1].Parameters[0].Value = "5000"
	cat, err := c.Catalogue.Overlay("app.yaml", []byte("omitted: [{id: ratelimit.firewall, reason: the balancer filters}]"))
	if err != nil {
		t.Fatal(err)
	}
	c.Catalogue = cat
	e := &c.History.Entries
	*e = (*e)[:len(*e)-40]
	c.History.Gaps = monitor.Gaps(*e, c.From, c.To)
	v := check(t, pack(t, c))
	if !v.Intact() && v.Problems[0].Check != "findings" {
		t.Errorf("problems %v", v.Problems)
	}
	if notes := strings.Join(v.Notes, "\n"); !strings.Contains(notes, "are not mounted and not omitted: auditlog.anchor, ") || strings.Contains(notes, "ratelimit.firewall") {
		t.Errorf("notes %s", notes)
	}
	text := strings.Join(v.Exceptions, "\n")
	for _, want := range []string{
		"ratelimit.firewall is omitted: the balancer filters", "gap: monitoring: silent", "authn.login is mounted and was never probed", "unknown control: authn.retina",
		"at the export: catalogue: parameter out of bounds: controls.monitor: heartbeat: 5000s, want at most 900s",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no exception %q in\n%s", want, text)
		}
	}
}

func TestOverdueFindingIsAnException(t *testing.T) {
	c := content(t)
	f := &c.Findings["system"][0]
	f.State, f.Steps, f.Due = findings.Open, f.Steps[:1], c.To.Add(-time.Hour)
	v := check(t, pack(t, c))
	if !v.Intact() || !strings.Contains(strings.Join(v.Exceptions, "\n"), "is overdue since") {
		t.Errorf("%+v", v)
	}
}

// A hostile bundle can't make the verdict endless.
func TestVerdictIsBounded(t *testing.T) {
	c := content(t)
	for i := range 3000 {
		c.Findings["system"] = append(c.Findings["system"], findings.Finding{ID: time.Duration(i).String(), Severity: findings.Low})
		c.Controls = append(c.Controls, controls.Control{ID: "own.control", Instance: time.Duration(i).String()})
	}
	v := check(t, pack(t, c))
	if len(v.Problems) != maxListed+1 || len(v.Exceptions) != maxListed+1 {
		t.Errorf("%d problems, %d exceptions", len(v.Problems), len(v.Exceptions))
	}
}

func TestWrongKey(t *testing.T) {
	data := pack(t, content(t))
	other, _ := keys(2)
	v := open(t, data).Check(other, CheckOptions{})
	if len(v.Problems) != 1 || v.Problems[0].Check != "signature" {
		t.Errorf("problems %v, want the signature alone", v.Problems)
	}
	if v := open(t, data).Check(nil, CheckOptions{}); v.Intact() {
		t.Error("no key: intact")
	}
}

// rezip writes files as they are, in order.
func rezip(t testing.TB, files [][2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unzip(t testing.TB, data []byte) (files [][2]string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		b, err := unpackOne(f, MaxFile)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, [2]string{f.Name, string(b)})
	}
	return files
}

// What someone can do who gets hold of the file and has no key.
func TestTamperedFile(t *testing.T) {
	good := unzip(t, pack(t, content(t)))
	at := func(files [][2]string, name string) *string {
		for i := range files {
			if files[i][0] == name {
				return &files[i][1]
			}
		}
		t.Fatalf("no %s", name)
		return nil
	}
	cases := []struct {
		name   string
		change func([][2]string) [][2]string
		want   string // problem's check, or text of the error
	}{
		{"nothing", func(f [][2]string) [][2]string { return f }, ""},
		{"a byte of a file", func(f [][2]string) [][2]string { *at(f, "report.html") = "<q>"; return f }, "files"},
		{"a byte of the manifest", func(f [][2]string) [][2]string {
			m := at(f, "manifest.json")
			*m = strings.Replace(*m, `"demo": true`, `"demo": false`, 1)
			return f
		}, "signature"},
		{"a file is gone", func(f [][2]string) [][2]string { return f[:len(f)-1] }, "files"},
		{"a file is added", func(f [][2]string) [][2]string { return append(f, [2]string{"more.txt", "x"}) }, "files"},
		{"a register is added", func(f [][2]string) [][2]string { return append(f, [2]string{"registers/more.json", "{}"}) }, "files"},
		{"a name twice", func(f [][2]string) [][2]string { return append(f, [2]string{"report.html", "<p>"}) }, "is there twice"},
		{"a name in another case", func(f [][2]string) [][2]string { return append(f, [2]string{"Report.html", "<p>"}) }, "not a plain lower-case path"},
		{"a path out of the bundle", func(f [][2]string) [][2]string { return append(f, [2]string{"../../etc/passwd", "x"}) }, "not a plain lower-case path"},
		{"an absolute path", func(f [][2]string) [][2]string { return append(f, [2]string{"/etc/passwd", "x"}) }, "not a plain lower-case path"},
		{"a path of another system", func(f [][2]string) [][2]string { return append(f, [2]string{`c:\x`, "x"}) }, "not a plain lower-case path"},
		{"a folder", func(f [][2]string) [][2]string { return append(f, [2]string{"x/", ""}) }, "not a plain lower-case path"},
		{"a hidden name", func(f [][2]string) [][2]string { return append(f, [2]string{"a/.x", ""}) }, "not a plain lower-case path"},
		{"no manifest", func(f [][2]string) [][2]string { return f[1:] }, "is missing"},
		{"no signature", func(f [][2]string) [][2]string { *at(f, "manifest.sig") = "none"; return f }, "no Ed25519 signature"},
		{"a member twice", func(f [][2]string) [][2]string {
			m := at(f, "manifest.json")
			*m = strings.Replace(*m, `"demo": true`, `"demo": true, "demo": false`, 1)
			return f
		}, "manifest.json"},
		{"an unknown member", func(f [][2]string) [][2]string {
			m := at(f, "history.json")
			*m = strings.Replace(*m, `"from"`, `"note": 1, "from"`, 1)
			return f
		}, "history.json"},
		{"a later version", func(f [][2]string) [][2]string {
			m := at(f, "manifest.json")
			*m = strings.Replace(*m, `"v": 1`, `"v": 2`, 1)
			return f
		}, "version 2"},
		{"a catalogue that is none", func(f [][2]string) [][2]string { *at(f, "catalogue.json") = "[]"; return f }, "catalogue.json"},
		{"a population that is none", func(f [][2]string) [][2]string { *at(f, "populations/logins.csv") = "a,b\nc\n"; return f }, "no CSV"},
		{"no history", func(f [][2]string) [][2]string { *at(f, "history.json") = ""; return f }, "history.json"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			files := append([][2]string(nil), good...)
			data := rezip(t, tc.change(files))
			b, err := Open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				if tc.want == "" || !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("Open = %v, want %q", err, tc.want)
				}
				return
			}
			public, _ := keys(1)
			v := b.Check(public, CheckOptions{Log: &verify.Policy{Key: logKey}})
			if tc.want == "" && !v.Intact() || tc.want != "" && (v.Intact() || v.Problems[0].Check != tc.want) {
				t.Errorf("problems %v, want %q", v.Problems, tc.want)
			}
		})
	}
}

func TestHostileArchives(t *testing.T) {
	header := func(h *zip.FileHeader, content string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(content))
		_ = z.Close()
		return b.Bytes()
	}
	link := &zip.FileHeader{Name: "a"}
	link.SetMode(0o777 | 1<<27)
	var comment bytes.Buffer
	z := zip.NewWriter(&comment)
	_ = z.SetComment("x")
	_ = z.Close()
	if _, err := unpack(&zip.Reader{File: make([]*zip.File, MaxFiles+1)}); !errors.Is(err, ErrBundle) {
		t.Errorf("many files: %v, want ErrBundle", err)
	}
	for name, data := range map[string][]byte{
		"no archive": []byte("PK"), "empty": rezip(t, nil), "link": header(link, "/etc/passwd"), "comment": comment.Bytes(),
	} {
		if _, err := Open(bytes.NewReader(data), int64(len(data))); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v, want ErrBundle", name, err)
		}
	}
	// A file that unpacks to more than its limit.
	bomb := header(&zip.FileHeader{Name: "a", Method: zip.Deflate}, strings.Repeat("0", 1<<20))
	r, err := zip.NewReader(bytes.NewReader(bomb), int64(len(bomb)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unpackOne(r.File[0], 1<<19); !errors.Is(err, ErrBundle) {
		t.Errorf("a bomb: %v, want ErrBundle", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	_, private := keys(1)
	for name, change := range map[string]func(*Content){
		"no system":           func(c *Content) { c.System = "" },
		"no catalogue":        func(c *Content) { c.Catalogue = nil },
		"no period":           func(c *Content) { c.To = c.From },
		"a name that is ours": func(c *Content) { c.Extra["history.json"] = nil },
		"the manifest's name": func(c *Content) { c.Extra["manifest.json"] = nil },
		"a register's name":   func(c *Content) { c.Extra["registers/x.json"] = nil },
		"a path":              func(c *Content) { c.Extra["../x"] = nil },
		"population's name":   func(c *Content) { c.Populations[0].Name = "../x" },
		"population twice":    func(c *Content) { c.Populations = append(c.Populations, c.Populations[0]) },
		"ragged rows":         func(c *Content) { c.Populations[0].Rows[0] = []string{"1"} },
		"no columns":          func(c *Content) { c.Populations[0] = Population{Name: "x"} },
		"a broken register":   func(c *Content) { c.Registers["x"] = json.RawMessage("{") },
	} {
		c := content(t)
		change(c)
		if _, err := Write(&bytes.Buffer{}, c, private); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if _, err := Write(&bytes.Buffer{}, content(t), nil); err == nil {
		t.Error("no key: written")
	}
	if _, err := Write(broken{}, content(t), private); err == nil {
		t.Error("a broken disk: written")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestCollectRefuses(t *testing.T) {
	if _, err := Collect(t.Context(), Sources{}, time.Now(), time.Now()); err == nil {
		t.Error("nothing: collected")
	}
	lives(t, func(ctx context.Context, m *monitor.Monitor, tr *findings.Tracker, cat *catalogue.Catalogue, _ *door, _ *auditlog.Log) {
		s := Sources{System: "x", Catalogue: cat, Monitor: m, Findings: tr}
		if _, err := Collect(ctx, s, time.Now(), time.Now()); err == nil {
			t.Error("an empty period: collected")
		}
		s.Tenants = []string{""}
		if _, err := Collect(ctx, s, time.Now().Add(-1), time.Now()); err == nil {
			t.Error("an empty tenant: collected")
		}
	})
}

// The population of a log's events has one row per event and no personal
// values, and survives the bundle.
func TestEvents(t *testing.T) {
	lives(t, func(ctx context.Context, _ *monitor.Monitor, _ *findings.Tracker, _ *catalogue.Catalogue, _ *door, log *auditlog.Log) {
		for _, account := range []string{"acc-1", "=cmd()", "acc-3"} {
			err := log.Record(ctx, auditlog.Event{
				Action: "authn.login.complete", Outcome: auditlog.Success, Tenant: "acme", Actor: auditlog.Actor{ID: account, Tenant: "acme", Kind: auditlog.User},
				Targets: []auditlog.Target{{Type: "account", ID: account}, {Type: "device", ID: "d"}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		p, err := Events("logins", "authn.login", "all logins", log.Search(ctx, auditlog.Query{Action: "authn.login.complete"}))
		if err != nil || len(p.Rows) != 3 || p.Rows[2][6] != "acc-3" || p.Rows[0][7] != "account:acc-1 device:d" {
			t.Fatalf("rows %q, %v", p.Rows, err)
		}
		text, err := p.csv()
		if err != nil || strings.Contains(string(text), ",=cmd") || strings.Count(string(text), "\n") != 4 {
			t.Errorf("%s, %v", text, err)
		}
	})
	broken := func(yield func(auditlog.Indexed, error) bool) { yield(auditlog.Indexed{}, errors.New("disk gone")) }
	if _, err := Events("x", "authn.login", "y", broken); err == nil {
		t.Error("a population of a broken log was made")
	}
}

func TestParsePublicKey(t *testing.T) {
	public, _ := keys(1)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{
		[]byte(base64.StdEncoding.EncodeToString(public) + "\n"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	} {
		if got, err := ParsePublicKey(text); err != nil || !got.Equal(public) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := ParsePublicKey([]byte(text)); err == nil {
			t.Errorf("%q was taken for a key", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("manifest.json", "{}", "manifest.sig", "AA==")
	f.Add("../x", "", "x", "")
	f.Add("history.json", `{"entries":[{"seq":1}]}`, "findings.json", `{"t":[{"state":"open"}]}`)
	f.Fuzz(func(t *testing.T, n1, c1, n2, c2 string) {
		sig := base64.StdEncoding.EncodeToString(make([]byte, 64))
		base := [][2]string{
			{"manifest.json", `{"v":1}`}, {"manifest.sig", sig}, {"catalogue.json", "{}"}, {"controls.json", "[]"}, {"history.json", "{}"}, {"findings.json", "{}"},
		}
		for i := range base {
			if base[i][0] == n1 {
				base[i][1], n1 = c1, ""
			}
			if base[i][0] == n2 {
				base[i][1], n2 = c2, ""
			}
		}
		if n1 != "" {
			base = append(base, [2]string{n1, c1})
		}
		if strings.HasSuffix(n1, "/") {
			return // zip.Writer makes folders of these
		}
		data := rezip(t, base)
		b, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !errors.Is(err, ErrBundle) {
				t.Fatalf("%v is no ErrBundle", err)
			}
			return
		}
		// Whatever parses must be checkable without a panic.
		v := &Verdict{}
		b.checkCatalogue(v, nil)
		b.checkParameters(v)
		b.checkHistory(v)
		b.checkFindings(v)
		b.checkPopulations(v)
		b.checkLog(v, nil)
		b.reconcileRuns(v, nil)
		b.reconcileFindings(v, nil)
	})
}

// A bundle that parses can be checked, whatever its history and findings say.
func FuzzCheck(f *testing.F) {
	cat, err := catalogue.Default()
	if err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	step := findings.Step{At: at, By: "a", To: findings.Open}
	good, err := json.Marshal(map[string][]findings.Finding{"t": {{ID: "f", Control: "a.b", Owner: "o", State: findings.Open, Severity: findings.Low, Due: at, Seen: 1, Steps: []findings.Step{step}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"tenant":"t","entries":[{"seq":1,"kind":"probed","at":"2026-01-01T00:00:00Z","control":"a.b","id":"a.b","state":"fail","every_ns":1}]}`, string(good))
	f.Add(`{"entries":[{"seq":2,"kind":"started"},{"seq":9,"kind":"vanished","control":"x"}]}`, `{"t":[{"id":"f","state":"closed"},{"id":"f","state":"verified","steps":[{"to":"verified"}]}]}`)
	f.Add(`{}`, `{"":[{}]}`)
	f.Fuzz(func(t *testing.T, history, list string) {
		b := &Bundle{Content: Content{Catalogue: cat, From: at, To: at.Add(time.Hour)}}
		if json.Unmarshal([]byte(history), &b.History) != nil || json.Unmarshal([]byte(list), &b.Findings) != nil {
			return
		}
		v := &Verdict{}
		b.checkParameters(v)
		b.checkHistory(v)
		b.checkFindings(v)
		b.reconcileRuns(v, nil)
		b.reconcileFindings(v, nil)
		for _, p := range v.Problems {
			if len(p.What) > 400 {
				t.Fatalf("a problem of %d bytes", len(p.What))
			}
		}
	})
}
