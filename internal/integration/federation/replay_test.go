package federation

import (
	"database/sql"
	"testing"

	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/authn/federation/federationsql"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var replays = servers.Schema{Migrate: federationsql.Migrate, Tables: sqldb.Tables{ReadWrite: federationsql.Tables()}}

func TestReplayConforms(t *testing.T) {
	for name, pool := range map[string]func(testing.TB) *sql.DB{"SQLite": replays.SQLite, "PostgreSQL": replays.Postgres} {
		t.Run(name, func(t *testing.T) {
			oidctest.TestReplay(t, func(t *testing.T) federation.Replay {
				r, err := federationsql.Open(t.Context(), pool(t))
				if err != nil {
					t.Fatal(err)
				}
				return r
			})
		})
	}
}
