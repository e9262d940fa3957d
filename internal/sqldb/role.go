package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// ErrNoRoles is returned by [CheckRuntimeRole] on SQLite: not applicable.
var ErrNoRoles = errors.New("sqldb: SQLite has no roles: whoever can write the file can write every table")

// CheckRuntimeRole asks PostgreSQL what the connected role, and any role that
// it is a member of, may do beyond its work, and returns a sentence for each:
// being a superuser, passing by row-level security, creating things, owning or
// truncating a table, changing append-only rows or the notes of migrations;
// and for each table whose rows are not confined to the tenant. No sentences
// is good news. It does not look into functions that run with their owner's
// rights, nor at views.
func CheckRuntimeRole(ctx context.Context, pool *sql.DB, t Tables) ([]string, error) {
	db, err := Open(ctx, pool)
	if err != nil {
		return nil, err
	}
	if db.Dialect == SQLite {
		return nil, ErrNoRoles
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	problems, err := ask(ctx, pool, roleFacts, "")
	if err != nil {
		return nil, err
	}
	for _, table := range t.AppendOnly {
		more, err := askTable(ctx, pool, table, appendOnlyFact, tableFacts)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	for _, table := range t.ReadWrite {
		more, err := askTable(ctx, pool, table, tableFacts)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	return problems, nil
}

// Describe joins the sentences of [CheckRuntimeRole] for a probe.
func Describe(problems []string) string { return strings.Join(problems, "; ") }

// facts are queries that return one row of booleans, each with its sentence.
// They are about the role of the connection. pg_has_role counts what the role
// could take on with SET ROLE.
type facts struct {
	from      string
	sentences [][2]string // condition, sentence
}

var roleFacts = facts{"pg_roles r WHERE r.rolname = current_user", [][2]string{
	{"current_user <> session_user", "the session has put on its role and can take it off again"},
	{"EXISTS (SELECT FROM pg_roles m WHERE m.rolsuper AND pg_has_role(m.oid, 'MEMBER'))", "the role is a superuser"},
	{"EXISTS (SELECT FROM pg_roles m WHERE m.rolbypassrls AND pg_has_role(m.oid, 'MEMBER'))", "the role passes by row-level security"},
	{"EXISTS (SELECT FROM pg_roles m WHERE m.rolreplication AND pg_has_role(m.oid, 'MEMBER'))", "the role can replicate all rows"},
	{"EXISTS (SELECT FROM pg_roles m WHERE m.rolcreaterole AND pg_has_role(m.oid, 'MEMBER'))", "the role can change roles"},
	{`EXISTS (SELECT FROM pg_roles m WHERE m.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
		AND pg_has_role(m.oid, 'MEMBER'))`, "the role reaches the server's files or programs"},
	{`EXISTS (SELECT FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND has_schema_privilege(n.oid, 'CREATE'))
		OR has_database_privilege(current_database(), 'CREATE')`, "the role can create tables"},
	// A temporary table hides the real one of its name for as long as the
	// pooled connection lives.
	{"has_database_privilege(current_database(), 'TEMPORARY')", "the role can create temporary tables: REVOKE TEMPORARY ON DATABASE … FROM PUBLIC"},
	{`EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('surety_migrations') AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
		OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')))`, "the role can change surety_migrations"},
}}

var tableFacts = facts{"pg_class c WHERE c.oid = to_regclass($1)", [][2]string{
	{"pg_has_role(c.relowner, 'MEMBER')", "the role owns %s"},
	{"NOT (c.relrowsecurity AND c.relforcerowsecurity)", "%s has no forced row-level security"},
	// Policies add up: one that doesn't name the tenant opens the table.
	{
		`EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive
		AND EXISTS (SELECT FROM unnest(p.polroles) m WHERE m = 0 OR pg_has_role(m, 'MEMBER'))
		AND (pg_get_expr(p.polqual, c.oid) NOT LIKE '%surety.tenant%' OR pg_get_expr(p.polwithcheck, c.oid) NOT LIKE '%surety.tenant%'))`,
		"%s has a policy that doesn't compare with surety.tenant",
	},
	{"has_table_privilege(c.oid, 'TRUNCATE')", "the role can truncate %s, which row-level security doesn't see"},
	{"has_table_privilege(c.oid, 'TRIGGER')", "the role can put triggers on %s"},
}}

var appendOnlyFact = facts{tableFacts.from, [][2]string{
	{"has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') OR has_any_column_privilege(c.oid, 'UPDATE')", "the role can change rows of %s, which is append-only"},
}}

// askTable asks several facts about a table.
func askTable(ctx context.Context, pool *sql.DB, table string, list ...facts) ([]string, error) {
	var problems []string
	for _, f := range list {
		more, err := ask(ctx, pool, f, table)
		if errors.Is(err, sql.ErrNoRows) {
			return []string{"table " + table + " does not exist"}, nil
		}
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	return problems, nil
}

// ask returns the sentences whose conditions hold, about a table if one is
// named.
func ask(ctx context.Context, pool *sql.DB, f facts, table string) ([]string, error) {
	var conditions []string
	answers := make([]bool, len(f.sentences))
	targets := make([]any, len(f.sentences))
	for i, s := range f.sentences {
		conditions = append(conditions, "COALESCE("+s[0]+", false)")
		targets[i] = &answers[i]
	}
	var args []any
	if table != "" {
		args = append(args, table)
	}
	query := "SELECT " + strings.Join(conditions, ", ") + " FROM " + f.from
	if err := pool.QueryRowContext(ctx, query, args...).Scan(targets...); err != nil {
		return nil, fmt.Errorf("sqldb: role: %w", err)
	}
	var problems []string
	for i, s := range f.sentences {
		if answers[i] {
			problems = append(problems, strings.ReplaceAll(s[1], "%s", table))
		}
	}
	return problems, nil
}
