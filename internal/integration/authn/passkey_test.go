package authn

import (
	"database/sql"
	"testing"

	"github.com/surety-go/surety/authn/passkey"
	"github.com/surety-go/surety/authn/passkey/passkeysql"
	"github.com/surety-go/surety/authn/passkey/passkeytest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

func TestPasskeyStoresConform(t *testing.T) {
	schema := servers.Schema{Migrate: passkeysql.Migrate, Tables: sqldb.Tables{ReadWrite: passkeysql.Tables()}}
	for name, pool := range map[string]func(testing.TB) *sql.DB{"SQLite": schema.SQLite, "PostgreSQL": schema.Postgres} {
		t.Run(name, func(t *testing.T) {
			passkeytest.TestStore(t, func(t *testing.T) passkey.Store {
				s, err := passkeysql.Open(t.Context(), pool(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
