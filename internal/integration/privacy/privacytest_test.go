package privacy

import (
	"context"
	"database/sql"
	"testing"

	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/privacy/privacytest"
)

// A marker is found in whatever column it is left, text or bytes, and an
// erasure of both passes.
func TestLeavesNothingInTables(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sql.DB{
		"SQLite": servers.SQLite, "PostgreSQL": func(t testing.TB) *sql.DB { return servers.Postgres(t).Owner },
	} {
		t.Run(name, func(t *testing.T) {
			pool := open(t)
			exec := func(query string) error {
				_, err := pool.ExecContext(t.Context(), query)
				return err
			}
			if err := exec(`CREATE TABLE people (id INTEGER, name TEXT, notes TEXT)`); err != nil {
				t.Fatal(err)
			}
			if err := exec(`INSERT INTO people VALUES (1, 'Ada Lovelace', NULL), (2, 'Grace Hopper', 'knows ADA LOVELACE')`); err != nil {
				t.Fatal(err)
			}
			privacytest.LeavesNothing(t, []string{"Ada Lovelace"}, []privacytest.Place{privacytest.SQL(pool, "people")}, func(context.Context) error {
				if err := exec(`DELETE FROM people WHERE id = 1`); err != nil {
					return err
				}
				return exec(`UPDATE people SET notes = NULL`)
			})
		})
	}
}
