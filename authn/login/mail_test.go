package login_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/authn/stepup"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// A postbox keeps messages and notices.
type postbox struct {
	mu      sync.Mutex
	mail    []otp.Message
	notices []string
	err     error
}

func (b *postbox) Send(_ context.Context, m otp.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mail = append(b.mail, m)
	return nil
}

func (b *postbox) Notify(_ context.Context, n login.Notice) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n.Account.Password != "" {
		return errors.New("the notice has the account's hash")
	}
	b.notices = append(b.notices, n.Kind)
	return b.err
}

func (b *postbox) last(t *testing.T) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mail) == 0 {
		t.Fatal("no mail")
	}
	return b.mail[len(b.mail)-1].Code
}

// full are options with everything.
func full(t *testing.T) (login.Options, *postbox) {
	t.Helper()
	box := &postbox{}
	mail, err := otp.New(&otp.Memory{}, box, bytes.Repeat([]byte{3}, 32), &auditlogtest.Recorder{}, otp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	codes, err := recoverycode.New(&recoverycode.Memory{}, &auditlogtest.Recorder{})
	if err != nil {
		t.Fatal(err)
	}
	return login.Options{Mail: mail, MailLogin: true, Recovery: codes, Remember: 24 * time.Hour, Notifier: box}, box
}

const renewed = "eleven green umbrellas"

// The failure of peers: a reset by mail that turns the second factor off, or
// passes it by.
func TestASVS_6_4_3_ResetKeepsTheSecondFactor(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	app, token := w.signUp(t)
	handle, err := w.AskReset(t.Context(), "acme", "Ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.TakeReset(t.Context(), handle, box.last(t), client)
	if err != nil || p.Step != login.StepCode || p.Token != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := w.Change(t.Context(), p.Ticket, renewed, client); !errors.Is(err, login.ErrStep) {
		t.Errorf("a new password without the code: %v", err)
	}
	if _, err := w.Enrol(t.Context(), p.Ticket); !errors.Is(err, login.ErrStep) {
		t.Errorf("a new app without the code: %v", err)
	}
	if p, err = w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); err != nil || p.Step != login.StepChange || p.Token != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	ticket := p.Ticket
	if p, err = w.Change(t.Context(), ticket, renewed, client); err != nil || p.Step != login.StepPassword || p.Token != "" || p.Ticket != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := w.Change(t.Context(), ticket, "another good phrase", client); !errors.Is(err, login.ErrTicket) {
		t.Errorf("the reset again: %v", err)
	}
	if _, err := w.who(t, token); err == nil {
		t.Error("a session from before the reset stands")
	}
	if _, err := w.Begin(t.Context(), "acme", "ada@example.org", chosen, client); !errors.Is(err, login.ErrRefused) {
		t.Errorf("the old password: %v", err)
	}
	if p := w.begin(t, renewed); p.Step != login.StepCode {
		t.Errorf("after the reset the second factor is gone: %+v", p)
	}
	w.rec.WantWithout(t, renewed, box.last(t), handle)
}

func TestResetAnswersAlike(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	w.accounts.put(login.Account{Tenant: "acme", ID: "u-2", Name: "gone@example.org", Disabled: true})
	w.accounts.put(login.Account{Tenant: "acme", ID: "u-3", Name: "handle"})
	for _, name := range []string{"ada@example.org", "eve@example.org", "gone@example.org", "handle"} {
		handle, err := w.AskReset(t.Context(), "acme", name)
		if err != nil || len(handle) < 60 {
			t.Errorf("%s: %q, %v", name, handle, err)
		}
		if p, err := w.TakeReset(t.Context(), handle, "WRONG", client); !errors.Is(err, login.ErrRefused) || p.Ticket != "" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if len(box.mail) != 1 || box.mail[0].To != "ada@example.org" {
		t.Errorf("%+v", box.mail)
	}
}

// A link that somebody else asked for, or that was forwarded, opens nothing in
// another browser.
func TestLinksAreBoundToTheirBrowser(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	w.signUp(t)
	if _, err := w.AskLink(t.Context(), "acme", "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	code := box.last(t)
	mine, err := w.AskLink(t.Context(), "acme", "eve@example.org")
	if err != nil {
		t.Fatal(err)
	}
	for what, handle := range map[string]string{"another's": mine, "none": "", "junk": "AAAA", "long": strings.Repeat("A", 5000)} {
		if p, err := w.TakeLink(t.Context(), handle, code, client); err == nil || p.Ticket != "" {
			t.Errorf("%s: %+v", what, p)
		}
	}
}

func TestASVS_6_3_6_MailIsNoSecondFactor(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	app, _ := w.signUp(t)
	handle, err := w.AskLink(t.Context(), "acme", "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.TakeReset(t.Context(), handle, box.last(t), client); !errors.Is(err, login.ErrRefused) {
		t.Errorf("a link to sign in resets: %v", err)
	}
	p, err := w.TakeLink(t.Context(), handle, box.last(t), client)
	if err != nil || p.Step != login.StepCode {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); err != nil || p.Step != login.StepDone {
		t.Fatalf("%+v, %v", p, err)
	}
	if who, err := w.who(t, p.Token); err != nil || who.AAL != authn.AAL1 || who.Has("mfa") {
		t.Errorf("%+v, %v", who, err)
	}
	if p, err := w.TakeLink(t.Context(), handle, box.last(t), client); !errors.Is(err, login.ErrRefused) || p.Ticket != "" {
		t.Errorf("a link again: %+v, %v", p, err)
	}
}

func TestRecoveryCodeStandsInForTheCode(t *testing.T) {
	o, box := full(t)
	s := newSite(t, o)
	_, token := s.signUp(t)
	var made struct{ Codes []string }
	if resp := s.call(t, "POST", "/account/recovery", token, map[string]string{"password": "wrong"}, nil); resp.StatusCode != 401 {
		t.Errorf("without the password: %d", resp.StatusCode)
	}
	s.call(t, "POST", "/account/recovery", token, map[string]string{"password": chosen}, &made)
	if len(made.Codes) != recoverycode.Count {
		t.Fatalf("%+v", made)
	}
	p := s.begin(t, chosen)
	p, err := s.Code(t.Context(), p.Ticket, made.Codes[0], client)
	if err != nil || p.Step != login.StepDone {
		t.Fatalf("%+v, %v", p, err)
	}
	if who, err := s.who(t, p.Token); err != nil || who.AAL != authn.AAL2 || !who.Has("recovery") {
		t.Errorf("%+v, %v", who, err)
	}
	p = s.begin(t, chosen)
	if p, err := s.Code(t.Context(), p.Ticket, made.Codes[0], client); !errors.Is(err, login.ErrRefused) || p.Token != "" {
		t.Errorf("again: %+v, %v", p, err)
	}
	if p, err := s.Begin(t.Context(), "acme", "ada@example.org", made.Codes[1], client); !errors.Is(err, login.ErrRefused) {
		t.Errorf("in place of the password: %+v, %v", p, err)
	}
	for _, kind := range []string{login.NoticeRecovery, login.NoticeRecoveryUsed, login.NoticeSecondRefused} {
		if !slices.Contains(box.notices, kind) {
			t.Errorf("no notice %q: %q", kind, box.notices)
		}
	}
}

func TestASVS_6_3_5_and_6_3_7_PeopleAreTold(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	app, _ := w.signUp(t)
	if want := []string{login.NoticeCodes, login.NoticePassword, login.NoticeDevice}; !slices.Equal(box.notices, want) {
		t.Errorf("%q, want %q", box.notices, want)
	}
	box.notices = nil
	p := w.begin(t, chosen)
	if _, err := w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); err != nil || len(box.notices) != 0 {
		t.Errorf("a login from the same device: %q, %v", box.notices, err)
	}
	// What can't be sent fails nothing, and is on record.
	box.err = errors.New("no route")
	w.rec.Reset()
	p = w.begin(t, chosen)
	if _, err := w.Code(t.Context(), p.Ticket, "000000", client); !errors.Is(err, login.ErrRefused) {
		t.Error(err)
	}
	if list := w.rec.Find("authn.notice.send"); len(list) != 1 || list[0].Reason != "authn.notice.error" {
		t.Errorf("%+v", list)
	}
}

func TestRememberedDevice(t *testing.T) {
	o, _ := full(t)
	w := newWorld(t, o)
	app, _ := w.signUp(t)
	here := client
	here.Remember = true
	p := w.begin(t, chosen)
	p, err := w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), here)
	if err != nil || p.Device == "" {
		t.Fatalf("%+v, %v", p, err)
	}
	here.Remembered = p.Device
	again := func(pass string) login.Progress {
		t.Helper()
		p, err := w.Begin(t.Context(), "acme", "ada@example.org", pass, here)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	short := again(chosen)
	if short.Step != login.StepDone || short.Device != "" {
		t.Fatalf("%+v", short)
	}
	who, err := w.who(t, short.Token)
	if err != nil || who.AAL != authn.AAL1 || who.Has("device") || who.Has("mfa") {
		t.Errorf("%+v, %v", who, err)
	}
	g := stepup.RequireAAL(authn.AAL2, stepup.Options{})
	if _, err := g.Admit(authn.NewContext(t.Context(), who), guard.Synthetic("t", "t.read", nil)); err == nil {
		t.Error("a remembered device passed a step-up")
	}
	// It is its account's, for its time, and gone when the account says so.
	hash, err := w.hasher.Hash(t.Context(), chosen)
	if err != nil {
		t.Fatal(err)
	}
	w.accounts.put(login.Account{Tenant: "acme", ID: "u-2", Name: "bob", Password: hash})
	if p, err := w.Begin(t.Context(), "acme", "bob", chosen, here); err != nil || p.Step == login.StepDone {
		t.Errorf("another account's device: %+v, %v", p, err)
	}
	login.SetNow(w.Flow, func() time.Time { return time.Now().Add(25 * time.Hour) })
	if p := again(chosen); p.Step != login.StepCode {
		t.Errorf("after a day: %+v", p)
	}
	login.SetNow(w.Flow, time.Now)
	if _, err := w.sessions.EndOthers(t.Context(), short.Token, "user"); err != nil {
		t.Fatal(err)
	}
	if p := again(chosen); p.Step != login.StepCode {
		t.Errorf("after signing out everywhere else: %+v", p)
	}
	for _, forged := range []string{"AAAA", p.Device + "A", strings.Repeat("A", 4000)} {
		here.Remembered = forged
		if p := again(chosen); p.Step != login.StepCode {
			t.Errorf("a forged device: %+v", p)
		}
		_ = w.guesses.Succeed(t.Context(), "acme", "u-1")
	}
}

// passkeys is a Factor.
type passkeys map[string]bool

func (k passkeys) Enrolled(_ context.Context, _, account string) (bool, error) {
	if account == "broken" {
		return false, errors.New("down")
	}
	return k[account], nil
}

// Whoever knows the password of an account that has only a passkey must not be
// able to set up codes of his own.
func TestOtherFactorsAreAskedFor(t *testing.T) {
	w := newWorld(t, login.Options{Factors: []login.Factor{passkeys{"u-1": true}}})
	p := w.begin(t, initial)
	if p.Step != login.StepCode {
		t.Fatalf("%+v", p)
	}
	if _, err := w.Enrol(t.Context(), p.Ticket); !errors.Is(err, login.ErrStep) {
		t.Errorf("enrolling: %v", err)
	}
	if a, err := w.Whose(t.Context(), p.Ticket); err != nil || a.ID != "u-1" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := w.Second(t.Context(), p.Ticket, "u-2", []string{"swk"}, client); !errors.Is(err, login.ErrRefused) {
		t.Errorf("another account's passkey: %v", err)
	}
	next, err := w.Second(t.Context(), p.Ticket, "u-1", []string{"swk"}, client)
	if err != nil || next.Step != login.StepChange {
		t.Fatalf("%+v, %v", next, err)
	}
	w.accounts.put(login.Account{Tenant: "acme", ID: "broken", Name: "broken"})
	if p, err := w.Resume(t.Context(), "acme", "broken", login.Proof{Methods: []string{"fed"}}, client); err == nil || p.Ticket != "" {
		t.Errorf("a factor that can't be looked up: %+v", p)
	}
}

func TestBrowserResets(t *testing.T) {
	o, box := full(t)
	s := newSite(t, o)
	app, _ := s.signUp(t)
	if _, _, body := s.page(t, "GET", "/login", nil); !strings.Contains(body, "/login/forgot") || !strings.Contains(body, "/login/link") {
		t.Errorf("%s", body)
	}
	if _, _, body := s.page(t, "GET", "/login/forgot", nil); !strings.Contains(body, "Send a link") {
		t.Errorf("%s", body)
	}
	status, _, body := s.page(t, "POST", "/login/forgot", url.Values{"tenant": {"acme"}, "name": {"ada@example.org"}})
	if status != 200 || !strings.Contains(body, "If there is such an account") {
		t.Fatalf("%d %s", status, body)
	}
	code := box.last(t)
	for range 2 { // opening the link uses nothing up
		if _, _, body := s.page(t, "GET", "/login/forgot/open?code="+code, nil); !strings.Contains(body, code) {
			t.Errorf("%s", body)
		}
	}
	mine := s.browser
	s.browser = s.newBrowser(t)
	if status, _, _ := s.page(t, "POST", "/login/forgot/open", url.Values{"code": {code}}); status != 409 {
		t.Errorf("in another browser: %d", status)
	}
	s.browser = mine
	if status, path, body := s.page(t, "POST", "/login/forgot/open", url.Values{"code": {code}}); status != 200 || path != "/login/code" || !strings.Contains(body, "recovery=1") {
		t.Fatalf("%d %s", status, path)
	}
	if _, _, body := s.page(t, "GET", "/login/code?recovery=1", nil); !strings.Contains(body, "Recovery code") {
		t.Errorf("%s", body)
	}
	if _, path, _ := s.page(t, "POST", "/login/code", url.Values{"code": {app.Code(time.Now(), 0)}}); path != "/login/password" {
		t.Fatalf("after the code: %s", path)
	}
	if _, path, _ := s.page(t, "POST", "/login/password", url.Values{"new": {renewed}}); path != "/login" {
		t.Fatalf("after the new password: %s", path)
	}
	if _, path, _ := s.page(t, "POST", "/login", url.Values{"tenant": {"acme"}, "name": {"ada@example.org"}, "password": {renewed}}); path != "/login/code" {
		t.Errorf("with the new password: %s", path)
	}
	for range 6 {
		status, _, _ = s.page(t, "POST", "/login/link", url.Values{"tenant": {"acme"}, "name": {"ada@example.org"}})
	}
	if status != 429 {
		t.Errorf("a flood of links: %d", status)
	}
}

func TestBrowserRecoversAndIsRemembered(t *testing.T) {
	o, _ := full(t)
	s := newSite(t, o)
	app, _ := s.signUp(t)
	in := url.Values{"tenant": {"acme"}, "name": {"ada@example.org"}, "password": {chosen}}
	s.page(t, "POST", "/login", in)
	if _, path, _ := s.page(t, "POST", "/login/code", url.Values{"code": {app.Code(time.Now(), 0)}, "remember": {"1"}}); path != "/" {
		t.Fatalf("after the code: %s", path)
	}
	if _, _, body := s.page(t, "GET", "/account/security", nil); !strings.Contains(body, "/account/recovery") {
		t.Errorf("%s", body)
	}
	if status, _, body := s.page(t, "POST", "/account/recovery", url.Values{"password": {chosen}}); status != 200 || strings.Count(body, "<li>") != recoverycode.Count {
		t.Errorf("%d %s", status, body)
	}
	s.page(t, "POST", "/logout", nil)
	// The home page wants AAL2, which a remembered device has not.
	if _, path, _ := s.page(t, "POST", "/login", in); path != "/login" {
		t.Errorf("remembered: %s", path)
	}
	if status, path, _ := s.page(t, "GET", "/account/security", nil); status != 200 || path != "/account/security" {
		t.Errorf("remembered: %d %s", status, path)
	}
}

func TestMailNeedsItsOption(t *testing.T) {
	w := newWorld(t, login.Options{})
	if _, err := w.AskReset(t.Context(), "acme", "ada@example.org"); !errors.Is(err, login.ErrStep) {
		t.Error(err)
	}
	if _, err := w.AskLink(t.Context(), "acme", "ada@example.org"); !errors.Is(err, login.ErrStep) {
		t.Error(err)
	}
	if _, err := w.TakeReset(t.Context(), "AAAA", "x", client); !errors.Is(err, login.ErrTicket) {
		t.Error(err)
	}
	codes, err := totp.New(&totp.Memory{}, authntest.Seeds{}, w.rec, totp.Options{Issuer: "Test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []login.Options{{MailLogin: true}, {Remember: -1}, {Remember: 31 * 24 * time.Hour}} {
		if _, err := login.New(login.Parts{w.accounts, w.hasher, codes, w.sessions, w.guesses, bytes.Repeat([]byte{1}, 32), w.rec}, bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	o, _ := full(t)
	seen := map[string]bool{}
	for _, c := range newWorld(t, o).Controls() {
		seen[c.ID] = true
		if c.ID == "authn.otp" || c.ID == "authn.recoverycode" {
			if r := c.Run(t.Context()); r.State != controls.Pass {
				t.Errorf("%+v", r)
			}
		}
	}
	if !seen["authn.otp"] || !seen["authn.recoverycode"] {
		t.Errorf("%v", seen)
	}
}
