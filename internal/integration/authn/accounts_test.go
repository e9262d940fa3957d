package authn

import (
	"bytes"
	"database/sql"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	root "github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

func databases(t *testing.T, f func(*testing.T, *sql.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, sqlite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, postgres(t)) })
}

func TestAccounts(t *testing.T) {
	databases(t, func(t *testing.T, pool *sql.DB) {
		s, ctx := open(t, pool).Accounts(), t.Context()
		ada := login.Account{Tenant: "acme", ID: "u-1", Name: " Ada@Example.org", Groups: []string{"owner", "ü'"}, Password: "hash", MustChange: true}
		if err := s.Create(ctx, ada); err != nil {
			t.Fatal(err)
		}
		got, err := s.ByName(ctx, "acme", "ada@example.org")
		if err != nil || got.ID != "u-1" || len(got.Groups) != 2 || got.Groups[1] != "ü'" || !got.MustChange || got.Disabled || got.Tenant != "acme" {
			t.Errorf("%+v, %v", got, err)
		}
		twin := ada
		twin.ID = "u-2"
		if err := s.Create(ctx, twin); !errors.Is(err, authnsql.ErrNameTaken) {
			t.Errorf("a taken name: %v", err)
		}
		twin.Tenant = "globex"
		if err := s.Create(ctx, twin); err != nil {
			t.Errorf("the same name at another tenant: %v", err)
		}
		if _, err := s.ByID(ctx, "globex", "u-1"); !errors.Is(err, login.ErrNoAccount) {
			t.Errorf("another tenant's id: %v", err)
		}
		if _, err := s.ByID(ctx, "", "u-1"); err == nil {
			t.Error("without a tenant")
		}
		if ok, err := s.SetPassword(ctx, "acme", "u-1", "other", "x", false); ok || err != nil {
			t.Errorf("from another hash: %t, %v", ok, err)
		}
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ok, err := s.SetPassword(ctx, "acme", "u-1", "hash", "new", false)
				if err != nil {
					t.Error(err)
				}
				if ok {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d changes from one hash won", wins.Load())
		}
		if ok, err := s.SetDisabled(ctx, "acme", "u-1", true); !ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := s.SetGroups(ctx, "acme", "u-1", nil); !ok || err != nil {
			t.Error(ok, err)
		}
		list, err := s.List(ctx, "acme")
		if err != nil || len(list) != 1 || !list[0].Disabled || list[0].Password != "new" || list[0].MustChange || len(list[0].Groups) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		if ok, err := s.Delete(ctx, "acme", "u-1"); !ok || err != nil {
			t.Error(ok, err)
		}
		if _, err := s.ByID(ctx, "acme", "u-1"); !errors.Is(err, login.ErrNoAccount) {
			t.Errorf("after its removal: %v", err)
		}
	})
}

// TestLoginOnDatabases takes the whole way on real databases, then writes past
// the application.
func TestLoginOnDatabases(t *testing.T) {
	databases(t, func(t *testing.T, pool *sql.DB) {
		db, rec, key, ctx := open(t, pool), &auditlogtest.Recorder{}, bytes.Repeat([]byte{1}, 32), t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		hasher, err := password.New(password.Options{Memory: 7168, Passes: 5})
		must(err)
		codes, err := totp.New(db.TOTP(), authntest.Seeds{}, rec, totp.Options{Issuer: "Test"})
		must(err)
		sessions, err := session.New(db.Sessions(), key, rec, session.Options{})
		must(err)
		guesses, err := throttle.New(db.Throttle(), rec, throttle.Options{})
		must(err)
		hash, err := hasher.Hash(ctx, "seven quiet llamas")
		must(err)
		must(db.Accounts().Create(ctx, login.Account{Tenant: "acme", ID: "u-1", Name: "ada", Password: hash}))
		flow, err := login.New(login.Parts{
			Accounts: db.Accounts(), Passwords: hasher, Codes: codes, Sessions: sessions, Guesses: guesses, Key: key, Recorder: rec,
		}, login.Options{})
		must(err)
		p, err := flow.Begin(ctx, "acme", "ada", "seven quiet llamas", login.Client{})
		must(err)
		e, err := flow.Enrol(ctx, p.Ticket)
		must(err)
		app := authntest.Scan(t, e.URI)
		p, err = flow.Confirm(ctx, p.Ticket, app.Code(time.Now(), 0), login.Client{})
		must(err)
		ask := func() error {
			who, err := sessions.Authenticate(ctx, guard.Synthetic("t", "t.read", http.Header{"Authorization": {"Bearer " + p.Token}}))
			if err == nil && (who.AAL != root.AAL2 || who.Kind != auditlog.User) {
				t.Errorf("%+v", who)
			}
			return err
		}
		must(ask())
		for _, c := range flow.Controls() {
			if r := c.Run(ctx); r.State != controls.Pass {
				t.Errorf("%s: %+v", c.Key(), r)
			}
		}
		tx, err := pool.BeginTx(ctx, nil)
		must(err)
		_, _ = tx.ExecContext(ctx, "SELECT set_config('surety.tenant', 'acme', true)") // PostgreSQL's row security
		if _, err := tx.ExecContext(ctx, "UPDATE authn_session SET rev = rev + 1"); err != nil {
			t.Fatal(err)
		}
		must(tx.Commit())
		if err := ask(); !errors.Is(err, session.ErrEnded) {
			t.Errorf("a row that was written past the application: %v", err)
		}
	})
}
