package login

import (
	"html/template"
	"net/http"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/guard"
)

// Routes are the flow as routes of a guard.Mux, which needs an
// authn.Identifier with the flow's sessions among its base guards.
func (f *Flow) Routes() []guard.Route {
	public := guard.Public("nobody is signed in before signing in")
	signedIn := authn.Required(authn.AAL1, authn.RequiredOptions{LoginPage: "/login"})
	route := func(pattern, action string, g guard.Guard, h http.HandlerFunc) guard.Route {
		return guard.Route{Pattern: pattern, Action: action, Guards: []guard.Guard{g}, Handler: h}
	}
	routes := []guard.Route{
		route("GET /login", "authn.login.page.read", public, f.pageLogin),
		route("POST /login", "authn.login.begin", public, f.postLogin),
		route("GET /login/code", "authn.login.page.read", public, f.pageCode),
		route("POST /login/code", "authn.login.code", public, f.postCode),
		route("GET /login/enrol", "authn.login.enrol", public, f.pageEnrol),
		route("POST /login/enrol", "authn.login.confirm", public, f.postEnrol),
		route("GET /login/password", "authn.login.page.read", public, f.pageChange),
		route("POST /login/password", "authn.login.change", public, f.postChange),
		route("POST /logout", "authn.session.logout", public, f.postLogout),
		route("GET /account/security", "authn.account.read", signedIn, f.getSecurity),
		route("POST /account/password", "authn.account.password", signedIn, f.postPassword),
		route("POST /account/totp", "authn.account.totp", signedIn, f.postTOTP),
		route("POST /account/sessions", "authn.account.sessions", signedIn, f.postSessions),
		route("GET /account/reauthenticate", "authn.account.page.read", signedIn, f.pageReauthenticate),
		route("POST /account/reauthenticate", "authn.account.reauthenticate", signedIn, f.postReauthenticate),
	}
	if f.o.Recovery != nil {
		routes = append(routes, route("POST /account/recovery", "authn.account.recovery", signedIn, f.postRecovery))
	}
	if f.o.Mail != nil {
		routes = append(routes, f.mailRoutes(purposeReset, "/login/forgot", "authn.login.forgot", route, public)...)
	}
	if f.o.MailLogin {
		routes = append(routes, f.mailRoutes(purposeLogin, "/login/link", "authn.login.link", route, public)...)
	}
	return routes
}

type askName struct {
	AskTenant    bool
	Tenant, Name string
	Forgot, Link bool
}

func (f *Flow) askName(r *http.Request, in input) askName {
	a := askName{Tenant: in.Tenant, Name: in.Name, AskTenant: true, Forgot: f.o.Mail != nil, Link: f.o.MailLogin}
	if f.o.Tenant != nil {
		a.AskTenant = f.o.Tenant(r) == ""
	}
	return a
}

func (f *Flow) pageLogin(w http.ResponseWriter, r *http.Request) {
	f.pages.show(w, http.StatusOK, "Sign in", "", "password", f.askName(r, input{Tenant: r.URL.Query().Get("tenant")}))
}

func (f *Flow) postLogin(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	var p Progress
	if err == nil {
		p, err = f.Begin(r.Context(), in.Tenant, in.Name, in.Password, f.client(r, in))
	}
	if err != nil {
		f.fail(w, r, in.form, err, "Sign in", "password", f.askName(r, in))
		return
	}
	f.progress(w, r, in, p)
}

type codePage struct{ Recovery, Typed, Remember bool }

func (f *Flow) codePage(r *http.Request) codePage {
	return codePage{Recovery: f.o.Recovery != nil, Typed: r.URL.Query().Has("recovery"), Remember: f.o.Remember > 0}
}

func (f *Flow) pageCode(w http.ResponseWriter, r *http.Request) {
	f.pages.show(w, http.StatusOK, "Second step", "", "code", f.codePage(r))
}

func (f *Flow) postCode(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	var p Progress
	if err == nil {
		p, err = f.Code(r.Context(), in.Ticket, in.Code, f.client(r, in))
	}
	if err != nil {
		f.fail(w, r, in.form, err, "Second step", "code", f.codePage(r))
		return
	}
	f.progress(w, r, in, p)
}

// enrolPage is the form that shows a seed or asks for its code.
type enrolPage struct {
	Action, Restart, Secret string
	QR                      template.HTML
}

const enrolTitle = "Set up one-time codes"

func (f *Flow) showEnrolment(w http.ResponseWriter, action string, e totp.Enrolment) {
	svg, err := e.SVG()
	if err != nil {
		http.Error(w, "The QR code can't be shown.", http.StatusInternalServerError)
		return
	}
	f.pages.show(w, http.StatusOK, enrolTitle, "", "enrol",
		enrolPage{Action: action, Secret: e.Secret, QR: template.HTML(svg)}) //nolint:gosec // made of numbers
}

// pageEnrol shows a new seed. The enrolment it begins counts for nothing
// before it is confirmed.
func (f *Flow) pageEnrol(w http.ResponseWriter, r *http.Request) {
	e, err := f.Enrol(r.Context(), f.cookie(r, ticketCookie))
	if err != nil {
		f.fail(w, r, true, err, enrolTitle, "enrol", enrolPage{Action: "/login/enrol", Restart: "/login"})
		return
	}
	f.showEnrolment(w, "/login/enrol", e)
}

func (f *Flow) postEnrol(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	if err == nil && in.Code == "" && !in.form {
		var e totp.Enrolment
		if e, err = f.Enrol(r.Context(), in.Ticket); err == nil {
			writeSeed(w, e)
			return
		}
	}
	var p Progress
	if err == nil {
		p, err = f.Confirm(r.Context(), in.Ticket, in.Code, f.client(r, in))
	}
	if err != nil {
		f.fail(w, r, in.form, err, enrolTitle, "enrol", enrolPage{Action: "/login/enrol", Restart: "/login/enrol"})
		return
	}
	f.progress(w, r, in, p)
}

func writeSeed(w http.ResponseWriter, e totp.Enrolment) {
	writeJSON(w, map[string]any{"step": StepEnrol, "uri": e.URI, "secret": e.Secret})
}

type changePage struct {
	Action     string
	AskCurrent bool
}

func (f *Flow) pageChange(w http.ResponseWriter, _ *http.Request) {
	f.pages.show(w, http.StatusOK, "Choose a new password", "", "change", changePage{Action: "/login/password"})
}

func (f *Flow) postChange(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	var p Progress
	if err == nil {
		p, err = f.Change(r.Context(), in.Ticket, in.New, f.client(r, in))
	}
	if err != nil {
		f.fail(w, r, in.form, err, "Choose a new password", "change", changePage{Action: "/login/password"})
		return
	}
	f.progress(w, r, in, p)
}

// postLogout ends the session and tells the browser to forget what the site
// stored. Without a session it does the same, for nobody.
func (f *Flow) postLogout(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	if err == nil {
		if call := guard.CallFrom(r.Context()); call != nil {
			_, err = f.parts.Sessions.EndToken(r.Context(), f.parts.Sessions.Token(call), "logout")
			err = endedIsFine(err)
		}
	}
	if err != nil {
		f.fail(w, r, in.form, err, "Sign out", "password", f.askName(r, in))
		return
	}
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	f.parts.Sessions.ClearCookie(w)
	f.setTicket(w, "")
	if in.form {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
