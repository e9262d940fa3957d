package passkey

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/stepup"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/internal/problem"
	"github.com/surety-go/surety/internal/strictjson"
)

// A message is what the routes take and give.
type message struct {
	Tenant   string          `json:"tenant,omitempty"`
	Ticket   string          `json:"ticket,omitempty"` // of a login that waits for its second factor
	Handle   string          `json:"handle,omitempty"`
	Response json.RawMessage `json:"response,omitempty"` // credential.toJSON()
	Name     string          `json:"name,omitempty"`
	Options  json.RawMessage `json:"options,omitempty"`
	Step     login.Step      `json:"step,omitempty"`
	Token    string          `json:"token,omitempty"`
	ID       string          `json:"id,omitempty"`
}

// Routes are the ceremonies as JSON over HTTP, beside login's own routes:
//
//	POST /login/passkey/begin       {"tenant"} or {"tenant", "ticket"} → {"handle", "options"}
//	POST /login/passkey/finish      {"tenant", "handle", "response"} and the ticket, if one began it → {"step", "ticket", "token"}
//	POST /account/passkey/begin     → {"handle", "options"}
//	POST /account/passkey/finish    {"handle", "response", "name"} → {"id"}
//	GET  /account/passkeys          the caller's passkeys
//	POST /account/passkey/remove    {"id"}
//
// Options go to navigator.credentials.create or get, read by
// PublicKeyCredential's parse…FromJSON. Adding and removing needs an
// authentication of the last five minutes; adding the first passkey tells the
// flow's other sessions nothing, removing one ends them.
func (m *Manager) Routes(flow *login.Flow, sessions *session.Manager) []guard.Route {
	h := &handlers{m, flow, sessions, http.NewCrossOriginProtection()}
	public := guard.Public("nobody is signed in before signing in")
	signedIn := authn.Required(authn.AAL1, authn.RequiredOptions{})
	fresh := stepup.RequireFresh(5*time.Minute, stepup.Options{})
	route := func(pattern, action string, g guard.Guard, f func(*http.Request, *message) (any, error)) guard.Route {
		return guard.Route{Pattern: pattern, Action: action, Guards: []guard.Guard{g}, Handler: h.serve(f)}
	}
	return []guard.Route{
		route("POST /login/passkey/begin", "authn.passkey.begin", public, h.loginBegin),
		route("POST /login/passkey/finish", "authn.passkey.login", public, h.loginFinish),
		route("POST /account/passkey/begin", "authn.passkey.begin", fresh, h.registerBegin),
		route("POST /account/passkey/finish", "authn.passkey.register", fresh, h.registerFinish),
		route("POST /account/passkey/remove", "authn.passkey.revoke", fresh, h.remove),
		route("GET /account/passkeys", "authn.passkey.list", signedIn, h.list),
	}
}

type handlers struct {
	m        *Manager
	flow     *login.Flow
	sessions *session.Manager
	origin   *http.CrossOriginProtection
}

var errInput = errors.New("passkey: want one JSON object of at most 64 KiB")

func (h *handlers) serve(f func(*http.Request, *message) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in message
		err := h.origin.Check(r)
		if err == nil && r.Method == http.MethodPost {
			if strictjson.Decode(http.MaxBytesReader(w, r.Body, maxBody), maxBody, &in) != nil {
				err = errInput
			}
		}
		var out any
		if err == nil {
			out, err = f(r, &in)
		}
		if err != nil {
			answer(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(out) // the reader may be gone
	})
}

func answer(w http.ResponseWriter, err error) {
	status, text := http.StatusServiceUnavailable, "This can't be decided now. Try again later."
	switch {
	case errors.Is(err, errInput):
		status, text = http.StatusBadRequest, "The request is not a JSON object with the expected members."
	case errors.Is(err, ErrRefused), errors.Is(err, login.ErrRefused), errors.Is(err, session.ErrEnded):
		status, text = http.StatusUnauthorized, "The passkey was not accepted."
	case errors.Is(err, login.ErrTicket), errors.Is(err, login.ErrStep):
		status, text = http.StatusConflict, "The sign-in has to start again."
	case errors.Is(err, ErrLimit):
		status, text = http.StatusUnprocessableEntity, "The account has as many passkeys as it may."
	}
	problem.Write(w, problem.Problem{Title: http.StatusText(status), Status: status, Detail: text})
}

