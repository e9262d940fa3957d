package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	root "github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/passkey"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/guard"
)

// chromium returns a context of a headless browser with a virtual
// authenticator.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("SURETY_REQUIRE_SERVICES") != "" {
			t.Fatal("chromium is missing: apt-get install chromium")
		}
		t.Skip("chromium is missing: apt-get install chromium")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-component-update", true),
	)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// page is what a site's own script does with the routes.
const page = `<!doctype html><title>passkeys</title><script>
const post = async (path, body) => {
	const r = await fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
	const answer = await r.json();
	if (!r.ok) throw new Error(path + ': ' + r.status + ' ' + answer.detail);
	return answer;
};
const register = async () => {
	const {handle, options} = await post('/account/passkey/begin', {});
	const key = await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey)});
	return (await post('/account/passkey/finish', {handle, name: 'browser', response: key.toJSON()})).id;
};
const signIn = async (more) => {
	const {handle, options} = await post('/login/passkey/begin', {tenant: 'acme', ...more});
	const key = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey)});
	return JSON.stringify(await post('/login/passkey/finish', {tenant: 'acme', handle, response: key.toJSON(), ...more}));
};
</script>`

func TestBrowserUsesPasskeys(t *testing.T) {
	ctx := chromium(t)
	s := newPasskeySite(t)
	do := func(what, script string) string {
		t.Helper()
		out, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return out
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/page")); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}}); err != nil {
		t.Fatal(err)
	}
	if id := do("registering", `register()`); id == "" {
		t.Fatal("no passkey")
	}
	var p struct{ Step, Token, Ticket string }
	read := func(text string) {
		t.Helper()
		p.Step, p.Token, p.Ticket = "", "", ""
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	read(do("signing in without a name", `signIn({})`))
	if p.Step != "done" || s.who(t, p.Token).AAL != root.AAL2 {
		t.Errorf("%+v", p)
	}
	first, err := s.flow.Begin(ctx, "acme", "ada", "seven quiet llamas dancing", login.Client{})
	if err != nil || first.Step != login.StepCode {
		t.Fatalf("%+v, %v", first, err)
	}
	read(do("the second factor", `signIn({ticket: "`+first.Ticket+`"})`))
	if who := s.who(t, p.Token); p.Step != "done" || !slices.Contains(who.Methods, "pwd") || !slices.Contains(who.Methods, "swk") {
		t.Errorf("%+v, %+v", p, who)
	}
}

type passkeySite struct {
	url      string
	flow     *login.Flow
	sessions *session.Manager
}

func (s *passkeySite) who(t *testing.T, token string) root.Principal {
	t.Helper()
	p, err := s.sessions.Authenticate(t.Context(), guard.Synthetic("t", "t.read", http.Header{"Authorization": {"Bearer " + token}}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newPasskeySite is a service with one account, whose browser is signed in by
// an assistant: every request to /account has its session.
func newPasskeySite(t *testing.T) *passkeySite {
	t.Helper()
	ctx, rec, key := t.Context(), &auditlogtest.Recorder{}, bytes.Repeat([]byte{1}, 32)
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, sqlite(t))
	hasher, err := password.New(password.Options{Memory: 7168, Passes: 5})
	must()
	hash, err := hasher.Hash(ctx, "seven quiet llamas dancing")
	must()
	err = db.Accounts().Create(ctx, login.Account{Tenant: "acme", ID: "u-1", Name: "ada", Password: hash})
	must()
	sessions, err := session.New(db.Sessions(), key, rec, session.Options{InsecureCookies: true})
	must()
	codes, err := totp.New(db.TOTP(), authntest.Seeds{}, rec, totp.Options{Issuer: "Test"})
	must()
	guesses, err := throttle.New(db.Throttle(), rec, throttle.Options{})
	must()
	srv := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	must()
	origin := "http://localhost:" + port
	keys, err := passkey.New(&passkey.Memory{}, key, rec, passkey.RelyingParty{ID: "localhost", Name: "Test", Origins: []string{origin}}, passkey.Options{})
	must()
	flow, err := login.New(login.Parts{
		Accounts: db.Accounts(), Passwords: hasher, Codes: codes, Sessions: sessions, Guesses: guesses, Key: key, Recorder: rec,
	}, login.Options{Factors: []login.Factor{keys}, InsecureCookies: true})
	must()
	identify, err := root.Identify(rec, sessions)
	must()
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(rec), identify}, append(keys.Routes(flow, sessions), guard.Route{
		Pattern: "GET /page", Action: "page.read", Guards: []guard.Guard{guard.Public("a test")}, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page)
		}),
	})...)
	must()
	ada := root.Principal{Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}, AAL: root.AAL2, Methods: []string{"pwd", "otp"}}
	token, err := sessions.Create(ctx, ada, 0, session.Device{})
	must()
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/account/") {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		mux.ServeHTTP(w, r)
	})
	srv.Start()
	t.Cleanup(srv.Close)
	return &passkeySite{origin, flow, sessions}
}
