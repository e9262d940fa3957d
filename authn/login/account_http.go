package login

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/guard"
)

// whoami returns the caller of a guarded route: the principal, the account
// and the session's token.
func (f *Flow) whoami(r *http.Request) (authn.Principal, Account, string, error) {
	p, ok := authn.FromContext(r.Context())
	call := guard.CallFrom(r.Context())
	if !ok || call == nil || p.SessionID == "" {
		return p, Account{}, "", session.ErrEnded
	}
	a, err := f.account(r.Context(), p.Tenant, p.ID)
	return p, a, f.parts.Sessions.Token(call), err
}

// Reauthenticate proves the factors of a signed-in account again and returns
// the token of its session from now on. An account with one-time codes needs
// a code too. Failures count as those of a login.
func (f *Flow) Reauthenticate(ctx context.Context, p authn.Principal, token, pass, code string, d Client) (string, error) {
	a, err := f.account(ctx, p.Tenant, p.ID)
	if err != nil {
		return "", err
	}
	enrolled, err := f.enrolled(ctx, a)
	if err != nil {
		return "", err
	}
	if err := f.checkPassword(ctx, a, pass, d); err != nil {
		return "", err
	}
	proven := []string{methodPassword}
	if enrolled {
		if err := f.guess(ctx, a, d, func() error { return f.parts.Codes.Verify(ctx, a.Tenant, a.ID, code) }); err != nil {
			return "", err
		}
		proven = append(proven, methodCode, "mfa")
	}
	if err := f.parts.Guesses.Succeed(ctx, a.Tenant, a.ID); err != nil {
		return "", err //nolint:wrapcheck // says where it comes from
	}
	next := p
	next.Methods = union(p.Methods, proven)
	if fresh := f.principal(a, slices.DeleteFunc(slices.Clone(next.Methods), func(m string) bool { return m == "mfa" })); fresh.AAL > next.AAL {
		next.AAL = fresh.AAL
	}
	next.Groups = slices.Clone(a.Groups)
	out, err := f.parts.Sessions.Rotate(ctx, token, next, proven...)
	if err != nil {
		return "", err //nolint:wrapcheck // says where it comes from
	}
	return out, f.record(ctx, a, "authn.login.reauthenticate", auditlog.Success, "", auditlog.String("methods", joined(proven)))
}

func union(a, b []string) []string {
	list := append(slices.Clone(a), b...)
	slices.Sort(list)
	return slices.Compact(list)
}

// checkPassword is a password check outside of a login.
func (f *Flow) checkPassword(ctx context.Context, a Account, pass string, d Client) error {
	if err := f.parts.Guesses.Begin(ctx, a.Tenant, a.ID, d.Addr); err != nil {
		return err //nolint:wrapcheck // LockedError is part of the answer
	}
	_, err := f.parts.Passwords.Verify(ctx, a.Password, pass)
	return f.verified(ctx, a, methodPassword, err)
}

// changed is what follows the change of a factor: the session that made it
// goes on under a new token, and all others end.
func (f *Flow) changed(ctx context.Context, p authn.Principal, token, reason string) (string, error) {
	next, err := f.parts.Sessions.Rotate(ctx, token, p)
	if err != nil {
		return "", err //nolint:wrapcheck // says where it comes from
	}
	if _, err := f.parts.Sessions.EndOthers(ctx, next, reason); err != nil {
		return "", err //nolint:wrapcheck // likewise
	}
	return next, f.parts.Guesses.Succeed(ctx, p.Tenant, p.ID) //nolint:wrapcheck // likewise
}

type sessionRow struct {
	ID, Device, Created, LastUsed string
	Current                       bool
}

type securityPage struct {
	Sessions []sessionRow
	Enrolled bool
	Recovery bool
	Change   changePage
}

func (f *Flow) getSecurity(w http.ResponseWriter, r *http.Request) {
	page, err := f.security(r)
	switch {
	case err != nil:
		f.fail(w, r, !wantsJSON(r), err, "Your account", "code", f.codePage(r))
	case wantsJSON(r):
		list := make([]map[string]any, 0, len(page.Sessions))
		for _, s := range page.Sessions {
			list = append(list, map[string]any{"id": s.ID, "device": s.Device, "created": s.Created, "last_used": s.LastUsed, "current": s.Current})
		}
		writeJSON(w, map[string]any{"sessions": list, "totp": page.Enrolled})
	default:
		f.pages.show(w, http.StatusOK, "Your account", "", "security", page)
	}
}

func (f *Flow) security(r *http.Request) (securityPage, error) {
	page := securityPage{Recovery: f.o.Recovery != nil, Change: changePage{Action: "/account/password", AskCurrent: true}}
	p, a, _, err := f.whoami(r)
	if err != nil {
		return page, err
	}
	list, err := f.parts.Sessions.List(r.Context(), a.Tenant, a.ID)
	if err != nil {
		return page, err //nolint:wrapcheck // says where it comes from
	}
	for _, s := range list {
		page.Sessions = append(page.Sessions, sessionRow{
			ID: s.ID, Device: s.Device.Name + ", " + s.Device.Network, Current: s.ID == p.SessionID,
			Created: s.Created.Format(time.RFC3339), LastUsed: s.LastUsed.Format(time.RFC3339),
		})
	}
	page.Enrolled, err = f.parts.Codes.Enrolled(r.Context(), a.Tenant, a.ID)
	return page, err //nolint:wrapcheck // says where it comes from
}

