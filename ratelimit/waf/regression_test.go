package waf

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/corazawaf/coraza-coreruleset/v4/tests"
	"go.yaml.in/yaml/v3"

	"github.com/surety-go/surety/auditlog"
)

// The rule set's own regression cases, which come with it, in the part of
// go-ftw's format that they use.
type suite struct {
	Rule  int `yaml:"rule_id"`
	Tests []struct {
		ID     int `yaml:"test_id"`
		Stages []struct {
			Input  input  `yaml:"input"`
			Output output `yaml:"output"`
		} `yaml:"stages"`
	} `yaml:"tests"`
}

type input struct {
	Method       string            `yaml:"method"`
	URI          string            `yaml:"uri"`
	Version      *string           `yaml:"version"`
	Headers      map[string]string `yaml:"headers"`
	Data         string            `yaml:"data"`
	Encoded      string            `yaml:"encoded_request"`
	Autocomplete *bool             `yaml:"autocomplete_headers"`
}

type output struct {
	Status      int  `yaml:"status"`
	ExpectError bool `yaml:"expect_error"`
	Log         struct {
		Expect  []int  `yaml:"expect_ids"`
		Refuse  []int  `yaml:"no_expect_ids"`
		Match   string `yaml:"match_regex"`
		NoMatch string `yaml:"no_match_regex"`
	} `yaml:"log"`
}

// raw is the request as it goes over the wire.
func (in input) raw() (string, error) {
	if in.Encoded != "" {
		b, err := base64.StdEncoding.DecodeString(in.Encoded)
		return string(b), err
	}
	orElse := func(s, d string) string {
		if s == "" {
			return d
		}
		return s
	}
	headers := maps.Clone(in.Headers)
	if headers == nil {
		headers = make(map[string]string)
	}
	has := func(name string) bool {
		for h := range headers {
			if strings.EqualFold(h, name) {
				return true
			}
		}
		return false
	}
	if in.Autocomplete == nil || *in.Autocomplete {
		for name, value := range map[string]string{"Connection": "close", "Content-Length": "", "Content-Type": ""} {
			if in.Data != "" {
				switch name {
				case "Content-Length":
					value = fmt.Sprint(len(in.Data))
				case "Content-Type":
					value = "application/x-www-form-urlencoded"
				}
			}
			if value != "" && !has(name) {
				headers[name] = value
			}
		}
	}
	version := "HTTP/1.1"
	if in.Version != nil {
		version = *in.Version
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", orElse(in.Method, "GET"), orElse(in.URI, "/"), version)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, headers[name])
	}
	return b.String() + "\r\n" + in.Data, nil
}

// regressionSetup is what the cases assume, as the rule set's documentation
// lists it: all rules, and limits on arguments and files.
const regressionSetup = `
SecAction "id:10001,phase:1,pass,t:none,nolog,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
`

// A gauge is a server whose firewall says which rules matched.
type gauge struct {
	*httptest.Server
	mu  sync.Mutex
	ids []int
	log strings.Builder // the matches as Coraza writes them
	ran bool
}

func newGauge(t *testing.T) *gauge {
	t.Helper()
	fw, err := New(auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }),
		Options{Detect: true, Paranoia: 4, Before: regressionSetup})
	if err != nil {
		t.Fatal(err)
	}
	g := &gauge{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		v := fw.inspect(r)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ran = true
		for _, m := range v.matches {
			g.ids = append(g.ids, m.Rule().ID())
			g.log.WriteString(m.ErrorLog() + "\n")
		}
	}))
	t.Cleanup(g.Close)
	return g
}

// send sends a request and reports which rules matched, and whether the
// firewall saw it at all.
func (g *gauge) send(t *testing.T, request string) (ids []int, log string, seen bool) {
	t.Helper()
	g.mu.Lock()
	g.ids, g.ran = nil, false
	g.log.Reset()
	g.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", g.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// It only ends a hang: a case of 64,000 bytes takes the rules 10 s under
	// the race detector.
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, request) // the server may have refused it already
	_ = conn.(*net.TCPConn).CloseWrite()
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ids, g.log.String(), g.ran
}

