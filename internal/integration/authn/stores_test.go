// Package authn tests authentication's stores on real databases.
package authn

import (
	"database/sql"
	"testing"

	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

func sqlite(t *testing.T) *sql.DB {
	t.Helper()
	db := servers.SQLite(t)
	if err := authnsql.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

// postgres returns a pool of the runtime role.
func postgres(t *testing.T) *sql.DB {
	t.Helper()
	db := servers.Postgres(t)
	if err := authnsql.Migrate(t.Context(), db.Owner); err != nil {
		t.Fatal(err)
	}
	var role string
	if err := db.Runtime.QueryRowContext(t.Context(), "SELECT current_user").Scan(&role); err != nil {
		t.Fatal(err)
	}
	tables := sqldb.Tables{ReadWrite: authnsql.Tables()}
	if err := sqldb.GrantRuntime(t.Context(), db.Owner, role, tables); err != nil {
		t.Fatal(err)
	}
	problems, err := sqldb.CheckRuntimeRole(t.Context(), db.Runtime, tables)
	if err != nil || len(problems) > 0 {
		t.Fatalf("the runtime role: %q, %v", problems, err)
	}
	return db.Runtime
}

func open(t *testing.T, pool *sql.DB) *authnsql.DB {
	t.Helper()
	db, err := authnsql.Open(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestSQLStoresConform(t *testing.T) {
	for name, pool := range map[string]func(*testing.T) *sql.DB{"SQLite": sqlite, "PostgreSQL": postgres} {
		t.Run(name, func(t *testing.T) {
			t.Run("sessions", func(t *testing.T) {
				authntest.TestSessions(t, func(t *testing.T) session.Store { return open(t, pool(t)).Sessions() })
			})
			t.Run("totp", func(t *testing.T) {
				authntest.TestTOTP(t, func(t *testing.T) totp.Store { return open(t, pool(t)).TOTP() })
			})
			t.Run("throttle", func(t *testing.T) {
				authntest.TestThrottle(t, func(t *testing.T) throttle.Store { return open(t, pool(t)).Throttle() })
			})
		})
	}
}