func (h *handlers) loginBegin(r *http.Request, in *message) (any, error) {
	if !session.ValidTenant(in.Tenant) {
		return nil, refuse("no such tenant")
	}
	if in.Ticket == "" {
		options, handle, err := h.m.BeginLogin(r.Context(), in.Tenant)
		return message{Options: options, Handle: handle}, err
	}
	a, err := h.flow.Whose(r.Context(), in.Ticket)
	if err != nil {
		return nil, err //nolint:wrapcheck // answer knows it
	}
	options, handle, err := h.m.BeginSecond(r.Context(), a.Tenant, a.ID, in.Ticket)
	return message{Options: options, Handle: handle}, err
}

func (h *handlers) loginFinish(r *http.Request, in *message) (any, error) {
	ctx, client := r.Context(), login.ClientOf(r)
	var p login.Progress
	switch {
	case !session.ValidTenant(in.Tenant):
		return nil, refuse("no such tenant")
	case in.Ticket != "":
		proof, err := h.m.FinishSecond(ctx, in.Tenant, in.Handle, in.Ticket, in.Response)
		if err != nil {
			return nil, err
		}
		if p, err = h.flow.Second(ctx, in.Ticket, proof.Account, proof.Methods, client); err != nil {
			return nil, err //nolint:wrapcheck // answer knows it
		}
	default:
		proof, err := h.m.FinishLogin(ctx, in.Tenant, in.Handle, in.Response)
		if err != nil {
			return nil, err
		}
		epoch, err := h.sessions.Epoch(ctx, in.Tenant, proof.Account)
		if err != nil {
			return nil, err //nolint:wrapcheck // likewise
		}
		if p, err = h.flow.Resume(ctx, in.Tenant, proof.Account, login.Proof{Epoch: epoch, Methods: proof.Methods}, client); err != nil {
			return nil, err //nolint:wrapcheck // likewise
		}
	}
	return message{Step: p.Step, Ticket: p.Ticket, Token: p.Token}, nil
}

func caller(r *http.Request) (authn.Principal, error) {
	p, ok := authn.FromContext(r.Context())
	if !ok || p.SessionID == "" {
		return p, session.ErrEnded
	}
	return p, nil
}

func (h *handlers) registerBegin(r *http.Request, _ *message) (any, error) {
	p, err := caller(r)
	if err != nil {
		return nil, err
	}
	options, handle, err := h.m.BeginRegistration(r.Context(), p.Tenant, p.ID, p.ID, p.SessionID)
	return message{Options: options, Handle: handle}, err
}

func (h *handlers) registerFinish(r *http.Request, in *message) (any, error) {
	p, err := caller(r)
	if err != nil {
		return nil, err
	}
	k, err := h.m.FinishRegistration(r.Context(), p.Tenant, in.Handle, p.SessionID, in.Name, in.Response)
	return message{ID: k.ID}, err
}

func (h *handlers) remove(r *http.Request, in *message) (any, error) {
	p, err := caller(r)
	if err != nil {
		return nil, err
	}
	ok, err := h.m.Revoke(r.Context(), p.Tenant, p.ID, in.ID, "user")
	if err != nil || !ok {
		return map[string]any{"removed": ok}, err
	}
	_, err = h.sessions.EndOthers(r.Context(), h.sessions.Token(guard.CallFrom(r.Context())), "authn.passkey.remove")
	return map[string]any{"removed": true}, err //nolint:wrapcheck // answer knows it
}

func (h *handlers) list(r *http.Request, _ *message) (any, error) {
	p, err := caller(r)
	if err != nil {
		return nil, err
	}
	list, err := h.m.List(r.Context(), p.Tenant, p.ID)
	rows := make([]map[string]any, len(list))
	for i, k := range list {
		rows[i] = map[string]any{"id": k.ID, "name": k.Name, "created": k.Created, "last_used": k.LastUsed, "backup": k.Backup}
	}
	return map[string]any{"passkeys": rows}, err
}
