package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var tables = sqldb.Tables{AppendOnly: []string{"notes"}, ReadWrite: []string{"drafts"}}

// granted is a database with an append-only and another table, and a runtime
// role that has what it needs.
func granted(t *testing.T) *servers.Database {
	t.Helper()
	db := servers.Postgres(t)
	policy, err := sqldb.PolicySQL("drafts")
	if err != nil {
		t.Fatal(err)
	}
	more := "CREATE TABLE drafts (tenant TEXT NOT NULL, id BIGINT GENERATED ALWAYS AS IDENTITY, text TEXT);\n" + strings.Join(policy, ";\n") + ";"
	if err := sqldb.Migrate(t.Context(), db.Owner, notes(more)); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.GrantRuntime(t.Context(), db.Owner, db.RuntimeRole, tables); err != nil {
		t.Fatal(err)
	}
	return db
}

func check(t *testing.T, pool *sql.DB, want ...string) {
	t.Helper()
	got, err := sqldb.CheckRuntimeRole(t.Context(), pool, tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, w) }) {
			t.Errorf("%q is not in %q", w, sqldb.Describe(got))
		}
	}
	if len(want) == 0 && len(got) > 0 {
		t.Errorf("a sound role: %s", sqldb.Describe(got))
	}
}

func TestWhatTheRuntimeRoleCanDo(t *testing.T) {
	pg := granted(t)
	check(t, pg.Runtime)
	db, err := sqldb.Open(t.Context(), pg.Runtime)
	if err != nil {
		t.Fatal(err)
	}
	can := func(query string) bool {
		t.Helper()
		err := db.Tx(t.Context(), "acme", func(tx *sqldb.Tx) error { _, err := tx.Exec(t.Context(), query); return err })
		var state interface{ SQLState() string }
		if err != nil && (!errors.As(err, &state) || state.SQLState() != "42501") { // insufficient_privilege
			t.Errorf("%s: %v", query, err)
		}
		return err == nil
	}
	for _, query := range []string{
		"INSERT INTO notes VALUES ('acme', '1', 'x')", "SELECT * FROM notes",
		"INSERT INTO drafts (tenant, text) VALUES ('acme', 'x')", "UPDATE drafts SET text = 'y'", "DELETE FROM drafts",
	} {
		if !can(query) {
			t.Errorf("the role can't %s", query)
		}
	}
	for _, query := range []string{
		"UPDATE notes SET text = 'x'", "DELETE FROM notes", "TRUNCATE notes", "TRUNCATE drafts", "DROP TABLE notes", "CREATE TABLE x (y TEXT)",
		"CREATE TEMPORARY TABLE notes (tenant TEXT)", "ALTER TABLE notes DISABLE ROW LEVEL SECURITY", "CREATE SCHEMA x",
		"DELETE FROM surety_migrations", "INSERT INTO notes VALUES ('globex', '1', 'x')", "INSERT INTO drafts (tenant) VALUES ('globex')",
	} {
		if can(query) {
			t.Errorf("the role can %s", query)
		}
	}
}

// Each defect alone is found.
func TestDefectsOfRolesAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		defect []string // run by the superuser
		want   string
	}{
		"superuser":          {[]string{"ALTER ROLE $runtime SUPERUSER"}, "is a superuser"},
		"bypass":             {[]string{"ALTER ROLE $runtime BYPASSRLS"}, "passes by row-level security"},
		"replication":        {[]string{"ALTER ROLE $runtime REPLICATION"}, "can replicate"},
		"roles":              {[]string{"ALTER ROLE $runtime CREATEROLE"}, "can change roles"},
		"bypass by group":    {[]string{"CREATE ROLE $runtime_g BYPASSRLS", "GRANT $runtime_g TO $runtime"}, "passes by row-level security"},
		"files":              {[]string{"GRANT pg_read_server_files TO $runtime"}, "server's files"},
		"tables":             {[]string{"GRANT CREATE ON SCHEMA public TO $runtime"}, "can create tables"},
		"another schema":     {[]string{"CREATE SCHEMA x", "GRANT CREATE ON SCHEMA x TO PUBLIC"}, "can create tables"},
		"schemas":            {[]string{"GRANT CREATE ON DATABASE $db TO $runtime"}, "can create tables"},
		"temporary tables":   {[]string{"GRANT TEMPORARY ON DATABASE $db TO PUBLIC"}, "can create temporary tables"},
		"migrations":         {[]string{"GRANT UPDATE (checksum) ON surety_migrations TO $runtime"}, "can change surety_migrations"},
		"owner":              {[]string{"ALTER TABLE notes OWNER TO $runtime"}, "owns notes"},
		"member of owner":    {[]string{"GRANT $owner TO $runtime"}, "owns notes"},
		"member, no inherit": {[]string{"ALTER ROLE $runtime NOINHERIT", "GRANT $owner TO $runtime"}, "owns notes"},
		"update":             {[]string{"GRANT UPDATE ON notes TO $runtime"}, "can change rows of notes"},
		"update for all":     {[]string{"GRANT UPDATE ON notes TO PUBLIC"}, "can change rows of notes"},
		"update a column":    {[]string{"GRANT UPDATE (text) ON notes TO $runtime"}, "can change rows of notes"},
		"delete":             {[]string{"GRANT DELETE ON notes TO $runtime"}, "can change rows of notes"},
		"truncate":           {[]string{"GRANT TRUNCATE ON drafts TO $runtime"}, "can truncate drafts"},
		"trigger":            {[]string{"GRANT TRIGGER ON notes TO $runtime"}, "put triggers on notes"},
		"no row security":    {[]string{"ALTER TABLE drafts DISABLE ROW LEVEL SECURITY"}, "drafts has no forced row-level security"},
		"not forced":         {[]string{"ALTER TABLE drafts NO FORCE ROW LEVEL SECURITY"}, "drafts has no forced row-level security"},
		"an open policy":     {[]string{"CREATE POLICY support ON notes FOR SELECT USING (true)"}, "notes has a policy"},
		"open for writing":   {[]string{"CREATE POLICY load ON notes FOR INSERT TO $runtime WITH CHECK (true)"}, "notes has a policy"},
		"no table":           {[]string{"DROP TABLE drafts"}, "drafts does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			pg := granted(t)
			r := strings.NewReplacer("$owner", pg.OwnerRole, "$runtime", pg.RuntimeRole, "$db", pg.Name)
			for _, q := range tc.defect {
				if _, err := pg.Admin.ExecContext(t.Context(), r.Replace(q)); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { // roles outlive the database
				for _, q := range []string{"ALTER TABLE IF EXISTS notes OWNER TO $owner", "DROP ROLE IF EXISTS $runtime_g"} {
					if _, err := pg.Admin.ExecContext(context.Background(), r.Replace(q)); err != nil {
						t.Error(err)
					}
				}
			})
			check(t, pg.Runtime, tc.want)
		})
	}
}

