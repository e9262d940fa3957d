package login_test

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/otp"
)

func TestASVS_6_2_10_PasswordsDontExpire(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t)
	login.SetNow(w.Flow, func() time.Time { return time.Now().AddDate(10, 0, 0) })
	p, err := w.Begin(t.Context(), "acme", "ada@example.org", chosen, client)
	if err != nil || p.Step != login.StepCode {
		t.Errorf("ten years later: %+v, %v", p, err)
	}
}

func TestASVS_6_4_1_InitialPasswordsEndWithTheirFirstUse(t *testing.T) {
	w := newWorld(t, login.Options{})
	w.signUp(t) // which demanded another password
	if p, err := w.Begin(t.Context(), "acme", "ada@example.org", initial, client); !errors.Is(err, login.ErrRefused) || p.Ticket != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// Neither what is kept of an account nor any page has room for one.
func TestASVS_6_4_2_NoHintsAndNoSecretQuestions(t *testing.T) {
	fields := reflect.TypeFor[login.Account]()
	known := []string{"Tenant", "ID", "Name", "Groups", "Password", "MustChange", "Disabled"}
	for i := range fields.NumField() {
		if name := fields.Field(i).Name; !slices.Contains(known, name) {
			t.Errorf("an account has a field %s: is it a hint or a question?", name)
		}
	}
	o, _ := full(t)
	s := newSite(t, o)
	input := regexp.MustCompile(`name="([a-z]+)"`)
	for _, path := range []string{"/login", "/login/code", "/login/forgot", "/login/forgot/open", "/login/link"} {
		_, _, body := s.page(t, "GET", path, nil)
		for _, m := range input.FindAllStringSubmatch(body, -1) {
			if !slices.Contains([]string{"viewport", "tenant", "name", "password", "code", "remember"}, m[1]) {
				t.Errorf("%s asks for %q", path, m[1])
			}
		}
	}
}

func TestASVS_6_4_6_AdministratorsBeginResetsButDontChoose(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	app, token := w.signUp(t)
	if err := w.RequireReset(t.Context(), "acme", "u-1", "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.who(t, token); err == nil {
		t.Error("a session stands")
	}
	for _, pass := range []string{chosen, initial, ""} {
		if p, err := w.Begin(t.Context(), "acme", "ada@example.org", pass, client); !errors.Is(err, login.ErrRefused) {
			t.Errorf("%q: %+v, %v", pass, p, err)
		}
	}
	if len(box.mail) != 0 || !slices.Contains(box.notices, login.NoticeReset) {
		t.Errorf("mail %d, notices %q", len(box.mail), box.notices)
	}
	if err := w.guesses.Succeed(t.Context(), "acme", "u-1"); err != nil {
		t.Fatal(err)
	}
	handle, err := w.AskReset(t.Context(), "acme", "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.TakeReset(t.Context(), handle, box.last(t), client)
	if err != nil || p.Step != login.StepCode {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = w.Code(t.Context(), p.Ticket, app.Code(time.Now(), 0), client); err != nil || p.Step != login.StepChange {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := w.Change(t.Context(), p.Ticket, renewed, client); err != nil {
		t.Error(err)
	}
	if p := w.begin(t, renewed); p.Step != login.StepCode {
		t.Errorf("%+v", p)
	}
}

// The flow itself never sends to a telephone, and a code that somebody else
// sent there is no more than something beside a password.
func TestASVS_6_6_1_NoCodesByTelephone(t *testing.T) {
	o, box := full(t)
	w := newWorld(t, o)
	w.signUp(t)
	if _, err := w.AskReset(t.Context(), "acme", "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AskLink(t.Context(), "acme", "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	for _, m := range box.mail {
		if m.Channel != otp.Email {
			t.Errorf("a message by %s", m.Channel)
		}
	}
	for _, m := range []string{otp.SMS.Method(), otp.Voice.Method()} {
		if step := w.Next(login.Account{}, true, m); step != login.StepCode {
			t.Errorf("after %s alone: %s", m, step)
		}
	}
}

// Disabling an account ends what it has open, as the documentation of
// authnsql.Accounts.SetDisabled asks: nothing of it lives on.
func TestASVS_7_4_2_DisabledAccountsHaveNoSessions(t *testing.T) {
	w := newWorld(t, login.Options{})
	_, token := w.signUp(t)
	p := w.begin(t, chosen)
	if err := w.disable(t); err != nil {
		t.Fatal(err)
	}
	if n, err := w.sessions.EndAll(t.Context(), "acme", "u-1", "leaver"); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := w.who(t, token); err == nil {
		t.Error("its session stands")
	}
	if _, err := w.Code(t.Context(), p.Ticket, "000000", client); !errors.Is(err, login.ErrTicket) {
		t.Errorf("its login under way: %v", err)
	}
	if _, err := w.Begin(t.Context(), "acme", "ada@example.org", chosen, client); !errors.Is(err, login.ErrRefused) {
		t.Errorf("a new login: %v", err)
	}
}
