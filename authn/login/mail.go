package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/guard"
)

// Purposes of what is mailed, as otp.Message has them.
const (
	purposeReset = "reset"
	purposeLogin = "login"
)

// An asked is what a browser keeps of its request for a message: what was
// typed, and the handle without which the message's code is good for nothing.
type asked struct {
	Tenant string `json:"t"`
	Name   string `json:"n"`
	Handle string `json:"h"`
}

// AskReset sends a link for a new password to an account's address and returns
// a handle for TakeReset. An account that doesn't exist, is disabled or has no
// address has the same answer.
func (f *Flow) AskReset(ctx context.Context, tenant, name string) (string, error) {
	return f.ask(ctx, purposeReset, tenant, name)
}

// AskLink sends a link to sign in, for TakeLink.
func (f *Flow) AskLink(ctx context.Context, tenant, name string) (string, error) {
	if !f.o.MailLogin {
		return "", ErrStep
	}
	return f.ask(ctx, purposeLogin, tenant, name)
}

func (f *Flow) ask(ctx context.Context, purpose, tenant, name string) (string, error) {
	if f.o.Mail == nil {
		return "", ErrStep
	}
	if !session.ValidTenant(tenant) {
		return "", ErrRefused
	}
	a, err := f.find(ctx, tenant, name)
	if err != nil {
		return "", err
	}
	handle, err := f.o.Mail.Send(ctx, otp.Request{
		Tenant: tenant, Account: a.ID, Purpose: purpose, Channel: otp.Email, To: f.address(a), Long: true,
	})
	if err != nil {
		return "", err //nolint:wrapcheck // LimitError is part of the answer
	}
	data, err := json.Marshal(asked{tenant, Name(name), handle})
	return encoding.EncodeToString(data), err //nolint:wrapcheck // strings always encode
}

// address is where mail to the account may go.
func (f *Flow) address(a Account) string {
	switch {
	case a.Disabled || strings.HasPrefix(a.ID, throttle.Unknown):
		return ""
	case f.o.Address != nil:
		return f.o.Address(a)
	case strings.Contains(a.Name, "@"):
		return a.Name
	}
	return ""
}

// TakeReset takes the code of a message and leads to a new password: past the
// account's second factor if it has one, and then to a login with all factors.
func (f *Flow) TakeReset(ctx context.Context, handle, code string, d Client) (Progress, error) {
	t, a, err := f.take(ctx, purposeReset, handle, code)
	if err != nil {
		return Progress{}, err
	}
	t.Reset, t.Hash = true, fingerprint(a.Password)
	return f.advance(ctx, t, a, d)
}

// TakeLink takes the code of a message in place of a password. What comes next
// is the same as after one.
func (f *Flow) TakeLink(ctx context.Context, handle, code string, d Client) (Progress, error) {
	t, a, err := f.take(ctx, purposeLogin, handle, code)
	if err != nil {
		return Progress{}, err
	}
	return f.advance(ctx, t, a, d)
}

func (f *Flow) take(ctx context.Context, purpose, handle, code string) (*ticket, Account, error) {
	var in asked
	data, err := encoding.DecodeString(handle)
	if f.o.Mail == nil || err != nil || len(handle) > maxTicket || json.Unmarshal(data, &in) != nil || !session.ValidTenant(in.Tenant) {
		return nil, Account{}, ErrTicket
	}
	a, err := f.find(ctx, in.Tenant, in.Name)
	if err != nil {
		return nil, a, err
	}
	epoch, err := f.parts.Sessions.Epoch(ctx, a.Tenant, a.ID)
	if err != nil {
		return nil, a, err //nolint:wrapcheck // says where it comes from
	}
	err = f.o.Mail.Verify(ctx, otp.Answer{Tenant: a.Tenant, Account: a.ID, Purpose: purpose, Handle: in.Handle, Code: code})
	switch {
	case errors.Is(err, otp.ErrCode):
		return nil, a, ErrRefused
	case err != nil:
		return nil, a, err //nolint:wrapcheck // LimitError is part of the answer
	case a.Disabled:
		return nil, a, errors.Join(ErrRefused, f.record(ctx, a, "authn.login.resume", auditlog.Denied, "authn.login.disabled"))
	}
	now := f.now()
	return &ticket{
		Tenant: a.Tenant, Account: a.ID, Factors: map[string]int64{methodMail: now.Unix()}, Epoch: epoch, Expires: now.Add(f.o.TicketFor).Unix(),
	}, a, nil
}

