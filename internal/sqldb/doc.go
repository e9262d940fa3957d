// Package sqldb is what SQL stores share: telling SQLite from PostgreSQL
// without importing a driver, placeholders, forward-only migrations, and
// transactions that belong to one tenant.
//
//	err := sqldb.Migrate(ctx, owner, sqldb.Set{Name: "consent", FS: migrations, Dir: "migrations"})
//	err = sqldb.GrantRuntime(ctx, owner, "app", sqldb.Tables{AppendOnly: []string{"consent_entries"}})
//
//	db, err := sqldb.Open(ctx, runtime) // detects the dialect
//	err = db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
//		_, err := tx.Exec(ctx, `INSERT INTO consent_entries (tenant, …) VALUES (?, …)`, tenant, …)
//		return err
//	})
//
// # Two roles
//
// On PostgreSQL a deployment has two roles. The owner runs [Migrate] and
// [GrantRuntime] and owns the tables. The service runs under the other one,
// which can neither create nor own anything and changes no row of an
// append-only table; [CheckRuntimeRole] reports what it could do beyond that.
// A transaction sets surety.tenant, with which the row-level security policies
// of the tables compare; see [PolicySQL]. A query that forgets its tenant then
// finds nothing, and one outside of a transaction neither.
//
// SQLite has no roles: whoever can write the file can write every row. There
// the WHERE clauses separate tenants alone, [CheckRuntimeRole] says
// [ErrNoRoles], and stores detect changes by a MAC. Open it with a busy
// timeout and with transactions that begin IMMEDIATE; [DB.View] then still
// takes no write lock.
//
// # Errors
//
// [ErrNoTenant], [ErrDialect], [ErrMigration], [ErrNoRoles] and [ErrDSN] are
// for errors.Is. Driver errors are wrapped; [Transient] and [Duplicate] tell
// their kind by the methods SQLState() string (pgx, lib/pq) and Code() int
// (modernc.org/sqlite).
package sqldb
