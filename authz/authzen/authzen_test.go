package authzen_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/authzen"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

const model = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act
`

const policy = `
p, clerk, acme, doc:1, read
p, clerk, acme, doc:2, read
p, clerk, acme, doc:2, write
p, clerk, acme, box:1, open
p, clerk, globex, doc:9, read
g, alice, clerk, acme
g, bob, clerk, acme
g, alice, clerk, globex
`

// caller authenticates by a header; it stands for the programs that ask.
type caller struct{}

func (caller) Authenticate(_ context.Context, call *guard.Call) (authn.Principal, error) {
	v := call.Header("X-Caller")
	if len(v) != 1 {
		return authn.Principal{}, authn.ErrNoCredential
	}
	return authn.Principal{Actor: auditlog.Actor{ID: "gateway", Tenant: v[0], Kind: auditlog.Service}, AAL: authn.AAL1}, nil
}

func (caller) Controls() []controls.Control { return nil }

// newPDP is a decision point behind a guard that wants a caller.
func newPDP(t testing.TB) (http.Handler, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	engine, err := authz.New(model, policy, rec, authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := authzen.NewServer(engine, authzen.ServerOptions{URL: "https://pdp.example/"})
	if err != nil {
		t.Fatal(err)
	}
	identify, err := authn.Identify(rec, caller{})
	if err != nil {
		t.Fatal(err)
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(rec), identify}, server.Routes(authn.Required(authn.AAL1, authn.RequiredOptions{}))...)
	if err != nil {
		t.Fatal(err)
	}
	return mux, rec
}

func post(t testing.TB, h http.Handler, path, body string, header ...string) (int, map[string]any, http.Header) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Caller", "acme")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s: %v: %s", path, err, w.Body)
	}
	return w.Code, out, w.Header()
}

func question(who, act, typ, id string) string {
	return fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":{"type":%q,"id":%q}}`, who, act, typ, id)
}

func TestEvaluation(t *testing.T) {
	h, rec := newPDP(t)
	for _, c := range []struct {
		body string
		want bool
	}{
		{question("alice", "read", "doc", "1"), true},
		{question("alice", "write", "doc", "1"), false},
		{question("mallory", "read", "doc", "1"), false},
		{question("alice", "read", "doc", "9"), false}, // another tenant's
	} {
		status, out, header := post(t, h, authzen.EvaluationPath, c.body, "X-Request-ID", "r-1")
		if status != 200 || out["decision"] != c.want || header.Get("X-Request-ID") != "r-1" {
			t.Errorf("%s: %d %v %v", c.body, status, out, header)
		}
		about, _ := out["context"].(map[string]any)
		id, _ := about["id"].(string)
		// Whoever is told a decision's id finds it in the log, with the subject.
		found := slices.ContainsFunc(rec.Entries(), func(e auditlog.Entry) bool {
			return e.Action == "authz.decide" && slices.ContainsFunc(e.Attrs, func(a auditlog.Attr) bool { return a.Key == "decision" && a.Text() == id }) &&
				len(e.Targets) == 1 && strings.Contains(c.body, e.Targets[0].ID)
		})
		if id == "" || !found {
			t.Errorf("decision %q is in no event", id)
		}
	}
}

// A tenant that the request names is the caller's claim: only the caller's own
// tenant counts.
func TestClaimedTenant(t *testing.T) {
	h, _ := newPDP(t)
	body := `{"subject":{"type":"user","id":"alice","properties":{"tenant":"globex"}},"action":{"name":"read"},"resource":{"type":"doc","id":"9","properties":{"tenant":"globex"}},"context":{"tenant":"globex"}}`
	if _, out, _ := post(t, h, authzen.EvaluationPath, body); out["decision"] != false {
		t.Error("a claimed tenant counted")
	}
	if _, out, _ := post(t, h, authzen.EvaluationPath, body, "X-Caller", "globex"); out["decision"] != true {
		t.Error("the caller's tenant doesn't count")
	}
}