func TestARoleThatWasPutOnIsNoRole(t *testing.T) {
	pg := granted(t)
	pg.Admin.SetMaxOpenConns(1)
	if _, err := pg.Admin.ExecContext(t.Context(), "SET ROLE "+pg.RuntimeRole); err != nil {
		t.Fatal(err)
	}
	check(t, pg.Admin, "can take it off again")
}

func TestARestrictivePolicyIsFine(t *testing.T) {
	pg := granted(t)
	for _, q := range []string{
		"CREATE POLICY office_hours ON notes AS RESTRICTIVE USING (true)",
		"CREATE POLICY backup ON notes FOR SELECT TO " + pg.OwnerRole + " USING (true)", // not for this role
	} {
		if _, err := pg.Admin.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	check(t, pg.Runtime)
}

func TestOwnerAndSuperuserAreNoRuntimeRoles(t *testing.T) {
	pg := granted(t)
	check(t, pg.Owner, "can create tables", "owns notes", "owns drafts", "can change rows of notes", "can change surety_migrations")
	check(t, pg.Admin, "is a superuser", "passes by row-level security")
}

func TestGrantTakesWhatIsTooMuch(t *testing.T) {
	pg := granted(t)
	for _, q := range []string{
		"GRANT ALL ON notes, drafts TO " + pg.RuntimeRole,
		"GRANT UPDATE (text) ON notes TO " + pg.RuntimeRole,
		"GRANT ALL ON notes TO PUBLIC",
	} {
		if _, err := pg.Owner.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 4 { // instances that start at once
		wg.Go(func() {
			if err := sqldb.GrantRuntime(t.Context(), pg.Owner, pg.RuntimeRole, tables); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	check(t, pg.Runtime)
}

func TestGrantIsWholeOrNotAtAll(t *testing.T) {
	pg := granted(t)
	wrong := sqldb.Tables{ReadWrite: []string{"notes", "absent"}}
	if err := sqldb.GrantRuntime(t.Context(), pg.Owner, pg.RuntimeRole, wrong); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("a table that doesn't exist: %v", err)
	}
	check(t, pg.Runtime)
	if err := sqldb.GrantRuntime(t.Context(), pg.Owner, pg.OwnerRole, tables); err == nil {
		t.Error("the owner took its own rights")
	}
	if err := sqldb.GrantRuntime(t.Context(), pg.Owner, "nobody_here", tables); err == nil {
		t.Error("a role that doesn't exist was granted something")
	}
}

func TestTablesMayLiveInASchemaOfTheirOwn(t *testing.T) {
	pg := servers.Postgres(t)
	ctx := t.Context()
	for _, q := range []string{
		`CREATE SCHEMA "Our App" AUTHORIZATION ` + pg.OwnerRole,
		"ALTER ROLE " + pg.OwnerRole + ` SET search_path = "Our App"`,
		"ALTER ROLE " + pg.RuntimeRole + ` SET search_path = "Our App"`,
	} {
		if _, err := pg.Admin.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if err := sqldb.Migrate(ctx, pg.Owner, notes()); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.GrantRuntime(ctx, pg.Owner, pg.RuntimeRole, sqldb.Tables{AppendOnly: []string{"notes"}}); err != nil {
		t.Fatal(err)
	}
	got, err := sqldb.CheckRuntimeRole(ctx, pg.Runtime, sqldb.Tables{AppendOnly: []string{"notes"}})
	if err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSQLiteHasNoRoles(t *testing.T) {
	if _, err := sqldb.CheckRuntimeRole(t.Context(), servers.SQLite(t), tables); !errors.Is(err, sqldb.ErrNoRoles) {
		t.Errorf("%v", err)
	}
}
