package login_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// begin is the first step with the present password.
func (w *world) begin(t *testing.T, pass string) login.Progress {
	t.Helper()
	p, err := w.Begin(t.Context(), "acme", "ada@example.org", pass, login.Client{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// who returns the principal of a token.
func (w *world) who(t *testing.T, token string) (authn.Principal, error) {
	t.Helper()
	return w.sessions.Authenticate(t.Context(), guard.Synthetic("t", "t.read", http.Header{"Authorization": {"Bearer " + token}}))
}

func TestASVS_6_3_8_UnknownAccountsAnswerAlike(t *testing.T) {
	s := newSite(t, login.Options{})
	gone := login.Account{Tenant: "acme", ID: "u-2", Name: "gone@example.org", Disabled: true}
	var err error
	if gone.Password, err = s.hasher.Hash(t.Context(), chosen); err != nil {
		t.Fatal(err)
	}
	s.accounts.put(gone)
	s.accounts.put(login.Account{Tenant: "acme", ID: "u-3", Name: "nopass@example.org"})
	type answer struct {
		status int
		body   string
	}
	ask := func(tenant, name, pass string) answer {
		status, _, body := s.page(t, "POST", "/login", url.Values{"tenant": {tenant}, "name": {name}, "password": {pass}})
		return answer{status: status, body: strings.NewReplacer(name, "NAME", tenant, "TENANT").Replace(body)}
	}
	want := ask("acme", "ada@example.org", "wrong")
	if want.status != 401 {
		t.Fatalf("%+v", want)
	}
	for what, got := range map[string]answer{
		"unknown":           ask("acme", "eve@example.org", "wrong"),
		"disabled":          ask("acme", "gone@example.org", chosen),
		"without password":  ask("acme", "nopass@example.org", "wrong"),
		"unknown tenant":    ask("globex", "ada@example.org", initial),
		"impossible tenant": ask("../acme", "ada@example.org", initial),
		"empty password":    ask("acme", "ada@example.org", ""),
	} {
		if got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	// Throttling too: the fifth failure waits. Ada has failed twice by now.
	for name, failed := range map[string]int{"ada@example.org": 2, "eve@example.org": 1} {
		for ; failed < 6; failed++ {
			if a := ask("acme", name, "wrong"); (a.status == 429) != (failed >= 4) {
				t.Errorf("%s after %d failures: %d", name, failed, a.status)
			}
		}
	}
}

func TestUnknownAccountIsNotAnsweredFaster(t *testing.T) {
	w := newWorld(t, login.Options{})
	clock := func(name string) time.Duration {
		best := time.Hour
		for n := range 7 {
			start := time.Now()
			if _, err := w.Begin(t.Context(), "acme", name, fmt.Sprint("wrong ", n), login.Client{}); !errors.Is(err, login.ErrRefused) {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
			if a, err := w.accounts.ByName(t.Context(), "acme", name); err == nil {
				_ = w.guesses.Succeed(t.Context(), "acme", a.ID)
			}
		}
		return best
	}
	known := clock("ada@example.org")
	unknown := time.Hour
	for n := range 7 {
		start := time.Now()
		if _, err := w.Begin(t.Context(), "acme", fmt.Sprint("eve", n), "wrong", login.Client{}); !errors.Is(err, login.ErrRefused) {
			t.Fatal(err)
		}
		unknown = min(unknown, time.Since(start))
	}
	if ratio := float64(known) / float64(unknown); ratio < 0.7 || ratio > 1.4 {
		t.Errorf("a known account is answered after %v, an unknown one after %v", known, unknown)
	}
}

func TestASVS_6_3_3_NoSessionBeforeAllFactors(t *testing.T) {
	w := newWorld(t, login.Options{})
	app, _ := w.signUp(t)
	p := w.begin(t, chosen)
	if p.Token != "" {
		t.Fatal("a session after the password")
	}
	if _, err := w.who(t, p.Ticket); err == nil {
		t.Error("a ticket opens the service")
	}
	for what, step := range map[string]func() (login.Progress, error){
		"enrol instead of the code": func() (login.Progress, error) { _, err := w.Enrol(t.Context(), p.Ticket); return login.Progress{}, err },
		"confirm instead": func() (login.Progress, error) {
			return w.Confirm(t.Context(), p.Ticket, app.Code(time.Now(), 0), client)
		},
		"change instead of the code": func() (login.Progress, error) { return w.Change(t.Context(), p.Ticket, "another good phrase", client) },
	} {
		if got, err := step(); !errors.Is(err, login.ErrStep) || got.Token != "" || got.Ticket != "" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if got, err := w.Code(t.Context(), p.Ticket, "000000", client); !errors.Is(err, login.ErrRefused) || got.Token != "" {
		t.Errorf("a wrong code: %+v, %v", got, err)
	}
	p, err := w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := w.who(t, p.Token); err != nil || who.AAL != authn.AAL2 || !who.Has("mfa") {
		t.Errorf("%+v, %v", who, err)
	}
}

// The failure of Better Auth: a sign-in by identity provider, magic link or
// passkey skips the second factor.
func TestASVS_6_3_4_EveryPathwayEndsInThePolicy(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t)
	epoch, err := w.sessions.Epoch(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, methods := range [][]string{{"fed"}, {"email"}, {"sms"}, {"pwd"}} {
		p, err := w.Resume(t.Context(), "acme", "u-1", login.Proof{Epoch: epoch, Methods: methods}, client)
		if err != nil || p.Step != login.StepCode || p.Token != "" {
			t.Errorf("after %v: %+v, %v", methods, p, err)
		}
	}
	if _, err := w.Resume(t.Context(), "acme", "u-1", login.Proof{Epoch: epoch - 1, Methods: []string{"pwd", "otp"}}, client); !errors.Is(err, login.ErrTicket) {
		t.Errorf("proofs from before the end of all sessions: %v", err)
	}
	if _, err := w.Resume(t.Context(), "acme", "u-1", login.Proof{Epoch: epoch, Methods: nil}, client); err == nil {
		t.Error("no proof at all")
	}
	a, _ := w.accounts.ByID(t.Context(), "acme", "u-1")
	a.Disabled = true
	w.accounts.put(a)
	if p, err := w.Resume(t.Context(), "acme", "u-1", login.Proof{Epoch: epoch, Methods: []string{"hwk"}}, client); !errors.Is(err, login.ErrRefused) || p.Token != "" {
		t.Errorf("a disabled account: %+v, %v", p, err)
	}
}

// Whoever knows the password must not get more guesses at the code by
// entering the password again and again.
func TestPasswordDoesNotForgiveCodes(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t)
	guesses := 0
	for range 10 {
		p, err := w.Begin(t.Context(), "acme", "ada@example.org", chosen, login.Client{})
		if errors.Is(err, throttle.ErrLocked) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Code(t.Context(), p.Ticket, "000000", login.Client{}); errors.Is(err, throttle.ErrLocked) {
			break
		}
		guesses++
	}
	if guesses > 2 {
		t.Errorf("%d codes were guessed before any wait", guesses)
	}
}

func TestTicketsEnd(t *testing.T) {
	w := newWorld(t, login.Options{})
	app, token := w.signUp(t)
	now := time.Now()
	p := w.begin(t, chosen)
	login.SetNow(w.Flow, func() time.Time { return now.Add(11 * time.Minute) })
	if _, err := w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); !errors.Is(err, login.ErrTicket) {
		t.Errorf("after 11 minutes: %v", err)
	}
	login.SetNow(w.Flow, time.Now)
	for what, end := range map[string]func() error{
		"all sessions are ended":     func() error { _, err := w.sessions.EndAll(t.Context(), "acme", "u-1", "admin"); return err },
		"the password changes":       func() error { return w.rehash(t, "a third good phrase") },
		"the account is disabled":    func() error { return w.disable(t) },
		"the account does not exist": func() error { w.accounts.mu.Lock(); defer w.accounts.mu.Unlock(); clear(w.accounts.m); return nil },
	} {
		saved, _ := w.accounts.ByID(t.Context(), "acme", "u-1")
		p := w.begin(t, chosen)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); !errors.Is(err, login.ErrTicket) || got.Token != "" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		w.accounts.put(saved)
		if err := w.guesses.Succeed(t.Context(), "acme", "u-1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, forged := range []string{"", "x", token, p.Ticket + "A", "A" + p.Ticket[1:], p.Ticket[:len(p.Ticket)-4], strings.Repeat("A", 4096)} {
		if err := login.OpenTicket(w.Flow, forged); !errors.Is(err, login.ErrTicket) {
			t.Errorf("%.20q: %v", forged, err)
		}
	}
}

func (w *world) rehash(t *testing.T, pass string) error {
	a, err := w.accounts.ByID(t.Context(), "acme", "u-1")
	if err != nil {
		return err
	}
	a.Password, err = w.hasher.Hash(t.Context(), pass)
	w.accounts.put(a)
	return err
}

func (w *world) disable(t *testing.T) error {
	a, err := w.accounts.ByID(t.Context(), "acme", "u-1")
	a.Disabled = true
	w.accounts.put(a)
	return err
}

func TestASVS_6_2_2_and_6_2_3_ChangeNeedsThePresentPassword(t *testing.T) {
	s := newSite(t, login.Options{})
	_, token := s.signUp(t)
	other := s.second(t)
	const third = "a third good phrase"
	if resp := s.call(t, "POST", "/account/password", token, map[string]string{"current": "wrong", "new": third}, nil); resp.StatusCode != 401 {
		t.Errorf("with a wrong present password: %d", resp.StatusCode)
	}
	if resp := s.call(t, "POST", "/account/password", "", map[string]string{"current": chosen, "new": third}, nil); resp.StatusCode != 401 {
		t.Errorf("without a session: %d", resp.StatusCode)
	}
	for _, weak := range []string{"short", "password123", "ada.example", chosen} {
		if resp := s.call(t, "POST", "/account/password", token, map[string]string{"current": chosen, "new": weak}, nil); resp.StatusCode != 422 {
			t.Errorf("%q: %d", weak, resp.StatusCode)
		}
		_ = s.guesses.Succeed(t.Context(), "acme", "u-1")
	}
	var st step
	if resp := s.call(t, "POST", "/account/password", token, map[string]string{"current": chosen, "new": third}, &st); resp.StatusCode != 200 {
		t.Fatalf("%d", resp.StatusCode)
	}
	for what, tc := range map[string]struct {
		token string
		want  int
	}{"its new token": {st.Token, 200}, "its old token": {token, 401}, "the other session": {other, 401}} {
		if resp := s.call(t, "GET", "/", tc.token, nil, nil); resp.StatusCode != tc.want {
			t.Errorf("%s after the change: %d", what, resp.StatusCode)
		}
	}
	s.rec.WantWithout(t, third, chosen)
}

// second opens another session of the account.
func (w *world) second(t *testing.T) string {
	t.Helper()
	epoch, err := w.sessions.Epoch(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	p := authn.Principal{Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2, Methods: []string{"pwd", "otp"}}
	token, err := w.sessions.Create(t.Context(), p, epoch, session.Device{Name: "another"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestASVS_7_5_1_FactorChangesNeedThePassword(t *testing.T) {
	s := newSite(t, login.Options{})
	app, token := s.signUp(t)
	other := s.second(t)
	if resp := s.call(t, "POST", "/account/totp", token, map[string]string{"password": "wrong"}, nil); resp.StatusCode != 401 {
		t.Errorf("with a wrong password: %d", resp.StatusCode)
	}
	var st step
	s.call(t, "POST", "/account/totp", token, map[string]string{"password": chosen}, &st)
	fresh := scan(t, st.URI)
	if resp := s.call(t, "POST", "/account/totp", token, map[string]string{"code": app.Code(time.Now(), 0)}, nil); resp.StatusCode != 401 {
		t.Errorf("with a code of the old device: %d", resp.StatusCode)
	}
	s.call(t, "POST", "/account/totp", token, map[string]string{"code": fresh.Code(time.Now(), 0)}, &st)
	if resp := s.call(t, "GET", "/", st.Token, nil, nil); resp.StatusCode != 200 {
		t.Errorf("the session that changed the factor: %d", resp.StatusCode)
	}
	for _, dead := range []string{token, other} {
		if resp := s.call(t, "GET", "/", dead, nil, nil); resp.StatusCode != 401 {
			t.Errorf("another token after the change: %d", resp.StatusCode)
		}
	}
}

func TestASVS_7_2_4_and_6_4_3_Reauthentication(t *testing.T) {
	s := newSite(t, login.Options{})
	app, token := s.signUp(t)
	before, err := s.who(t, token)
	if err != nil {
		t.Fatal(err)
	}
	for what, in := range map[string]map[string]string{
		"no code":        {"password": chosen},
		"wrong code":     {"password": chosen, "code": "000000"},
		"wrong password": {"password": "wrong", "code": app.Code(time.Now(), 0)},
	} {
		if resp := s.call(t, "POST", "/account/reauthenticate", token, in, nil); resp.StatusCode != 401 {
			t.Errorf("%s: %d", what, resp.StatusCode)
		}
		_ = s.guesses.Succeed(t.Context(), "acme", "u-1")
	}
	var st step
	s.call(t, "POST", "/account/reauthenticate", token, map[string]string{"password": chosen, "code": app.Code(time.Now(), 0)}, &st)
	after, err := s.who(t, st.Token)
	if err != nil || after.SessionID != before.SessionID || after.AAL != authn.AAL2 || after.AuthenticatedAt.Before(before.AuthenticatedAt) {
		t.Errorf("%+v, %v", after, err)
	}
	if _, err := s.who(t, token); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the token from before: %v", err)
	}
}

func TestRedirectsStayHere(t *testing.T) {
	for path, want := range map[string]bool{"/": true, "/a?b=//c": true, "": false, "//evil.example": false, "/\\evil.example": false, "https://evil.example": false, "a": false} {
		if login.LocalPath(path) != want {
			t.Errorf("%q: %t", path, !want)
		}
	}
}

func TestOddRequests(t *testing.T) {
	s := newSite(t, login.Options{})
	for what, tc := range map[string]struct {
		typ, body string
		want      int
	}{
		"twice the same member": {"application/json", `{"name":"a","name":"b"}`, 400},
		"an unknown member":     {"application/json", `{"admin":true}`, 400},
		"two values":            {"application/json", `{} {}`, 400},
		"not JSON":              {"application/json", `name=a`, 400},
		"too large":             {"application/json", `{"name":"` + strings.Repeat("a", 20<<10) + `"}`, 400},
		"too large a form":      {"application/x-www-form-urlencoded", "name=" + strings.Repeat("a", 20<<10), 400},
		"XML":                   {"text/xml", "<a/>", 400},
		"multipart":             {"multipart/form-data; boundary=x", "--x--", 400},
		"nothing":               {"application/json", `{}`, 401},
	} {
		for _, path := range []string{"/login"} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", tc.typ)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("%s: %d, want %d", what, resp.StatusCode, tc.want)
			}
		}
	}
}

func TestPasswordsAreUpgradedAtLogin(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t)
	a, _ := w.accounts.ByID(t.Context(), "acme", "u-1")
	// PBKDF2 with 1000 rounds, as an old system had it: "old system phrase".
	a.Password = oldHash(t, "old system phrase")
	w.accounts.put(a)
	if p, err := w.Begin(t.Context(), "acme", "ada@example.org", "old system phrase", client); err != nil || p.Step != login.StepCode {
		t.Fatalf("%+v, %v", p, err)
	}
	if b, _ := w.accounts.ByID(t.Context(), "acme", "u-1"); !strings.HasPrefix(b.Password, "$argon2id$") || b.MustChange {
		t.Errorf("stored %.20s", b.Password)
	}
}

func TestUnrecordedLoginGetsNoSession(t *testing.T) {
	w := newWorld(t, login.Options{})
	app, _ := w.signUp(t)
	p := w.begin(t, chosen)
	w.rec.FailWith(errors.New("disk full"))
	if got, err := w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); err == nil || got.Token != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := w.Begin(t.Context(), "acme", "ada@example.org", chosen, client); err == nil || got.Ticket != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestASVS_6_8_4_SingleFactorIsLevelOne(t *testing.T) {
	w := newWorld(t, login.Options{SingleFactor: true})
	a, _ := w.accounts.ByID(t.Context(), "acme", "u-1")
	a.MustChange = false
	w.accounts.put(a)
	p := w.begin(t, initial)
	who, err := w.who(t, p.Token)
	if err != nil || who.AAL != authn.AAL1 || !slices.Equal(who.Methods, []string{"pwd"}) {
		t.Errorf("%+v, %v", who, err)
	}
	found := false
	for _, q := range w.Controls()[0].Parameters {
		found = found || q == controls.Bool("single_factor", true)
	}
	if !found {
		t.Error("evidence does not show it")
	}
}

func TestReasonsInEvents(t *testing.T) {
	w := newWorld(t, login.Options{})
	_ = w.disable(t)
	for _, tc := range [][2]string{{"ada@example.org", initial}, {"ada@example.org", "wrong"}, {"eve@example.org", "wrong"}} {
		_, _ = w.Begin(t.Context(), "acme", tc[0], tc[1], client)
	}
	var got []string
	for _, e := range w.rec.Find("authn.password.verify") {
		got = append(got, e.Outcome.String()+" "+e.Reason)
		if auditlog.DefaultTable().Ack(&e.Event) != auditlog.Durable {
			t.Errorf("%s is not durable", e.Reason)
		}
	}
	if want := "denied authn.login.disabled,denied authn.login.mismatch,denied authn.login.unknown"; strings.Join(got, ",") != want {
		t.Errorf("%q", got)
	}
	w.rec.WantWithout(t, "eve@")
}

func TestProbe(t *testing.T) {
	w := newWorld(t, login.Options{})
	seen := map[string]bool{}
	for _, c := range w.Controls() {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		for range 6 { // more often than an account may fail for nothing
			if r := c.Run(t.Context()); r.State != controls.Pass {
				t.Errorf("%s: %+v", c.Key(), r)
			}
			if c.ID != "authn.login" {
				break
			}
		}
		seen[c.ID] = true
	}
	for _, id := range []string{"authn.login", "authn.password", "authn.totp", "authn.session", "authn.throttle"} {
		if !seen[id] {
			t.Errorf("%s is missing", id)
		}
	}
}

func TestDeadlineIsKept(t *testing.T) {
	w := newWorld(t, login.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if p, err := w.Begin(ctx, "acme", "ada@example.org", "x", login.Client{Addr: netip.MustParseAddr("::1")}); err == nil || p.Ticket != "" {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func FuzzTicket(f *testing.F) {
	w := newWorld(f, login.Options{})
	p, err := w.Begin(f.Context(), "acme", "ada@example.org", initial, client)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Ticket)
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if err := login.OpenTicket(w.Flow, s); err == nil && s != p.Ticket {
			t.Errorf("%q is a ticket", s)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add(" Ada@Example.ORG ")
	f.Add("\xff")
	f.Add("ﬁ\u0130")
	f.Fuzz(func(t *testing.T, s string) {
		if n := login.Name(s); login.Name(n) != n && len(n) <= 256 {
			t.Errorf("%q is %q and then %q", s, n, login.Name(n))
		}
	})
}
