package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// A fake is a database of one connection that only remembers what it is told
// and fails when it should. Transactions keep or drop what was said in them.
type fake struct {
	dialect Dialect
	fail    func(query string) error // asked before every statement; nil never fails

	said      []string // every statement, and what database/sql does by itself
	kept      []string // what was committed, without SELECT
	pending   []string
	open      bool // a transaction
	connected int
}

// newFake opens a pool on f, closed at the end of the test.
func newFake(t *testing.T, f *fake) *sql.DB {
	t.Helper()
	pool := sql.OpenDB(f)
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return pool
}

func (f *fake) Connect(context.Context) (driver.Conn, error) {
	f.connected++
	f.open, f.pending = false, nil
	return &fakeConn{f}, nil
}
func (f *fake) Driver() driver.Driver { return nil }

type fakeConn struct{ *fake }

func (c *fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (c *fakeConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }
func (c *fakeConn) Close() error                        { return nil }

func (c *fakeConn) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	q := "BEGIN"
	if o.ReadOnly {
		q = "BEGIN READ ONLY"
	}
	return c, c.do(q)
}

// Commit leaves no transaction even if it fails, which database/sql relies on.
func (c *fakeConn) Commit() error {
	defer func() { c.open, c.pending = false, nil }()
	return c.do("COMMIT")
}

func (c *fakeConn) Rollback() error { return c.do("ROLLBACK") }

func (c *fakeConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return driver.RowsAffected(1), c.do(with(q, args))
}

func (c *fakeConn) do(q string) error {
	c.said = append(c.said, q)
	if c.fail != nil {
		if err := c.fail(q); err != nil {
			return err
		}
	}
	switch {
	case strings.HasPrefix(q, "BEGIN"):
		if c.open {
			return errors.New("already in a transaction")
		}
		c.open = true
	case q == "COMMIT", q == "ROLLBACK":
		if !c.open {
			return errors.New("no transaction is active")
		}
		if q == "COMMIT" {
			c.kept = append(c.kept, c.pending...)
		}
		c.open, c.pending = false, nil
	case strings.HasPrefix(q, "SELECT"):
	case !c.open:
		c.kept = append(c.kept, q)
	default:
		c.pending = append(c.pending, q)
	}
	return nil
}

func (c *fakeConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q = with(q, args)
	c.said = append(c.said, q)
	if c.fail != nil {
		if err := c.fail(q); err != nil {
			return nil, err
		}
	}
	switch {
	case q == "SELECT version()" && c.dialect == PostgreSQL:
		return &fakeRows{columns: 1, rows: [][]driver.Value{{"PostgreSQL 15.1 on x86_64"}}}, nil
	case q == "SELECT sqlite_version()" && c.dialect == SQLite:
		return &fakeRows{columns: 1, rows: [][]driver.Value{{"3.50.1"}}}, nil
	case strings.Contains(q, "FROM surety_migrations"):
		return c.notes(args), nil
	}
	return nil, errors.New("no such function")
}

// notes answers the query for a package's applied migrations.
func (c *fakeConn) notes(args []driver.NamedValue) driver.Rows {
	r := &fakeRows{columns: 2}
	for _, q := range slices.Concat(c.kept, c.pending) {
		_, values, ok := strings.Cut(q, " <- ")
		v := strings.Fields(values)
		if ok && strings.HasPrefix(q, "INSERT INTO surety_migrations") && v[0] == fmt.Sprint(args[0].Value) {
			r.rows = append(r.rows, []driver.Value{v[1], v[3]})
		}
	}
	return r
}

// with renders a statement with its arguments.
func with(q string, args []driver.NamedValue) string {
	if len(args) == 0 {
		return q
	}
	q += " <-"
	for _, a := range args {
		q += fmt.Sprint(" ", a.Value)
	}
	return q
}

type fakeRows struct {
	columns int
	rows    [][]driver.Value
}

func (r *fakeRows) Columns() []string { return make([]string, r.columns) }
func (r *fakeRows) Close() error      { return nil }
func (r *fakeRows) Next(to []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(to, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// The errors of drivers, by the methods that tell their kind.
type stateError string

func (e stateError) Error() string    { return "state " + string(e) }
func (e stateError) SQLState() string { return string(e) }

type codeError int

func (e codeError) Error() string { return fmt.Sprint("code ", int(e)) }
func (e codeError) Code() int     { return int(e) }
