package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// identifier accepts names that need no quoting in SQL.
var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Tables are the tables of a service by what its runtime role may do.
type Tables struct {
	AppendOnly []string // SELECT and INSERT
	ReadWrite  []string // SELECT, INSERT, UPDATE and DELETE
}

func (t Tables) check() error {
	seen := map[string]bool{}
	for _, name := range slices.Concat(t.AppendOnly, t.ReadWrite) {
		if !identifier.MatchString(name) {
			return fmt.Errorf("sqldb: table %q: want a plain lower-case name", name)
		}
		if seen[name] {
			return fmt.Errorf("sqldb: table %q is named twice", name)
		}
		seen[name] = true
	}
	return nil
}

// PolicySQL returns the statements that confine a PostgreSQL table to the
// transaction's tenant, even for the table's owner. Migrations contain them
// written out; the function is for tests and for tables made elsewhere. The
// table has a column named tenant, which must not be empty: without a
// transaction the setting may be.
func PolicySQL(table string) ([]string, error) {
	if !identifier.MatchString(table) {
		return nil, fmt.Errorf("sqldb: table %q: want a plain lower-case name", table)
	}
	return []string{
		"ALTER TABLE " + table + " ENABLE ROW LEVEL SECURITY",
		"ALTER TABLE " + table + " FORCE ROW LEVEL SECURITY",
		"CREATE POLICY tenant_only ON " + table + " USING (tenant = current_setting('surety.tenant', true))" +
			" WITH CHECK (tenant = current_setting('surety.tenant', true))",
	}, nil
}

// GrantRuntime gives a PostgreSQL role exactly what a service needs of the
// tables at run time, and takes what it or everyone had beyond that, in one
// transaction. It runs as the owner of the tables, and again after a migration
// that adds some. Keys that count up are IDENTITY columns, which need no grant
// of their own. On SQLite, which has no roles, it does nothing.
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
	return db.exclusively(ctx, func(conn *sql.Conn) error {
		if err := grantSchema(ctx, conn, role); err != nil {
			return err
		}
		for _, table := range t.AppendOnly {
			if err := grant(ctx, conn, "SELECT, INSERT", table, role); err != nil {
				return err
			}
		}
		for _, table := range t.ReadWrite {
			if err := grant(ctx, conn, "SELECT, INSERT, UPDATE, DELETE", table, role); err != nil {
				return err
			}
		}
		return nil
	})
}

// grantSchema lets the role find the tables.
func grantSchema(ctx context.Context, conn *sql.Conn, role string) error {
	var self, usage bool
	var schema sql.NullString
	err := conn.QueryRowContext(ctx, `SELECT $1 IN (current_user, session_user), quote_ident(current_schema()),
		COALESCE(has_schema_privilege($1, current_schema(), 'USAGE'), false)`, role).Scan(&self, &schema, &usage)
	switch {
	case err != nil:
		return fmt.Errorf("sqldb: role %s: %w", role, err)
	case self:
		return fmt.Errorf("sqldb: role %s: the owner of the tables can't be the runtime role", role)
	case !schema.Valid:
		return errors.New("sqldb: the search path names no schema that exists")
	case usage:
		return nil
	}
	if _, err := conn.ExecContext(ctx, "GRANT USAGE ON SCHEMA "+schema.String+" TO "+role); err != nil {
		return fmt.Errorf("sqldb: grant on schema %s: %w", schema.String, err)
	}
	return nil
}

func grant(ctx context.Context, conn *sql.Conn, privileges, table, role string) error {
	for _, q := range []string{
		"REVOKE ALL ON TABLE " + table + " FROM PUBLIC, " + role,
		"GRANT " + privileges + " ON TABLE " + table + " TO " + role,
	} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("sqldb: grant on %s: %w", table, err)
		}
	}
	return nil
}