func TestMalformed(t *testing.T) {
	h, _ := newPDP(t)
	for _, body := range []string{
		``, `null`, `[]`, `{`, `{}`, `"x"`, `{"subject":1}`, `{"subject":{"type":"user"}}`,
		`{"subject":{"type":"user","id":""},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`,
		`{"subject":{"type":"user","id":7},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`,
		`{"subject":{"type":"user","id":"alice","id":"bob"},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`,
		`{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"doc","id":"1"},"context":3}`,
		`{"subject":{"type":"user","id":"alice","properties":[]},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`,
		question("alice", "read", "doc", "1") + "{}",
		`{"evaluations":{}}`, `{"evaluations":[{}],"options":4}`, `{"evaluations":[{}],"options":{"evaluations_semantic":"all"}}`,
		`{"evaluations":[` + strings.Repeat("{},", 1000) + `{}]}`,
	} {
		for _, path := range []string{authzen.EvaluationPath, authzen.EvaluationsPath} {
			if path == authzen.EvaluationPath && strings.Contains(body, "evaluations") {
				continue
			}
			status, out, header := post(t, h, path, body, "X-Request-ID", "r-2")
			if status != 400 || header.Get("X-Request-ID") != "r-2" || out["decision"] != nil {
				t.Errorf("%s %.80s: %d %v", path, body, status, out)
			}
		}
	}
}

// A request id that is more than one goes into no header.
func TestRequestIDIsBounded(t *testing.T) {
	h, _ := newPDP(t)
	for _, id := range []string{strings.Repeat("x", 129), "a b", "a\x7f"} {
		if _, _, header := post(t, h, authzen.EvaluationPath, question("alice", "read", "doc", "1"), "X-Request-ID", id); header.Get("X-Request-ID") != "" {
			t.Errorf("%q came back", id)
		}
	}
}

func TestNobodyAsks(t *testing.T) {
	h, _ := newPDP(t)
	if status, out, _ := post(t, h, authzen.EvaluationPath, question("alice", "read", "doc", "1"), "X-Caller", ""); status != 401 || out["decision"] != nil {
		t.Errorf("a stranger was answered %d %v", status, out)
	}
}

func decisions(out map[string]any) string {
	var s strings.Builder
	list, _ := out["evaluations"].([]any)
	for _, d := range list {
		m, _ := d.(map[string]any)
		fmt.Fprint(&s, map[any]string{true: "+", false: "-"}[m["decision"]])
	}
	return s.String()
}

func TestEvaluations(t *testing.T) {
	h, _ := newPDP(t)
	// What an evaluation lacks it has from the whole.
	ask := func(semantic string) string {
		return `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},` +
			`"evaluations":[{"resource":{"type":"doc","id":"1"}},{"resource":{"type":"doc","id":"7"}},{"resource":{"type":"doc","id":"2"}}]` + semantic + `}`
	}
	for semantic, want := range map[string]string{
		"": "+-+", `,"options":{}`: "+-+", `,"options":{"evaluations_semantic":"execute_all"}`: "+-+",
		`,"options":{"evaluations_semantic":"deny_on_first_deny"}`:     "+-",
		`,"options":{"evaluations_semantic":"permit_on_first_permit"}`: "+",
	} {
		if status, out, _ := post(t, h, authzen.EvaluationsPath, ask(semantic)); status != 200 || decisions(out) != want {
			t.Errorf("%s: %d %v, want %s", semantic, status, out, want)
		}
	}
	// A malformed one is denied alone.
	body := `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"evaluations":[{"resource":{"type":"doc"}},7,{"resource":{"type":"doc","id":"1"}}]}`
	status, out, _ := post(t, h, authzen.EvaluationsPath, body)
	if status != 200 || decisions(out) != "--+" || !strings.Contains(fmt.Sprint(out), "resource.id") {
		t.Errorf("%d %v", status, out)
	}
	// Without evaluations it is one.
	if _, out, _ := post(t, h, authzen.EvaluationsPath, question("alice", "read", "doc", "1")); out["decision"] != true {
		t.Errorf("one evaluation: %v", out)
	}
}

