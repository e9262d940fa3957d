package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/stepup"
	"github.com/surety-go/surety/guard"
)

// linkFresh is how recently somebody must have proven his factors to link a
// further way in.
const linkFresh = 5 * time.Minute

// Routes are the ways to the providers and back, as routes of a guard.Mux that
// has an authn.Identifier with the sessions among its base guards.
func (rp *RelyingParty) Routes() []guard.Route {
	public := []guard.Guard{guard.Public("nobody is signed in before signing in")}
	signedIn := []guard.Guard{
		authn.Required(authn.AAL1, authn.RequiredOptions{LoginPage: "/login"}),
		stepup.RequireFresh(linkFresh, stepup.Options{Page: "/account/reauthenticate", LoginPage: "/login"}),
	}
	route := func(pattern, action string, g []guard.Guard, h http.HandlerFunc) guard.Route {
		return guard.Route{Pattern: pattern, Action: action, Guards: g, Handler: h}
	}
	return []guard.Route{
		route("GET /login/with/{provider}", "authn.oidc.begin", public, rp.getBegin),
		route("GET /login/with/{provider}/callback", "authn.oidc.callback", public, rp.getCallback),
		route("POST /login/with/{provider}/logout", "authn.oidc.logout", public, rp.postLogout),
		route("POST /account/links/{provider}", "authn.oidc.link", signedIn, rp.postLink),
	}
}

func (rp *RelyingParty) getBegin(w http.ResponseWriter, r *http.Request) { rp.leave(w, r, "") }

func (rp *RelyingParty) postLink(w http.ResponseWriter, r *http.Request) {
	who, ok := authn.FromContext(r.Context())
	p := rp.providers[r.PathValue("provider")]
	switch {
	case rp.origin.Check(r) != nil:
		rp.fail(w, r, p, refuse("origin", "the request comes from another site"))
	case !ok || p == nil || who.Tenant != p.Tenant:
		rp.fail(w, r, p, refuse("provider", "no provider of this tenant"))
	default:
		rp.leave(w, r, who.ID)
	}
}

// leave sends the browser to the provider.
func (rp *RelyingParty) leave(w http.ResponseWriter, r *http.Request, account string) {
	p := rp.providers[r.PathValue("provider")]
	if p == nil {
		guard.Refuse(w, r, &guard.Denial{Control: "authn.oidc", Code: guard.NotFound, Public: "There is no such provider."})
		return
	}
	m, err := p.load(r.Context())
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	t, err := rp.begin(w, p.Name, account)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, p.address(m, t), http.StatusSeeOther)
}

func (rp *RelyingParty) getCallback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has the code
	p := rp.providers[r.PathValue("provider")]
	t, c, err := rp.callback(w, r, p)
	switch {
	case err != nil:
		rp.fail(w, r, p, err)
	case t.Account != "":
		rp.finishLink(w, r, p, t, c)
	default:
		rp.finishLogin(w, r, p, c)
	}
}

// callback takes the provider's answer.
func (rp *RelyingParty) callback(w http.ResponseWriter, r *http.Request, p *provider) (*transaction, *jose.Claims, error) {
	answer, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || p == nil {
		return nil, nil, refuse("answer", "no such provider, or not a query")
	}
	if len(answer["state"]) != 1 {
		return nil, nil, refuse("state", "%w", errTransaction)
	}
	t, err := rp.resume(w, r, p.Name, answer.Get("state"))
	if err != nil {
		return nil, nil, refuse("state", "%w", err)
	}
	c, err := p.redeem(r.Context(), t, answer)
	return t, c, err
}

func (rp *RelyingParty) finishLogin(w http.ResponseWriter, r *http.Request, p *provider, c *jose.Claims) {
	progress, err := rp.login(r.Context(), p, c, login.ClientOf(r))
	if err != nil {
		rp.fail(w, r, p, err)
		return
	}
	rp.parts.Flow.Continue(w, r, progress)
}

func (rp *RelyingParty) login(ctx context.Context, p *provider, c *jose.Claims, from login.Client) (login.Progress, error) {
	account, err := rp.account(ctx, p.identity(c))
	if err != nil {
		return login.Progress{}, err
	}
	epoch, err := rp.parts.Sessions.Epoch(ctx, p.Tenant, account)
	if err != nil {
		return login.Progress{}, err //nolint:wrapcheck // says where it comes from
	}
	if err := rp.record(ctx, p, "authn.oidc.verify", auditlog.Success, account, ""); err != nil {
		return login.Progress{}, err
	}
	proof := login.Proof{Epoch: epoch, Methods: p.methods(c), At: c.AuthTime}
	if proof.At.IsZero() {
		proof.At = time.Unix(1, 0) // it doesn't say: long ago, then
	}
	progress, err := rp.parts.Flow.Resume(ctx, p.Tenant, account, proof, from)
	if errors.Is(err, login.ErrRefused) || errors.Is(err, login.ErrTicket) {
		return progress, refuse("account", "%w", err)
	}
	return progress, err //nolint:wrapcheck // says where it comes from
}

// finishLink adds the identity to the account that asked for it, which must
// still be signed in. Its other sessions end: there is a new way in.
func (rp *RelyingParty) finishLink(w http.ResponseWriter, r *http.Request, p *provider, t *transaction, c *jose.Claims) {
	ctx, i := r.Context(), p.identity(c)
	err := refuse("link", "another account is signed in")
	call := guard.CallFrom(ctx)
	if who, ok := authn.FromContext(ctx); ok && call != nil && who.ID == t.Account && who.Tenant == i.Tenant {
		err = rp.addLink(ctx, i, t.Account)
	}
	if err == nil {
		_, err = rp.parts.Sessions.EndOthers(ctx, rp.parts.Sessions.Token(call), "authn.oidc.link")
	}
	if err != nil {
		rp.fail(w, r, p, err)
		return
	}
	http.Redirect(w, r, "/account/security", http.StatusSeeOther)
}