// passes compares what matched with what the case expects.
func (o output) passes(ids []int, log string) bool {
	for _, id := range o.Log.Expect {
		if !slices.Contains(ids, id) {
			return false
		}
	}
	for _, id := range o.Log.Refuse {
		if slices.Contains(ids, id) {
			return false
		}
	}
	if o.Log.Match != "" && !regexp.MustCompile(o.Log.Match).MatchString(log) {
		return false
	}
	return o.Log.NoMatch == "" || !regexp.MustCompile(o.Log.NoMatch).MatchString(log)
}

// unseen are the cases that net/http answers by itself, with 400, or by
// closing the connection: no handler, and so no firewall, ever sees them.
var unseen = []string{
	"920100-11", "920100-12", "920100-13", "920100-15", "920100-2", "920100-3", // request lines that are none
	"920160-1", "920160-2", "920160-3", "920160-5", // Content-Length that is no number
	"920280-3",                                                                                                  // no Host in HTTP/1.1
	"920300-2",                                                                                                  // OPTIONS *, which net/http answers itself
	"920430-10", "920430-3", "920430-4", "920430-5", "920430-6", "920430-7", "920430-8", "920430-9", "920180-4", // versions that don't exist
	"921140-1", // a carriage return within a header
}

// different are the other cases that end otherwise than their authors expect.
var different = map[string]string{
	"920290-4": "net/http does not tell an empty Host from a missing one: 920280 matches instead",
	"920620-1": "written for a server that joins two Content-Type headers; net/http keeps both, and the rule finds them",
	"922130-1": "Coraza's parser refuses the body before this rule: 200002 and 200003 match",
	"922130-2": "as 922130-1",
	"922130-7": "as 922130-1",
}

// A tally counts cases by how they went.
type tally struct {
	total, passed  int
	unseen, failed []string
}

func (c *tally) run(t *testing.T, g *gauge, name string, s suite) {
	t.Helper()
	for _, tc := range s.Tests {
		ok, seen := true, true
		for _, stage := range tc.Stages {
			request, err := stage.Input.raw()
			if err != nil {
				t.Fatalf("%s-%d: %v", name, tc.ID, err)
			}
			ids, log, ran := g.send(t, request)
			seen = seen && ran
			ok = ok && (stage.Output.ExpectError || stage.Output.passes(ids, log))
		}
		c.total++
		switch {
		case !seen:
			c.unseen = append(c.unseen, fmt.Sprintf("%s-%d", name, tc.ID))
		case ok:
			c.passed++
		default:
			c.failed = append(c.failed, fmt.Sprintf("%s-%d", name, tc.ID))
		}
	}
}

// TestCoreRuleSet runs the regression cases of the rules for requests, through
// net/http as an application would.
func TestCoreRuleSet(t *testing.T) {
	g := newGauge(t)
	var c tally
	err := fs.WalkDir(tests.FS, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(file, "REQUEST-") || path.Ext(file) != ".yaml" {
			return err
		}
		b, err := fs.ReadFile(tests.FS, file)
		if err != nil {
			return err
		}
		var s suite
		if err := yaml.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		c.run(t, g, strings.TrimSuffix(path.Base(file), ".yaml"), s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases: %d passed, %d never reached a handler, %d others differ", c.total, c.passed, len(c.unseen), len(c.failed))
	for name, pair := range map[string][2][]string{"never reached a handler": {c.unseen, unseen}, "differ": {c.failed, slices.Sorted(maps.Keys(different))}} {
		slices.Sort(pair[0])
		slices.Sort(pair[1])
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
	if c.total < 4500 {
		t.Errorf("only %d cases were found", c.total)
	}
}
