package login_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/guard"
)

// A site is a world behind a real HTTP server.
type site struct {
	*world
	*httptest.Server
	browser *http.Client
}

func newSite(t *testing.T, o login.Options) *site {
	t.Helper()
	o.InsecureCookies = true
	w := newWorld(t, o)
	identify, err := authn.Identify(w.rec, w.sessions)
	if err != nil {
		t.Fatal(err)
	}
	home := guard.Route{
		Pattern: "GET /{$}", Action: "home.read", Guards: []guard.Guard{authn.Required(authn.AAL2, authn.RequiredOptions{LoginPage: "/login"})},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := authn.FromContext(r.Context())
			_, _ = io.WriteString(w, "welcome "+p.ID)
		}),
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(w.rec), identify}, append(w.Routes(), home)...)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{world: w, Server: httptest.NewServer(mux)}
	t.Cleanup(s.Close)
	s.browser = s.newBrowser(t)
	return s
}

func (s *site) newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// page does what a browser does with a link or a form and returns the status,
// the final path and the text.
func (s *site) page(t *testing.T, method, path string, form url.Values) (int, string, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := s.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL.Path, string(body)
}

// call does what a program does.
func (s *site) call(t *testing.T, method, path, token string, in, out any) *http.Response {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatalf("%s %s: %d %q: %v", method, path, resp.StatusCode, data, err)
		}
	}
	return resp
}

type step struct{ Step, Ticket, Token, URI, Secret string }

func TestBrowserLogsInWithoutJavaScript(t *testing.T) {
	s := newSite(t, login.Options{})
	status, path, body := s.page(t, "GET", "/", nil)
	if status != 200 || path != "/login" || !strings.Contains(body, `autocomplete="current-password"`) {
		t.Fatalf("nobody is sent to %s: %d %s", path, status, body)
	}
	if status, _, body := s.page(t, "POST", "/login", url.Values{"tenant": {"acme"}, "name": {"ada@example.org"}, "password": {"wrong"}}); status != 401 ||
		!strings.Contains(body, `role="alert"`) {
		t.Errorf("a wrong password: %d %s", status, body)
	}
	status, path, body = s.page(t, "POST", "/login", url.Values{"tenant": {"acme"}, "name": {"ada@example.org"}, "password": {initial}})
	if status != 200 || path != "/login/enrol" || !strings.Contains(body, "<svg") {
		t.Fatalf("after the password: %s %d %s", path, status, body)
	}
	app := authntest.Type(t, regexp.MustCompile(`<code>([A-Z2-7]+)</code>`).FindStringSubmatch(body)[1])
	if status, _, body := s.page(t, "POST", "/login/enrol", url.Values{"code": {"000000"}}); status != 401 || strings.Contains(body, "<svg") {
		t.Errorf("a wrong code: %d %s", status, body)
	}
	status, path, _ = s.page(t, "POST", "/login/enrol", url.Values{"code": {app.Code(time.Now(), -1)}})
	if status != 200 || path != "/login/password" {
		t.Fatalf("after the enrolment: %s %d", path, status)
	}
	if status, _, body := s.page(t, "POST", "/login/password", url.Values{"new": {"password1"}}); status != 422 || !strings.Contains(body, "first that attackers try") {
		t.Errorf("a common password: %d %s", status, body)
	}
	status, path, body = s.page(t, "POST", "/login/password", url.Values{"new": {chosen}})
	if status != 200 || path != "/" || body != "welcome u-1" {
		t.Fatalf("after the change: %s %d %s", path, status, body)
	}
	if _, _, body := s.page(t, "GET", "/account/security", nil); !strings.Contains(body, "(this one)") {
		t.Errorf("the account page: %s", body)
	}
	if _, path, _ := s.page(t, "POST", "/logout", nil); path != "/login" {
		t.Errorf("after logging out: %s", path)
	}
	if _, path, _ := s.page(t, "GET", "/", nil); path != "/login" {
		t.Errorf("after logging out the home page is open: %s", path)
	}
}

func TestProgramLogsIn(t *testing.T) {
	s := newSite(t, login.Options{})
	var st step
	s.call(t, "POST", "/login", "", map[string]string{"tenant": "acme", "name": "ada@example.org", "password": initial}, &st)
	if st.Step != "enrol" || st.Token != "" || st.Ticket == "" {
		t.Fatalf("%+v", st)
	}
	ticket := st.Ticket
	s.call(t, "POST", "/login/enrol", "", map[string]string{"ticket": ticket}, &st)
	app := authntest.Scan(t, st.URI)
	s.call(t, "POST", "/login/enrol", "", map[string]string{"ticket": ticket, "code": app.Code(time.Now(), -1)}, &st)
	s.call(t, "POST", "/login/password", "", map[string]string{"ticket": st.Ticket, "new": chosen}, &st)
	if st.Step != "done" || st.Token == "" {
		t.Fatalf("%+v", st)
	}
	if resp := s.call(t, "GET", "/", st.Token, nil, nil); resp.StatusCode != 200 || len(resp.Cookies()) != 0 {
		t.Errorf("with the token: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	old := st.Token
	s.call(t, "POST", "/account/reauthenticate", old, map[string]string{"password": chosen, "code": app.Code(time.Now(), 0)}, &st)
	if resp := s.call(t, "GET", "/", old, nil, nil); resp.StatusCode != 401 {
		t.Errorf("the token from before the reauthentication: %d", resp.StatusCode)
	}
	var list struct {
		Sessions []struct {
			ID      string
			Current bool
		}
		TOTP bool
	}
	s.call(t, "GET", "/account/security", st.Token, nil, &list)
	if len(list.Sessions) != 1 || !list.Sessions[0].Current || !list.TOTP {
		t.Errorf("%+v", list)
	}
	s.call(t, "POST", "/account/sessions", st.Token, map[string]string{"end": list.Sessions[0].ID}, nil)
	if resp := s.call(t, "GET", "/", st.Token, nil, nil); resp.StatusCode != 401 {
		t.Errorf("after ending the session: %d", resp.StatusCode)
	}
}

func TestOtherSitesCantPost(t *testing.T) {
	s := newSite(t, login.Options{})
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/login", strings.NewReader("tenant=acme"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("a login from another site: %d", resp.StatusCode)
	}
}
