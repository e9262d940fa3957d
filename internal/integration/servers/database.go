package servers

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx"
)

// A Database is a database of one test, seen by three roles. The role names
// are fit to stand in SQL unquoted.
type Database struct {
	// Admin connects as superuser, who bypasses row-level security: use it to
	// tamper, or to look behind the application's back.
	Admin *sql.DB
	// Owner connects as OwnerRole, which owns the database and runs
	// migrations. It is no superuser and doesn't bypass row-level security.
	Owner *sql.DB
	// Runtime connects as RuntimeRole, which can connect and nothing else:
	// whoever migrates grants it what it needs.
	Runtime *sql.DB

	Name, OwnerRole, RuntimeRole string
	// The same three as connection strings for the driver "pgx".
	AdminDSN, OwnerDSN, RuntimeDSN string
}

func (d *Database) close() error {
	var first error
	for _, pool := range []*sql.DB{d.Admin, d.Owner, d.Runtime} {
		if err := pool.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// A cluster makes databases on one server.
type cluster struct {
	addr, password string
}

func (c *cluster) dsn(user, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: c.addr, Path: database,
		RawQuery: "sslmode=disable&connect_timeout=5",
	}
	return u.String()
}

// as opens a pool for the time of f.
func (c *cluster) as(ctx context.Context, database string, f func(context.Context, *sql.DB) error) error {
	pool, err := sql.Open("pgx", c.dsn(superuser, c.password, database))
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return f(ctx, pool)
}

func (c *cluster) ping(ctx context.Context) error {
	return c.as(ctx, "postgres", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) })
}

func (c *cluster) exec(ctx context.Context, database string, statements ...string) error {
	return c.as(ctx, database, func(ctx context.Context, db *sql.DB) error {
		for _, s := range statements {
			if _, err := db.ExecContext(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", strings.SplitAfterN(s, " ", 3)[:2], err)
			}
		}
		return nil
	})
}

var databases atomic.Int64

// create makes a database with its roles. Names and passwords are made here,
// of letters and digits, so they stand in SQL as they are.
func (c *cluster) create(ctx context.Context) (*Database, error) {
	name := fmt.Sprintf("test_%d", databases.Add(1))
	d := &Database{Name: name, OwnerRole: name + "_owner", RuntimeRole: name + "_runtime"}
	ownerPassword, runtimePassword := rand.Text(), rand.Text()
	err := c.exec(ctx, "postgres",
		"CREATE ROLE "+d.OwnerRole+" LOGIN PASSWORD '"+ownerPassword+"'",
		"CREATE ROLE "+d.RuntimeRole+" LOGIN PASSWORD '"+runtimePassword+"'",
		"CREATE DATABASE "+name+" OWNER "+d.OwnerRole,
		"REVOKE ALL ON DATABASE "+name+" FROM PUBLIC",
		"GRANT CONNECT ON DATABASE "+name+" TO "+d.RuntimeRole)
	if err != nil {
		return nil, err
	}
	// PostgreSQL before 15 lets everyone create tables in this schema.
	err = c.exec(ctx, name, "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "ALTER SCHEMA public OWNER TO "+d.OwnerRole)
	if err != nil {
		return nil, err
	}
	d.AdminDSN = c.dsn(superuser, c.password, name)
	d.OwnerDSN = c.dsn(d.OwnerRole, ownerPassword, name)
	d.RuntimeDSN = c.dsn(d.RuntimeRole, runtimePassword, name)
	d.Admin, d.Owner, d.Runtime = open("pgx", d.AdminDSN), open("pgx", d.OwnerDSN), open("pgx", d.RuntimeDSN)
	return d, nil
}

func (c *cluster) drop(d *Database) error {
	if err := d.close(); err != nil {
		return err
	}
	return c.exec(context.Background(), "postgres",
		"DROP DATABASE "+d.Name+" WITH (FORCE)",
		"DROP ROLE "+d.OwnerRole,
		"DROP ROLE "+d.RuntimeRole)
}

// open is sql.Open for a driver and data source that this package made: an
// error is a defect of this package.
func open(driver, dsn string) *sql.DB {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		panic(err)
	}
	return db
}
