// Package quickstart is the program of the README: sign-in with two factors, a
// policy and an audit log before a handler that knows nothing of them.
package quickstart

import (
	"context"
	"database/sql"
	"errors"
	"net/http"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/guard"
)

// begin README

// Protect puts two-factor sign-in, a policy and an audit log before app.
func Protect(ctx context.Context, app http.Handler, db *sql.DB, key []byte, seal totp.Sealer,
	model, rules string, log auditlog.Recorder,
) (http.Handler, *authz.Engine, error) {
	store, err := authnsql.Open(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	hasher, err1 := password.New(password.Options{})
	sessions, err2 := session.New(store.Sessions(), key, log, session.Options{})
	codes, err3 := totp.New(store.TOTP(), seal, log, totp.Options{Issuer: "Acme"})
	guesses, err4 := throttle.New(store.Throttle(), log, throttle.Options{})
	policy, err5 := authz.New(model, rules, log, authz.Options{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, nil, err
	}
	flow, err1 := login.New(login.Parts{
		Accounts: store.Accounts(), Passwords: hasher, Codes: codes,
		Sessions: sessions, Guesses: guesses, Key: key, Recorder: log,
	}, login.Options{})
	identify, err2 := authn.Identify(log, sessions)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log), identify}, append(flow.Routes(), guard.Route{
		Pattern: "/", Action: "app.use", Handler: app,
		Guards: []guard.Guard{policy.RequireAt("/login", "use", authz.Object("app"))},
	})...)
	return mux, policy, err
}

// end README