type mailPage struct {
	Action, Code string
	Name         askName
}

const mailTitle = "Sign in by a message"

// mailRoutes are the page that asks for a name, the page a link leads to, and
// what they post. Opening a link uses nothing up: mail scanners open links.
func (f *Flow) mailRoutes(purpose, path, action string, route func(string, string, guard.Guard, http.HandlerFunc) guard.Route, public guard.Guard) []guard.Route {
	ask, take := f.AskReset, f.TakeReset
	if purpose == purposeLogin {
		ask, take = f.AskLink, f.TakeLink
	}
	return []guard.Route{
		route("GET "+path, "authn.login.page.read", public, func(w http.ResponseWriter, r *http.Request) {
			f.pages.show(w, http.StatusOK, mailTitle, "", "mail", mailPage{Action: path, Name: f.askName(r, input{})})
		}),
		route("GET "+path+"/open", "authn.login.page.read", public, func(w http.ResponseWriter, r *http.Request) {
			f.pages.show(w, http.StatusOK, mailTitle, "", "open", mailPage{Action: path, Code: r.URL.Query().Get("code")})
		}),
		route("POST "+path, action, public, func(w http.ResponseWriter, r *http.Request) {
			f.postAsk(w, r, path, ask)
		}),
		route("POST "+path+"/open", action+".open", public, func(w http.ResponseWriter, r *http.Request) {
			in, err := f.read(w, r)
			var p Progress
			if err == nil {
				p, err = take(r.Context(), in.Handle, in.Code, f.client(r, in))
			}
			if err != nil {
				f.fail(w, r, in.form, err, mailTitle, "open", mailPage{Action: path})
				return
			}
			f.progress(w, r, in, p)
		}),
	}
}

func (f *Flow) postAsk(w http.ResponseWriter, r *http.Request, path string, ask func(context.Context, string, string) (string, error)) {
	in, err := f.read(w, r)
	handle := ""
	if err == nil {
		handle, err = ask(r.Context(), in.Tenant, in.Name)
	}
	switch {
	case err != nil:
		f.fail(w, r, in.form, err, mailTitle, "mail", mailPage{Action: path, Name: f.askName(r, in)})
	case in.form:
		f.setCookie(w, mailCookie, handle, f.o.TicketFor)
		f.pages.show(w, http.StatusOK, mailTitle, "", "sent", mailPage{Action: path})
	default:
		writeJSON(w, map[string]any{"handle": handle})
	}
}

const recoveryTitle = "Recovery codes"

// postRecovery makes new recovery codes, with the password as the fresh proof.
func (f *Flow) postRecovery(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	var list []string
	if err == nil {
		list, err = f.newRecovery(r, in)
	}
	switch {
	case err != nil:
		f.fail(w, r, in.form, err, recoveryTitle, "recovery", list)
	case in.form:
		f.pages.show(w, http.StatusOK, recoveryTitle, "", "recovery", list)
	default:
		writeJSON(w, map[string]any{"codes": list})
	}
}

func (f *Flow) newRecovery(r *http.Request, in input) ([]string, error) {
	_, a, _, err := f.whoami(r)
	if err != nil {
		return nil, err
	}
	if err := f.checkPassword(r.Context(), a, in.Password, clientOf(r)); err != nil {
		return nil, err
	}
	list, err := f.o.Recovery.Issue(r.Context(), a.Tenant, a.ID)
	if err != nil {
		return nil, err //nolint:wrapcheck // says where it comes from
	}
	f.notify(r.Context(), a, NoticeRecovery, clientOf(r))
	return list, f.parts.Guesses.Succeed(r.Context(), a.Tenant, a.ID) //nolint:wrapcheck // likewise
}
