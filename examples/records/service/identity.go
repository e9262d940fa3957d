package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/controls/detect"
)

// identity is who may sign in, and how.
type identity struct {
	accounts  *authnsql.Accounts
	passwords *password.Hasher
	sessions  *session.Manager
	guesses   *throttle.Throttle
	flow      *login.Flow
	identify  *authn.Identifier
	demo      []Account // the accounts that were seeded just now
}

// An Account is a demo account, with its one-time password.
type Account struct{ Tenant, Role, ID, Name, Password string }

// Accounts lists the demo accounts that this opening has seeded.
func (s *Service) Accounts() []Account { return s.identity.demo }

func (s *Service) openIdentity(ctx context.Context) error {
	if err := authnsql.Migrate(ctx, s.db); err != nil {
		return err
	}
	db, err := authnsql.Open(ctx, s.db)
	if err != nil {
		return err
	}
	id := &identity{accounts: db.Accounts()}
	if id.passwords, err = password.New(password.Options{
		Peppers: []password.Pepper{{ID: "1", Key: s.keys.subkey("pepper")}},
	}); err != nil {
		return err
	}
	if id.sessions, err = session.New(db.Sessions(), s.keys.subkey("sessions"), s.recorder, session.Options{InsecureCookies: s.o.Demo}); err != nil {
		return err
	}
	codes, err := totp.New(db.TOTP(), s.keys, s.recorder, totp.Options{Issuer: "Records"})
	if err != nil {
		return err
	}
	if id.guesses, err = throttle.New(db.Throttle(), s.recorder, throttle.Options{}); err != nil {
		return err
	}
	id.flow, err = login.New(login.Parts{
		Accounts: id.accounts, Passwords: id.passwords, Codes: codes, Sessions: id.sessions, Guesses: id.guesses,
		Key: s.keys.subkey("login"), Recorder: s.recorder,
	}, login.Options{InsecureCookies: s.o.Demo, Layout: loginLayout, Tenant: func(*http.Request) string { return "" }})
	if err != nil {
		return err
	}
	if id.identify, err = authn.Identify(s.recorder, id.sessions); err != nil {
		return err
	}
	s.identity = id
	s.mount(id.flow)
	return nil
}

// loginLayout puts the sign-in pages into the service's own design.
const loginLayout = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .Alert}}Error: {{end}}{{.Title}} · Records</title>
<link rel="stylesheet" href="/static/app.css">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
</head>
<body>
<header class="top"><div><a class="name" href="/">Records</a></div></header>
<main id="content" class="narrow">
<h1>{{.Title}}</h1>
{{with .Alert}}<p class="note bad" role="alert">{{.}}</p>{{end}}
<div class="panel">{{.Body}}</div>
</main>
</body>
</html>
`

// lock answers a detection: the account that is being guessed at takes no
// attempts for a quarter of an hour.
func (s *Service) lock(ctx context.Context, a detect.Alert) error {
	account := a.Group["target.account"]
	if account == "" || s.identity == nil {
		return nil
	}
	return s.identity.guesses.Lock(ctx, a.Tenant, account, time.Now().Add(15*time.Minute), "detection."+a.Rule.ID)
}

// welcome prints how to sign in to a demo.
func (id *identity) welcome(out io.Writer, addr string) {
	base := "http://" + addr
	fmt.Fprintf(out, "Records serves %s (HTTP) and %s (gRPC).\n\n", base, addr)
	if len(id.demo) == 0 {
		fmt.Fprintln(out, "The accounts were made when this directory was; sign in with the passwords you chose then.")
		return
	}
	fmt.Fprintln(out, "Demo accounts. The passwords work once: the first sign-in sets up a one-time code and asks for a new one.")
	for _, a := range id.demo {
		fmt.Fprintf(out, "  %-7s %-9s %-28s %s\n", a.Tenant, a.Role, a.Name, a.Password)
	}
	first := id.demo[0]
	fmt.Fprintf(out, `
Try:
  curl -s %[1]s/readyz?verbose
  curl -s %[1]s/api/files
  curl -s %[1]s/login --json '{"tenant":%[2]q,"name":%[3]q,"password":%[4]q}'
`, base, first.Tenant, first.Name, first.Password)
}

// An accountPlace is a person's account as erasure sees it.
type accountPlace struct{ *Service }

// Name is the place's name in reports.
func (accountPlace) Name() string { return "accounts" }

// Erase takes the account's roles away, removes it and ends its sessions.
func (p accountPlace) Erase(ctx context.Context, tenant, id string) error {
	for _, role := range p.access.engine.Roles(tenant, id) {
		if err := p.access.keeper.Revoke(ctx, tenant, id, role, "privacy.erasure"); err != nil {
			return err
		}
	}
	if _, err := p.identity.accounts.Delete(ctx, tenant, id); err != nil {
		return err
	}
	_, err := p.identity.sessions.EndAll(ctx, tenant, id, "privacy.erasure")
	return err
}

// Remains counts the account and its roles.
func (p accountPlace) Remains(ctx context.Context, tenant, id string) (int, error) {
	_, err := p.identity.accounts.ByID(ctx, tenant, id)
	n := len(p.access.engine.Roles(tenant, id))
	if errors.Is(err, login.ErrNoAccount) {
		return n, nil
	}
	return n + 1, err
}
