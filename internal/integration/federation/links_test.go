package federation

import (
	"database/sql"
	"testing"

	"github.com/surety-go/surety/authn/federation/oidc"
	"github.com/surety-go/surety/authn/federation/oidc/oidcsql"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var schema = servers.Schema{Migrate: oidcsql.Migrate, Tables: sqldb.Tables{ReadWrite: oidcsql.Tables()}}

func TestLinksConform(t *testing.T) {
	for name, pool := range map[string]func(testing.TB) *sql.DB{"SQLite": schema.SQLite, "PostgreSQL": schema.Postgres} {
		t.Run(name, func(t *testing.T) {
			oidctest.TestLinks(t, func(t *testing.T) oidc.Links {
				links, err := oidcsql.Open(t.Context(), pool(t))
				if err != nil {
					t.Fatal(err)
				}
				return links
			})
		})
	}
}