// renewed answers a change with the session's new token.
func (f *Flow) renewed(w http.ResponseWriter, r *http.Request, in input, token, to string) {
	if in.form {
		f.parts.Sessions.SetCookie(w, token)
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	writeJSON(w, map[string]any{"step": StepDone, "token": token})
}

const securityPath = "/account/security"

func (f *Flow) postPassword(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	var token string
	if err == nil {
		token, err = f.changePassword(r, in)
	}
	if err != nil {
		f.fail(w, r, in.form, err, "Change the password", "change", changePage{Action: "/account/password", AskCurrent: true})
		return
	}
	f.renewed(w, r, in, token, securityPath)
}

func (f *Flow) changePassword(r *http.Request, in input) (string, error) {
	p, a, token, err := f.whoami(r)
	if err != nil {
		return "", err
	}
	if err := f.checkPassword(r.Context(), a, in.Current, clientOf(r)); err != nil {
		return "", err
	}
	if _, err := f.setPassword(r.Context(), a, in.New, ""); err != nil {
		return "", err
	}
	f.notify(r.Context(), a, NoticePassword, clientOf(r))
	return f.changed(r.Context(), p, token, "authn.password.change")
}

// postTOTP begins an enrolment, with the password as the fresh proof, or
// confirms it. The one in force stays until then.
func (f *Flow) postTOTP(w http.ResponseWriter, r *http.Request) {
	const action = "/account/totp"
	in, err := f.read(w, r)
	if err == nil && in.Code == "" {
		var e totp.Enrolment
		if e, err = f.beginTOTP(r, in); err == nil {
			if in.form {
				f.showEnrolment(w, action, e)
			} else {
				writeSeed(w, e)
			}
			return
		}
	}
	var token string
	if err == nil {
		token, err = f.confirmTOTP(r, in)
	}
	if err != nil {
		f.fail(w, r, in.form, err, enrolTitle, "enrol", enrolPage{Action: action, Restart: securityPath})
		return
	}
	f.renewed(w, r, in, token, securityPath)
}

func (f *Flow) beginTOTP(r *http.Request, in input) (totp.Enrolment, error) {
	_, a, _, err := f.whoami(r)
	if err != nil {
		return totp.Enrolment{}, err
	}
	if err := f.checkPassword(r.Context(), a, in.Password, clientOf(r)); err != nil {
		return totp.Enrolment{}, err
	}
	return f.parts.Codes.Enrol(r.Context(), a.Tenant, a.ID, a.Name) //nolint:wrapcheck // says where it comes from
}

func (f *Flow) confirmTOTP(r *http.Request, in input) (string, error) {
	p, a, token, err := f.whoami(r)
	if err != nil {
		return "", err
	}
	err = f.guess(r.Context(), a, clientOf(r), func() error { return f.parts.Codes.Confirm(r.Context(), a.Tenant, a.ID, in.Code) })
	if err != nil {
		return "", err
	}
	f.notify(r.Context(), a, NoticeCodes, clientOf(r))
	return f.changed(r.Context(), p, token, "authn.totp.confirm")
}

func (f *Flow) postSessions(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	n := 0
	if err == nil {
		n, err = f.endSessions(r, in.End)
	}
	switch {
	case err != nil:
		f.fail(w, r, in.form, err, "Sessions", "code", f.codePage(r))
	case in.form:
		http.Redirect(w, r, securityPath, http.StatusSeeOther)
	default:
		writeJSON(w, map[string]any{"ended": n})
	}
}

func (f *Flow) endSessions(r *http.Request, which string) (int, error) {
	_, a, token, err := f.whoami(r)
	if err != nil {
		return 0, err
	}
	switch which {
	case "":
		return 0, errInput
	case "others":
		return f.parts.Sessions.EndOthers(r.Context(), token, "user") //nolint:wrapcheck // says where it comes from
	case "all":
		return f.parts.Sessions.EndAll(r.Context(), a.Tenant, a.ID, "user") //nolint:wrapcheck // likewise
	}
	ok, err := f.parts.Sessions.End(r.Context(), a.Tenant, a.ID, which, "user")
	if ok {
		return 1, err //nolint:wrapcheck // likewise
	}
	return 0, err //nolint:wrapcheck // likewise
}

type reauthPage struct {
	Enrolled bool
	Return   string
}

const reauthTitle = "Confirm that it is you"

func (f *Flow) pageReauthenticate(w http.ResponseWriter, r *http.Request) {
	page := reauthPage{Return: r.URL.Query().Get("return")}
	_, a, _, err := f.whoami(r)
	if err == nil {
		page.Enrolled, err = f.parts.Codes.Enrolled(r.Context(), a.Tenant, a.ID)
	}
	if err != nil {
		f.fail(w, r, true, err, reauthTitle, "reauthenticate", page)
		return
	}
	f.pages.show(w, http.StatusOK, reauthTitle, "", "reauthenticate", page)
}

func (f *Flow) postReauthenticate(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	var token string
	if err == nil {
		var p authn.Principal
		if p, _, token, err = f.whoami(r); err == nil {
			token, err = f.Reauthenticate(r.Context(), p, token, in.Password, in.Code, clientOf(r))
		}
	}
	if err != nil {
		f.fail(w, r, in.form, err, reauthTitle, "reauthenticate", reauthPage{Enrolled: true, Return: in.Return})
		return
	}
	to := f.o.Home
	if localPath(in.Return) {
		to = in.Return
	}
	f.renewed(w, r, in, token, to)
}

// endedIsFine is for logging out of a session that has ended already.
func endedIsFine(err error) error {
	if errors.Is(err, session.ErrEnded) {
		return nil
	}
	return err
}