// account finds or makes the account of an identity.
func (rp *RelyingParty) account(ctx context.Context, i Identity) (string, error) {
	l, err := rp.parts.Links.Find(ctx, i.Tenant, i.Issuer, i.Subject)
	switch {
	case err == nil && l.Tenant == i.Tenant && l.Issuer == i.Issuer && l.Subject == i.Subject && l.Account != "":
		return l.Account, nil
	case err == nil:
		return "", errors.New("oidc: links: returned another link")
	case !errors.Is(err, ErrNotLinked):
		return "", fmt.Errorf("oidc: links: %w", err)
	case rp.parts.Provision == nil:
		return "", refuse("unlinked", "%w", err)
	}
	account, err := rp.parts.Provision(ctx, i)
	if errors.Is(err, ErrNotLinked) {
		return "", refuse("unlinked", "%w", err)
	}
	if err != nil || account == "" {
		return "", fmt.Errorf("oidc: provision: an account with an id is needed: %w", err)
	}
	return account, rp.addLink(ctx, i, account)
}

func (rp *RelyingParty) addLink(ctx context.Context, i Identity, account string) error {
	if err := rp.record(ctx, rp.providers[i.Provider], "authn.oidc.link", auditlog.Success, account, ""); err != nil {
		return err
	}
	l := Link{Tenant: i.Tenant, Issuer: i.Issuer, Subject: i.Subject, Account: account, Created: rp.now().UTC().Truncate(time.Microsecond)}
	added, err := rp.parts.Links.Add(ctx, l)
	if err != nil {
		return fmt.Errorf("oidc: links: %w", err)
	}
	if added {
		return nil
	}
	taken, err := rp.parts.Links.Find(ctx, i.Tenant, i.Issuer, i.Subject)
	if err != nil {
		return fmt.Errorf("oidc: links: %w", err)
	}
	if taken.Account != account {
		return refuse("link", "the identity is linked to another account")
	}
	return nil
}

// Unlink takes an identity from an account, and ends the account's sessions:
// some may have come by it. It reports whether there was such a link.
func (rp *RelyingParty) Unlink(ctx context.Context, tenant, issuer, subject, account string) (bool, error) {
	removed, err := rp.parts.Links.Remove(ctx, tenant, issuer, subject, account)
	if err != nil || !removed {
		return removed, err //nolint:wrapcheck // the store says where it comes from
	}
	err = rp.parts.Recorder.Record(ctx, auditlog.Event{
		Action: "authn.oidc.unlink", Outcome: auditlog.Success, Tenant: tenant, Targets: []auditlog.Target{{Type: "account", ID: account}},
	})
	_, ended := rp.parts.Sessions.EndAll(ctx, tenant, account, "authn.oidc.unlink")
	return true, errors.Join(err, ended)
}

// postLogout takes a logout token (OpenID Connect Back-Channel Logout 1.0).
func (rp *RelyingParty) postLogout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p := rp.providers[r.PathValue("provider")]
	r.Body = http.MaxBytesReader(w, r.Body, 2*jose.MaxToken)
	err := refuse("answer", "no such provider, or not a form")
	if p != nil && r.ParseForm() == nil {
		err = rp.logout(r.Context(), p, r.PostForm.Get("logout_token"))
	}
	var why *refusal
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.As(err, &why):
		if err := rp.refused(r.Context(), p, why); err != nil {
			guard.Refuse(w, r, err)
			return
		}
		guard.Refuse(w, r, &guard.Denial{Control: "authn.oidc", Code: guard.InvalidArgument, Public: "The logout token is not valid.", Err: err})
	default:
		guard.Refuse(w, r, err)
	}
}

// fail tells a person that the sign-in did not work, and the log why.
func (rp *RelyingParty) fail(w http.ResponseWriter, r *http.Request, p *provider, err error) {
	var why *refusal
	if !errors.As(err, &why) {
		guard.Refuse(w, r, err)
		return
	}
	if err := rp.refused(r.Context(), p, why); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	guard.Refuse(w, r, &guard.Denial{
		Control: "authn.oidc", Code: guard.Unauthenticated, Public: "The sign-in was not completed. Start again.",
		Type: "https://surety-go.github.io/problems/authentication-required", Err: err,
	})
}

func (rp *RelyingParty) refused(ctx context.Context, p *provider, why *refusal) error {
	return rp.record(ctx, p, "authn.oidc.verify", auditlog.Denied, "", why.cause)
}

// record notes what happened. Anybody can cause refusals: their reason is one
// that logs aggregate.
func (rp *RelyingParty) record(ctx context.Context, p *provider, action string, o auditlog.Outcome, account, cause string) error {
	ev := auditlog.Event{Action: action, Outcome: o}
	if p != nil && session.ValidTenant(p.Tenant) {
		ev.Tenant = p.Tenant
		ev.Attrs = append(ev.Attrs, auditlog.String("provider", p.Name))
	}
	if account != "" {
		ev.Targets = []auditlog.Target{{Type: "account", ID: account}}
	}
	if cause != "" {
		ev.Reason = "authn.required"
		ev.Attrs = append(ev.Attrs, auditlog.String("cause", cause))
	}
	if err := rp.parts.Recorder.Record(ctx, ev); err != nil {
		return fmt.Errorf("oidc: record: %w", err)
	}
	return nil
}