func results(out map[string]any) []string {
	var list []string
	found, _ := out["results"].([]any)
	for _, r := range found {
		m, _ := r.(map[string]any)
		if m["name"] != nil {
			list = append(list, fmt.Sprint(m["name"]))
		} else {
			list = append(list, fmt.Sprint(m["type"], " ", m["id"]))
		}
	}
	slices.Sort(list)
	return list
}

func TestSearch(t *testing.T) {
	h, _ := newPDP(t)
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{authzen.SearchSubjectPath, `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}`, []string{"user alice", "user bob"}},
		{authzen.SearchSubjectPath, `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"doc","id":"9"}}`, nil},
		{authzen.SearchResourcePath, `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"doc"}}`, []string{"doc 1", "doc 2"}},
		{authzen.SearchResourcePath, `{"subject":{"type":"user","id":"alice"},"action":{"name":"write"},"resource":{"type":"doc"}}`, []string{"doc 2"}},
		{authzen.SearchActionPath, `{"subject":{"type":"user","id":"alice"},"resource":{"type":"doc","id":"2"}}`, []string{"read", "write"}},
	} {
		status, out, _ := post(t, h, c.path, c.body)
		got := slices.DeleteFunc(results(out), func(s string) bool { return s == "user clerk" }) // a role is a subject of rules, too
		if status != 200 || !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %d %v, want %v", c.path, c.body, status, out, c.want)
		}
	}
}

func TestPages(t *testing.T) {
	h, _ := newPDP(t)
	var all []string
	token := ""
	for range 5 {
		body := fmt.Sprintf(`{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"doc"},"page":{"limit":1,"token":%q}}`, token)
		status, out, _ := post(t, h, authzen.SearchResourcePath, body)
		if status != 200 || len(results(out)) != 1 {
			t.Fatalf("%d %v", status, out)
		}
		all = append(all, results(out)...)
		page, _ := out["page"].(map[string]any)
		if token, _ = page["next_token"].(string); token == "" {
			break
		}
	}
	if want := []string{"doc 1", "doc 2"}; !slices.Equal(all, want) {
		t.Errorf("pages have %v", all)
	}
	for _, page := range []string{`3`, `{"limit":0}`, `{"limit":1.5}`, `{"limit":"1"}`, `{"limit":1001}`, `{"token":"x"}`, `{"token":"-1"}`, `{"token":7}`} {
		body := `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"doc"},"page":` + page + `}`
		if status, out, _ := post(t, h, authzen.SearchResourcePath, body); status != 400 {
			t.Errorf("page %s: %d %v", page, status, out)
		}
	}
}

func TestMetadata(t *testing.T) {
	h, _ := newPDP(t)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, authzen.MetadataPath, nil))
	var m map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	if m["policy_decision_point"] != "https://pdp.example" || m["access_evaluation_endpoint"] != "https://pdp.example"+authzen.EvaluationPath || len(m) != 6 {
		t.Errorf("%v", m)
	}
}

