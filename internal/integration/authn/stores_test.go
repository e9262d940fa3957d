// Package authn tests authentication's stores on real databases.
package authn

import (
	"database/sql"
	"testing"

	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var (
	schema = servers.Schema{Migrate: authnsql.Migrate, Tables: sqldb.Tables{ReadWrite: authnsql.Tables()}}

	sqlite, postgres = schema.SQLite, schema.Postgres
)

func open(t *testing.T, pool *sql.DB) *authnsql.DB {
	t.Helper()
	db, err := authnsql.Open(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestSQLStoresConform(t *testing.T) {
	for name, pool := range map[string]func(testing.TB) *sql.DB{"SQLite": sqlite, "PostgreSQL": postgres} {
		t.Run(name, func(t *testing.T) {
			t.Run("sessions", func(t *testing.T) {
				authntest.TestSessions(t, func(t *testing.T) session.Store { return open(t, pool(t)).Sessions() })
			})
			t.Run("totp", func(t *testing.T) {
				authntest.TestTOTP(t, func(t *testing.T) totp.Store { return open(t, pool(t)).TOTP() })
			})
			t.Run("recovery codes", func(t *testing.T) {
				authntest.TestRecovery(t, func(t *testing.T) recoverycode.Store { return open(t, pool(t)).Recovery() })
			})
			t.Run("codes out of band", func(t *testing.T) {
				authntest.TestOTP(t, func(t *testing.T) otp.Store { return open(t, pool(t)).OTP() })
			})
			t.Run("API keys", func(t *testing.T) {
				authntest.TestAPIKeys(t, func(t *testing.T) apikey.Store { return open(t, pool(t)).APIKeys() })
			})
			t.Run("people", func(t *testing.T) {
				authntest.TestPeople(t, func(t *testing.T) lifecycle.Store { return open(t, pool(t)).People() })
			})
			t.Run("throttle", func(t *testing.T) {
				authntest.TestThrottle(t, func(t *testing.T) throttle.Store { return open(t, pool(t)).Throttle() })
			})
		})
	}
}
