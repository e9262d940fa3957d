package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Tables are the tables of a service by what its runtime role may do.
type Tables struct {
	AppendOnly []string // SELECT and INSERT
	ReadWrite  []string // SELECT, INSERT, UPDATE and DELETE
}

func (t Tables) check() error {
	for _, name := range append(append([]string{}, t.AppendOnly...), t.ReadWrite...) {
		if !identifier.MatchString(name) {
			return fmt.Errorf("sqldb: table %q: want a plain lower-case name", name)
		}
	}
	return nil
}

// GrantRuntime gives a PostgreSQL role exactly what a service needs at run
// time. It runs as the owner of the tables. On SQLite, which has no roles, it
// does nothing.
func GrantRuntime(ctx context.Context, owner *sql.DB, role string, t Tables) error {
	db, err := Open(ctx, owner)
	if err != nil {
		return err
	}
	if db.Dialect == SQLite {
		return nil
	}
	if !identifier.MatchString(role) {
		return fmt.Errorf("sqldb: role %q: want a plain lower-case name", role)
	}
	if err := t.check(); err != nil {
		return err
	}
	for grants, tables := range map[string][]string{
		"SELECT, INSERT":                 t.AppendOnly,
		"SELECT, INSERT, UPDATE, DELETE": t.ReadWrite,
	} {
		for _, table := range tables {
			for _, q := range []string{
				"REVOKE ALL ON " + table + " FROM " + role,
				"GRANT " + grants + " ON " + table + " TO " + role,
			} {
				if _, err := owner.ExecContext(ctx, q); err != nil {
					return fmt.Errorf("sqldb: grant on %s: %w", table, err)
				}
			}
		}
	}
	return nil
}

// ErrNoRoles is returned by [CheckRuntimeRole] on SQLite.
var ErrNoRoles = errors.New("sqldb: SQLite has no roles: whoever can write the file can write every table")

// CheckRuntimeRole asks PostgreSQL what the connected role may do beyond its
// work, and returns a sentence for each: being a superuser, passing by row
// security, creating tables, owning a table, changing append-only rows, or a
// table without forced row security. No sentences is good news.
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
	var problems []string
	var super, bypass, create bool
	err = pool.QueryRowContext(ctx, `SELECT rolsuper, rolbypassrls, has_schema_privilege(current_schema(), 'CREATE')
		FROM pg_roles WHERE rolname = current_user`).Scan(&super, &bypass, &create)
	if err != nil {
		return nil, fmt.Errorf("sqldb: role: %w", err)
	}
	for _, p := range []struct {
		bad  bool
		text string
	}{
		{super, "the role is a superuser"},
		{bypass, "the role passes by row-level security"},
		{create, "the role can create tables"},
	} {
		if p.bad {
			problems = append(problems, p.text)
		}
	}
	for _, table := range t.AppendOnly {
		p, err := checkTable(ctx, pool, table, true)
		if err != nil {
			return nil, err
		}
		problems = append(problems, p...)
	}
	for _, table := range t.ReadWrite {
		p, err := checkTable(ctx, pool, table, false)
		if err != nil {
			return nil, err
		}
		problems = append(problems, p...)
	}
	return problems, nil
}

func checkTable(ctx context.Context, pool *sql.DB, table string, appendOnly bool) ([]string, error) {
	var owner, forced, change bool
	err := pool.QueryRowContext(ctx, `SELECT pg_get_userbyid(relowner) = current_user, relrowsecurity AND relforcerowsecurity,
		has_table_privilege(oid, 'UPDATE') OR has_table_privilege(oid, 'DELETE') OR has_table_privilege(oid, 'TRUNCATE')
		FROM pg_class WHERE oid = to_regclass($1)`, table).Scan(&owner, &forced, &change)
	if errors.Is(err, sql.ErrNoRows) {
		return []string{"table " + table + " does not exist"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sqldb: table %s: %w", table, err)
	}
	var problems []string
	if owner {
		problems = append(problems, "the role owns "+table)
	}
	if !forced {
		problems = append(problems, table+" has no forced row-level security")
	}
	if appendOnly && change {
		problems = append(problems, "the role can change rows of "+table+", which is append-only")
	}
	return problems, nil
}

// Describe joins the sentences of [CheckRuntimeRole] for a probe.
func Describe(problems []string) string { return strings.Join(problems, "; ") }