func TestServerRefuses(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	engine, err := authz.New(model, policy, rec, authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() (*authzen.Server, error){
		"no engine": func() (*authzen.Server, error) {
			return authzen.NewServer(nil, authzen.ServerOptions{URL: "https://pdp.example"})
		},
		"no URL": func() (*authzen.Server, error) { return authzen.NewServer(engine, authzen.ServerOptions{}) },
		"plain HTTP": func() (*authzen.Server, error) {
			return authzen.NewServer(engine, authzen.ServerOptions{URL: "http://pdp.example"})
		},
		"half a mapping": func() (*authzen.Server, error) {
			return authzen.NewServer(engine, authzen.ServerOptions{URL: "https://pdp.example", Object: func(authzen.Entity) string { return "x" }})
		},
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: a server was made", name)
		}
	}
	server, err := authzen.NewServer(engine, authzen.ServerOptions{URL: "https://pdp.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guard.NewMux([]guard.Guard{guard.Audit(rec)}, server.Routes()...); err == nil {
		t.Error("a decision point that anybody may ask was mounted")
	}
}

// An answer that could not be recorded is none.
func TestNoRecordNoDecision(t *testing.T) {
	engine, err := authz.New(model, policy, auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return errors.New("disk full") }), authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := authzen.NewServer(engine, authzen.ServerOptions{URL: "https://pdp.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range server.Routes() {
		if route.Pattern != "POST "+authzen.EvaluationPath {
			continue
		}
		p := authn.Principal{Actor: auditlog.Actor{ID: "gateway", Tenant: "acme", Kind: auditlog.Service}, AAL: authn.AAL1}
		r := httptest.NewRequestWithContext(authn.NewContext(t.Context(), p), http.MethodPost, authzen.EvaluationPath, strings.NewReader(question("alice", "read", "doc", "1")))
		w := httptest.NewRecorder()
		route.Handler.ServeHTTP(w, r)
		if w.Code != 503 || strings.Contains(w.Body.String(), "disk") || strings.Contains(w.Body.String(), "true") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func FuzzRequests(f *testing.F) {
	h, _ := newPDP(f)
	f.Add(question("alice", "read", "doc", "1"))
	f.Add(`{"evaluations":[{"subject":{"type":"user","id":"bob"}}],"action":{"name":"read"},"resource":{"type":"doc","id":"9"},"options":{"evaluations_semantic":"deny_on_first_deny"}}`)
	f.Add(`{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"doc"},"page":{"token":"1","limit":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{authzen.EvaluationPath, authzen.EvaluationsPath, authzen.SearchSubjectPath, authzen.SearchResourcePath, authzen.SearchActionPath} {
			status, out, _ := post(t, h, path, body)
			if status >= 500 && status != 501 {
				t.Errorf("%s: %d", path, status)
			}
			if status != 200 && out["decision"] != nil {
				t.Errorf("%s: %d with a decision", path, status)
			}
			if path == authzen.EvaluationPath && out["decision"] == true && !strings.Contains(body, "alice") && !strings.Contains(body, "bob") && !strings.Contains(body, `\u`) && !strings.Contains(body, "clerk") {
				t.Errorf("somebody unknown may: %s", body)
			}
		}
	})
}

// transport sends a client's requests to a handler.
type transport struct{ http.Handler }

func (h transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

func newClient(t *testing.T, h http.Handler) (*authzen.Client, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	c, err := authzen.NewClient("https://pdp.example", rec, authzen.ClientOptions{
		Transport: transport{h}, Authorize: func(r *http.Request) error { r.Header.Set("X-Caller", "acme"); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, rec
}

func TestClient(t *testing.T) {
	h, _ := newPDP(t)
	c, rec := newClient(t, h)
	doc := func(id string) authzen.Evaluation {
		return authzen.Evaluation{
			Subject: authzen.Entity{Type: "user", ID: "alice"}, Action: authzen.Action{Name: "read"}, Resource: authzen.Entity{Type: "doc", ID: id},
		}
	}
	for id, want := range map[string]bool{"1": true, "7": false} {
		if d, err := c.Evaluate(t.Context(), doc(id)); err != nil || d.Decision != want || d.Context["id"] == "" {
			t.Errorf("doc %s: %+v %v", id, d, err)
		}
	}
	for _, control := range c.Controls() {
		if r := control.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("%s: %v %s", control.ID, r.State, r.Observed)
		}
	}
	if n := len(rec.Entries()); n != 0 {
		t.Errorf("asking alone left %d events", n)
	}
}

// Whatever is not a well-formed answer denies.
func TestClientFailsClosed(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"an error":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); fmt.Fprint(w, `{"decision":true}`) },
		"a redirect":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", "/"); w.WriteHeader(302) },
		"no content":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"text":            func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"true"`) },
		"a text for true": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"decision":"true"}`) },
		"nothing":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) },
		"said twice":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"decision":false,"decision":true}`) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"decision":true,"context":{"x":%q}}`, strings.Repeat("x", 2<<20))
		},
		"more behind it": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"decision":true}{}`) },
	} {
		c, rec := newClient(t, h)
		d, err := c.Evaluate(t.Context(), authzen.Evaluation{})
		if !errors.Is(err, authzen.ErrUnavailable) || d.Decision {
			t.Errorf("%s: %+v %v", name, d, err)
		}
		if r := c.Controls()[0].Run(t.Context()); r.State == controls.Pass {
			t.Errorf("%s: the probe passes", name)
		}
		if status := protected(t, c, rec, "alice"); status != 503 {
			t.Errorf("%s: a call was answered %d", name, status)
		}
		if !slices.ContainsFunc(rec.Entries(), func(e auditlog.Entry) bool { return e.Action == "authz.decide" && e.Reason == "authz.unavailable" }) {
			t.Errorf("%s: no event", name)
		}
	}
	allows, _ := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"decision":true}`) }))
	if r := allows.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("a decision point that allows everything: %v", r.State)
	}
}

// protected is the status of a call to a route that the decision point guards.
func protected(t *testing.T, c *authzen.Client, rec auditlog.Recorder, who string) int {
	t.Helper()
	route := guard.Route{
		Pattern: "GET /docs/{id}", Action: "docs.read", Guards: []guard.Guard{c.Require("read", authzen.Resource("doc", "id"))},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }),
	}
	identify, err := authn.Identify(rec, user(who))
	if err != nil {
		t.Fatal(err)
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(rec), identify}, route)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/docs/1", nil))
	if w.Code != 200 && strings.Contains(w.Body.String(), "secret") {
		t.Error("a refused call was served")
	}
	return w.Code
}

// user authenticates everyone as one person; the empty one nobody.
type user string

func (u user) Authenticate(context.Context, *guard.Call) (authn.Principal, error) {
	if u == "" {
		return authn.Principal{}, authn.ErrNoCredential
	}
	return authn.Principal{Actor: auditlog.Actor{ID: string(u), Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2}, nil
}

func (user) Controls() []controls.Control { return nil }

func TestGuard(t *testing.T) {
	h, _ := newPDP(t)
	c, rec := newClient(t, h)
	for who, want := range map[string]int{"alice": 200, "mallory": 403, "": 401} {
		if got := protected(t, c, rec, who); got != want {
			t.Errorf("%q: %d, want %d", who, got, want)
		}
	}
	denied := slices.ContainsFunc(rec.Entries(), func(e auditlog.Entry) bool {
		return e.Action == "authz.decide" && e.Outcome == auditlog.Denied && e.Actor.ID == "mallory"
	})
	if !denied {
		t.Error("the denial left no event")
	}
	for _, bad := range []guard.Guard{c.Require("", authzen.Resource("doc", "id")), c.Require("read", nil)} {
		if _, err := guard.New(bad); !errors.Is(err, guard.ErrConfig) {
			t.Errorf("%v", err)
		}
	}
}

func TestClientRefuses(t *testing.T) {
	for _, base := range []string{"", "http://pdp.example", "pdp.example", "https://"} {
		if _, err := authzen.NewClient(base, &auditlogtest.Recorder{}, authzen.ClientOptions{}); err == nil {
			t.Errorf("%q: a client was made", base)
		}
	}
	if _, err := authzen.NewClient("https://pdp.example", nil, authzen.ClientOptions{}); err == nil {
		t.Error("a client without a recorder was made")
	}
	// Left to itself, the client reaches no address inside.
	c, err := authzen.NewClient("https://127.0.0.1:1", &auditlogtest.Recorder{}, authzen.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Evaluate(t.Context(), authzen.Evaluation{}); !errors.Is(err, authzen.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
