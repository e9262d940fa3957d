package servers

import (
	"context"
	"database/sql"
	"testing"

	"github.com/surety-go/surety/internal/sqldb"
)

// A Schema is what the stores of one package need of a database.
type Schema struct {
	Migrate func(ctx context.Context, owner *sql.DB) error
	Tables  sqldb.Tables // what the runtime role may do
}

// SQLite returns a migrated database in a file of its own.
func (s Schema) SQLite(t testing.TB) *sql.DB {
	t.Helper()
	db := SQLite(t)
	s.migrate(t, db)
	return db
}

// Postgres returns a pool of the runtime role on a migrated database. The role
// has what it needs and is checked for having nothing more.
func (s Schema) Postgres(t testing.TB) *sql.DB {
	t.Helper()
	db := Postgres(t)
	s.migrate(t, db.Owner)
	if err := sqldb.GrantRuntime(t.Context(), db.Owner, db.RuntimeRole, s.Tables); err != nil {
		t.Fatal(err)
	}
	problems, err := sqldb.CheckRuntimeRole(t.Context(), db.Runtime, s.Tables)
	if err != nil || len(problems) > 0 {
		t.Fatalf("the runtime role: %q, %v", problems, err)
	}
	return db.Runtime
}

// migrate migrates twice: the second time there is nothing to do.
func (s Schema) migrate(t testing.TB, owner *sql.DB) {
	t.Helper()
	for range 2 {
		if err := s.Migrate(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
	}
}

// Each runs a test on SQLite and on PostgreSQL.
func (s Schema) Each(t *testing.T, f func(t *testing.T, open func(testing.TB) *sql.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, s.SQLite) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, s.Postgres) })
}
